//! `/v2/tasks`: the containers of all pods, as Mesos tasks.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use podium_core::admission::read_task_ids;
use podium_core::model::ids::{InstanceId, PodId, TaskId, Uuid};
use podium_core::model::mesos::TaskState;
use podium_core::model::time::Timestamp;
use podium_core::view::{EndpointAddresses, EnrichedTask};
use podium_core::{Command, Response as Reply, Scheduler};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::listing::{self, Budget, Format, Pods, Tour};
use super::{Api, Asked, accept, body, dry_run, json, unexpected};

/// `GET /v2/tasks[?status=running][&status=staging]`, as JSON, or as text for load balancers.
pub(super) async fn list(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let pods = Pods::all();
    if wants_text(request.headers()) {
        let format = Format { media_type: "text/plain", head: "", write: write_line, tail: "" };
        let tour = Reachable { pods, last: None, lines: Vec::new() };
        return listing::answer(&api, tour, format).await;
    }
    let asked = Asked::of(&request).parameters.into_iter();
    let words = asked.filter(|(key, _)| key == "status" || key == "status[]");
    let wanted = words.filter_map(|(_, word)| match word.as_str() {
        "running" => Some(TaskState::TaskRunning),
        "staging" => Some(TaskState::TaskStaging),
        _ => None,
    });
    let tour = Listed { pods, last: None, wanted: wanted.collect() };
    listing::answer(&api, tour, Format::json("{\"tasks\":[", "]}")).await
}

/// `POST /v2/tasks/delete[?wipe=true]`: ends the copies that the tasks belong to. What is unknown is passed over.
pub(super) async fn kill(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    dry_run::must_not_be_wanted(&asked)?;
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

/// Through the tasks that are in a state that is wanted, or through all of them if none is named.
struct Listed {
    pods: Pods,
    /// The last copy of the next pod that was looked at.
    last: Option<Uuid>,
    wanted: Vec<TaskState>,
}

impl Tour for Listed {
    type Item = EnrichedTask;

    fn look(&mut self, scheduler: &Scheduler, _: Timestamp, time: Budget, found: &mut Vec<EnrichedTask>) {
        let is_wanted = |task: &EnrichedTask| self.wanted.is_empty() || self.wanted.contains(&task.state);
        while let Some((pod, _)) = self.pods.next(scheduler) {
            for (copy, tasks) in scheduler.tasks_of(pod, self.last) {
                self.last = Some(copy);
                found.extend(tasks.filter(is_wanted));
                if time.is_spent() {
                    return;
                }
            }
            self.pods.pass_by();
            self.last = None;
            if time.is_spent() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.pods.is_over()
    }
}

/// Through what can be reached, pod by pod.
struct Reachable {
    pods: Pods,
    /// The last copy of the next pod that was looked at.
    last: Option<Uuid>,
    /// What is known of the current pod, once something is.
    lines: Vec<EndpointAddresses>,
}

impl Tour for Reachable {
    type Item = EndpointAddresses;

    fn look(
        &mut self,
        scheduler: &Scheduler,
        _: Timestamp,
        time: Budget,
        found: &mut Vec<EndpointAddresses>,
    ) {
        while let Some((pod, _)) = self.pods.next(scheduler) {
            if self.last.is_none() {
                self.lines = scheduler.reachable_endpoints(pod);
            }
            for (copy, addresses) in scheduler.addresses_of(pod, self.last) {
                self.last = Some(copy);
                for (endpoint, address) in addresses {
                    if let Some(line) = self.lines.iter_mut().find(|line| line.endpoint == endpoint) {
                        line.addresses.push(address);
                    }
                }
                if time.is_spent() {
                    return;
                }
            }
            found.append(&mut self.lines);
            self.pods.pass_by();
            self.last = None;
            if time.is_spent() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.pods.is_over()
    }
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
