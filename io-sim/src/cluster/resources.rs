//! Arithmetic on bundles of resources (`mesos.v1.Resources`): amounts add up when everything but the amount is
//! equal, ports and sets are sets, a persistent volume or a whole disk is given away in one piece.

use std::fmt;

use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    DiskInfo, DiskSourceType, PortRange, Reservation, ReservationType, Resource, ResourceKind, ResourceValue,
};
use podium_core::model::number::Scalar;

/// A bundle of resources in which equal ones are merged and empty ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resources(Vec<Resource>);

impl Resources {
    /// The sum of `items`.
    pub(super) fn sum<'a>(items: impl IntoIterator<Item = &'a Resource>) -> Self {
        let mut sum = Self::default();
        for item in items {
            sum.add(item);
        }
        sum
    }

    pub(super) fn as_slice(&self) -> &[Resource] {
        &self.0
    }

    pub(super) fn into_vec(self) -> Vec<Resource> {
        self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, item: &Resource) {
        if is_empty_value(&item.value) {
            return;
        }
        let merged =
            (!is_one_piece(item)).then(|| self.0.iter_mut().find(|own| same_identity(own, item))).flatten();
        match merged {
            Some(own) => add_value(&mut own.value, &item.value),
            None => self.0.push(item.clone()),
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for item in &other.0 {
            self.add(item);
        }
    }

    /// Whether all of `other` is in here.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|item| self.find(item).is_some())
    }

    /// Takes `other` away; what is not there is ignored.
    pub(super) fn subtract(&mut self, other: &Self) {
        // Mostly an agent's resources are offered, and refused, all at once.
        if self == other {
            self.0.clear();
            return;
        }
        for item in &other.0 {
            let Some(index) = self.0.iter().position(|own| same_identity(own, item)) else { continue };
            if !is_one_piece(item) {
                subtract_value(&mut self.0[index].value, &item.value);
                if !is_empty_value(&self.0[index].value) {
                    continue;
                }
            }
            // The last one takes its place: the order shows in Mesos' offers and texts.
            self.0.swap_remove(index);
        }
    }

    /// Puts what quota does not limit first: what is reserved or no amount. That is how Mesos makes up an offer.
    pub(super) fn unlimited_first(&mut self) {
        self.0.sort_by_key(|item| {
            item.reservations.is_empty() && matches!(item.value, ResourceValue::Scalar(_)) && !item.revocable
        });
    }

    /// Keeps only some.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Resource) -> bool) {
        self.0.retain(keep);
    }

    /// The same, each allocated to `role` or to nobody.
    #[must_use]
    pub(super) fn allocated(mut self, role: Option<&Role>) -> Self {
        for item in &mut self.0 {
            item.allocation_role = role.cloned();
        }
        self
    }

    /// The sum of the plain amounts of `kind`.
    pub(super) fn amount(&self, kind: &ResourceKind) -> Scalar {
        self.0.iter().filter(|item| item.kind == *kind).map(Resource::amount).sum()
    }

    /// Whether there is any of `kind`.
    pub(super) fn has(&self, kind: &ResourceKind) -> bool {
        self.0.iter().any(|item| item.kind == *kind)
    }

    /// Lowers the unreserved amount of `kind` so that at most `limit` is left.
    pub(super) fn limit(&mut self, kind: &ResourceKind, limit: Scalar) {
        let mut excess = self.amount(kind).saturating_sub(limit);
        for item in self.0.iter_mut().filter(|item| item.kind == *kind && item.reservations.is_empty()) {
            if let ResourceValue::Scalar(amount) = &mut item.value {
                let cut = excess.min(*amount);
                *amount = amount.saturating_sub(cut);
                excess = excess.saturating_sub(cut);
            }
        }
        self.0.retain(|item| !is_empty_value(&item.value));
    }

    fn find(&self, item: &Resource) -> Option<&Resource> {
        self.0.iter().find(|own| same_identity(own, item) && value_contains(own, item))
    }
}

/// Whether a resource may be offered to `role`: unreserved, or reserved for the role or one above it.
pub(super) fn is_allocatable_to(resource: &Resource, role: &Role) -> bool {
    match resource.reserved_role() {
        None => true,
        Some(reserved) => is_same_or_below(role, reserved),
    }
}

/// Whether `role` is `above` or below it in the hierarchy.
pub(super) fn is_same_or_below(role: &Role, above: &Role) -> bool {
    role.as_str().strip_prefix(above.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a resource was made by an operation, so that an agent may not know of it yet.
pub(super) fn is_made_by_operation(resource: &Resource) -> bool {
    resource.reservations.iter().any(|reservation| reservation.kind == ReservationType::Dynamic)
        || resource.disk.as_ref().is_some_and(|disk| disk.persistence.is_some())
}

/// The disk that a volume lies on; any other resource is the same.
pub(super) fn plain_disk(volume: &Resource) -> Resource {
    let mut disk = volume.clone();
    disk.shared = false;
    let source = disk.disk.take().and_then(|disk| disk.source);
    disk.disk = source.map(|source| Box::new(DiskInfo { source: Some(source), ..DiskInfo::default() }));
    disk
}

/// Persistent volumes and whole disks do not merge and do not split.
fn is_one_piece(resource: &Resource) -> bool {
    resource.disk.as_ref().is_some_and(|disk| {
        disk.persistence.is_some()
            || disk.source.as_ref().is_some_and(|source| source.kind != DiskSourceType::Path)
    })
}

// Mostly the kinds differ, which is not worth a call.
#[inline]
fn same_identity(a: &Resource, b: &Resource) -> bool {
    a.kind == b.kind && is_marked_alike(a, b)
}

#[inline(never)]
fn is_marked_alike(a: &Resource, b: &Resource) -> bool {
    a.allocation_role == b.allocation_role
        && a.reservations == b.reservations
        && a.disk == b.disk
        && a.revocable == b.revocable
        && a.shared == b.shared
        && a.provider_id == b.provider_id
}

fn is_empty_value(value: &ResourceValue) -> bool {
    match value {
        ResourceValue::Scalar(amount) => amount.is_zero(),
        ResourceValue::Ranges(ranges) => ranges.is_empty(),
        ResourceValue::Set(items) => items.is_empty(),
    }
}

fn add_value(own: &mut ResourceValue, other: &ResourceValue) {
    match (own, other) {
        (ResourceValue::Scalar(own), ResourceValue::Scalar(other)) => *own += *other,
        (ResourceValue::Ranges(own), ResourceValue::Ranges(other)) => {
            own.extend_from_slice(other);
            coalesce(own);
        }
        (ResourceValue::Set(own), ResourceValue::Set(other)) => {
            own.extend(other.iter().cloned());
            own.sort_unstable();
            own.dedup();
        }
        // Values of different types under one name are refused before they come here.
        _ => {}
    }
}

fn subtract_value(own: &mut ResourceValue, other: &ResourceValue) {
    match (own, other) {
        (ResourceValue::Scalar(own), ResourceValue::Scalar(other)) => *own = own.saturating_sub(*other),
        (ResourceValue::Ranges(own), ResourceValue::Ranges(other)) => {
            other.iter().for_each(|cut| cut_out(own, *cut));
        }
        (ResourceValue::Set(own), ResourceValue::Set(other)) => own.retain(|item| !other.contains(item)),
        _ => {}
    }
}

fn value_contains(own: &Resource, other: &Resource) -> bool {
    match (&own.value, &other.value) {
        (ResourceValue::Scalar(a), ResourceValue::Scalar(b)) if is_one_piece(own) => a == b,
        (ResourceValue::Scalar(a), ResourceValue::Scalar(b)) => a >= b,
        (ResourceValue::Ranges(a), ResourceValue::Ranges(b)) => {
            b.iter().all(|inner| a.iter().any(|outer| outer.begin <= inner.begin && inner.end <= outer.end))
        }
        (ResourceValue::Set(a), ResourceValue::Set(b)) => b.iter().all(|item| a.contains(item)),
        _ => false,
    }
}

/// Sorts ranges and joins those that touch.
fn coalesce(ranges: &mut Vec<PortRange>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, previous| {
        let joined = next.begin <= previous.end.saturating_add(1);
        if joined {
            previous.end = previous.end.max(next.end);
        }
        joined
    });
}

/// Takes the ports of `cut` out of `ranges`.
fn cut_out(ranges: &mut Vec<PortRange>, cut: PortRange) {
    let mut index = 0;
    while let Some(range) = ranges.get(index).copied() {
        let before = (range.begin < cut.begin)
            .then(|| PortRange { begin: range.begin, end: range.end.min(cut.begin - 1) });
        let after =
            (range.end > cut.end).then(|| PortRange { begin: range.begin.max(cut.end + 1), end: range.end });
        // Mostly this changes one range, or none.
        match (before, after) {
            (None, None) => {
                ranges.remove(index);
            }
            (Some(left), None) | (None, Some(left)) => {
                ranges[index] = left;
                index += 1;
            }
            (Some(_), Some(_)) if range.end < cut.begin || cut.end < range.begin => index += 1,
            (Some(before), Some(after)) => {
                ranges[index] = before;
                ranges.insert(index + 1, after);
                index += 2;
            }
        }
    }
}

/// Mesos' own notation, as its messages to schedulers show it.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("{}");
        }
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            Notation(item).fmt(f)?;
        }
        Ok(())
    }
}

/// One resource in Mesos' notation.
pub(super) struct Notation<'a>(pub(super) &'a Resource);

impl fmt::Display for Notation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(resource) = self;
        write!(f, "{}", resource.kind)?;
        if let Some(role) = &resource.allocation_role {
            write!(f, "(allocated: {role})")?;
        }
        if !resource.reservations.is_empty() {
            f.write_str("(reservations: [")?;
            for (index, reservation) in resource.reservations.iter().enumerate() {
                if index > 0 {
                    f.write_str(",")?;
                }
                write_reservation(f, reservation)?;
            }
            f.write_str("])")?;
        }
        if let Some(disk) = &resource.disk {
            let id = disk.persistence.as_ref().map_or("", |persistence| &persistence.id);
            match &disk.container_path {
                Some(path) => write!(f, "[{id}:{path}]")?,
                None => write!(f, "[{id}]")?,
            }
        }
        if resource.revocable {
            f.write_str("{REV}")?;
        }
        if resource.shared {
            f.write_str("<SHARED>")?;
        }
        f.write_str(":")?;
        match &resource.value {
            ResourceValue::Scalar(amount) => write!(f, "{amount}"),
            ResourceValue::Ranges(ranges) => {
                f.write_str("[")?;
                for (index, range) in ranges.iter().enumerate() {
                    write!(f, "{}{}-{}", if index > 0 { ", " } else { "" }, range.begin, range.end)?;
                }
                f.write_str("]")
            }
            ResourceValue::Set(items) => write!(f, "{{{}}}", items.join(", ")),
        }
    }
}

fn write_reservation(f: &mut fmt::Formatter<'_>, reservation: &Reservation) -> fmt::Result {
    let kind = match reservation.kind {
        ReservationType::Dynamic => "DYNAMIC",
        ReservationType::Static => "STATIC",
    };
    write!(f, "({kind},{}", reservation.role)?;
    if let Some(principal) = &reservation.principal {
        write!(f, ",{principal}")?;
    }
    if !reservation.labels.is_empty() {
        f.write_str(",{")?;
        for (index, label) in reservation.labels.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            match &label.value {
                Some(value) => write!(f, "{}: {value}", label.key)?,
                None => f.write_str(&label.key)?,
            }
        }
        f.write_str("}")?;
    }
    f.write_str(")")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpus(amount: f64) -> Resource {
        Resource::scalar(ResourceKind::Cpus, Scalar::from_f64(amount))
    }

    fn ports(ranges: &[(u64, u64)]) -> Resource {
        Resource::ports(ranges.iter().map(|&(begin, end)| PortRange { begin, end }).collect())
    }

    #[test]
    fn amounts_and_ports_add_up() {
        let mut bundle = Resources::sum(&[cpus(0.1), ports(&[(1, 3)]), cpus(0.2), ports(&[(4, 9)])]);
        assert_eq!(bundle.to_string(), "cpus:0.3; ports:[1-9]");
        bundle.subtract(&Resources::sum(&[cpus(0.3), ports(&[(3, 5), (9, 9)])]));
        assert_eq!(bundle.to_string(), "ports:[1-2, 6-8]");
        assert!(bundle.contains(&Resources::sum(&[ports(&[(1, 1), (6, 8)])])));
        assert!(!bundle.contains(&Resources::sum(&[ports(&[(2, 6)])])));
    }

    #[test]
    fn the_order_is_mesos_own() {
        let mem = Resource::scalar(ResourceKind::Mem, Scalar::from_f64(64.0));
        let mut bundle = Resources::sum(&[cpus(1.0), mem, ports(&[(1, 3)])]);
        bundle.subtract(&Resources::sum(&[cpus(1.0)]));
        assert_eq!(bundle.to_string(), "ports:[1-3]; mem:64", "the last one takes the place of what is gone");
        bundle.add(&cpus(2.0));
        bundle.subtract(&Resources::sum(&[ports(&[(1, 3)])]));
        assert_eq!(bundle.to_string(), "cpus:2; mem:64");
        bundle.add(&ports(&[(5, 5)]));
        bundle.unlimited_first();
        assert_eq!(bundle.to_string(), "ports:[5-5]; cpus:2; mem:64");
    }

    #[test]
    fn allocation_keeps_bundles_apart() {
        let mut bundle = Resources::sum(&[cpus(1.0), cpus(2.0).allocated_to(Role::new("a"))]);
        bundle.add(&cpus(4.0).allocated_to(Role::new("b")));
        assert_eq!(bundle.to_string(), "cpus:1; cpus(allocated: a):2; cpus(allocated: b):4");
        assert!(!bundle.contains(&Resources::sum(&[cpus(1.5)])));
        bundle.limit(&ResourceKind::Cpus, Scalar::from_f64(2.5));
        assert_eq!(bundle.amount(&ResourceKind::Cpus), Scalar::from_f64(2.5));
    }

    #[test]
    fn a_role_may_use_what_is_reserved_above_it() {
        let (a, below, other) = (Role::new("a"), Role::new("a/x"), Role::new("ab"));
        assert!(is_same_or_below(&below, &a));
        assert!(!is_same_or_below(&a, &below));
        assert!(!is_same_or_below(&other, &a));
    }

    proptest! {
        /// What is taken and given back is there again, and was really away in between.
        #[test]
        fn taking_and_giving_back(total in 1..90u64, begin in 0..80u64, length in 0..10u64, amount in 0..50i64) {
            let whole = Resources::sum(&[
                ports(&[(0, total)]),
                Resource::scalar(ResourceKind::Mem, Scalar::from_thousandths(50)),
            ]);
            let part = Resources::sum(&[
                ports(&[(begin.min(total), (begin + length).min(total))]),
                Resource::scalar(ResourceKind::Mem, Scalar::from_thousandths(amount)),
            ]);
            let mut rest = whole.clone();
            prop_assert!(rest.contains(&part));
            rest.subtract(&part);
            prop_assert!(!rest.contains(&part));
            rest.add_all(&part);
            prop_assert!(rest.contains(&whole) && whole.contains(&rest));
        }
    }
}
