//! Tasks, executors, commands and what service discovery is told about them.

use podium_core::model::mesos::{
    CommandInfo, DiscoveryInfo, DiscoveryPort, EnvironmentValue, EnvironmentVariable, ExecutorInfo,
    ExecutorKind, LaunchGroup, TaskInfo, Uri, Visibility,
};

use super::enums::WireEnum;
use super::{
    At, Format, Invalid, Translate, read, read_all, read_labels, read_some, write_all, write_labels,
    write_some,
};
use crate::proto::environment::{Variable, variable};
use crate::proto::{self, command_info, value};

impl Translate for LaunchGroup {
    type Proto = proto::offer::operation::LaunchGroup;

    fn to_proto(&self, format: Format) -> Self::Proto {
        proto::offer::operation::LaunchGroup {
            executor: self.executor.to_proto(format),
            task_group: proto::TaskGroupInfo { tasks: write_all(&self.tasks, format) },
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, Invalid> {
        Ok(Self {
            executor: read("executor", proto.executor)?,
            tasks: read_all("tasks", proto.task_group.tasks).at("task_group")?,
        })
    }
}

impl Translate for ExecutorInfo {
    type Proto = proto::ExecutorInfo;

    fn to_proto(&self, format: Format) -> proto::ExecutorInfo {
        proto::ExecutorInfo {
            r#type: self.kind.map(WireEnum::to_wire),
            executor_id: self.executor_id.to_proto(format),
            framework_id: write_some(self.framework_id.as_ref(), format),
            command: write_some(self.command.as_ref(), format),
            container: write_some(self.container.as_ref(), format),
            resources: write_all(&self.resources, format),
            shutdown_grace_period: write_some(self.shutdown_grace_period.as_ref(), format),
            labels: write_labels(&self.labels, format),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::ExecutorInfo) -> Result<Self, Invalid> {
        Ok(Self {
            executor_id: read("executor_id", proto.executor_id)?,
            framework_id: read_some("framework_id", proto.framework_id)?,
            kind: proto.r#type.and_then(ExecutorKind::from_wire),
            resources: read_all("resources", proto.resources)?,
            command: read_some("command", proto.command)?,
            container: read_some("container", proto.container)?,
            shutdown_grace_period: read_some("shutdown_grace_period", proto.shutdown_grace_period)?,
            labels: read_labels(proto.labels)?,
        })
    }
}

impl Translate for TaskInfo {
    type Proto = proto::TaskInfo;

    fn to_proto(&self, format: Format) -> proto::TaskInfo {
        let limits = self.limits.iter().map(|(name, value)| (name.clone(), value::Scalar { value: *value }));
        proto::TaskInfo {
            name: self.name.clone(),
            task_id: self.task_id.to_proto(format),
            agent_id: self.agent_id.to_proto(format),
            resources: write_all(&self.resources, format),
            limits: limits.collect(),
            command: write_some(self.command.as_ref(), format),
            container: write_some(self.container.as_ref(), format),
            health_check: write_some(self.health_check.as_ref(), format),
            check: write_some(self.check.as_ref(), format),
            kill_policy: self
                .kill_grace_period
                .map(|period| proto::KillPolicy { grace_period: Some(period.to_proto(format)) }),
            max_completion_time: write_some(self.max_completion_time.as_ref(), format),
            labels: write_labels(&self.labels, format),
            discovery: write_some(self.discovery.as_ref(), format),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::TaskInfo) -> Result<Self, Invalid> {
        let grace_period = proto.kill_policy.and_then(|policy| policy.grace_period);
        Ok(Self {
            name: proto.name,
            task_id: read("task_id", proto.task_id)?,
            agent_id: read("agent_id", proto.agent_id)?,
            resources: read_all("resources", proto.resources)?,
            limits: proto.limits.into_iter().map(|(name, scalar)| (name, scalar.value)).collect(),
            command: read_some("command", proto.command)?,
            container: read_some("container", proto.container)?,
            health_check: read_some("health_check", proto.health_check)?,
            check: read_some("check", proto.check)?,
            kill_grace_period: read_some("grace_period", grace_period).at("kill_policy")?,
            max_completion_time: read_some("max_completion_time", proto.max_completion_time)?,
            labels: read_labels(proto.labels)?,
            discovery: read_some("discovery", proto.discovery)?,
        })
    }
}

impl Translate for CommandInfo {
    type Proto = proto::CommandInfo;

    fn to_proto(&self, format: Format) -> proto::CommandInfo {
        proto::CommandInfo {
            uris: write_all(&self.uris, format),
            environment: (!self.environment.is_empty())
                .then(|| proto::Environment { variables: write_all(&self.environment, format) }),
            shell: Some(self.shell),
            value: self.value.clone(),
            arguments: self.arguments.clone(),
            user: self.user.clone(),
        }
    }

    fn from_proto(proto: proto::CommandInfo) -> Result<Self, Invalid> {
        Ok(Self {
            shell: proto.shell(),
            value: proto.value,
            arguments: proto.arguments,
            environment: read_all("variables", proto.environment.unwrap_or_default().variables)
                .at("environment")?,
            uris: read_all("uris", proto.uris)?,
            user: proto.user,
        })
    }
}

impl Translate for EnvironmentVariable {
    type Proto = Variable;

    fn to_proto(&self, format: Format) -> Variable {
        let mut proto = Variable { name: self.name.clone(), ..Default::default() };
        match &self.value {
            EnvironmentValue::Value(value) => {
                proto.set_type(variable::Type::Value);
                proto.value = Some(value.clone());
            }
            EnvironmentValue::Secret(secret) => {
                proto.set_type(variable::Type::Secret);
                proto.secret = Some(secret.to_proto(format));
            }
        }
        proto
    }

    fn from_proto(proto: Variable) -> Result<Self, Invalid> {
        let value = match proto.r#type() {
            variable::Type::Value => {
                EnvironmentValue::Value(proto.value.ok_or_else(|| Invalid::absent("value"))?)
            }
            variable::Type::Secret => {
                let secret = proto.secret.ok_or_else(|| Invalid::absent("secret"))?;
                EnvironmentValue::Secret(read("secret", secret)?)
            }
            variable::Type::Unknown => {
                return Err(Invalid::unusable("type", "UNKNOWN", "a variable is of type VALUE or SECRET"));
            }
        };
        Ok(Self { name: proto.name, value })
    }
}

impl Translate for Uri {
    type Proto = command_info::Uri;

    fn to_proto(&self, _: Format) -> command_info::Uri {
        command_info::Uri {
            value: self.value.clone(),
            executable: Some(self.executable),
            extract: Some(self.extract),
            cache: Some(self.cache),
            output_file: self.output_file.clone(),
        }
    }

    fn from_proto(proto: command_info::Uri) -> Result<Self, Invalid> {
        Ok(Self {
            executable: proto.executable(),
            extract: proto.extract(),
            cache: proto.cache(),
            value: proto.value,
            output_file: proto.output_file,
        })
    }
}

impl Translate for DiscoveryInfo {
    type Proto = proto::DiscoveryInfo;

    fn to_proto(&self, format: Format) -> proto::DiscoveryInfo {
        proto::DiscoveryInfo {
            visibility: self.visibility.to_wire(),
            name: self.name.clone(),
            ports: (!self.ports.is_empty()).then(|| proto::Ports { ports: write_all(&self.ports, format) }),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::DiscoveryInfo) -> Result<Self, Invalid> {
        Ok(Self {
            visibility: Visibility::required("visibility", Some(proto.visibility))?,
            name: proto.name,
            ports: read_all("ports", proto.ports.unwrap_or_default().ports).at("ports")?,
        })
    }
}

impl Translate for DiscoveryPort {
    type Proto = proto::Port;

    fn to_proto(&self, format: Format) -> proto::Port {
        proto::Port {
            number: self.number,
            name: self.name.clone(),
            protocol: self.protocol.clone(),
            labels: write_labels(&self.labels, format),
            ..Default::default()
        }
    }

    fn from_proto(proto: proto::Port) -> Result<Self, Invalid> {
        Ok(Self {
            number: proto.number,
            name: proto.name,
            protocol: proto.protocol,
            labels: read_labels(proto.labels)?,
        })
    }
}
