//! Which of an agent's separate disks the volumes of a copy get.
//!
//! A volume of type `mount` takes a disk as a whole, so one volume may stand in another's way: they are matched. Those of
//! type `path` take parts. The smallest disk that is large enough is taken.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::NoMatch;
use super::residence::persistence_id;
use crate::model::mesos::{DiskSourceType, Resource, ResourceKind, ResourceValue};
use crate::model::number::Scalar;
use crate::model::pod::{PersistentVolume, PersistentVolumeType, PodSpec, ScalarResources};
use crate::model::regex::JavaRegex;

/// Unreserved ones among `disks` for the volumes of `spec`, in their order; there is enough of the agent's own, as was
/// checked.
pub(super) fn choose(spec: &PodSpec, disks: &[Resource]) -> Result<Vec<Resource>, NoMatch> {
    let mut free: Vec<Resource> = disks.iter().filter(|disk| is_unused(disk)).cloned().collect();
    free.sort_by_key(Resource::amount);
    let volumes: Vec<&PersistentVolume> = spec.persistent_volumes().map(|(_, volume)| volume).collect();
    let mounted = match_mounts(&volumes, &free)?;
    let mut paths: Vec<usize> =
        (0..volumes.len()).filter(|index| volumes[*index].kind == PersistentVolumeType::Path).collect();
    // Who has least to choose from chooses first; of those that can choose among as many, the largest, for smaller ones
    // find room beside it.
    paths.sort_by_key(|index| {
        let choices = free.iter().filter(|disk| fits(volumes[*index], disk)).count();
        (choices, Reverse(volumes[*index].size))
    });
    let mut parts: BTreeMap<usize, Resource> = BTreeMap::new();
    for index in paths {
        let size = size(volumes[index]);
        let Some(disk) = free.iter_mut().find(|disk| fits(volumes[index], disk)) else {
            return Err(what_lacks(volumes[index], &free));
        };
        parts.insert(index, Resource { value: ResourceValue::Scalar(size), ..disk.clone() });
        disk.value = ResourceValue::Scalar(disk.amount().saturating_sub(size));
        free.sort_by_key(Resource::amount);
    }
    let chosen = volumes.iter().enumerate().map(|(index, volume)| match mounted.get(&index) {
        Some(disk) => disk.clone(),
        None => {
            let own = || Resource::scalar(ResourceKind::Disk, size(volume));
            parts.remove(&index).unwrap_or_else(own)
        }
    });
    Ok(chosen.collect())
}

/// A disk of its own for each of the `volumes` that want one, by index.
fn match_mounts(
    volumes: &[&PersistentVolume],
    free: &[Resource],
) -> Result<BTreeMap<usize, Resource>, NoMatch> {
    let mut owners: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, volume) in volumes.iter().enumerate() {
        let is_mount = volume.kind == PersistentVolumeType::Mount;
        if is_mount && !find_for(index, volumes, free, &mut owners, &mut vec![false; free.len()]) {
            let left: Vec<Resource> = (0..free.len())
                .filter(|disk| !owners.contains_key(disk))
                .map(|disk| free[disk].clone())
                .collect();
            return Err(what_lacks(volume, &left));
        }
    }
    Ok(owners.into_iter().map(|(disk, volume)| (volume, free[disk].clone())).collect())
}

/// Finds a disk for one volume, if need be by finding another one for whoever has it.
fn find_for(
    volume: usize,
    volumes: &[&PersistentVolume],
    free: &[Resource],
    owners: &mut BTreeMap<usize, usize>,
    tried: &mut [bool],
) -> bool {
    let fitting: Vec<usize> = (0..free.len()).filter(|disk| fits(volumes[volume], &free[*disk])).collect();
    if let Some(disk) = fitting.iter().find(|disk| !owners.contains_key(disk)) {
        owners.insert(*disk, volume);
        return true;
    }
    for disk in fitting {
        if !std::mem::replace(&mut tried[disk], true)
            && let Some(owner) = owners.get(&disk).copied()
            && find_for(owner, volumes, free, owners, tried)
        {
            owners.insert(disk, volume);
            return true;
        }
    }
    false
}

/// Why `volume` has no place on the disks that are left.
fn what_lacks(volume: &PersistentVolume, left: &[Resource]) -> NoMatch {
    let size = size(volume);
    let largest = left.iter().filter(|disk| is_of(disk, volume)).map(Resource::amount).max();
    let missing = size.saturating_sub(largest.unwrap_or_default());
    if missing.is_zero() {
        return NoMatch::Disk;
    }
    NoMatch::Insufficient(ScalarResources { disk: missing, ..ScalarResources::default() })
}

fn fits(volume: &PersistentVolume, disk: &Resource) -> bool {
    let most = volume.max_size.filter(|_| volume.kind == PersistentVolumeType::Mount).map(mebibytes);
    disk.amount() >= size(volume) && most.is_none_or(|most| disk.amount() <= most) && is_of(disk, volume)
}

fn is_unused(disk: &Resource) -> bool {
    disk.reservations.is_empty() && persistence_id(disk).is_none()
}

/// Whether `volume` may lie on `disk`, were it large enough. What a storage plugin manages is for volumes that name its
/// profile.
fn is_of(disk: &Resource, volume: &PersistentVolume) -> bool {
    let kind = match volume.kind {
        PersistentVolumeType::Root => return false,
        PersistentVolumeType::Path => DiskSourceType::Path,
        PersistentVolumeType::Mount => DiskSourceType::Mount,
    };
    let Some(source) = disk.disk.as_ref().and_then(|disk| disk.source.as_ref()) else { return false };
    let root = source.root.as_deref().unwrap_or_default();
    let is_allowed = |constraint: &Vec<String>| {
        // Admission has checked the form, and that the expression is one.
        let regex = constraint.get(2).and_then(|regex| JavaRegex::new(regex).ok());
        regex.is_some_and(|regex| regex.is_match(root).unwrap_or(false))
    };
    let has_profile = match &volume.profile_name {
        Some(profile) => source.profile.as_ref() == Some(profile),
        None => disk.provider_id.is_none(),
    };
    source.kind == kind && has_profile && volume.constraints.iter().all(is_allowed)
}

/// The size of a volume.
pub(super) fn size(volume: &PersistentVolume) -> Scalar {
    mebibytes(volume.size)
}

fn mebibytes(amount: u64) -> Scalar {
    Scalar::from_thousandths(i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(1000))
}
