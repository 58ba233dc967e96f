//! What changes cost: an update of a pod from beginning to end, the kill of all copies, scaling down what is to stay
//! spread, the way back of copies to their volumes, and offers while something is left over. Through `step`.
//!
//! `cargo bench -p podium-core --bench changes [-- COPIES]` prints a table for 10³, 10⁴ and 10⁵ copies of one pod, or up
//! to COPIES. Each table says what all of it took and how long the longest single step was, since that is how long
//! everything else had to wait. If the cost of a step did not depend on what it does not touch, the time for one copy
//! would be the same in each line.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "the benchmark stands outside: it measures time and reads its arguments"
)]

#[path = "support/mod.rs"]
#[macro_use]
mod support;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use podium_core::admission::{Rules, read_pod};
use podium_core::model::ids::{AgentId, FrameworkId, InstanceId, PodId, Role, TaskId};
use podium_core::model::mesos::{Attribute, AttributeValue, Call, Event, Offer, Resource, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::{Action, Command, Config, Input};
use serde_json::{Value, json};
use support::{Driver, Step, launched, update};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

phase!(preparing);
phase!(replacing);
phase!(replacing_singly);
phase!(killing);
phase!(scaling);
phase!(spreading);
phase!(returning);
phase!(going_home);
phase!(passing_leftovers);

/// So many agents are offered together.
const BATCH: usize = 100;

fn main() {
    let most = std::env::args().skip(1).find_map(|arg| arg.parse::<usize>().ok()).unwrap_or(100_000);
    let sizes = || [1_000, 10_000, 100_000].into_iter().filter(|n| *n <= most);
    for (title, run) in [
        ("update (maximumOverCapacity 0.1)", replace as fn(usize) -> Cost),
        ("the same, GROUP_BY @hostname, each by itself", replace_singly),
        ("kill of all copies", kill),
        ("scaling down to a tenth", |n| scale_down(n, &json!([]), scaling)),
        ("scaling down, GROUP_BY one of 10 racks", |n| {
            scale_down(n, &json!([constraint("rack")]), spreading)
        }),
        ("scaling down, GROUP_BY @hostname", |n| scale_down(n, &json!([constraint("@hostname")]), spreading)),
        ("return of copies that were replaced, onReturn", give_back),
        ("way back to volumes", go_home),
        ("offers while volumes of so many are left over", pass_leftovers),
    ] {
        println!("| {title} | all of it | for each | longest step |");
        println!("|---:|---:|---:|---:|");
        for copies in sizes() {
            let Cost { took, longest, things } = run(copies);
            println!("| {copies} | {took:.1?} | {:.1?} | {longest:.1?} |", took / things as u32);
        }
        println!();
    }
}

fn constraint(field: &str) -> Value {
    json!({ "fieldName": field, "operator": "GROUP_BY" })
}

/// What something cost.
struct Cost {
    took: Duration,
    longest: Duration,
    /// How many things were done in that time.
    things: usize,
}

/// A cluster that does what it is told: what is launched runs, and what is killed ends.
struct Cluster {
    driver: Driver,
    phase: Step,
    took: Duration,
    longest: Duration,
    /// What Mesos has to say.
    news: VecDeque<Input>,
    /// The next agent that was not offered yet.
    fresh: usize,
    /// What was launched and did not end, with its agent.
    tasks: Vec<(TaskId, AgentId)>,
    /// What is reserved on each agent.
    kept: BTreeMap<AgentId, Vec<Resource>>,
}

impl Cluster {
    /// With all copies of `pod` running, 20 on an agent.
    fn running(pod: PodSpec) -> Self {
        Self::running_with(Config::default(), pod)
    }

    /// The same under another configuration.
    fn running_with(config: Config, pod: PodSpec) -> Self {
        let driver = Driver::connected(Config { mesos_role: Role::from("dev"), ..config });
        let (took, longest) = Default::default();
        let mut cluster = Self {
            driver,
            phase: preparing,
            took,
            longest,
            news: VecDeque::new(),
            fresh: 0,
            tasks: Vec::new(),
            kept: BTreeMap::new(),
        };
        let create = Command::CreatePod { pod, force: true, role_given: false };
        cluster.command(create);
        cluster.settle();
        cluster
    }

    /// From now on it counts what things cost.
    fn begin(&mut self, phase: Step) {
        self.phase = phase;
        (self.took, self.longest) = Default::default();
    }

    fn command(&mut self, command: Command) {
        let input = self.driver.command(command);
        self.step(input);
    }

    fn step(&mut self, input: Input) {
        let start = Instant::now();
        let output = (self.phase)(&mut self.driver.scheduler, self.driver.now, input);
        let took = start.elapsed();
        self.took += took;
        self.longest = self.longest.max(took);
        for task in launched(&output) {
            self.news.push_back(update(&task, TaskState::TaskRunning));
            self.tasks.push(task);
        }
        let framework = FrameworkId::from("fw");
        for action in output.actions {
            if let Action::Accept(accept) = &action {
                let homes = accept.launches.iter().filter(|launch| launch.home.is_some());
                for launch in homes {
                    let kept = self.kept.entry(launch.agent.agent_id.clone()).or_default();
                    let group = launch.task_group(self.driver.scheduler.config(), &framework);
                    kept.extend(group.executor.resources);
                    kept.extend(group.tasks.into_iter().flat_map(|task| task.resources));
                }
            }
            if let Action::Call(Call::Kill { task_id, agent_id: Some(agent), .. }) = action {
                self.news.push_back(update(&(task_id, agent), TaskState::TaskKilled));
            }
        }
    }

    /// Goes on until nothing is to be done any more: time passes only when nothing else happens.
    fn settle(&mut self) {
        loop {
            if self.driver.scheduler.deadline().is_some_and(|at| at <= self.driver.now) {
                self.step(Input::Tick);
            } else if let Some(news) = self.news.pop_front() {
                self.step(news);
            } else if self.driver.scheduler.waiting_pods().next().is_some() {
                let offers = (self.fresh..self.fresh + BATCH).map(|n| self.offer(n)).collect();
                self.fresh += BATCH;
                self.step(Input::Event(Box::new(Event::Offers(offers))));
            } else if !self.driver.scheduler.deployments(self.driver.now).is_empty() {
                let at = self.driver.scheduler.deadline().expect("it is not done yet");
                self.driver.now = at;
            } else {
                return;
            }
        }
    }

    /// An offer in which there is room for 20 copies.
    fn offer(&mut self, agent: usize) -> Offer {
        let mut offer = self.driver.offer(agent, 4.0);
        let rack = AttributeValue::Text(format!("r{}", agent % 10));
        offer.attributes.push(Attribute { name: "rack".to_owned(), value: rack });
        offer
    }

    /// The same of an agent on which copies have volumes.
    fn offer_with_volumes(&mut self, agent: usize) -> Offer {
        let mut offer = self.offer(agent);
        offer.resources.extend(self.kept.get(&offer.agent_id).into_iter().flatten().cloned());
        offer
    }

    fn cost(&self, things: usize) -> Cost {
        Cost { took: self.took, longest: self.longest, things }
    }
}

/// A pod of one container that uses 0.1 cpus, its executor's among them.
fn pod(copies: usize, more: &Value) -> PodSpec {
    let mut json = json!({
        "id": "/p",
        "role": "dev",
        "containers": [{
            "name": "a",
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": 0.1, "mem": 32}
        }],
        "networks": [{"mode": "host"}],
        "scaling": {"kind": "fixed", "instances": copies}
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        json[key] = value.clone();
    }
    read_pod(&json, &Rules::default()).expect("the pod is valid").pod
}

/// All copies are replaced by those of another definition, a tenth more at a time. They can be relied on in hundreds.
fn replace(copies: usize) -> Cost {
    replace_spread(copies, Config::default(), &json!([]), replacing)
}

/// The same of copies that are to stay on different hosts. Each of them can be relied on as soon as it runs, and an old
/// one is chosen that goes for it.
fn replace_singly(copies: usize) -> Cost {
    let config = Config { minimum_ready: Duration::ZERO, ..Config::default() };
    replace_spread(copies, config, &json!([constraint("@hostname")]), replacing_singly)
}

fn replace_spread(copies: usize, config: Config, constraints: &Value, phase: Step) -> Cost {
    let scheduling = json!({
        "upgrade": { "minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.1 },
        "placement": { "constraints": constraints }
    });
    let with =
        |label: &str| pod(copies, &json!({ "scheduling": scheduling, "labels": { "version": label } }));
    let mut cluster = Cluster::running_with(config, with("1"));
    cluster.begin(phase);
    cluster.command(Command::UpdatePod { pod: with("2"), force: true, role_given: false });
    cluster.settle();
    assert_eq!(cluster.tasks.len(), 2 * copies, "each copy was replaced");
    cluster.cost(copies)
}

/// All copies are killed by one command, and launched again.
fn kill(copies: usize) -> Cost {
    let mut cluster = Cluster::running(pod(copies, &json!({})));
    let instances = instances(&cluster);
    cluster.begin(killing);
    cluster.command(Command::KillInstances { pod: PodId::from("/p"), instances, wipe: false });
    cluster.settle();
    cluster.cost(copies)
}

fn instances(cluster: &Cluster) -> Vec<InstanceId> {
    let status = cluster.driver.scheduler.pod_status(&PodId::from("/p"), cluster.driver.now);
    status.expect("it is there").instances.into_iter().map(|instance| instance.id).collect()
}

/// Nine of ten copies end.
fn scale_down(copies: usize, constraints: &Value, phase: Step) -> Cost {
    let with =
        |copies| pod(copies, &json!({ "scheduling": { "placement": { "constraints": constraints } } }));
    let mut cluster = Cluster::running(with(copies));
    cluster.begin(phase);
    cluster.command(Command::UpdatePod { pod: with(copies / 10), force: true, role_given: false });
    cluster.settle();
    cluster.cost(copies - copies / 10)
}

/// A hundredth of the copies was out of reach and replaced, and comes back: as many have to go.
fn give_back(copies: usize) -> Cost {
    let strategy =
        json!({ "inactiveAfterSeconds": 1, "expungeAfterSeconds": 10_000, "onReturn": "ORIGINAL" });
    let mut cluster =
        Cluster::running(pod(copies, &json!({ "scheduling": { "unreachableStrategy": strategy } })));
    let away: Vec<_> = cluster.tasks.iter().take(copies / 100).cloned().collect();
    for task in &away {
        cluster.step(update(task, TaskState::TaskUnreachable));
    }
    cluster.driver.now = cluster.driver.now + Duration::from_secs(10);
    cluster.settle();
    cluster.driver.now = cluster.driver.now + Duration::from_secs(10);
    cluster.settle();
    cluster.begin(returning);
    cluster.news.extend(away.iter().map(|task| update(task, TaskState::TaskRunning)));
    cluster.settle();
    cluster.cost(away.len())
}

/// A pod with a volume of 1 MiB for each copy.
fn resident(copies: usize) -> PodSpec {
    let container = json!({
        "name": "a",
        "exec": {"command": {"shell": "sleep 1000"}},
        "resources": {"cpus": 0.1, "mem": 32},
        "volumeMounts": [{ "name": "data", "mountPath": "data" }]
    });
    let volume = json!({ "name": "data", "persistent": { "size": 1 } });
    pod(copies, &json!({ "containers": [container], "volumes": [volume] }))
}

/// All copies have ended, and go back to their volumes when the agents are offered one after the other.
fn go_home(copies: usize) -> Cost {
    let mut cluster = Cluster::running(resident(copies));
    let instances = instances(&cluster);
    cluster.command(Command::KillInstances { pod: PodId::from("/p"), instances, wipe: false });
    while let Some(input) = cluster.news.pop_front() {
        cluster.step(input);
    }
    while cluster.driver.scheduler.waiting_copies(&PodId::from("/p"), None).count() < copies {
        cluster.driver.now = cluster.driver.now + Duration::from_secs(1);
        cluster.step(Input::Tick);
        while let Some(input) = cluster.news.pop_front() {
            cluster.step(input);
        }
    }
    cluster.driver.now = cluster.driver.now + Duration::from_secs(2);
    cluster.begin(going_home);
    cluster.tasks.clear();
    let agents = cluster.fresh;
    for first in (0..agents).step_by(BATCH) {
        let offers = (first..first + BATCH).map(|n| cluster.offer_with_volumes(n)).collect();
        cluster.step(Input::Event(Box::new(Event::Offers(offers))));
    }
    assert_eq!(cluster.tasks.len(), copies, "all are where their volumes are");
    cluster.cost(copies)
}

/// A pod with volumes was deleted; agents on which it had none are offered.
fn pass_leftovers(copies: usize) -> Cost {
    let mut cluster = Cluster::running(resident(copies));
    cluster.command(Command::DeletePod { id: PodId::from("/p"), force: true });
    cluster.settle();
    cluster.begin(passing_leftovers);
    let batches = 100;
    for _ in 0..batches {
        let offers = (cluster.fresh..cluster.fresh + BATCH).map(|n| cluster.offer(n)).collect();
        cluster.step(Input::Event(Box::new(Event::Offers(offers))));
    }
    cluster.cost(batches * BATCH)
}
