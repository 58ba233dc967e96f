//! A container's file system and isolation.

use super::{Assembly, labels, linux_info};
use crate::model::mesos::{
    ContainerInfo, Image, ImageKind, LinuxInfo, Seccomp, Volume, VolumeSource as Source,
};
use crate::model::pod::{Container, Image as PodImage, VolumeKind, VolumeMount};

impl Assembly<'_> {
    pub(super) fn container_info(&self, container: &Container) -> ContainerInfo {
        ContainerInfo {
            docker: false,
            image: container.image.as_ref().map(|image| self.image(image)),
            volumes: container.volume_mounts.iter().filter_map(|mount| self.volume(mount)).collect(),
            // Members join the executor's networks.
            network_infos: Vec::new(),
            linux_info: Some(self.container_linux_info(container)),
            tty: container.tty.unwrap_or(false),
        }
    }

    fn image(&self, image: &PodImage) -> Image {
        Image {
            kind: image.kind,
            name: image.id.clone(),
            pull_config: image.pull_config.as_ref().map(|config| self.secret(&config.secret)),
            cached: image.force_pull.map(|force| !force),
            // The labels that an App Container image is chosen by; Docker images are not.
            labels: match image.kind {
                ImageKind::Appc => labels(&image.labels),
                ImageKind::Docker => Vec::new(),
            },
        }
    }

    /// What is mounted; nothing for a volume that the pod does not have, which admission refuses.
    fn volume(&self, mount: &VolumeMount) -> Option<Volume> {
        let volume = self.spec.volumes.iter().find(|volume| volume.name == mount.name)?;
        let source = match &volume.kind {
            VolumeKind::Host { host } if host.starts_with('/') => Source::HostPath(host.clone()),
            // Relative to the executor's sandbox (Pods page, "Basic pod fields"). Mesos would take it as
            // relative to the member's own, and no two members would see the same.
            VolumeKind::Host { host } => Source::SandboxParent(host.clone()),
            VolumeKind::Ephemeral {} => Source::SandboxParent(format!("volumes/{}", volume.name)),
            // The agent mounts the disk, a resource of the executor, under this name in its sandbox.
            VolumeKind::Persistent { .. } => Source::SandboxParent(volume.name.clone()),
            VolumeKind::Secret { secret } => Source::Secret(self.secret(secret)),
        };
        Some(Volume { container_path: mount.mount_path.clone(), read_only: mount.read_only, source })
    }

    fn container_linux_info(&self, container: &Container) -> LinuxInfo {
        let share_cgroups = self.spec.legacy_shared_cgroups == Some(true);
        let info = container.linux_info.as_ref();
        LinuxInfo {
            seccomp: info.and_then(|info| info.seccomp.as_ref()).map(|seccomp| Seccomp {
                profile_name: seccomp.profile_name.clone(),
                unconfined: Some(seccomp.unconfined),
            }),
            ..linux_info(share_cgroups, info.and_then(|info| info.ipc_info.as_ref()))
        }
    }
}
