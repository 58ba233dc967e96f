//! The rules for persistent volumes, and for changes of pods that have some.

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::report::{Rejection, Report};
use crate::model::pod::{PersistentVolume, PersistentVolumeType, PodSpec};

/// The agent mounts a persistent volume under its name in the executor's sandbox, where these are taken.
const TAKEN_NAMES: [&str; 5] = ["containers", "stderr", "stdout", "tasks", "volumes"];

/// `path` is the volume's.
pub(super) fn volume(path: &str, name: &str, volume: &PersistentVolume, report: &mut Report) {
    if TAKEN_NAMES.contains(&name) {
        report.violation(
            format_args!("{path}/name"),
            format!("persistent volumes cannot be called {}, got '{name}'", TAKEN_NAMES.join(", ")),
        );
    }
    let path = format!("{path}/persistent");
    if volume.size == 0 {
        report.violation(format_args!("{path}/size"), "got 0, expected 1 or more (MiB)");
    }
    if let Some(max_size) = volume.max_size {
        let path = format!("{path}/maxSize");
        if volume.kind != PersistentVolumeType::Mount {
            report.violation(&path, "only volumes of type mount, which are whole disks, can have a maxSize");
        }
        if max_size < volume.size {
            report
                .violation(&path, format!("got {max_size}, expected {} or more, which is size", volume.size));
        }
    }
    if volume.kind == PersistentVolumeType::Root {
        for (field, is_given) in
            [("constraints", !volume.constraints.is_empty()), ("profileName", volume.profile_name.is_some())]
        {
            if is_given {
                let error = "is only for volumes of type mount or path, which are separate disks";
                report.violation(format_args!("{path}/{field}"), error);
            }
        }
    }
}

/// Checks that the copies of `old` can become copies of `new` where they are: with the volumes and the resources that
/// are reserved for them (Marathon's rules and words).
///
/// # Errors
/// They cannot.
pub fn check_residents(old: &PodSpec, new: &PodSpec) -> Result<(), Rejection> {
    let mut report = Report::default();
    if !old.is_resident() && !new.is_resident() {
        return Ok(());
    }
    if volumes(old) != volumes(new) {
        report.violation("/volumes", "persistent volumes cannot be updated");
    }
    let (before, after) = (old.total_resources(), new.total_resources());
    let kinds = [
        ("cpus", before.cpus, after.cpus),
        ("mem", before.mem, after.mem),
        ("disk", before.disk, after.disk),
        ("gpus", before.gpus, after.gpus),
    ];
    for (kind, before, after) in kinds.into_iter().filter(|(_, before, after)| before != after) {
        let error = format!(
            "{kind} cannot be updated if a pod has persistent volumes: its containers and executor have {before} in \
             all, got {after}"
        );
        report.violation("/containers", error);
    }
    let ports = |pod: &PodSpec| -> (BTreeSet<u16>, usize) {
        let endpoints = pod.containers.iter().flat_map(|container| &container.endpoints);
        let ports: Vec<u16> = endpoints.filter_map(|endpoint| endpoint.host_port).collect();
        (ports.iter().copied().collect(), ports.len())
    };
    if ports(old) != ports(new) {
        report.violation("/containers", "host ports cannot be updated if a pod has persistent volumes");
    }
    if report.is_clean() { Ok(()) } else { Err(report.into_rejection()) }
}

/// The persistent volumes by name. Neither their order nor that of their constraints says anything.
fn volumes(pod: &PodSpec) -> BTreeMap<&str, PersistentVolume> {
    let in_order = |(name, volume): (_, &PersistentVolume)| {
        let mut volume = volume.clone();
        volume.constraints.sort_unstable();
        (name, volume)
    };
    pod.persistent_volumes().map(in_order).collect()
}
