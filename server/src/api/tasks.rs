//! `/v2/tasks`: the containers of all pods, as Mesos tasks.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use podium_core::admission::read_task_ids;
use podium_core::model::ids::{InstanceId, PodId, TaskId};
use podium_core::model::mesos::TaskState;
use podium_core::view::{EndpointAddresses, EnrichedTask};
use podium_core::{Command, Response as Reply, Scheduler};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::listing::{self, Format};
use super::{Api, Asked, accept, body, json, unexpected};

/// `GET /v2/tasks[?status=running][&status=staging]`, as JSON, or as text for load balancers.
pub(super) async fn list(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let pods = api.driver.query(|scheduler, _| scheduler.pods().map(|pod| pod.id.clone()).collect()).await?;
    if wants_text(request.headers()) {
        let look = |scheduler: &Scheduler, pod: &PodId, _| scheduler.addresses_of(pod);
        let format = Format { media_type: "text/plain", head: "", write: write_line, tail: "" };
        return Ok(listing::answer(&api.driver, pods, look, format));
    }
    let [running, staging] = [TaskState::TaskRunning, TaskState::TaskStaging];
    let named = |word: &str| match word {
        "running" => Some(running),
        "staging" => Some(staging),
        _ => None,
    };
    let words =
        Asked::of(&request).parameters.into_iter().filter(|(key, _)| key == "status" || key == "status[]");
    let wanted: Vec<TaskState> = words.filter_map(|(_, word)| named(&word)).collect();
    let (all, running, staging) = (wanted.is_empty(), wanted.contains(&running), wanted.contains(&staging));
    let look = move |scheduler: &Scheduler, pod: &PodId, _| {
        let mut tasks = scheduler.tasks_of(pod);
        tasks.retain(|task| match task.state {
            TaskState::TaskRunning => all || running,
            TaskState::TaskStaging => all || staging,
            _ => all,
        });
        tasks
    };
    Ok(listing::answer(&api.driver, pods, look, Format::json("{\"tasks\":[", "]}")))
}

/// `POST /v2/tasks/delete[?wipe=true]`: ends the copies that the tasks belong to. What is unknown is passed over.
pub(super) async fn kill(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    if asked.flag("scale") && asked.flag("wipe") {
        let message = "You cannot use scale and wipe at the same time.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    if asked.flag("scale") {
        let message = "'scale' is for apps, of which there are none: scale a pod with PUT /v2/pods/{id}";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let wipe = asked.flag("wipe");
    let mut by_pod: BTreeMap<PodId, Vec<InstanceId>> = BTreeMap::new();
    for id in read_task_ids(&body::read_json(&api, request).await?)? {
        let task = TaskId::new(id);
        let parsed = task.parse().map_err(|error| {
            let message = format!("Invalid task id '{}'. [{error}]", task.as_str());
            ApiError::new(StatusCode::BAD_REQUEST, message)
        })?;
        let instance = parsed.instance();
        by_pod.entry(instance.pod.clone()).or_default().push(instance);
    }
    let mut tasks = Vec::new();
    for (pod, instances) in by_pod {
        let wanted = pod.clone();
        if api.driver.query(move |scheduler, _| scheduler.pod(&wanted).is_none()).await? {
            continue;
        }
        let Reply::InstancesKilled(killed) =
            api.command(&asked, Command::KillInstances { pod, instances, wipe }).await?
        else {
            return Err(unexpected());
        };
        tasks.extend(killed.iter().flat_map(EnrichedTask::all_of));
    }
    Ok(json(StatusCode::OK, &Tasks { tasks }))
}

/// The tasks that are listed, or of copies that end.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tasks {
    tasks: Vec<EnrichedTask>,
}

/// Whether a client reads text, and not rather or as gladly JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    accept::accepts(headers, "text/plain") && !accept::accepts(headers, "application/json")
}

/// Writes where an endpoint can be reached: the pod with `_` for `/`, the port, and the addresses, separated by
/// tabs.
fn write_line(piece: &mut Vec<u8>, _: usize, line: EndpointAddresses) -> io::Result<()> {
    let port = line.port.map_or_else(|| " ".to_owned(), |port| port.to_string());
    write!(piece, "{}\t{port}\t", line.pod.safe_path())?;
    for address in line.addresses {
        write!(piece, "{address}\t")?;
    }
    writeln!(piece)
}
