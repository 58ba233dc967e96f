//! Task and operation statuses.

use podium_core::model::mesos::{
    CheckStatus, NetworkStatus, OperationState, OperationStatus, StatusReason, StatusSource, TaskState,
    TaskStatus,
};
use podium_core::model::time::Timestamp;

use super::enums::WireEnum;
use super::{At, Format, Invalid, Translate, read, read_all, read_some, read_uuid, write_all, write_some};
use crate::proto::network_info::{IpAddress, Protocol};
use crate::proto::{self, check_info, check_status_info};

impl Translate for TaskStatus {
    type Proto = proto::TaskStatus;

    fn to_proto(&self, format: Format) -> proto::TaskStatus {
        let has_container = self.container_id.is_some() || !self.networks.is_empty();
        proto::TaskStatus {
            task_id: self.task_id.to_proto(format),
            state: self.state.to_wire(),
            message: self.message.clone(),
            source: self.source.map(WireEnum::to_wire),
            reason: self.reason.map(WireEnum::to_wire),
            agent_id: write_some(self.agent_id.as_ref(), format),
            executor_id: write_some(self.executor_id.as_ref(), format),
            timestamp: self.timestamp.map(write_seconds),
            uuid: self.uuid.map(|uuid| uuid.as_bytes().to_vec()),
            healthy: self.healthy,
            check_status: write_some(self.check_status.as_ref(), format),
            container_status: has_container.then(|| proto::ContainerStatus {
                container_id: self.container_id.as_deref().and_then(write_container_id),
                network_infos: write_all(&self.networks, format),
                ..Default::default()
            }),
            unreachable_time: write_some(self.unreachable_time.as_ref(), format),
            limitation: (!self.limitation.is_empty())
                .then(|| proto::TaskResourceLimitation { resources: write_all(&self.limitation, format) }),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::TaskStatus) -> Result<Self, Invalid> {
        let container = proto.container_status.unwrap_or_default();
        Ok(Self {
            task_id: read("task_id", proto.task_id)?,
            state: TaskState::required("state", Some(proto.state))?,
            message: proto.message,
            source: proto.source.and_then(StatusSource::from_wire),
            reason: proto.reason.and_then(StatusReason::from_wire),
            agent_id: read_some("agent_id", proto.agent_id)?,
            executor_id: read_some("executor_id", proto.executor_id)?,
            timestamp: proto.timestamp.map(read_timestamp),
            // The master leaves out an empty uuid, but an old one need not.
            uuid: proto
                .uuid
                .filter(|uuid| !uuid.is_empty())
                .map(|uuid| read_uuid("uuid", &uuid))
                .transpose()?,
            healthy: proto.healthy,
            check_status: read_some(
                "check_status",
                proto.check_status.filter(|check| check.r#type() != check_info::Type::Unknown),
            )?,
            networks: read_all("network_infos", container.network_infos).at("container_status")?,
            container_id: container.container_id.map(|id| read_container_id(&id)),
            unreachable_time: read_some("unreachable_time", proto.unreachable_time)?,
            limitation: read_all("resources", proto.limitation.unwrap_or_default().resources)
                .at("limitation")?,
        })
    }
}

/// Seconds since the epoch as a double, with more digits than the core keeps.
fn read_timestamp(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "float-to-int casts saturate")]
    Timestamp::from_millis((seconds * 1000.0).round() as i64)
}

fn write_seconds(timestamp: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285 000 years")]
    let millis = timestamp.as_millis() as f64;
    millis / 1000.0
}

/// The ids of the container and those around it, outermost first, separated by dots.
fn read_container_id(id: &proto::ContainerId) -> String {
    match &id.parent {
        Some(parent) => format!("{}.{}", read_container_id(parent), id.value),
        None => id.value.clone(),
    }
}

fn write_container_id(id: &str) -> Option<proto::ContainerId> {
    id.split('.').fold(None, |parent, value| {
        Some(proto::ContainerId { value: value.to_owned(), parent: parent.map(Box::new) })
    })
}

impl Translate for NetworkStatus {
    type Proto = proto::NetworkInfo;

    fn to_proto(&self, _: Format) -> proto::NetworkInfo {
        let write = |address: &String| IpAddress {
            protocol: address.contains(':').then_some(Protocol::IPv6.into()),
            ip_address: Some(address.clone()),
        };
        proto::NetworkInfo {
            name: self.name.clone(),
            ip_addresses: self.ip_addresses.iter().map(write).collect(),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::NetworkInfo) -> Result<Self, Invalid> {
        Ok(Self {
            name: proto.name,
            ip_addresses: proto.ip_addresses.into_iter().filter_map(|ip| ip.ip_address).collect(),
        })
    }
}

impl Translate for CheckStatus {
    type Proto = proto::CheckStatusInfo;

    fn to_proto(&self, _: Format) -> proto::CheckStatusInfo {
        let mut proto = proto::CheckStatusInfo::default();
        match *self {
            Self::Command(exit_code) => {
                proto.set_type(check_info::Type::Command);
                proto.command = Some(check_status_info::Command { exit_code });
            }
            Self::Http(status_code) => {
                proto.set_type(check_info::Type::Http);
                proto.http = Some(check_status_info::Http { status_code });
            }
            Self::Tcp(succeeded) => {
                proto.set_type(check_info::Type::Tcp);
                proto.tcp = Some(check_status_info::Tcp { succeeded });
            }
        }
        proto
    }

    fn from_proto(proto: proto::CheckStatusInfo) -> Result<Self, Invalid> {
        match proto.r#type() {
            check_info::Type::Command => Ok(Self::Command(proto.command.and_then(|c| c.exit_code))),
            check_info::Type::Http => Ok(Self::Http(proto.http.and_then(|http| http.status_code))),
            check_info::Type::Tcp => Ok(Self::Tcp(proto.tcp.and_then(|tcp| tcp.succeeded))),
            check_info::Type::Unknown => Err(Invalid::absent("type")),
        }
    }
}

impl Translate for OperationStatus {
    type Proto = proto::OperationStatus;

    fn to_proto(&self, format: Format) -> proto::OperationStatus {
        proto::OperationStatus {
            operation_id: self.operation_id.clone().map(|value| proto::OperationId { value }),
            state: self.state.to_wire(),
            message: self.message.clone(),
            converted_resources: write_all(&self.converted_resources, format),
            uuid: self.uuid.map(|uuid| proto::Uuid { value: uuid.as_bytes().to_vec() }),
            agent_id: write_some(self.agent_id.as_ref(), format),
            resource_provider_id: None,
        }
    }

    fn from_proto(proto: proto::OperationStatus) -> Result<Self, Invalid> {
        Ok(Self {
            operation_id: proto.operation_id.map(|id| id.value),
            state: OperationState::required("state", Some(proto.state))?,
            message: proto.message,
            converted_resources: read_all("converted_resources", proto.converted_resources)?,
            uuid: proto.uuid.map(|uuid| read_uuid("uuid.value", &uuid.value)).transpose()?,
            agent_id: read_some("agent_id", proto.agent_id)?,
        })
    }
}
