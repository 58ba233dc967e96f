//! How long readers hold up the scheduler: `cargo bench -p podium --bench reading [-- INSTANCES [SECONDS]]`.
//!
//! While some clients read the states of all instances over HTTP again and again, another one sends commands, one
//! after the other. A command that is refused writes nothing, so the time until its answer is the time until the
//! scheduler has had its next turn. The table shows that time without readers and with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use podium::api::{About, Api, EventLog, HttpSettings, bind};
use podium::driver::{self, Audience, Handle};
use podium::store::{Store, StoreError};
use podium_core::admission::{Rules, read_pod};
use podium_core::model::event::ApiEvent;
use podium_core::model::ids::{AgentId, FrameworkId, OfferId, PodId, Role, TaskId};
use podium_core::model::mesos::{
    Event, Offer, PortRange, Resource, ResourceKind, StatusSource, StatusUuid, TaskState, TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_core::model::time::Timestamp;
use podium_core::record::{Entry, Record};
use podium_core::{Action, Command, CommandId, Config, Input, Origin, Scheduler};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const READERS: usize = 4;
const OFFERS_PER_EVENT: usize = 500;

fn main() {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter_map(|arg| arg.parse::<u32>().ok());
    let instances = arguments.next().unwrap_or(100_000);
    let time = Duration::from_secs(arguments.next().unwrap_or(10).into());
    println!("{instances} instances of two containers each, {} s per row", time.as_secs());
    println!("| pods | readers | read | commands | median | 99.9 % | longest |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for pods in [100, 1] {
        let scheduler = running(pods, instances / pods);
        for readers in [0, READERS] {
            let runtime = tokio::runtime::Runtime::new().expect("there is memory for a few threads");
            runtime.block_on(measure(scheduler.clone(), pods, readers, time));
        }
    }
}

async fn measure(scheduler: Scheduler, pods: u32, readers: usize, time: Duration) {
    let (driver, _) = driver::start(scheduler, Box::new(Nowhere), Box::new(Nowhere), None);
    let listener = bind("127.0.0.1", 0).await.expect("there is a free port");
    let address = listener.address();
    let api = Api {
        driver: driver.clone(),
        events: Arc::new(EventLog::new(1)),
        rules: Arc::default(),
        about: Arc::new(About {
            framework_name: String::new(),
            leader: String::new(),
            http_port: 0,
            settings: serde_json::Map::new(),
        }),
        http: Arc::new(HttpSettings::default()),
        metrics: Arc::default(),
        abdication: Arc::default(),
    };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(listener.serve(api, stopped));
    let (done, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..readers)
        .map(|_| {
            let (done, read) = (done.clone(), read.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    read.fetch_add(read_all(address).await, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // On a thread of its own: how busy the server's threads are is another matter.
    let commander = {
        let driver = driver.clone();
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a timer needs nothing").block_on(command_again_and_again(&driver, time))
        })
    };
    let mut waits = commander.await.expect("the driver answers");
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("reading succeeds");
    }
    drop(stop);
    driver.stop().await;
    waits.sort();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
    println!(
        "| {pods} | {readers} | {} MB/s | {} | {:.2?} | {:.2?} | {:.2?} |",
        read.load(Ordering::Relaxed) / 1_000_000 / time.as_secs(),
        waits.len(),
        at(0.5),
        at(0.999),
        at(1.0),
    );
}

/// Reads the states of all pods, and says how many bytes that are.
async fn read_all(address: std::net::SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("the server accepts");
    let request = "GET /v2/pods/::status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("the server listens");
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer).await.expect("the server answers") {
            0 => return bytes,
            read => bytes += read as u64,
        }
    }
}

/// How long each command waited for its answer.
async fn command_again_and_again(driver: &Handle, time: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let mut waits = Vec::new();
    while began.elapsed() < time {
        let sent = Instant::now();
        let command = Command::ResetDelay { pod: PodId::from("/nobody") };
        let answer = driver.command(Origin::default(), command).await.expect("the driver runs");
        answer.expect_err("there is no such pod");
        waits.push(sent.elapsed());
        // Others have something to ask, too.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    waits
}

/// A scheduler with `pods` pods, of which `instances` instances each run.
fn running(pods: u32, instances: u32) -> Scheduler {
    let mut scheduler = Scheduler::new(Config::default(), 1);
    let now = Timestamp::from_millis(1_600_000_000_000);
    let event = |event| Input::Event(Box::new(event));
    let subscribed =
        Event::Subscribed { framework_id: FrameworkId::from("fw"), heartbeat_interval: None, master: None };
    let _ = scheduler.step(now, event(subscribed));
    for n in 0..pods {
        let command = Box::new(Command::CreatePod {
            pod: read_pod(&pod(n, instances), &Rules::default()).expect("the pod is valid").pod,
            force: true,
            role_given: false,
        });
        let input = Input::Command { id: CommandId(n.into()), origin: Origin::default(), command };
        let _ = scheduler.step(now, input);
        // What one step leaves for later ones.
        while scheduler.deadline().is_some_and(|at| at <= now) {
            let _ = scheduler.step(now, Input::Tick);
        }
    }
    let mut launched = 0;
    let mut offered = 0;
    while launched < pods * instances {
        let offers = (0..OFFERS_PER_EVENT).map(|n| offer(offered + n)).collect();
        offered += OFFERS_PER_EVENT;
        let mut tasks: Vec<(TaskId, AgentId)> = Vec::new();
        for action in scheduler.step(now, event(Event::Offers(offers))).actions {
            let Action::Accept(accept) = action else { continue };
            for launch in &accept.launches {
                launched += 1;
                let ids = launch.spec.containers.iter();
                let ids = ids.map(|container| launch.instance.task_id(&container.name, launch.incarnation));
                tasks.extend(ids.map(|task| (task, launch.agent.agent_id.clone())));
            }
        }
        for (task, agent) in tasks {
            let mut status = TaskStatus::new(task, TaskState::TaskRunning);
            status.agent_id = Some(agent);
            status.source = Some(StatusSource::SourceExecutor);
            status.uuid = Some(StatusUuid::from_u128(7));
            let _ = scheduler.step(now, event(Event::Update(status)));
        }
    }
    scheduler
}

fn pod(n: u32, instances: u32) -> serde_json::Value {
    let container = |name: &str| {
        serde_json::json!({
            "name": name,
            "exec": {"command": {"shell": "sleep 1000"}},
            "resources": {"cpus": 0.1, "mem": 32}
        })
    };
    serde_json::json!({
        "id": format!("/p{n}"),
        "containers": [container("a"), container("b")],
        "networks": [{"mode": "host"}],
        "scaling": {"kind": "fixed", "instances": instances}
    })
}

fn offer(n: usize) -> Offer {
    let role = Role::from("*");
    let scalar = |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(role.clone());
    Offer {
        id: OfferId::from(format!("O{n}")),
        framework_id: FrameworkId::from("fw"),
        agent_id: AgentId::from(format!("S{n}")),
        hostname: format!("agent-{n}"),
        role: Some(role.clone()),
        resources: vec![
            scalar(ResourceKind::Cpus, 16.0),
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

/// Takes everything and keeps nothing.
struct Nowhere;

impl Store for Nowhere {
    fn load(&mut self) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _: &[Record]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Audience for Nowhere {
    fn publish(&mut self, _: ApiEvent) {}
}
