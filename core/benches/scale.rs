//! How the scheduler's cost grows: placing, status updates, offers that nobody can use, the end of many pods and of
//! many copies, through `step`.
//!
//! `cargo bench -p podium-core --bench scale [-- INSTANCES]` prints a table for 10⁴, 10⁵ and 10⁶ instances, or up
//! to INSTANCES. One core, no store, no network: the cost of deciding alone. It is a program of its own and not a
//! set of short benchmarks because each figure needs a cluster that takes a million steps to build up.
//!
//! Each phase goes through a function of its own, so that `scripts/instructions` can count the instructions of each
//! under valgrind, which does not depend on what else the machine is doing.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "the benchmark stands outside: it measures time and reads its arguments"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use podium_core::admission::{Rules, read_pod};
use podium_core::model::ids::{AgentId, FrameworkId, GroupId, OfferId, Role, TaskId};
use podium_core::model::mesos::{
    Event, Offer, PortRange, Resource, ResourceKind, StatusSource, StatusUuid, TaskState, TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_core::model::pod::PodSpec;
use podium_core::model::time::Timestamp;
use podium_core::{Action, Command, CommandId, Config, Input, Origin, Output, Scheduler};

/// The `podium` program's allocator, which here counts the bytes that are allocated and not freed.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    /// There is one thread, which need not pay for others.
    fn count(change: impl FnOnce(usize) -> usize) {
        ALLOCATED.store(change(ALLOCATED.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to an allocator; only sizes are added up beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(|bytes| bytes + layout.size());
        // SAFETY: the caller's contract is the allocator's.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::count(|bytes| bytes - layout.size());
        // SAFETY: the caller's contract is the allocator's.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(|bytes| bytes - layout.size() + size);
        // SAFETY: the caller's contract is the allocator's.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PODS: usize = 100;
const OFFERS_PER_EVENT: usize = 500;

/// Defines the way into the scheduler of one phase.
macro_rules! phase {
    ($name:ident) => {
        #[inline(never)]
        fn $name(scheduler: &mut Scheduler, now: Timestamp, input: Input) -> Output {
            // Keeps the compiler from making one function of all phases.
            black_box(stringify!($name));
            scheduler.step(now, input)
        }
    };
}

phase!(creating);
phase!(placing);
phase!(updating);
phase!(repeating);
phase!(declining);
phase!(starting);
phase!(deleting);
phase!(scaling);
phase!(ending);

/// How an input is given to the scheduler.
type Step = fn(&mut Scheduler, Timestamp, Input) -> Output;

fn main() {
    let most = std::env::args().skip(1).find_map(|arg| arg.parse::<usize>().ok()).unwrap_or(1_000_000);
    println!("| instances | agents | placed/s | updates/s | repeated updates/s | bytes/instance |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for instances in [10_000, 100_000, 1_000_000].into_iter().filter(|n| *n <= most) {
        place(instances);
    }
    println!();
    println!("| pods | created/s | offers/s while all wait, unplaceable |");
    println!("|---:|---:|---:|");
    for pods in [100, 1_000, 10_000] {
        unplaceable(pods);
    }
    println!();
    println!("| pods of a group | to delete it | longest step of it | pods ended/s |");
    println!("|---:|---:|---:|---:|");
    for pods in [1_000, 10_000] {
        delete(pods);
    }
    println!();
    println!("| copies of a pod | to scale it down to a tenth | longest step of it |");
    println!("|---:|---:|---:|");
    for copies in [1_000, 10_000, 100_000].into_iter().filter(|n| *n <= most) {
        scale_down(copies);
    }
}

/// Places `instances` two-container instances of 100 pods on a twentieth as many agents, then starts them all.
fn place(instances: usize) {
    let agents = (instances / 20).max(1);
    let mut driver = Driver::connected();
    let before = ALLOCATED.load(Ordering::Relaxed);
    for n in 0..PODS {
        driver.create(pod(&format!("/p{n}"), 0.1, instances / PODS));
    }
    let mut tasks: Vec<(TaskId, AgentId)> = Vec::with_capacity(2 * instances);
    let mut took = Duration::ZERO;
    let mut offered = 0;
    while tasks.len() < 2 * instances {
        let input = driver.offers(offered, agents);
        offered += OFFERS_PER_EVENT;
        let start = Instant::now();
        let output = placing(&mut driver.scheduler, driver.now, input);
        took += start.elapsed();
        tasks.extend(launched(&output));
        assert!(offered <= 4 * agents.max(OFFERS_PER_EVENT), "everything fits");
    }
    let placed = per_second(instances, took);
    let states = [TaskState::TaskStarting, TaskState::TaskRunning];
    let updates = states.iter().flat_map(|state| tasks.iter().map(|task| update(task, *state)));
    let updated = per_second(2 * tasks.len(), driver.time(updating, updates));
    let again = tasks.iter().take(100_000);
    let repeated = again.len();
    let took = driver.time(repeating, again.map(|task| update(task, TaskState::TaskRunning)));
    let repeated = per_second(repeated, took);
    drop(tasks);
    let bytes = ALLOCATED.load(Ordering::Relaxed).saturating_sub(before) / instances;
    println!("| {instances} | {agents} | {placed} | {updated} | {repeated} | {bytes} |");
}

/// Offers that are too small for any of `pods` different pods that wait.
fn unplaceable(pods: usize) {
    let mut driver = Driver::connected();
    let rounds = 20;
    let start = Instant::now();
    for n in 0..pods {
        driver.create(pod(&format!("/p{n}"), 20.0 + n as f64 / 1000.0, 1));
    }
    let created = per_second(pods, start.elapsed());
    let inputs: Vec<Input> = (0..rounds).map(|_| driver.offers(0, OFFERS_PER_EVENT)).collect();
    let took = driver.time(declining, inputs.into_iter());
    println!("| {pods} | {created} | {} |", per_second(rounds * OFFERS_PER_EVENT, took));
}

fn per_second(count: usize, took: Duration) -> String {
    format!("{:.0}", count as f64 / took.as_secs_f64())
}

/// Deletes a group of `pods` pods, all in one deployment, and has their copies end one after another.
fn delete(pods: usize) {
    let mut driver = Driver::connected();
    for n in 0..pods {
        driver.create(pod(&format!("/g/p{n}"), 0.1, 1));
    }
    let tasks = driver.start(pods);
    let command = driver.command(Command::DeleteGroup { id: GroupId::from("/g"), force: true });
    let first = driver.time(deleting, [command].into_iter());
    let (rest, longest) = driver.finish(deleting);
    let (deleted, longest) = (first + rest, longest.max(first));
    let ended = driver.time(ending, tasks.iter().map(|task| update(task, TaskState::TaskKilled)));
    assert_eq!(driver.scheduler.deployments(driver.now), [], "nothing is left to be done");
    println!("| {pods} | {deleted:.1?} | {longest:.1?} | {} |", per_second(pods, ended));
}

/// Starts `copies` copies of one pod, then wants a tenth of them.
fn scale_down(copies: usize) {
    let mut driver = Driver::connected();
    let create = Command::CreatePod { pod: pod("/p", 0.1, copies), force: true, role_given: false };
    let input = driver.command(create);
    driver.time(starting, [input].into_iter());
    driver.finish(starting);
    driver.start(copies);
    let update = Command::UpdatePod { pod: pod("/p", 0.1, copies / 10), force: true, role_given: false };
    let input = driver.command(update);
    let first = driver.time(scaling, [input].into_iter());
    let (rest, longest) = driver.finish(scaling);
    let [.., (_, stopping)] = driver.scheduler.census(driver.now).instances;
    assert_eq!(stopping as usize, copies - copies / 10, "the others end");
    println!("| {copies} | {:.1?} | {:.1?} |", first + rest, longest.max(first));
}

/// The tasks that `output` launches, each with its agent.
fn launched(output: &Output) -> impl Iterator<Item = (TaskId, AgentId)> + '_ {
    let launches = output.actions.iter().filter_map(|action| match action {
        Action::Accept(accept) => Some(&accept.launches),
        _ => None,
    });
    launches.flatten().flat_map(|launch| {
        let containers = launch.spec.containers.iter();
        containers.map(|container| {
            let task = launch.instance.task_id(&container.name, launch.incarnation);
            (task, launch.agent.agent_id.clone())
        })
    })
}

struct Driver {
    scheduler: Scheduler,
    now: Timestamp,
    commands: u64,
    offers: u64,
}

impl Driver {
    fn connected() -> Self {
        let mut scheduler = Scheduler::new(Config::default(), 1);
        let now = Timestamp::from_millis(1_600_000_000_000);
        let framework_id = FrameworkId::from("fw");
        let subscribed = Event::Subscribed { framework_id, heartbeat_interval: None, master: None };
        let _ = scheduler.step(now, Input::Event(Box::new(subscribed)));
        Self { scheduler, now, commands: 0, offers: 0 }
    }

    fn create(&mut self, pod: PodSpec) {
        let input = self.command(Command::CreatePod { pod, force: true, role_given: false });
        let _ = creating(&mut self.scheduler, self.now, input);
        self.finish(creating);
    }

    fn command(&mut self, command: Command) -> Input {
        self.commands += 1;
        Input::Command { id: CommandId(self.commands), origin: Origin::default(), command: Box::new(command) }
    }

    /// Has the scheduler do what it left for later steps. How long that takes, and the longest step of it.
    fn finish(&mut self, step: Step) -> (Duration, Duration) {
        let mut steps = Vec::new();
        while self.scheduler.deadline().is_some_and(|at| at <= self.now) {
            let start = Instant::now();
            let _ = black_box(step(&mut self.scheduler, self.now, Input::Tick));
            steps.push(start.elapsed());
        }
        (steps.iter().sum(), steps.into_iter().max().unwrap_or_default())
    }

    /// Has the `instances` that wait placed and started. Their tasks, each with its agent.
    fn start(&mut self, instances: usize) -> Vec<(TaskId, AgentId)> {
        let mut tasks = Vec::with_capacity(2 * instances);
        for agent in 0..instances.div_ceil(20) {
            let offers = Input::Event(Box::new(Event::Offers(vec![self.offer(agent, 16.0)])));
            tasks.extend(launched(&starting(&mut self.scheduler, self.now, offers)));
        }
        assert_eq!(tasks.len(), 2 * instances, "everything fits");
        self.time(starting, tasks.iter().map(|task| update(task, TaskState::TaskRunning)));
        self.finish(starting);
        tasks
    }

    /// A batch of offers, one from each of the `agents` from the one numbered `first` on.
    fn offers(&mut self, first: usize, agents: usize) -> Input {
        let offers = (first..first + OFFERS_PER_EVENT).map(|n| self.offer(n % agents, 16.0)).collect();
        Input::Event(Box::new(Event::Offers(offers)))
    }

    fn offer(&mut self, agent: usize, cpus: f64) -> Offer {
        self.offers += 1;
        let role = Role::from("*");
        let scalar =
            |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(role.clone());
        Offer {
            id: OfferId::from(format!("O{}", self.offers)),
            framework_id: FrameworkId::from("fw"),
            agent_id: AgentId::from(format!("S{agent}")),
            hostname: format!("agent-{agent}"),
            role: Some(role.clone()),
            resources: vec![
                scalar(ResourceKind::Cpus, cpus),
                scalar(ResourceKind::Mem, 65_536.0),
                scalar(ResourceKind::Disk, 100_000.0),
                Resource::ports(vec![PortRange { begin: 31_000, end: 32_000 }]).allocated_to(role.clone()),
            ],
            attributes: Vec::new(),
            executor_ids: Vec::new(),
            domain: None,
            unavailability: None,
        }
    }

    /// How long it takes to step through `inputs`. They are made in lots, so that they do not crowd the memory.
    fn time(&mut self, step: Step, mut inputs: impl Iterator<Item = Input>) -> Duration {
        let mut took = Duration::ZERO;
        loop {
            let lot: Vec<Input> = inputs.by_ref().take(10_000).collect();
            if lot.is_empty() {
                return took;
            }
            let start = Instant::now();
            for input in lot {
                let _ = black_box(step(&mut self.scheduler, self.now, input));
            }
            took += start.elapsed();
        }
    }
}

fn update((task, agent): &(TaskId, AgentId), state: TaskState) -> Input {
    let mut status = TaskStatus::new(task.clone(), state);
    status.agent_id = Some(agent.clone());
    status.source = Some(StatusSource::SourceExecutor);
    status.uuid = Some(StatusUuid::from_u128(7));
    Input::Event(Box::new(Event::Update(status)))
}

/// A pod of two containers that use `cpus` in all, executor apart.
fn pod(id: &str, cpus: f64, instances: usize) -> PodSpec {
    let container = |name: &str| {
        serde_json::json!({
            "name": name,
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": cpus / 2.0, "mem": 32}
        })
    };
    let json = serde_json::json!({
        "id": id,
        "containers": [container("a"), container("b")],
        "networks": [{"mode": "host"}],
        "scaling": {"kind": "fixed", "instances": instances}
    });
    read_pod(&json, &Rules::default()).expect("the pod is valid").pod
}
