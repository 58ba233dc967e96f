//! How the scheduler's cost grows: placing, status updates, offers that nobody can use, and the end of many pods,
//! through `step`.
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

#[path = "support/mod.rs"]
#[macro_use]
mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use podium_core::admission::{Rules, read_pod};
use podium_core::model::ids::{AgentId, GroupId, TaskId};
use podium_core::model::mesos::{Event, TaskState};
use podium_core::model::pod::PodSpec;
use podium_core::{Command, Config, Input};
use support::{Driver, Step, launched, update};

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

/// How many bytes are allocated now.
fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PODS: usize = 100;
const OFFERS_PER_EVENT: usize = 500;

phase!(creating);
phase!(placing);
phase!(updating);
phase!(repeating);
phase!(declining);
phase!(starting);
phase!(deleting);
phase!(ending);

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
}

/// Places `instances` two-container instances of 100 pods on a twentieth as many agents, then starts them all.
fn place(instances: usize) {
    let agents = (instances / 20).max(1);
    let mut driver = Driver::connected(Config::default());
    let before = allocated();
    for n in 0..PODS {
        driver.create(creating, pod(&format!("/p{n}"), 0.1, instances / PODS));
    }
    let mut tasks: Vec<(TaskId, AgentId)> = Vec::with_capacity(2 * instances);
    let mut took = Duration::ZERO;
    let mut offered = 0;
    while tasks.len() < 2 * instances {
        let input = driver.offers(offered, OFFERS_PER_EVENT, agents);
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
    let bytes = allocated().saturating_sub(before) / instances;
    println!("| {instances} | {agents} | {placed} | {updated} | {repeated} | {bytes} |");
}

/// Offers that are too small for any of `pods` different pods that wait.
fn unplaceable(pods: usize) {
    let mut driver = Driver::connected(Config::default());
    let rounds = 20;
    let start = Instant::now();
    for n in 0..pods {
        driver.create(creating, pod(&format!("/p{n}"), 20.0 + n as f64 / 1000.0, 1));
    }
    let created = per_second(pods, start.elapsed());
    let inputs: Vec<Input> =
        (0..rounds).map(|_| driver.offers(0, OFFERS_PER_EVENT, OFFERS_PER_EVENT)).collect();
    let took = driver.time(declining, inputs.into_iter());
    println!("| {pods} | {created} | {} |", per_second(rounds * OFFERS_PER_EVENT, took));
}

/// Deletes a group of `pods` pods, all in one deployment, and has their copies end one after another.
fn delete(pods: usize) {
    let mut driver = Driver::connected(Config::default());
    for n in 0..pods {
        driver.create(creating, pod(&format!("/g/p{n}"), 0.1, 1));
    }
    let tasks = driver.start(starting, pods);
    let command = driver.command(Command::DeleteGroup { id: GroupId::from("/g"), force: true });
    let first = driver.time(deleting, [command].into_iter());
    let (rest, longest) = driver.finish(deleting);
    let (deleted, longest) = (first + rest, longest.max(first));
    let ended = driver.time(ending, tasks.iter().map(|task| update(task, TaskState::TaskKilled)));
    assert_eq!(driver.scheduler.deployments(driver.now), [], "nothing is left to be done");
    println!("| {pods} | {deleted:.1?} | {longest:.1?} | {} |", per_second(pods, ended));
}

/// So many a second.
fn per_second(count: usize, took: Duration) -> String {
    format!("{:.0}", count as f64 / took.as_secs_f64())
}

impl Driver {
    /// Creates a pod.
    fn create(&mut self, step: Step, pod: PodSpec) {
        let input = self.command(Command::CreatePod { pod, force: true, role_given: false });
        let _ = step(&mut self.scheduler, self.now, input);
        self.finish(step);
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
    fn start(&mut self, step: Step, instances: usize) -> Vec<(TaskId, AgentId)> {
        let mut tasks = Vec::with_capacity(2 * instances);
        for agent in 0..instances.div_ceil(20) {
            let offers = Input::Event(Box::new(Event::Offers(vec![self.offer(agent, 16.0)])));
            tasks.extend(launched(&step(&mut self.scheduler, self.now, offers)));
        }
        assert_eq!(tasks.len(), 2 * instances, "everything fits");
        self.time(step, tasks.iter().map(|task| update(task, TaskState::TaskRunning)));
        self.finish(step);
        tasks
    }

    /// A batch of `count` offers, one from each of the `agents` from the one numbered `first` on.
    fn offers(&mut self, first: usize, count: usize, agents: usize) -> Input {
        let offers = (first..first + count).map(|n| self.offer(n % agents, 16.0)).collect();
        Input::Event(Box::new(Event::Offers(offers)))
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
