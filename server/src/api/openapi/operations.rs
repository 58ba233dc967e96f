//! Every operation of the API.

use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::view::{DeploymentStatus, GroupInfo, Plan, PodStatus};
use serde_json::Value;

use super::schemas::{Kind, Schemas};
use crate::api::{deployments, dry_run, groups, instances, queue, system, tasks, unknown_tasks};

/// One method on one path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// A name for generated clients.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Shape>,
    pub(super) answers: &'static [Answer],
    /// Answers that say no, apart from those that every operation has.
    pub(super) refusals: &'static [(u16, &'static str)],
}

#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) description: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Path,
    Query,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) content: Content,
    pub(super) headers: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy)]
pub(super) enum Content {
    Nothing,
    Json(Shape),
    /// Text of any of these types.
    Text(&'static [&'static str]),
}

type SchemaOf = fn(&mut Schemas) -> Value;

/// What a body consists of.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    One(SchemaOf),
    List(SchemaOf),
    Either(SchemaOf, SchemaOf),
}

const fn path(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, kind, description }
}

const fn query(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, kind, description }
}

const POD: Parameter = path("id", Kind::Id, "The pod's path");
const GROUP: Parameter = path("id", Kind::Id, "The group's path");
const VERSION: Parameter = path("version", Kind::Timestamp, "The version's time");
const FORCE: Parameter = query(
    "force",
    Kind::Flag,
    "Take the pods out of deployments that are in the way; one that has no others is cancelled",
);
const DRY_RUN: Parameter = query("dryRun", Kind::Flag, "Only say what would happen");
const WIPE: Parameter =
    query("wipe", Kind::Flag, "Replace the instances by new ones, and give up their volumes");
const EMBED: Parameter =
    query("embed", Kind::GroupEmbed, "What to show of the group: its pods, its groups; everything if absent");

const DEPLOYMENT: (&str, &str) = ("Marathon-Deployment-Id", "The deployment that makes the change true");
const LOCATION: (&str, &str) = ("Location", "Where to find what the answer is about");
const WARNING: (&str, &str) = ("Warning", "A field of the body that means nothing here");

const NO_POD: (u16, &str) = (404, "There is no such pod");
const NO_GROUP: (u16, &str) = (404, "There is no such group");
const NO_ID: (u16, &str) = (422, "The path holds something that is no id, or no version");
const TOO_MANY: (u16, &str) = (403, "Too many deployments at once");
const LOCKED: (u16, &str) = (409, "Deployments are in the way; the body names them");

const fn json(status: u16, description: &'static str, shape: Shape) -> Answer {
    Answer { status, description, content: Content::Json(shape), headers: &[] }
}

const fn nothing(status: u16, description: &'static str) -> Answer {
    Answer { status, description, content: Content::Nothing, headers: &[] }
}

const fn with_headers(answer: Answer, headers: &'static [(&'static str, &'static str)]) -> Answer {
    Answer { headers, ..answer }
}

const fn one<T: schemars::JsonSchema>() -> Shape {
    Shape::One(Schemas::output::<T>)
}

const fn list<T: schemars::JsonSchema>() -> Shape {
    Shape::List(Schemas::output::<T>)
}

/// What a change answers, or its plan.
const fn or_plan<T: schemars::JsonSchema, P: schemars::JsonSchema>() -> Shape {
    Shape::Either(Schemas::output::<T>, Schemas::output::<P>)
}

const fn read(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answers: &'static [Answer],
    refusals: &'static [(u16, &'static str)],
) -> Operation {
    Operation { method: "GET", path, id, summary, parameters, body: None, answers, refusals }
}

type Pod = PodSpec;
type PodPlan = dry_run::PodPlan<'static>;
type Changed = groups::Changed<'static>;

const METRICS: &[Answer] = &[Answer {
    status: 200,
    description: "Prometheus' text format",
    content: Content::Text(&["text/plain", "application/openmetrics-text"]),
    headers: &[],
}];
const GROUP_ANSWER: &[Answer] = &[json(200, "The group", one::<GroupInfo<PodStatus>>())];
const GROUP_CREATED: &[Answer] = &[
    with_headers(json(201, "The deployment", one::<Changed>()), &[DEPLOYMENT, LOCATION, WARNING]),
    json(200, "What would happen", one::<Plan>()),
];
const GROUP_UPDATED: &[Answer] = &[with_headers(
    json(200, "The deployment, or what would happen", or_plan::<Changed, Plan>()),
    &[DEPLOYMENT, WARNING],
)];
const GROUP_REFUSALS: &[(u16, &str)] = &[NO_GROUP, TOO_MANY, LOCKED, NO_ID];
const VERSIONS: &[Answer] = &[json(200, "Their versions", list::<Timestamp>())];

/// All of them, by path.
pub(super) const OPERATIONS: &[Operation] = &[
    read("/metrics", "metrics", "Figures about the daemon", &[], METRICS, &[]),
    read("/metrics/prometheus", "metricsPrometheus", "The same as /metrics", &[], METRICS, &[]),
    read(
        "/ping",
        "ping",
        "Whether the API is ready",
        &[],
        &[
            Answer {
                status: 200,
                description: "It is",
                content: Content::Text(&["text/plain", "text/html", "application/json"]),
                headers: &[],
            },
            nothing(204, "It is, but the client reads none of the words for it"),
        ],
        &[],
    ),
    read(
        "/v2/deployments",
        "listDeployments",
        "Changes on their way",
        &[],
        &[json(200, "The deployments", list::<DeploymentStatus>())],
        &[],
    ),
    read(
        "/v2/deployments/{id}",
        "readDeployment",
        "A change on its way",
        &[path("id", Kind::Word, "The deployment's id")],
        &[json(200, "The deployment", one::<DeploymentStatus>())],
        &[(404, "There is no such deployment, or it is over")],
    ),
    Operation {
        method: "DELETE",
        path: "/v2/deployments/{id}",
        id: "cancelDeployment",
        summary: "Stop a change and go back, or, by force, leave everything as it is (what is deleted ends at once)",
        parameters: &[
            path("id", Kind::Word, "The deployment's id"),
            query("force", Kind::Flag, "Leave everything as it is"),
        ],
        body: None,
        answers: &[
            with_headers(
                json(200, "The deployment that leads back", one::<deployments::Reverted>()),
                &[DEPLOYMENT],
            ),
            nothing(202, "It is cancelled"),
        ],
        refusals: &[(404, "There is no such deployment, or it is over"), TOO_MANY, LOCKED, NO_ID],
    },
    read(
        "/v2/events",
        "streamEvents",
        "What happens, as server-sent events",
        &[
            query("event_type", Kind::Words, "Only events of these types"),
            Parameter {
                name: "Last-Event-ID",
                place: Place::Header,
                kind: Kind::Word,
                description: "Go on after this event",
            },
        ],
        &[Answer {
            status: 200,
            description: "The stream",
            content: Content::Text(&["text/event-stream"]),
            headers: &[],
        }],
        &[],
    ),
    read("/v2/groups", "readRootGroup", "The group of everything", &[EMBED], GROUP_ANSWER, &[NO_GROUP]),
    Operation {
        method: "POST",
        path: "/v2/groups",
        id: "createGroup",
        summary: "Begin a group",
        parameters: &[FORCE, DRY_RUN],
        body: Some(Shape::One(Schemas::group_update)),
        answers: GROUP_CREATED,
        refusals: GROUP_REFUSALS,
    },
    Operation {
        method: "PUT",
        path: "/v2/groups",
        id: "updateRootGroup",
        summary: "Change a group or begin it; pods are read-only here",
        parameters: &[FORCE, DRY_RUN],
        body: Some(Shape::One(Schemas::group_update)),
        answers: GROUP_UPDATED,
        refusals: GROUP_REFUSALS,
    },
    Operation {
        method: "PATCH",
        path: "/v2/groups",
        id: "patchRootGroup",
        summary: "Always refused: the root has no role to enforce",
        parameters: &[],
        body: Some(Shape::One(Schemas::enforce_role)),
        answers: &[],
        refusals: GROUP_REFUSALS,
    },
    Operation {
        method: "DELETE",
        path: "/v2/groups",
        id: "deleteRootGroup",
        summary: "End everything",
        parameters: &[FORCE, DRY_RUN],
        body: None,
        answers: GROUP_UPDATED,
        refusals: GROUP_REFUSALS,
    },
    read("/v2/groups/{id}", "readGroup", "A group", &[GROUP, EMBED], GROUP_ANSWER, &[NO_GROUP, NO_ID]),
    Operation {
        method: "POST",
        path: "/v2/groups/{id}",
        id: "createGroupIn",
        summary: "Begin a group; its id may be relative to the path",
        parameters: &[GROUP, FORCE, DRY_RUN],
        body: Some(Shape::One(Schemas::group_update)),
        answers: GROUP_CREATED,
        refusals: GROUP_REFUSALS,
    },
    Operation {
        method: "PUT",
        path: "/v2/groups/{id}",
        id: "updateGroup",
        summary: "Change a group or begin it; pods are read-only here",
        parameters: &[GROUP, FORCE, DRY_RUN],
        body: Some(Shape::One(Schemas::group_update)),
        answers: GROUP_UPDATED,
        refusals: GROUP_REFUSALS,
    },
    Operation {
        method: "PATCH",
        path: "/v2/groups/{id}",
        id: "enforceGroupRole",
        summary: "Say whether the pods of a top-level group may only use the role of its name",
        parameters: &[GROUP],
        body: Some(Shape::One(Schemas::enforce_role)),
        answers: &[nothing(200, "It is so")],
        refusals: GROUP_REFUSALS,
    },
    Operation {
        method: "DELETE",
        path: "/v2/groups/{id}",
        id: "deleteGroup",
        summary: "End a group with all groups and pods below it",
        parameters: &[GROUP, FORCE, DRY_RUN],
        body: None,
        answers: GROUP_UPDATED,
        refusals: GROUP_REFUSALS,
    },
    read(
        "/v2/groups/{id}/apps",
        "listApps",
        "The apps of a group, of which there are none",
        &[GROUP],
        &[json(200, "None", list::<()>())],
        &[],
    ),
    read("/v2/groups/versions", "listRootGroupVersions", "When anything changed", &[], VERSIONS, &[NO_GROUP]),
    read(
        "/v2/groups/versions/{version}",
        "readRootGroupVersion",
        "The group of everything as it was",
        &[VERSION, EMBED],
        GROUP_ANSWER,
        &[NO_GROUP, NO_ID],
    ),
    read(
        "/v2/groups/{id}/versions",
        "listGroupVersions",
        "When a group changed",
        &[GROUP],
        VERSIONS,
        &[NO_GROUP, NO_ID],
    ),
    read(
        "/v2/groups/{id}/versions/{version}",
        "readGroupVersion",
        "A group as it was",
        &[GROUP, VERSION, EMBED],
        GROUP_ANSWER,
        &[NO_GROUP, NO_ID],
    ),
    read(
        "/v2/info",
        "info",
        "The daemon about itself",
        &[],
        &[json(200, "Its settings", one::<system::Info<'static>>())],
        &[],
    ),
    read(
        "/v2/leader",
        "leader",
        "Which daemon leads",
        &[],
        &[json(200, "Its address", one::<system::Leader<'static>>())],
        &[],
    ),
    Operation {
        method: "DELETE",
        path: "/v2/leader",
        id: "abdicate",
        summary: "End the daemon in order, for its supervisor to start it again",
        parameters: &[],
        body: None,
        answers: &[json(200, "It is ending", one::<system::Abdicated>())],
        refusals: &[(422, "A backup was asked for, which is to be made otherwise")],
    },
    read(
        "/v2/openapi.json",
        "openapi",
        "This document",
        &[],
        &[json(200, "An OpenAPI document", Shape::One(Schemas::any_object))],
        &[],
    ),
    Operation {
        method: "HEAD",
        path: "/v2/pods",
        id: "supportsPods",
        summary: "Whether there are pods here at all",
        parameters: &[],
        body: None,
        answers: &[nothing(200, "There are")],
        refusals: &[],
    },
    read(
        "/v2/pods",
        "listPods",
        "The definitions of all pods",
        &[],
        &[json(200, "The pods", list::<Pod>())],
        &[],
    ),
    Operation {
        method: "POST",
        path: "/v2/pods",
        id: "createPod",
        summary: "Begin a pod",
        parameters: &[FORCE, DRY_RUN],
        body: Some(Shape::One(Schemas::pod_definition)),
        answers: &[
            with_headers(json(201, "The pod as it is kept", one::<Pod>()), &[DEPLOYMENT, LOCATION, WARNING]),
            json(200, "What would happen", one::<PodPlan>()),
        ],
        refusals: &[(409, "There is such a pod already, or deployments are in the way"), TOO_MANY],
    },
    read(
        "/v2/pods/::status",
        "listPodStatuses",
        "The states of all pods",
        &[],
        &[json(200, "The states", list::<PodStatus>())],
        &[],
    ),
    read(
        "/v2/pods/{id}",
        "readPod",
        "The definition of a pod",
        &[POD],
        &[json(200, "The pod", one::<Pod>())],
        &[NO_POD, NO_ID],
    ),
    Operation {
        method: "PUT",
        path: "/v2/pods/{id}",
        id: "updatePod",
        summary: "Change a pod or begin it",
        parameters: &[POD, FORCE, DRY_RUN],
        body: Some(Shape::One(Schemas::pod_definition)),
        answers: &[with_headers(
            json(200, "The pod as it is kept, or what would happen", or_plan::<Pod, PodPlan>()),
            &[DEPLOYMENT, WARNING],
        )],
        refusals: &[LOCKED, TOO_MANY, (400, "The body is not JSON, or the ids of path and body differ")],
    },
    Operation {
        method: "DELETE",
        path: "/v2/pods/{id}",
        id: "deletePod",
        summary: "End a pod and all its instances",
        parameters: &[POD, FORCE, DRY_RUN],
        body: None,
        answers: &[
            with_headers(nothing(202, "It is ending"), &[DEPLOYMENT, LOCATION]),
            json(200, "What would happen", one::<PodPlan>()),
        ],
        refusals: &[NO_POD, NO_ID, LOCKED, TOO_MANY],
    },
    Operation {
        method: "DELETE",
        path: "/v2/pods/{id}::instances",
        id: "killInstances",
        summary: "End instances of a pod; they are launched again",
        parameters: &[POD, WIPE],
        body: Some(Shape::List(Schemas::instance_id)),
        answers: &[json(200, "The instances that end", list::<instances::InstanceView>())],
        refusals: &[NO_POD, NO_ID],
    },
    Operation {
        method: "DELETE",
        path: "/v2/pods/{id}::instances/{instanceId}",
        id: "killInstance",
        summary: "End an instance of a pod; it is launched again",
        parameters: &[POD, path("instanceId", Kind::InstanceId, "The instance"), WIPE],
        body: None,
        answers: &[json(200, "The instance", one::<instances::InstanceView>())],
        refusals: &[(404, "There is no such pod or instance"), NO_ID],
    },
    read(
        "/v2/pods/{id}::status",
        "readPodStatus",
        "The state of a pod",
        &[POD],
        &[json(200, "The state", one::<PodStatus>())],
        &[NO_POD, NO_ID],
    ),
    read(
        "/v2/pods/{id}::versions",
        "listPodVersions",
        "When the definition of a pod changed",
        &[POD],
        VERSIONS,
        &[NO_POD, NO_ID],
    ),
    read(
        "/v2/pods/{id}::versions/{version}",
        "readPodVersion",
        "A definition that a pod has or had",
        &[POD, VERSION],
        &[json(200, "The pod as it was", one::<Pod>())],
        &[(404, "There was no such version"), NO_ID],
    ),
    read(
        "/v2/queue",
        "readQueue",
        "What waits to be launched, and why",
        &[query("embed", Kind::QueueEmbed, "What to show besides: what the agents had left unused")],
        &[json(200, "The queue", one::<queue::Queue>())],
        &[],
    ),
    Operation {
        method: "DELETE",
        path: "/v2/queue/{id}/delay",
        id: "resetDelay",
        summary: "End the wait of a pod after failures",
        parameters: &[POD],
        body: None,
        answers: &[nothing(204, "It is over")],
        refusals: &[(404, "There is no such pod, or nothing of it waits"), NO_ID],
    },
    read(
        "/v2/unknown_tasks",
        "readUnknownTasks",
        "The tasks, and what is kept on agents, of this framework of which there is no record",
        &[],
        &[json(200, "The tasks", one::<unknown_tasks::UnknownTasks>())],
        &[],
    ),
    read(
        "/v2/tasks",
        "listTasks",
        "The tasks of all pods; as text, where the endpoints can be reached",
        &[query("status", Kind::TaskStates, "Only tasks in these states")],
        &[json(200, "The tasks", one::<tasks::Tasks>())],
        &[],
    ),
    Operation {
        method: "POST",
        path: "/v2/tasks/delete",
        id: "killTasks",
        summary: "End the instances that the tasks belong to",
        parameters: &[WIPE, query("scale", Kind::Flag, "Refused: it is for apps")],
        body: Some(Shape::One(Schemas::task_ids)),
        answers: &[json(200, "The tasks of these instances, as they were", one::<tasks::Tasks>())],
        refusals: &[(400, "No id of a task, or scale and wipe together"), (422, "No list of ids, or scale")],
    },
];
