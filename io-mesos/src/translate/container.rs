//! Containers: images, volumes, secrets, networks and isolation.

use podium_core::model::mesos::{
    ContainerInfo, Image, ImageKind, IpcMode, LinuxInfo, NetworkInfo, PortMapping, Seccomp, Secret, Volume,
    VolumeSource,
};

use super::enums::WireEnum;
use super::{
    At, Format, Invalid, Translate, read, read_all, read_labels, read_some, write_all, write_labels,
    write_some,
};
use crate::proto::volume::source::{self, SandboxPath, sandbox_path};
use crate::proto::{self, container_info, image, network_info, secret, volume};

impl Translate for ContainerInfo {
    type Proto = proto::ContainerInfo;

    fn to_proto(&self, format: Format) -> proto::ContainerInfo {
        let kind = if self.docker { container_info::Type::Docker } else { container_info::Type::Mesos };
        proto::ContainerInfo {
            r#type: kind.into(),
            mesos: self
                .image
                .as_ref()
                .map(|image| container_info::MesosInfo { image: Some(image.to_proto(format)) }),
            volumes: write_all(&self.volumes, format),
            network_infos: write_all(&self.network_infos, format),
            linux_info: write_some(self.linux_info.as_ref(), format),
            tty_info: self.tty.then(proto::TtyInfo::default),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::ContainerInfo) -> Result<Self, Invalid> {
        Ok(Self {
            docker: proto.r#type() == container_info::Type::Docker,
            image: read_some("image", proto.mesos.and_then(|mesos| mesos.image)).at("mesos")?,
            volumes: read_all("volumes", proto.volumes)?,
            network_infos: read_all("network_infos", proto.network_infos)?,
            linux_info: read_some("linux_info", proto.linux_info)?,
            tty: proto.tty_info.is_some(),
        })
    }
}

impl Translate for Image {
    type Proto = proto::Image;

    fn to_proto(&self, format: Format) -> proto::Image {
        let mut proto =
            proto::Image { r#type: self.kind.to_wire(), cached: self.cached, ..Default::default() };
        match self.kind {
            ImageKind::Appc => {
                proto.appc = Some(image::Appc {
                    name: self.name.clone(),
                    id: None,
                    labels: write_labels(&self.labels, format),
                });
            }
            ImageKind::Docker => {
                proto.docker = Some(image::Docker {
                    name: self.name.clone(),
                    config: write_some(self.pull_config.as_ref(), format),
                    ..Default::default()
                });
            }
        }
        proto
    }

    fn from_proto(proto: proto::Image) -> Result<Self, Invalid> {
        let (kind, cached) = (ImageKind::required("type", Some(proto.r#type))?, proto.cached);
        match kind {
            ImageKind::Appc => {
                let appc = proto.appc.ok_or_else(|| Invalid::absent("appc"))?;
                let labels = read_labels(appc.labels).at("appc")?;
                Ok(Self { kind, name: appc.name, pull_config: None, cached, labels })
            }
            ImageKind::Docker => {
                let docker = proto.docker.ok_or_else(|| Invalid::absent("docker"))?;
                let pull_config = read_some("config", docker.config).at("docker")?;
                Ok(Self { kind, name: docker.name, pull_config, cached, labels: Vec::new() })
            }
        }
    }
}

impl Translate for Secret {
    type Proto = proto::Secret;

    fn to_proto(&self, _: Format) -> proto::Secret {
        let mut proto = proto::Secret::default();
        match self {
            Self::Reference { name, key } => {
                proto.set_type(secret::Type::Reference);
                proto.reference = Some(secret::Reference { name: name.clone(), key: key.clone() });
            }
            Self::Value(data) => {
                proto.set_type(secret::Type::Value);
                proto.value = Some(secret::Value { data: data.clone() });
            }
        }
        proto
    }

    fn from_proto(proto: proto::Secret) -> Result<Self, Invalid> {
        match proto.r#type() {
            secret::Type::Reference => {
                let reference = proto.reference.ok_or_else(|| Invalid::absent("reference"))?;
                Ok(Self::Reference { name: reference.name, key: reference.key })
            }
            secret::Type::Value => Ok(Self::Value(proto.value.ok_or_else(|| Invalid::absent("value"))?.data)),
            secret::Type::Unknown => Err(Invalid::absent("type")),
        }
    }
}

impl Translate for Volume {
    type Proto = proto::Volume;

    fn to_proto(&self, format: Format) -> proto::Volume {
        let mode = if self.read_only { volume::Mode::Ro } else { volume::Mode::Rw };
        let mut proto = proto::Volume {
            mode: mode.into(),
            container_path: self.container_path.clone(),
            ..Default::default()
        };
        match &self.source {
            VolumeSource::HostPath(path) => proto.host_path = Some(path.clone()),
            VolumeSource::SandboxParent(path) => {
                proto.source = Some(write_sandbox_path(sandbox_path::Type::Parent, path));
            }
            VolumeSource::SandboxSelf(path) => {
                proto.source = Some(write_sandbox_path(sandbox_path::Type::Self_, path));
            }
            VolumeSource::Secret(secret) => {
                proto.source = Some(volume::Source {
                    r#type: Some(source::Type::Secret.into()),
                    secret: Some(secret.to_proto(format)),
                    ..Default::default()
                });
            }
        }
        proto
    }

    fn from_proto(proto: proto::Volume) -> Result<Self, Invalid> {
        let source = match (proto.source, proto.host_path) {
            (Some(source), _) => read_volume_source(source).at("source")?,
            (None, Some(path)) => VolumeSource::HostPath(path),
            (None, None) => return Err(Invalid::absent("source")),
        };
        Ok(Self {
            read_only: proto.mode == i32::from(volume::Mode::Ro),
            container_path: proto.container_path,
            source,
        })
    }
}

fn write_sandbox_path(kind: sandbox_path::Type, path: &str) -> volume::Source {
    volume::Source {
        r#type: Some(source::Type::SandboxPath.into()),
        sandbox_path: Some(SandboxPath { r#type: Some(kind.into()), path: path.to_owned() }),
        ..Default::default()
    }
}

fn read_volume_source(proto: volume::Source) -> Result<VolumeSource, Invalid> {
    match proto.r#type() {
        source::Type::HostPath => {
            let host_path = proto.host_path.ok_or_else(|| Invalid::absent("host_path"))?;
            Ok(VolumeSource::HostPath(host_path.path))
        }
        source::Type::SandboxPath => {
            let sandbox = proto.sandbox_path.ok_or_else(|| Invalid::absent("sandbox_path"))?;
            match sandbox.r#type() {
                sandbox_path::Type::Parent => Ok(VolumeSource::SandboxParent(sandbox.path)),
                sandbox_path::Type::Self_ => Ok(VolumeSource::SandboxSelf(sandbox.path)),
                sandbox_path::Type::Unknown => Err(Invalid::absent("sandbox_path.type")),
            }
        }
        source::Type::Secret => {
            let secret = proto.secret.ok_or_else(|| Invalid::absent("secret"))?;
            read("secret", secret).map(VolumeSource::Secret)
        }
        source::Type::Unknown => Err(Invalid::absent("type")),
        other @ (source::Type::DockerVolume | source::Type::CsiVolume) => Err(Invalid::unusable(
            "type",
            other.as_str_name(),
            "only host paths, sandbox paths and secrets can be mounted",
        )),
    }
}

impl Translate for NetworkInfo {
    type Proto = proto::NetworkInfo;

    fn to_proto(&self, format: Format) -> proto::NetworkInfo {
        proto::NetworkInfo {
            name: self.name.clone(),
            labels: write_labels(&self.labels, format),
            port_mappings: write_all(&self.port_mappings, format),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::NetworkInfo) -> Result<Self, Invalid> {
        Ok(Self {
            name: proto.name,
            labels: read_labels(proto.labels)?,
            port_mappings: read_all("port_mappings", proto.port_mappings)?,
        })
    }
}

impl Translate for PortMapping {
    type Proto = network_info::PortMapping;

    fn to_proto(&self, _: Format) -> network_info::PortMapping {
        network_info::PortMapping {
            host_port: self.host_port,
            container_port: self.container_port,
            protocol: self.protocol.clone(),
        }
    }

    fn from_proto(proto: network_info::PortMapping) -> Result<Self, Invalid> {
        Ok(Self {
            host_port: proto.host_port,
            container_port: proto.container_port,
            protocol: proto.protocol,
        })
    }
}

impl Translate for LinuxInfo {
    type Proto = proto::LinuxInfo;

    fn to_proto(&self, _: Format) -> proto::LinuxInfo {
        proto::LinuxInfo {
            share_cgroups: self.share_cgroups,
            seccomp: self.seccomp.as_ref().map(|seccomp| proto::SeccompInfo {
                profile_name: seccomp.profile_name.clone(),
                unconfined: seccomp.unconfined,
            }),
            ipc_mode: self.ipc_mode.map(WireEnum::to_wire),
            shm_size: self.shm_size,
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::LinuxInfo) -> Result<Self, Invalid> {
        Ok(Self {
            share_cgroups: proto.share_cgroups,
            seccomp: proto
                .seccomp
                .map(|proto| Seccomp { profile_name: proto.profile_name, unconfined: proto.unconfined }),
            ipc_mode: proto.ipc_mode.and_then(IpcMode::from_wire),
            shm_size: proto.shm_size,
        })
    }
}
