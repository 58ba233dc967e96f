//! What a master refuses to launch. The order of the checks and the texts are Mesos': the first error wins.

use std::collections::BTreeMap;

use podium_core::model::ids::FrameworkId;
use podium_core::model::mesos::{
    Check, CommandInfo, ExecutorInfo, ExecutorKind, HealthCheck, LaunchGroup, PortRange, Probe, Resource,
    ResourceKind, ResourceValue, TaskInfo,
};
use podium_core::model::number::Scalar;
use serde_json::json;

use super::{Agent, Framework};
use crate::cluster::resources::{Notation, Resources};

/// Least processor share and memory of an executor.
const MIN_CPUS: Scalar = Scalar::from_thousandths(10);
const MIN_MEM: Scalar = Scalar::from_thousandths(32_000);

/// The circumstances of a launch.
pub(super) struct Launch<'a> {
    pub(super) framework: &'a Framework,
    pub(super) framework_id: &'a FrameworkId,
    pub(super) agent: &'a Agent,
    /// What is left of the offers.
    pub(super) pool: &'a Resources,
}

/// A task group with its executor.
pub(super) fn validate_group(launch: &Launch<'_>, group: &LaunchGroup) -> Result<(), String> {
    let all = || group.tasks.iter().flat_map(|task| task.resources.iter()).chain(&group.executor.resources);
    // Wrong resources are noticed before anything else.
    validate_resources(all())?;
    for task in &group.tasks {
        let checked = validate_any_task(launch, task).and_then(|()| validate_member(task));
        checked.map_err(|text| format!("Task '{}' is invalid: {text}", task.task_id))?;
    }
    validate_executor(launch, group)?;
    validate_share_cgroups(launch, group)
}

/// A single task of `LAUNCH`.
pub(super) fn validate_task(launch: &Launch<'_>, task: &TaskInfo) -> Result<(), String> {
    validate_resources(&task.resources)?;
    validate_any_task(launch, task)?;
    if task.command.is_none() {
        return Err(
            "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present".into()
        );
    }
    let total = Resources::sum(&task.resources);
    if !launch.pool.contains(&total) {
        return Err(format!(
            "Total resources {total} required by task and its executor is more than available {}",
            launch.pool
        ));
    }
    let linux = task.container.as_ref().and_then(|container| container.linux_info.as_ref());
    if linux.and_then(|linux| linux.share_cgroups) == Some(false) {
        return Err("Only tasks in a task group may have 'share_cgroups' set to 'false'".into());
    }
    Ok(())
}

/// The rules for ids of tasks, executors and frameworks.
pub(super) fn validate_id(id: &str) -> Result<(), String> {
    const MAX: usize = 255;
    if id.is_empty() {
        return Err("ID must not be empty".into());
    }
    if id.len() > MAX {
        return Err(format!("ID must not be greater than {MAX} characters"));
    }
    if id == "." || id == ".." {
        return Err(format!("'{id}' is disallowed"));
    }
    if id.chars().any(|c| c.is_ascii_control() || c == '/' || c == '\\') {
        return Err(format!("'{id}' contains invalid characters"));
    }
    Ok(())
}

/// What is wrong with resources as such.
pub(super) fn validate_resources<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
) -> Result<(), String> {
    for resource in resources {
        let wrong = match &resource.value {
            // Zero is let through, whatever the text says.
            ResourceValue::Scalar(amount) if *amount < Scalar::ZERO => {
                Some("Invalid scalar resource: value <= 0")
            }
            ResourceValue::Ranges(ranges) if ranges.iter().any(|range| range.begin > range.end) => {
                Some("Invalid ranges resource: begin > end")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(format!("Resource '{}' is invalid: {wrong}", Plain(resource)));
        }
        let mut above: Option<&str> = None;
        for reservation in resource.reservations.iter() {
            let role = reservation.role.as_str();
            let wrong = if role == "*" {
                Some("role \"*\" cannot be reserved")
            } else if above.is_some_and(|above| !is_strictly_below(role, above)) {
                Some("reservation roles must be refined from the previous one")
            } else {
                None
            };
            if let Some(wrong) = wrong {
                return Err(format!(
                    "Resource '{}' is invalid: Invalid reservation: {wrong}",
                    Notation(resource)
                ));
            }
            above = Some(role);
        }
    }
    Ok(())
}

pub(super) fn validate_disks(resources: &[Resource]) -> Result<(), String> {
    for resource in resources {
        let Some(disk) = &resource.disk else { continue };
        if let Some(persistence) = &disk.persistence {
            if resource.revocable {
                return Err("Persistent volumes cannot be created from revocable resources".into());
            }
            if resource.reservations.is_empty() {
                return Err("Persistent volumes cannot be created from unreserved resources".into());
            }
            if disk.container_path.is_none() {
                return Err("Expecting 'volume' to be set for persistent volume".into());
            }
            validate_id(&persistence.id)
                .map_err(|text| format!("Invalid persistence ID for persistent volume: {text}"))?;
        } else if disk.container_path.is_some() {
            return Err("Non-persistent volume not supported".into());
        } else if disk.source.is_none() {
            return Err("DiskInfo is set but empty".into());
        }
    }
    Ok(())
}

// -- tasks -------------------------------------------------------------------------------------------------

fn validate_any_task(launch: &Launch<'_>, task: &TaskInfo) -> Result<(), String> {
    validate_id(task.task_id.as_str())?;
    if launch.framework.tasks.contains_key(&task.task_id) {
        return Err(format!("Task has duplicate ID: {}", task.task_id));
    }
    if launch.framework.unreachable.contains_key(&task.task_id) {
        return Err(format!("Task reuses the ID of an unreachable task: {}", task.task_id));
    }
    if task.agent_id != launch.agent.id {
        return Err(format!(
            "Task uses invalid agent {} while agent {} is expected",
            task.agent_id, launch.agent.id
        ));
    }
    if let Some(check) = &task.check {
        validate_check(check).map_err(|text| format!("Task uses invalid check: {text}"))?;
    }
    if let Some(check) = &task.health_check {
        validate_health_check(check).map_err(|text| format!("Task uses invalid health check: {text}"))?;
    }
    validate_task_resources(task)?;
    validate_limits(task)
}

fn validate_check(check: &Check) -> Result<(), String> {
    match &check.probe {
        None => Err("CheckInfo must specify 'type'".into()),
        Some(Probe::Command(command)) => validate_probe_command(command, "Command check"),
        Some(Probe::Http { path, .. }) => validate_path(path.as_deref(), "HTTP check"),
        Some(Probe::Tcp { .. }) => Ok(()),
    }
}

fn validate_health_check(check: &HealthCheck) -> Result<(), String> {
    match &check.probe {
        None => Err("HealthCheck must specify 'type'".into()),
        Some(Probe::Command(command)) => validate_probe_command(command, "Command health check"),
        Some(Probe::Http { path, .. }) => validate_path(path.as_deref(), "HTTP health check"),
        Some(Probe::Tcp { .. }) => Ok(()),
    }
}

fn validate_probe_command(command: &CommandInfo, what: &str) -> Result<(), String> {
    if command.value.is_none() {
        let kind = if command.shell { "'shell command'" } else { "'executable path'" };
        return Err(format!("{what} must contain {kind}"));
    }
    Ok(())
}

fn validate_path(path: Option<&str>, what: &str) -> Result<(), String> {
    match path {
        Some(path) if !path.starts_with('/') => {
            Err(format!("The path '{path}' of {what} must start with '/'"))
        }
        _ => Ok(()),
    }
}

fn validate_task_resources(task: &TaskInfo) -> Result<(), String> {
    let resources = &task.resources;
    if resources.is_empty() {
        return Err("Task uses no resources".into());
    }
    let gpus: Scalar =
        resources.iter().filter(|item| item.kind == ResourceKind::Gpus).map(Resource::amount).sum();
    if gpus.as_thousandths() % 1000 != 0 {
        return Err(
            "Task uses invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an unsigned \
             integer"
                .into(),
        );
    }
    validate_disks(resources)
        .map_err(|text| format!("Task uses invalid resources: Invalid DiskInfo: {text}"))?;
    validate_persistence_ids(resources)
        .map_err(|text| format!("Task uses duplicate persistence ID: {text}"))?;
    let first = resources[0].allocation_role.as_ref();
    if let Some(other) = resources.iter().find(|item| item.allocation_role.as_ref() != first) {
        let name =
            |role: Option<&podium_core::model::ids::Role>| role.map_or_else(String::new, ToString::to_string);
        return Err(format!(
            "Invalid task resources: The resources have multiple allocation roles ('{}' and '{}') but only one \
             allocation role is allowed",
            name(other.allocation_role.as_ref()),
            name(first)
        ));
    }
    validate_revocable(resources)
        .map_err(|text| format!("Task mixes revocable and non-revocable resources: {text}"))
}

fn validate_limits(task: &TaskInfo) -> Result<(), String> {
    let limits = &task.limits;
    if limits.is_empty() {
        return Ok(());
    }
    if limits.keys().any(|name| name != "cpus" && name != "mem") {
        return Err("Only cpus and mem may be included in a task's resource limits".into());
    }
    let request = |kind: ResourceKind| {
        let mut items = task.resources.iter().filter(|item| item.kind == kind).peekable();
        items.peek()?;
        Some(items.map(Resource::amount).sum::<Scalar>())
    };
    if let Some(limit) = limits.get("cpus") {
        let Some(request) = request(ResourceKind::Cpus) else {
            return Err("When a CPU limit is specified, a CPU request must also be specified".into());
        };
        if *limit < request.to_f64() {
            return Err("The cpu limit must be greater than or equal to the cpu request".into());
        }
    }
    if let Some(limit) = limits.get("mem") {
        let Some(request) = request(ResourceKind::Mem) else {
            return Err("When a memory limit is specified, a memory request must also be specified".into());
        };
        if *limit < request.to_f64() {
            return Err("The memory limit must be greater than or equal to the memory request".into());
        }
    }
    Ok(())
}

/// What only members of groups must observe.
fn validate_member(task: &TaskInfo) -> Result<(), String> {
    if let Some(container) = &task.container {
        let looks_over_network = task
            .health_check
            .as_ref()
            .is_some_and(|check| matches!(check.probe, Some(Probe::Http { .. } | Probe::Tcp { .. })));
        if !container.network_infos.is_empty() && looks_over_network {
            return Err(
                "HTTP and TCP health checks are not supported for nested containers not joining parent's \
                 network"
                    .into(),
            );
        }
        if container.docker {
            return Err("Docker ContainerInfo is not supported on the task".into());
        }
    }
    if !task.limits.is_empty() && shares_cgroups(task) {
        return Err(
            "Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is \
             set to 'false'."
                .into(),
        );
    }
    Ok(())
}

// -- executors ---------------------------------------------------------------------------------------------

fn validate_executor(launch: &Launch<'_>, group: &LaunchGroup) -> Result<(), String> {
    let executor = &group.executor;
    validate_id(executor.executor_id.as_str())?;
    validate_executor_kind(executor)?;
    match &executor.framework_id {
        None => return Err("'ExecutorInfo.framework_id' must be set".into()),
        Some(id) if id != launch.framework_id => {
            return Err(format!(
                "ExecutorInfo has an invalid FrameworkID (Actual: {id} vs Expected: {})",
                launch.framework_id
            ));
        }
        Some(_) => {}
    }
    let existing =
        launch.agent.executors.get(launch.framework_id).and_then(|map| map.get(&executor.executor_id));
    if let Some(existing) = existing
        && **existing != *executor
    {
        return Err(incompatible(existing, executor));
    }
    if executor.kind.is_none() {
        return Err("'ExecutorInfo.type' must be set".into());
    }
    if executor.container.as_ref().is_some_and(|container| container.docker) {
        return Err("Docker ContainerInfo is not supported on the executor".into());
    }
    let own = Resources::sum(&executor.resources);
    let amount = |kind: ResourceKind| own.has(&kind).then(|| own.amount(&kind));
    let cpus = amount(ResourceKind::Cpus);
    if cpus.is_none_or(|cpus| cpus < MIN_CPUS) {
        return Err(format!(
            "Executor '{}' uses less CPUs ({}) than the minimum required ({MIN_CPUS})",
            executor.executor_id,
            cpus.map_or_else(|| "None".to_owned(), |cpus| cpus.to_string())
        ));
    }
    let mem = amount(ResourceKind::Mem);
    if mem.is_none_or(|mem| mem < MIN_MEM) {
        return Err(format!(
            "Executor '{}' uses less memory ({}) than the minimum required ({MIN_MEM}MB)",
            executor.executor_id,
            mem.map_or_else(|| "None".to_owned(), |mem| format!("{mem}MB"))
        ));
    }
    if amount(ResourceKind::Disk).is_none() {
        return Err(format!("Executor '{}' uses no disk", executor.executor_id));
    }
    validate_group_resources(group, &own)?;
    let mut total = Resources::sum(group.tasks.iter().flat_map(|task| task.resources.iter()));
    if existing.is_none() {
        total.add_all(&own);
    }
    if !launch.pool.contains(&total) {
        return Err(format!(
            "Total resources {total} required by task group and its executor are more than available {}",
            launch.pool
        ));
    }
    Ok(())
}

fn validate_executor_kind(executor: &ExecutorInfo) -> Result<(), String> {
    match executor.kind {
        // Without a type it reads as unknown, which is complained about later.
        None => Ok(()),
        Some(ExecutorKind::Custom) if executor.command.is_none() => {
            Err("'ExecutorInfo.command' must be set for 'CUSTOM' executor".into())
        }
        Some(ExecutorKind::Custom) => Ok(()),
        Some(ExecutorKind::Default) => {
            if executor.command.is_some() {
                return Err("'ExecutorInfo.command' must not be set for 'DEFAULT' executor".into());
            }
            let Some(container) = &executor.container else { return Ok(()) };
            if container.docker {
                return Err("'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor".into());
            }
            if container.image.is_some() {
                return Err(
                    "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor".into()
                );
            }
            Ok(())
        }
    }
}

fn incompatible(existing: &ExecutorInfo, new: &ExecutorInfo) -> String {
    const LINE: &str = "------------------------------------------------------------";
    format!(
        "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n{LINE}\nExisting \
         ExecutorInfo:\n{existing:?}\n{LINE}\nExecutorInfo:\n{new:?}\n{LINE}\n"
    )
}

fn validate_group_resources(group: &LaunchGroup, own: &Resources) -> Result<(), String> {
    let all: Vec<Resource> = group
        .tasks
        .iter()
        .flat_map(|task| task.resources.iter())
        .chain(&group.executor.resources)
        .cloned()
        .collect();
    validate_persistence_ids(&all)
        .map_err(|text| format!("Task group and executor use duplicate persistence ID: {text}"))?;
    validate_revocable(&all).map_err(|text| {
        format!("Task group and executor mix revocable and non-revocable resources: {text}")
    })?;
    if overlaps(&all) {
        let tasks: Vec<String> =
            group.tasks.iter().map(|task| Resources::sum(&task.resources).to_string()).collect();
        return Err(format!(
            "There are overlapping resources in the task group's task resources [ {} ] and/or executor \
             resources {}",
            tasks.join(", "),
            in_json(own)
        ));
    }
    Ok(())
}

/// Resources as Mesos prints a repeated field.
fn in_json(resources: &Resources) -> String {
    let one = |resource: &Resource| {
        let mut json = serde_json::Map::new();
        if let Some(role) = &resource.allocation_role {
            json.insert("allocation_info".to_owned(), json!({ "role": role.as_str() }));
        }
        json.insert("name".to_owned(), json!(resource.kind.as_str()));
        let (kind, member, value) = match &resource.value {
            ResourceValue::Ranges(ranges) => {
                let range = |range: &PortRange| json!({ "begin": range.begin, "end": range.end });
                ("RANGES", "ranges", json!({ "range": ranges.iter().map(range).collect::<Vec<_>>() }))
            }
            ResourceValue::Scalar(amount) => ("SCALAR", "scalar", json!({ "value": amount.to_f64() })),
            ResourceValue::Set(items) => ("SET", "set", json!({ "item": items })),
        };
        json.insert(member.to_owned(), value);
        json.insert("type".to_owned(), json!(kind));
        serde_json::Value::Object(json)
    };
    serde_json::Value::Array(resources.as_slice().iter().map(one).collect()).to_string()
}

/// All members of an executor share its control group, or none does.
fn validate_share_cgroups(launch: &Launch<'_>, group: &LaunchGroup) -> Result<(), String> {
    let linux = group.executor.container.as_ref().and_then(|container| container.linux_info.as_ref());
    if linux.and_then(|linux| linux.share_cgroups) == Some(true) {
        return Err("The 'share_cgroups' field cannot be set to 'true' on executor containers".into());
    }
    let Some(first) = group.tasks.first() else { return Ok(()) };
    let expected = shares_cgroups(first);
    let known = launch.framework.tasks.values().chain(launch.framework.unreachable.values());
    let siblings = known.filter(|task| {
        task.info.agent_id == launch.agent.id && task.executor_id == group.executor.executor_id
    });
    let mut all = group.tasks.iter().chain(siblings.map(|task| &*task.info));
    if all.any(|task| shares_cgroups(task) != expected) {
        return Err(
            "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and under a \
             single executor"
                .into(),
        );
    }
    Ok(())
}

// -- helpers -----------------------------------------------------------------------------------------------

fn shares_cgroups(task: &TaskInfo) -> bool {
    let linux = task.container.as_ref().and_then(|container| container.linux_info.as_ref());
    linux.and_then(|linux| linux.share_cgroups).unwrap_or(true)
}

fn validate_persistence_ids(resources: &[Resource]) -> Result<(), String> {
    let key = |item: &Resource| {
        let persistence = item.disk.as_ref()?.persistence.as_ref()?;
        Some((item.reserved_role().cloned(), persistence.id.clone()))
    };
    for (index, item) in resources.iter().enumerate() {
        // A shared volume may be used by several tasks.
        if let Some((role, id)) = key(item)
            && !item.shared
            && resources[..index].iter().any(|other| key(other) == Some((role.clone(), id.clone())))
        {
            return Err(format!("Persistence ID '{id}' is not unique"));
        }
    }
    Ok(())
}

fn validate_revocable(resources: &[Resource]) -> Result<(), String> {
    let mut kinds: BTreeMap<&ResourceKind, bool> = BTreeMap::new();
    for item in resources {
        if *kinds.entry(&item.kind).or_insert(item.revocable) != item.revocable {
            return Err(format!(
                "Cannot use both revocable and non-revocable '{}' at the same time",
                item.kind
            ));
        }
    }
    Ok(())
}

/// Whether some port or item is named twice.
fn overlaps(resources: &[Resource]) -> bool {
    let mut ranges: Vec<_> = resources
        .iter()
        .filter_map(|item| match &item.value {
            ResourceValue::Ranges(ranges) => {
                Some(ranges.iter().map(|range| (&item.kind, range.begin, range.end)))
            }
            _ => None,
        })
        .flatten()
        .collect();
    ranges.sort_unstable();
    ranges.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[1].1 <= pair[0].2)
}

fn is_strictly_below(role: &str, above: &str) -> bool {
    role.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// A resource without its allocation, as errors about the resource as such show it.
struct Plain<'a>(&'a Resource);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut plain = self.0.clone();
        plain.allocation_role = None;
        Notation(&plain).fmt(f)
    }
}
