//! The driver's promises: durable first, in order, in few writes, and nobody holds up anybody.

mod support;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use podium::driver::{self, Answer, DriverError, Handle, Stopped};
use podium::secrets::{SecretError, SecretStore};
use podium::store::{Store, StoreError};
use podium_core::admission::Rules;
use podium_core::model::mesos::{
    Call, EnvironmentValue, Event, OperationInfo, Secret, TaskState, VolumeSource,
};
use podium_core::model::time::Timestamp;
use podium_core::{Command, CommandId, Config, Input, Origin, Record, Response, Scheduler};
use support::{FakeMaster, Journal, JournalAudience, JournalStore, eventually, make_offer, pod};
use tokio::sync::oneshot::Receiver;

type Ended = Receiver<Result<(), DriverError>>;

fn start(config: Config, journal: &Journal, healthy_commits: usize) -> (Handle, Ended) {
    let store = JournalStore { journal: journal.clone(), healthy_commits };
    driver::start(
        Scheduler::new(config, 1),
        Box::new(store),
        Box::new(JournalAudience(journal.clone())),
        None,
    )
}

async fn create(driver: &Handle, id: &str) -> Result<Answer, Stopped> {
    driver
        .command(Origin::default(), Command::CreatePod { pod: pod(id, 1), force: false, role_given: false })
        .await
}

/// Occupies the driver until the sender is dropped.
async fn occupy(driver: &Handle) -> mpsc::Sender<()> {
    let (release, gate) = mpsc::channel::<()>();
    let (entered, entry) = tokio::sync::oneshot::channel();
    let driver = driver.clone();
    tokio::spawn(async move {
        let wait = move |_: &Scheduler, _| {
            entered.send(()).unwrap();
            let _ = gate.recv();
        };
        driver.query(wait).await
    });
    entry.await.unwrap();
    release
}

#[tokio::test]
async fn actions_follow_the_write_of_their_records() {
    let journal = Journal::default();
    let (driver, ended) = start(Config::default(), &journal, usize::MAX);
    let master = FakeMaster::new("m", &journal);
    master.accept(&driver).await;
    // In a turn of its own.
    journal.wait_for("scheduler_registered_event").await;
    let answer = create(&driver, "/a").await.unwrap().unwrap();
    assert!(matches!(*answer, Response::PodCreated { .. }), "{answer:?}");
    journal.write("the client has its answer");
    master.launch_what_waits(&driver, "offer", TaskState::TaskRunning).await;
    journal.wait_for("deployment_success").await;
    driver.stop().await;
    ended.await.unwrap().unwrap();

    let lines = journal.lines();
    let position = |text: &str| {
        let found = lines.iter().position(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("no {text}: {lines:#?}"))
    };
    let expected = [
        "+framework",
        "scheduler_registered_event",
        "+pod-version",
        "pod_created_event",
        "the client has its answer",
        "call to m: Accept",
        "call to m: Acknowledge",
        "deployment_success",
    ];
    assert!(expected.map(position).is_sorted(), "{lines:#?}");
    // What is known of a launch, and of a status, is durable before Mesos hears of it.
    for call in ["call to m: Accept", "call to m: Acknowledge"] {
        let before = lines[..position(call)].iter().rfind(|line| line.starts_with("commit")).unwrap();
        assert!(before.contains("+instance"), "{lines:#?}");
    }
}

/// The daemon before this one had a clock that was ahead, or this one's is behind.
#[tokio::test]
async fn time_goes_on_from_the_newest_record_if_the_clock_is_behind_it() {
    let wall = UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(3600);
    let later = Timestamp::EPOCH + wall;
    let mut before = Scheduler::new(Config::default(), 1);
    let command = Command::CreatePod { pod: pod("/a", 1), force: false, role_given: false };
    let command = Input::Command { id: CommandId(1), origin: Origin::default(), command: command.into() };
    let records = before.step(later, command).records.into_iter();
    let entries = records.filter_map(|record| match record {
        Record::Put(entry) => Some(entry),
        Record::Delete(_) => None,
    });
    let scheduler = Scheduler::restore(Config::default(), 2, entries).unwrap();
    let journal = Journal::default();
    let store = JournalStore { journal: journal.clone(), healthy_commits: usize::MAX };
    let audience = Box::new(JournalAudience(journal));
    let (driver, _ended) = driver::start(scheduler, Box::new(store), audience, None);
    let now = async || driver.query(|_: &Scheduler, now| now).await.unwrap();
    assert!(now().await >= later);
    let passes = async || (now().await > later + Duration::from_millis(5)).then_some(());
    eventually(passes).await;
}

#[tokio::test]
async fn a_failing_store_stops_everything_before_anything_happens() {
    let journal = Journal::default();
    let (driver, ended) = start(Config::default(), &journal, 0);
    let master = FakeMaster::new("m", &journal);
    driver.connected(Box::new(master)).await.unwrap();
    assert_eq!(create(&driver, "/a").await, Err(Stopped));
    let error = ended.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "cannot write to journal: the disk is full");
    assert_eq!(journal.lines(), ["commit fails"]);
    assert_eq!(driver.query(|_, _| ()).await, Err(Stopped));
    assert_eq!(driver.disconnected().await, Err(Stopped));
}

#[tokio::test]
async fn what_waits_shares_one_write() {
    // Few enough for one turn on a slow machine without optimization. On a busy one a turn may be over before it has
    // taken everything: then this is tried again.
    eventually(async || {
        let journal = Journal::default();
        let (driver, _ended) = start(Config::default(), &journal, usize::MAX);
        let release = occupy(&driver).await;
        let ids: Vec<_> = (0..5).map(|number| format!("/pod-{number}")).collect();
        let mut commands: Vec<_> = ids.iter().map(|id| Box::pin(create(&driver, id))).collect();
        for command in &mut commands {
            // Sends the command, and begins to wait for its answer.
            assert!(command.as_mut().now_or_never().is_none());
        }
        assert_eq!(journal.take(), [""; 0]);
        drop(release);
        for answer in join_all(commands).await {
            answer.unwrap().unwrap();
        }
        let lines = journal.take();
        assert!(lines[0].starts_with("commit"), "{}", lines[0]);
        let commits = lines.iter().filter(|line| line.starts_with("commit")).count();
        (commits == 1).then(|| assert_eq!(lines[0].matches("+pod-version").count(), 5))
    })
    .await;
}

#[tokio::test]
async fn calls_go_to_the_connection_they_were_meant_for() {
    eventually(async || {
        let journal = Journal::default();
        let (driver, _ended) = start(Config::default(), &journal, usize::MAX);
        create(&driver, "/a").await.unwrap().unwrap();
        journal.take();
        // What follows shall be one turn: the connection changes between steps, not between turns.
        let release = occupy(&driver).await;
        let (first, second) = (FakeMaster::new("first", &journal), FakeMaster::new("second", &journal));
        first.accept(&driver).await;
        driver.event(Event::Offers(vec![support::make_offer("o")])).await.unwrap();
        driver.disconnected().await.unwrap();
        second.accept(&driver).await;
        drop(release);
        journal.wait_for("call to second").await;
        let lines = journal.take();
        let calls: Vec<_> = lines.iter().filter(|line| line.starts_with("call")).collect();
        let accept = calls.iter().position(|line| *line == "call to first: Accept").expect("the launch");
        let reconcile =
            calls.iter().position(|line| *line == "call to second: Reconcile").expect("the comparison");
        assert!(accept < reconcile, "{calls:?}");
        assert!(!calls.iter().any(|line| *line == "call to second: Accept"), "{calls:?}");
        // If it was one; on a busy machine it may be over before, and this is tried again.
        let commits = lines.iter().filter(|line| line.starts_with("commit")).count();
        (commits == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_driver_ticks_when_the_scheduler_wants_it() {
    let journal = Journal::default();
    let config = Config { task_launch_timeout: Duration::from_millis(50), ..Config::default() };
    let (driver, _ended) = start(config, &journal, usize::MAX);
    let master = FakeMaster::new("m", &journal);
    create(&driver, "/a").await.unwrap().unwrap();
    master.accept(&driver).await;
    master.launch_what_waits(&driver, "offer", TaskState::TaskStarting).await;
    // The task never runs, and no other input comes.
    journal.wait_for("call to m: Kill").await;
}

#[tokio::test]
async fn a_query_that_panics_harms_only_its_asker() {
    let journal = Journal::default();
    let (driver, _ended) = start(Config::default(), &journal, usize::MAX);
    assert_eq!(driver.query(|_, _| -> () { panic!("on purpose") }).await, Err(Stopped));
    assert_eq!(driver.query(|scheduler, _| scheduler.instance_count()).await, Ok(0));
    create(&driver, "/a").await.unwrap().unwrap();
}

#[tokio::test]
async fn queries_do_not_hold_up_commands_nor_the_reverse() {
    let journal = Journal::default();
    let (driver, _ended) = start(Config::default(), &journal, usize::MAX);
    let slow = |_: &Scheduler, _| std::thread::sleep(Duration::from_millis(1));
    let askers: Vec<_> = (0..64)
        .map(|_| {
            let driver = driver.clone();
            tokio::spawn(async move { while driver.query(slow).await.is_ok() {} })
        })
        .collect();
    // Each of them would wait for 64 queries after each other if queries came first; a few turns if not.
    for number in 0..20 {
        create(&driver, &format!("/pod-{number}")).await.unwrap().unwrap();
    }
    let count = driver.query(|scheduler, _| scheduler.pods().count()).await.unwrap();
    assert_eq!(count, 20);
    driver.stop().await;
    for asker in askers {
        asker.await.unwrap();
    }
}

#[tokio::test]
async fn stopping_finishes_what_came_before() {
    let journal = Journal::default();
    let (driver, ended) = start(Config::default(), &journal, usize::MAX);
    let release = occupy(&driver).await;
    let mut command = pin!(create(&driver, "/a"));
    assert!(command.as_mut().now_or_never().is_none());
    driver.stop().await;
    drop(release);
    assert!(command.await.unwrap().is_ok());
    ended.await.unwrap().unwrap();
    eventually(async || (create(&driver, "/b").await == Err(Stopped)).then_some(())).await;
}

/// Secrets in memory.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl SecretStore for Secrets {
    fn read(&self, path: &str) -> Result<Vec<u8>, SecretError> {
        self.0.lock().unwrap().get(path).cloned().ok_or(SecretError::Missing)
    }
}

#[tokio::test]
async fn values_of_secrets_join_launches_and_are_seen_nowhere_else() {
    let journal = Journal::default();
    let secrets = Secrets::default();
    let records = Arc::new(Mutex::new(String::new()));
    let store = RecordingStore(records.clone());
    let audience = Box::new(JournalAudience(journal.clone()));
    let scheduler = Scheduler::new(Config::default(), 1);
    let (driver, ended) =
        driver::start(scheduler, Box::new(store), audience, Some(Box::new(secrets.clone())));
    let master = FakeMaster::new("m", &journal);
    master.accept(&driver).await;
    let rules = Rules { secrets: true, ..Rules::default() };
    let json = serde_json::json!({
        "id": "/p",
        "secrets": { "db": { "source": "/db/password" } },
        "environment": { "PASSWORD": { "secret": "db" } },
        "volumes": [{ "name": "v", "secret": "db" }],
        "containers": [{
            "name": "c",
            "exec": { "command": { "shell": "sleep 1000" } },
            "resources": { "cpus": 0.1, "mem": 32 },
            "volumeMounts": [{ "name": "v", "mountPath": "key" }],
        }],
    });
    let pod = podium_core::admission::read_pod(&json, &rules).unwrap().pod;
    let command = Command::CreatePod { pod, force: false, role_given: false };
    driver.command(Origin::default(), command).await.unwrap().unwrap();

    // The secret is missing: nothing is launched, the offer is given back, and the status says why.
    driver.event(Event::Offers(vec![make_offer("first")])).await.unwrap();
    let message = eventually(async || {
        let status = driver.query(|scheduler, now| scheduler.pod_status(&"/p".into(), now)).await.unwrap()?;
        status.instances[0].message.clone().filter(|message| message.contains("secret"))
    });
    let expected = "waits for the secret '/db/password': there is no such secret in the secret store";
    assert_eq!(message.await, expected);
    let launches = |master: &FakeMaster| -> Vec<(String, usize)> {
        let calls = master.calls.lock().unwrap();
        let accepts = calls.iter().filter_map(|call| match call {
            Call::Accept { offer_ids, operations, .. } => Some((offer_ids[0].to_string(), operations.len())),
            _ => None,
        });
        accepts.collect()
    };
    assert_eq!(launches(&master), [("first".to_owned(), 0)]);

    // What no variable can hold is as good as missing.
    secrets.0.lock().unwrap().insert("/db/password".to_owned(), vec![b'a', 0]);
    eventually(async || {
        driver.event(Event::Offers(vec![make_offer("second")])).await.unwrap();
        launches(&master).iter().any(|(offer, _)| offer == "second").then_some(())
    })
    .await;
    let status =
        driver.query(|scheduler, now| scheduler.pod_status(&"/p".into(), now)).await.unwrap().unwrap();
    assert!(status.instances[0].message.as_ref().unwrap().contains("NUL"), "{status:?}");

    secrets.0.lock().unwrap().insert("/db/password".to_owned(), b"s3cret".to_vec());
    eventually(async || {
        driver.event(Event::Offers(vec![make_offer("third")])).await.unwrap();
        launches(&master).iter().any(|launch| *launch == ("third".to_owned(), 1)).then_some(())
    })
    .await;
    let calls = master.calls.lock().unwrap().clone();
    let values = calls.iter().filter_map(|call| match call {
        Call::Accept { operations, .. } => Some(operations),
        _ => None,
    });
    let launch = values.flatten().find_map(|operation| match &operation.info {
        OperationInfo::LaunchGroup(group) => Some(group.tasks[0].clone()),
        _ => None,
    });
    let task = launch.unwrap();
    let value = Secret::Value(b"s3cret".to_vec());
    let variables = task.command.unwrap().environment;
    assert!(variables.iter().any(|variable| variable.value == EnvironmentValue::Secret(value.clone())));
    assert_eq!(task.container.unwrap().volumes[0].source, VolumeSource::Secret(value));
    driver.stop().await;
    ended.await.unwrap().unwrap();
    let records = records.lock().unwrap().clone();
    assert!(records.contains("/db/password") && !records.contains("s3cret"), "{records}");
    let bytes = format!("{:?}", b"s3cret").replace(' ', "");
    assert!(!records.contains(bytes.trim_matches(['[', ']'])), "{records}");
}

/// Keeps every record as JSON.
struct RecordingStore(Arc<Mutex<String>>);

impl Store for RecordingStore {
    fn load(&mut self) -> Result<Vec<podium_core::Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, records: &[podium_core::Record]) -> Result<(), StoreError> {
        self.0.lock().unwrap().push_str(&serde_json::to_string(records).unwrap());
        Ok(())
    }
}
