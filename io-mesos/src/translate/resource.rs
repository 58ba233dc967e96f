//! Resources, in both formats that Mesos has had for reservations.
//!
//! | | unreserved | reserved by the agent's flags | reserved by an operation | refined |
//! |---|---|---|---|---|
//! | stack (`RESERVATION_REFINEMENT`) | `reservations` empty | one `STATIC` entry | one `DYNAMIC` entry | more entries |
//! | old | `role` is `*` | `role` | `role` and `reservation` | cannot be expressed |
#![expect(deprecated, reason = "Resource.role is the old format")]

use podium_core::model::ids::Role;
use podium_core::model::mesos::{
    DiskInfo, DiskSource, DiskSourceType, Persistence, PortRange, Reservation, ReservationType, Resource,
    ResourceKind, ResourceValue,
};
use podium_core::model::number::Scalar;

use super::enums::WireEnum;
use super::{
    Format, Invalid, Translate, read_all, read_labels, read_some, write_all, write_labels, write_some,
};
use crate::proto::resource::disk_info::{self, source};
use crate::proto::resource::{AllocationInfo, ReservationInfo, RevocableInfo, SharedInfo};
use crate::proto::{self, value};

/// The role of resources that are reserved for nobody, in the old format.
const UNRESERVED: &str = "*";

/// Whether the format has a way to write the resource. A master does not offer it otherwise.
pub(super) fn is_expressible(resource: &Resource, format: Format) -> bool {
    format.reservation_refinement || resource.reservations.len() <= 1
}

impl Translate for Resource {
    type Proto = proto::Resource;

    fn to_proto(&self, format: Format) -> proto::Resource {
        let mut proto = proto::Resource {
            name: self.kind.as_str().to_owned(),
            provider_id: self.provider_id.clone().map(|value| proto::ResourceProviderId { value }),
            allocation_info: self
                .allocation_role
                .as_ref()
                .filter(|_| format.multi_role)
                .map(|role| AllocationInfo { role: Some(role.to_string()) }),
            disk: write_some(self.disk.as_deref(), format),
            revocable: self.revocable.then_some(RevocableInfo {}),
            shared: self.shared.then_some(SharedInfo {}),
            ..Default::default()
        };
        match &self.value {
            ResourceValue::Scalar(amount) => {
                proto.set_type(value::Type::Scalar);
                proto.scalar = Some(write_scalar(*amount));
            }
            ResourceValue::Ranges(ranges) => {
                proto.set_type(value::Type::Ranges);
                proto.ranges = Some(write_ranges(ranges));
            }
            ResourceValue::Set(items) => {
                proto.set_type(value::Type::Set);
                proto.set = Some(value::Set { item: items.clone() });
            }
        }
        if format.reservation_refinement {
            proto.reservations = write_all(&self.reservations, format);
        } else {
            proto.role = Some(self.reserved_role().map_or(UNRESERVED, Role::as_str).to_owned());
            proto.reservation = self
                .reservations
                .last()
                .filter(|reservation| reservation.kind == ReservationType::Dynamic)
                .map(|reservation| ReservationInfo {
                    r#type: None,
                    role: None,
                    ..reservation.to_proto(format)
                });
        }
        proto
    }

    fn from_proto(proto: proto::Resource) -> Result<Self, Invalid> {
        let value = match proto.r#type() {
            value::Type::Scalar => ResourceValue::Scalar(read_scalar(proto.scalar)?),
            value::Type::Ranges => ResourceValue::Ranges(read_ranges(proto.ranges)?),
            value::Type::Set => ResourceValue::Set(read_set(proto.set)?),
            value::Type::Text => {
                return Err(Invalid::unusable("type", "TEXT", "a resource is SCALAR, RANGES or SET"));
            }
        };
        let reservations = if proto.reservations.is_empty() {
            read_old_reservation(proto.role, proto.reservation)?.into_iter().collect()
        } else {
            read_all("reservations", proto.reservations)?
        };
        Ok(Self {
            kind: ResourceKind::from(proto.name.as_str()),
            value,
            reservations: reservations.into(),
            allocation_role: proto.allocation_info.and_then(|info| info.role).map(Role::from),
            disk: read_some("disk", proto.disk)?.map(Box::new),
            revocable: proto.revocable.is_some(),
            shared: proto.shared.is_some(),
            provider_id: proto.provider_id.map(|id| id.value),
        })
    }
}

fn read_old_reservation(
    role: Option<String>,
    reservation: Option<ReservationInfo>,
) -> Result<Option<Reservation>, Invalid> {
    match (role.filter(|role| role != UNRESERVED), reservation) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Invalid::absent("role")),
        (Some(role), None) => Ok(Some(Reservation {
            kind: ReservationType::Static,
            role: role.into(),
            principal: None,
            labels: Vec::new(),
        })),
        (Some(role), Some(info)) => Ok(Some(Reservation {
            kind: ReservationType::Dynamic,
            role: role.into(),
            principal: info.principal,
            labels: read_labels(info.labels)?,
        })),
    }
}

impl Translate for Reservation {
    type Proto = ReservationInfo;

    fn to_proto(&self, format: Format) -> ReservationInfo {
        ReservationInfo {
            r#type: Some(self.kind.to_wire()),
            role: Some(self.role.to_string()),
            principal: self.principal.clone(),
            labels: write_labels(&self.labels, format),
        }
    }

    fn from_proto(proto: ReservationInfo) -> Result<Self, Invalid> {
        Ok(Self {
            kind: ReservationType::required("type", proto.r#type)?,
            role: proto.role.ok_or_else(|| Invalid::absent("role"))?.into(),
            principal: proto.principal,
            labels: read_labels(proto.labels)?,
        })
    }
}

impl Translate for DiskInfo {
    type Proto = proto::resource::DiskInfo;

    fn to_proto(&self, format: Format) -> proto::resource::DiskInfo {
        proto::resource::DiskInfo {
            persistence: self
                .persistence
                .as_ref()
                .map(|p| disk_info::Persistence { id: p.id.clone(), principal: p.principal.clone() }),
            volume: self.container_path.as_ref().map(|path| proto::Volume {
                mode: proto::volume::Mode::Rw.into(),
                container_path: path.clone(),
                ..Default::default()
            }),
            source: write_some(self.source.as_ref(), format),
        }
    }

    fn from_proto(proto: proto::resource::DiskInfo) -> Result<Self, Invalid> {
        Ok(Self {
            persistence: proto.persistence.map(|p| Persistence { id: p.id, principal: p.principal }),
            container_path: proto.volume.map(|volume| volume.container_path),
            source: read_some("source", proto.source)?,
        })
    }
}

impl Translate for DiskSource {
    type Proto = disk_info::Source;

    fn to_proto(&self, _: Format) -> disk_info::Source {
        let root = self.root.clone();
        disk_info::Source {
            r#type: self.kind.to_wire(),
            path: (self.kind == DiskSourceType::Path).then(|| source::Path { root: root.clone() }),
            mount: (self.kind == DiskSourceType::Mount).then_some(source::Mount { root }),
            id: self.id.clone(),
            profile: self.profile.clone(),
            ..Default::default()
        }
    }

    fn from_proto(proto: disk_info::Source) -> Result<Self, Invalid> {
        let kind = DiskSourceType::required("type", Some(proto.r#type))?;
        Ok(Self {
            kind,
            root: match kind {
                DiskSourceType::Path => proto.path.and_then(|path| path.root),
                DiskSourceType::Mount => proto.mount.and_then(|mount| mount.root),
                DiskSourceType::Block | DiskSourceType::Raw => None,
            },
            profile: proto.profile,
            id: proto.id,
        })
    }
}

pub(super) fn read_scalar(scalar: Option<value::Scalar>) -> Result<Scalar, Invalid> {
    let value = scalar.ok_or_else(|| Invalid::absent("scalar"))?.value;
    if value.is_finite() {
        Ok(Scalar::from_f64(value))
    } else {
        Err(Invalid::unusable("scalar", value, "an amount must be finite"))
    }
}

pub(super) fn write_scalar(amount: Scalar) -> value::Scalar {
    value::Scalar { value: amount.to_f64() }
}

pub(super) fn read_ranges(ranges: Option<value::Ranges>) -> Result<Vec<PortRange>, Invalid> {
    let ranges = ranges.ok_or_else(|| Invalid::absent("ranges"))?.range;
    Ok(ranges.into_iter().map(|range| PortRange { begin: range.begin, end: range.end }).collect())
}

pub(super) fn write_ranges(ranges: &[PortRange]) -> value::Ranges {
    let write = |range: &PortRange| value::Range { begin: range.begin, end: range.end };
    value::Ranges { range: ranges.iter().map(write).collect() }
}

pub(super) fn read_set(set: Option<value::Set>) -> Result<Vec<String>, Invalid> {
    Ok(set.ok_or_else(|| Invalid::absent("set"))?.item)
}
