//! Pod definitions, as clients post them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{below, index_below, one_of};
use crate::random::Random;

/// Few names: what is deleted is made again.
pub(super) const NAMES: [&str; 10] =
    ["/web", "/api", "/db", "/shop/cart", "/shop/pay", "/cache", "/batch", "/edge/dns", "/log", "/mail"];

/// Groups, whose pods may use a role of that name.
pub(super) const GROUPS: [&str; 2] = ["/shop/", "/edge/"];

/// Makes definitions and remembers them.
pub(super) struct PodMaker {
    newest: BTreeMap<String, Value>,
    /// What a definition may have, in this run.
    traits: Traits,
    rarities: Rarities,
    revision: u32,
}

struct Traits {
    constraints: bool,
    endpoints: bool,
    fixed_ports: bool,
    health_checks: bool,
    most_instances: u32,
    forbidden_users: bool,
    large: bool,
}

/// What few runs have, drawn from a stream of its own.
pub(super) struct Rarities {
    random: Random,
    on_return: bool,
    kill_selection: bool,
    even_spread: bool,
    /// Copies use what is reserved for this role, too.
    role: Option<&'static str>,
    /// Some containers use GPUs.
    gpus: bool,
    /// Some pods keep data in persistent volumes.
    pub(super) volumes: bool,
    patience: Patience,
}

/// What some pods do not wait for: deployments that take too long, and agents on which they failed. It is drawn from a stream
/// of its own.
struct Patience {
    random: Random,
    deadlines: bool,
    failing_agents: bool,
}

impl Patience {
    fn new(mut random: Random) -> Self {
        let (deadlines, failing_agents) = (random.chance(250), random.chance(250));
        Self { random, deadlines, failing_agents }
    }

    /// Has some deployments of `pod` end before they are done, and some copies keep away from where others failed.
    fn limit(&mut self, pod: &mut Value) {
        let random = &mut self.random;
        let scheduling = &mut pod["scheduling"];
        if self.deadlines && random.chance(400) {
            // Too short for any, for those that are in the way of trouble, or long enough.
            let seconds = [1 + below(random, 30), 30 + below(random, 300), 600][index_below(random, 3)];
            let mut deadline = json!({ "seconds": seconds });
            if random.chance(800) {
                deadline["action"] = one_of(random, [json!("STOP"), json!("ROLL_BACK"), json!("ROLL_BACK")]);
            }
            scheduling["upgrade"]["deadline"] = deadline;
        }
        if self.failing_agents && random.chance(500) {
            let (failures, seconds) = (1 + below(random, 3), 10 + below(random, 300));
            scheduling["backoff"]["failingAgents"] = json!({ "failures": failures, "seconds": seconds });
        }
    }
}

impl Rarities {
    pub(super) fn new(mut random: Random, patience: Random, role: Option<&'static str>, gpus: bool) -> Self {
        let mut chance = |per_mille| random.chance(per_mille);
        let (on_return, kill_selection, even_spread) = (chance(300), chance(300), chance(250));
        let volumes = role.is_some() && chance(400);
        let patience = Patience::new(patience);
        Self { random, on_return, kill_selection, even_spread, role, gpus, volumes, patience }
    }

    /// Gives some new pods a persistent volume.
    fn furnish(&mut self, pod: &mut Value) {
        if !self.volumes || !self.random.chance(400) {
            return;
        }
        let size = 1 + below(&mut self.random, 100);
        pod["volumes"] = json!([{ "name": "data", "persistent": { "size": size } }]);
        for container in pod["containers"].as_array_mut().into_iter().flatten() {
            container["volumeMounts"] = json!([{ "name": "data", "mountPath": "data" }]);
        }
    }

    /// Gives some of it to a definition of `pod`.
    fn adorn(&mut self, pod: &mut Value, has_endpoints: bool) {
        let random = &mut self.random;
        if self.gpus && random.chance(200) {
            pod["containers"][0]["resources"]["gpus"] = json!(1);
        }
        if self.gpus && random.chance(100) {
            let label = one_of(random, [json!("restricted"), json!("unrestricted")]);
            pod["labels"] = json!({ "GPU_SCHEDULING_BEHAVIOR": label });
        }
        let scheduling = &mut pod["scheduling"];
        if self.on_return && scheduling["unreachableStrategy"].is_object() {
            let choices = [json!("ORIGINAL"), json!("REPLACEMENT"), json!("BEST_HEALTH")];
            scheduling["unreachableStrategy"]["onReturn"] = one_of(random, choices);
        }
        if self.kill_selection {
            scheduling["killSelection"] = one_of(random, [json!("YOUNGEST_FIRST"), json!("OLDEST_FIRST")]);
        }
        if self.even_spread && random.chance(300) {
            let field = one_of(random, [json!("rack"), json!("@zone"), json!("@hostname")]);
            scheduling["placement"]["constraints"] = json!([{ "fieldName": field, "operator": "GROUP_BY" }]);
        }
        let Some(role) = self.role else { return };
        if pod["volumes"].is_array() {
            // Room for volumes is reserved out of what is not.
            pod["scheduling"]["upgrade"]["maximumOverCapacity"] = json!(0);
            pod["scheduling"]["unreachableStrategy"] = json!("disabled");
            pod["scheduling"]["placement"]["acceptedResourceRoles"] = json!(["*"]);
            return;
        }
        if let Some(group) =
            pod["id"].as_str().and_then(|id| GROUPS.iter().find(|group| id.starts_with(**group)))
            && random.chance(500)
        {
            pod["role"] = json!(group.trim_matches('/'));
        }
        let role = pod["role"].as_str().unwrap_or(role).to_owned();
        // Ports are not reserved for anybody.
        let choices = [json!(["*"]), json!(["*", role]), json!([role])];
        let accepted = match index_below(random, if has_endpoints { 3 } else { 4 }) {
            0 => return,
            index => choices.into_iter().nth(index - 1),
        };
        pod["scheduling"]["placement"]["acceptedResourceRoles"] = accepted.unwrap_or_default();
    }
}

impl PodMaker {
    pub(super) fn new(random: &mut Random, rarities: Rarities, agents: usize) -> Self {
        let traits = Traits {
            constraints: random.chance(400),
            endpoints: random.chance(500),
            fixed_ports: random.chance(200),
            health_checks: random.chance(600),
            most_instances: 12 + below(random, 2 * u32::try_from(agents).unwrap_or(10)),
            forbidden_users: random.chance(50),
            large: random.chance(150),
        };
        Self { newest: BTreeMap::new(), traits, rarities, revision: 0 }
    }

    /// A definition of the pod `name`.
    pub(super) fn make(&mut self, random: &mut Random, name: &str) -> Value {
        let containers: Vec<Value> =
            ["a", "b", "c"][..1 + index_below(random, 3)].iter().map(|c| self.container(random, c)).collect();
        let mut pod = json!({
            "id": name,
            "scaling": { "kind": "fixed", "instances": 1 + below(random, self.traits.most_instances) },
            "containers": containers,
            "networks": [{ "mode": "host" }],
            "scheduling": {
                "backoff": {
                    "backoff": one_of(random, [json!(0.1), json!(1), json!(5)]),
                    "backoffFactor": one_of(random, [json!(1), json!(1.15), json!(2)]),
                    "maxLaunchDelay": one_of(random, [json!(5), json!(20), json!(60)])
                },
                "upgrade": upgrade(random),
                "killSelection": one_of(random, [json!("YOUNGEST_FIRST"), json!("OLDEST_FIRST")]),
                "unreachableStrategy": strategy(random)
            }
        });
        if self.traits.constraints && random.chance(400) {
            pod["scheduling"]["placement"] = json!({ "constraints": [constraint(random)] });
        }
        if self.traits.forbidden_users && random.chance(200) {
            pod["user"] = json!("mallory");
        }
        self.rarities.furnish(&mut pod);
        self.rarities.adorn(&mut pod, self.traits.endpoints);
        self.rarities.patience.limit(&mut pod);
        self.newest.insert(name.to_owned(), pod.clone());
        pod
    }

    /// A small pod with one copy, as one of many.
    pub(super) fn make_small(&mut self, random: &mut Random, name: &str) -> Value {
        let pod = json!({
            "id": name,
            "scaling": { "kind": "fixed", "instances": 1 },
            "containers": [{
                "name": "a",
                "exec": { "command": { "shell": "serve" } },
                "resources": { "cpus": 0.01, "mem": 16 }
            }],
            "networks": [{ "mode": "host" }],
            "scheduling": { "upgrade": upgrade(random), "unreachableStrategy": strategy(random) }
        });
        self.newest.insert(name.to_owned(), pod.clone());
        pod
    }

    /// The newest definition of the pod `name` with some changes.
    pub(super) fn change(&mut self, random: &mut Random, name: &str) -> Value {
        let Some(mut pod) = self.newest.get(name).cloned() else { return self.make(random, name) };
        if random.chance(700) {
            self.revision += 1;
            pod["environment"] = json!({ "REVISION": self.revision.to_string() });
        }
        if random.chance(300) {
            pod["scaling"]["instances"] = json!(below(random, self.traits.most_instances + 1));
        }
        if random.chance(300) {
            pod["scheduling"]["upgrade"] = upgrade(random);
        }
        if random.chance(200) {
            pod["scheduling"]["unreachableStrategy"] = strategy(random);
        }
        if random.chance(100) {
            pod["containers"] = json!([self.container(random, "a"), self.container(random, "b")]);
        }
        self.rarities.adorn(&mut pod, self.traits.endpoints);
        self.rarities.patience.limit(&mut pod);
        self.newest.insert(name.to_owned(), pod.clone());
        pod
    }

    fn container(&self, random: &mut Random, name: &str) -> Value {
        let large = self.traits.large && random.chance(300);
        let cpus = if large { json!(1.5) } else { one_of(random, [json!(0.05), json!(0.1), json!(0.2)]) };
        let mut container = json!({
            "name": name,
            "exec": { "command": { "shell": "serve" } },
            "resources": { "cpus": cpus, "mem": 32 + below(random, 64) }
        });
        let checks_endpoint = random.chance(500);
        if self.traits.endpoints && random.chance(500) {
            let fixed = self.traits.fixed_ports && random.chance(300);
            let port = if fixed { 31_000 + below(random, 10) } else { 0 };
            container["endpoints"] = json!([{ "name": format!("{name}-http"), "hostPort": port }]);
        }
        if self.traits.health_checks && random.chance(500) {
            // Long enough for any warm-up, or too short for some.
            let grace = if random.chance(500) { 5 + below(random, 40) } else { 100 + below(random, 60) };
            let mut check = json!({
                "gracePeriodSeconds": grace,
                "intervalSeconds": 5 + below(random, 25),
                "maxConsecutiveFailures": 1 + below(random, 4),
                "timeoutSeconds": 5,
                "delaySeconds": below(random, 5)
            });
            if checks_endpoint && container.get("endpoints").is_some() {
                check["http"] = json!({ "endpoint": format!("{name}-http"), "path": "/" });
            } else {
                check["exec"] = json!({ "command": { "shell": "check" } });
            }
            container["healthCheck"] = check;
        }
        if random.chance(200) {
            container["lifecycle"] = json!({ "killGracePeriodSeconds": 1 + below(random, 20) });
        }
        container
    }
}

/// A pod with one copy in each of so many places.
pub(super) fn crowded(random: &mut Random, places: usize) -> Value {
    let floor = one_of(random, [json!(0), json!(0.25), json!(0.5), json!(0.9)]);
    let over = one_of(random, [json!(0.25), json!(0.5), json!(1)]);
    json!({
        "id": "/crowd",
        "scaling": { "kind": "fixed", "instances": places },
        "containers": [{
            "name": "a",
            "exec": { "command": { "shell": "serve" } },
            "resources": { "cpus": 0.1, "mem": 32 },
            "endpoints": [{ "name": "http", "hostPort": 31_020 }]
        }],
        "networks": [{ "mode": "host" }],
        "scheduling": {
            "upgrade": { "minimumHealthCapacity": floor, "maximumOverCapacity": over },
            "unreachableStrategy": strategy(random)
        }
    })
}

fn upgrade(random: &mut Random) -> Value {
    let parts = || [json!(0), json!(0.25), json!(0.5), json!(0.9), json!(1)];
    json!({
        "minimumHealthCapacity": one_of(random, parts()),
        "maximumOverCapacity": one_of(random, parts())
    })
}

fn strategy(random: &mut Random) -> Value {
    match below(random, 6) {
        0 => json!("disabled"),
        1 => json!({ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }),
        2 => {
            let both = 10 + below(random, 300);
            json!({ "inactiveAfterSeconds": both, "expungeAfterSeconds": both })
        }
        3 => json!({ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 30 + below(random, 300) }),
        4 => json!({ "inactiveAfterSeconds": 60, "expungeAfterSeconds": 604_800 }),
        _ => {
            let inactive = below(random, 240);
            let expunge = inactive + below(random, 600);
            json!({ "inactiveAfterSeconds": inactive, "expungeAfterSeconds": expunge })
        }
    }
}

fn constraint(random: &mut Random) -> Value {
    one_of(
        random,
        [
            json!({ "fieldName": "@hostname", "operator": "UNIQUE" }),
            json!({ "fieldName": "@hostname", "operator": "MAX_PER", "value": "3" }),
            json!({ "fieldName": "rack", "operator": "GROUP_BY", "value": "2" }),
            json!({ "fieldName": "rack", "operator": "UNLIKE", "value": "r1" }),
            json!({ "fieldName": "rack", "operator": "LIKE", "value": "r[01]" }),
            json!({ "fieldName": "rack", "operator": "CLUSTER", "value": "r0" }),
            json!({ "fieldName": "rack", "operator": "IS", "value": "r1" }),
            json!({ "fieldName": "@zone", "operator": "IS", "value": "z1" }),
            json!({ "fieldName": "@region", "operator": "IS", "value": "west" }),
            json!({ "fieldName": "@region", "operator": "LIKE", "value": "east|west" }),
            json!({ "fieldName": "@region", "operator": "GROUP_BY", "value": "2" }),
            json!({ "fieldName": "@region", "operator": "UNLIKE", "value": "north" }),
        ],
    )
}
