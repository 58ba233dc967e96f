//! What an `ACCEPT` does with the offered resources.

use podium_core::model::mesos::{Operation, OperationInfo};

use super::{At, Format, Invalid, Translate, read, read_all, write_all};
use crate::proto::offer;
use crate::proto::offer::operation::{Create, Destroy, Launch, Reserve, Type, Unreserve};
use crate::proto::{self};

impl Translate for Operation {
    type Proto = offer::Operation;

    fn to_proto(&self, format: Format) -> offer::Operation {
        let mut proto = offer::Operation {
            id: self.id.clone().map(|value| proto::OperationId { value }),
            ..Default::default()
        };
        match &self.info {
            OperationInfo::Create(volumes) => {
                proto.set_type(Type::Create);
                proto.create = Some(Create { volumes: write_all(volumes, format) });
            }
            OperationInfo::Destroy(volumes) => {
                proto.set_type(Type::Destroy);
                proto.destroy = Some(Destroy { volumes: write_all(volumes, format) });
            }
            OperationInfo::Launch(tasks) => {
                proto.set_type(Type::Launch);
                proto.launch = Some(Launch { task_infos: write_all(tasks, format) });
            }
            OperationInfo::LaunchGroup(group) => {
                proto.set_type(Type::LaunchGroup);
                proto.launch_group = Some(group.to_proto(format));
            }
            OperationInfo::Reserve(resources) => {
                proto.set_type(Type::Reserve);
                proto.reserve = Some(Reserve { resources: write_all(resources, format), source: Vec::new() });
            }
            OperationInfo::Unreserve(resources) => {
                proto.set_type(Type::Unreserve);
                proto.unreserve = Some(Unreserve { resources: write_all(resources, format) });
            }
        }
        proto
    }

    fn from_proto(proto: offer::Operation) -> Result<Self, Invalid> {
        let info = match proto.r#type() {
            Type::Create => {
                let create = proto.create.ok_or_else(|| Invalid::absent("create"))?;
                OperationInfo::Create(read_all("volumes", create.volumes).at("create")?)
            }
            Type::Destroy => {
                let destroy = proto.destroy.ok_or_else(|| Invalid::absent("destroy"))?;
                OperationInfo::Destroy(read_all("volumes", destroy.volumes).at("destroy")?)
            }
            Type::Launch => {
                let launch = proto.launch.ok_or_else(|| Invalid::absent("launch"))?;
                OperationInfo::Launch(read_all("task_infos", launch.task_infos).at("launch")?)
            }
            Type::LaunchGroup => {
                let group = proto.launch_group.ok_or_else(|| Invalid::absent("launch_group"))?;
                OperationInfo::LaunchGroup(Box::new(read("launch_group", group)?))
            }
            Type::Reserve => {
                let reserve = proto.reserve.ok_or_else(|| Invalid::absent("reserve"))?;
                OperationInfo::Reserve(read_all("resources", reserve.resources).at("reserve")?)
            }
            Type::Unreserve => {
                let unreserve = proto.unreserve.ok_or_else(|| Invalid::absent("unreserve"))?;
                OperationInfo::Unreserve(read_all("resources", unreserve.resources).at("unreserve")?)
            }
            Type::Unknown => return Err(Invalid::absent("type")),
            other @ (Type::GrowVolume | Type::ShrinkVolume | Type::CreateDisk | Type::DestroyDisk) => {
                return Err(Invalid::unusable(
                    "type",
                    other.as_str_name(),
                    "only launches, reservations and persistent volumes are understood",
                ));
            }
        };
        Ok(Self { id: proto.id.map(|id| id.value), info })
    }
}
