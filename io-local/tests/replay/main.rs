//! Recordings of a real Mesos, played to the model that the embedded cluster and the simulator run on. The recording
//! wins: the model must do what it shows, but for what `docs/simulator.md` lists.
//!
//! `PODIUM_MESOS_CAPTURES` names another folder of recordings, and what became of each of them is printed:
//!
//! ```sh
//! PODIUM_MESOS_CAPTURES=… cargo test -p podium-local --test replay -- --nocapture
//! ```

mod actions;
mod compare;
mod containers;
mod flags;
mod names;
mod offers;
mod operator;
mod outside;
mod player;
mod recording;

use std::path::{Path, PathBuf};
use std::{env, fs};

use compare::Difference;
use player::Played;
use podium_core::model::mesos::{Event, StatusReason, TaskState};
use recording::Recording;

/// The repository's recordings that the model does not reproduce, with reasons in `docs/simulator.md`.
const EXCEPTIONS: [&str; 3] = ["15-call-type-unknown", "20-two-frameworks-a", "25-zookeeper"];

/// How often what is chance in Mesos is drawn anew: in which order agents are allocated, and how the allocator's cycle
/// falls.
const DRAWS: u32 = 24;

#[test]
fn the_model_reproduces_the_recordings() {
    let mut differ = Vec::new();
    let folders = folders(&env::var_os("PODIUM_MESOS_CAPTURES").map_or_else(repository, PathBuf::from));
    for folder in &folders {
        let (is_reproduced, report) = verdict(folder);
        println!("{report}");
        if !is_reproduced {
            differ.push(name(folder));
        }
    }
    println!("{} of {} reproduced", folders.len() - differ.len(), folders.len());
    if env::var_os("PODIUM_MESOS_CAPTURES").is_none() {
        assert_eq!(differ, EXCEPTIONS);
    } else {
        differ.retain(|name| !EXCEPTIONS.contains(&&**name));
        assert!(differ.is_empty(), "not reproduced: {}", differ.join(", "));
    }
}

/// What nobody has seen before is read as it is: a recording that the model reproduces, the same with another answer to the
/// last call, and one that is not whole. What is no recording is left alone.
#[test]
fn recordings_of_others_are_played_too() {
    let others = tempfile::tempdir().unwrap();
    let original = repository().join("05-exit-0");
    for (name, files) in [
        ("a-changed", &["calls.jsonl", "events.jsonl", "meta.json"][..]),
        ("b-same", &["calls.jsonl", "events.jsonl", "meta.json"]),
        ("c-torn", &["calls.jsonl", "events.jsonl"]),
        ("d-notes", &["meta.json"]),
    ] {
        fs::create_dir(others.path().join(name)).unwrap();
        for file in files {
            fs::copy(original.join(file), others.path().join(name).join(file)).unwrap();
        }
    }
    let changed = others.path().join("a-changed/calls.jsonl");
    let calls = fs::read_to_string(&changed).unwrap();
    let last = calls.rfind("202 Accepted").unwrap();
    fs::write(&changed, format!("{}409 Conflict{}", &calls[..last], &calls[last + "202 Accepted".len()..]))
        .unwrap();

    let changed = "a-changed: differs at 7.454 s
    expected TEARDOWN answered 409 ''
    got      TEARDOWN answered 202";
    let verdicts: Vec<(bool, String)> = folders(others.path()).iter().map(|folder| verdict(folder)).collect();
    let events = Recording::read(&original).unwrap().events.len();
    assert_eq!(
        verdicts,
        [
            (false, changed.to_owned()),
            (true, format!("b-same: reproduced, {events} events")),
            (false, "c-torn: cannot be read: meta.json: No such file or directory (os error 2)".to_owned()),
        ]
    );
}

#[test]
fn every_exception_has_its_reason() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/simulator.md");
    let docs = fs::read_to_string(docs).unwrap();
    let rows: Vec<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(rows, EXCEPTIONS);
}

/// A recording that is changed in one point is not reproduced any more, and the difference names that point.
#[test]
fn a_changed_recording_is_found_out() {
    type Change = fn(&mut Recording);
    let changes: [(&str, &str, Change); 8] = [
        ("another state", "03-kill-one", |recording| {
            on_update(recording, TaskState::TaskKilled, |status| status.state = TaskState::TaskFailed);
        }),
        ("another reason", "08-agent-unreachable", |recording| {
            on_update(recording, TaskState::TaskUnreachable, |status| {
                status.reason = Some(StatusReason::ReasonAgentDisconnected);
            });
        }),
        ("no source", "05-exit-0", |recording| {
            on_update(recording, TaskState::TaskFinished, |status| status.source = None);
        }),
        ("an update less", "06-unacked-updates", |recording| {
            let starting = |event: &recording::RecordedEvent| matches!(&event.event, Event::Update(status) if status.state == TaskState::TaskStarting);
            let again = recording.events.iter().rposition(starting).unwrap();
            recording.events.remove(again);
        }),
        ("a failure too early", "22-executor-sigkill", |recording| {
            let failure = recording.events.iter().position(is_failure).unwrap();
            recording.events[failure].at += 100.0;
            recording.events.sort_by(|a, b| a.at.total_cmp(&b.at));
        }),
        ("a kill that takes longer", "23-kill-grace-expires", |recording| {
            let killed = |event: &recording::RecordedEvent| matches!(&event.event, Event::Update(status) if status.state == TaskState::TaskKilled);
            let late = std::time::Duration::from_secs(4);
            for event in recording.events.iter_mut().filter(|event| killed(event)) {
                event.at += 4000.0;
                if let Event::Update(status) = &mut event.event {
                    status.timestamp = status.timestamp.map(|made| made + late);
                }
            }
            recording.end += 4000.0;
            recording.events.sort_by(|a, b| a.at.total_cmp(&b.at));
        }),
        ("something else on offer", "03-kill-one", |recording| {
            let mut offers = recording.events.iter_mut().filter_map(|event| match &mut event.event {
                Event::Offers(offers) => Some(offers),
                _ => None,
            });
            offers.nth(1).unwrap()[0].resources.pop();
        }),
        ("another answer", "13-framework-failover", |recording| {
            let call = recording.calls.iter_mut().find(|call| call.body["type"] == "RECONCILE").unwrap();
            call.answer = recording::RecordedAnswer::Status(202, String::new());
        }),
    ];
    let mut reports = String::new();
    for (what, name, change) in changes {
        let mut recording = Recording::read(&repository().join(name)).unwrap();
        assert_eq!(closest(&recording).1, [], "{name}");
        change(&mut recording);
        let (played, differences) = closest(&recording);
        assert_ne!(differences, [], "{what} in {name} goes unnoticed");
        reports.push_str(&report(what, &recording, &played, &differences));
        reports.push('\n');
    }
    // Where a container ends by itself is taken from the recording: without a source nobody knows that it does.
    assert_eq!(reports, DIFFERENCES);
}

/// The first difference of each.
const DIFFERENCES: &str = "\
another state: differs at 5.309 s
    expected p.c TASK_FAILED, SourceExecutor, 'Command terminated with signal Killed', agent 1, executor p, to be acknowledged, with its container
    got      p.c TASK_KILLED, SourceExecutor, 'Command terminated with signal Killed', agent 1, executor p, to be acknowledged, with its container
another reason: differs at 10.590 s
    expected p.b TASK_UNREACHABLE, SourceMaster, ReasonAgentDisconnected, 'Reconciliation: Task is unreachable', agent 1, unreachable for some time
    got      p.b TASK_UNREACHABLE, SourceMaster, ReasonReconciliation, 'Reconciliation: Task is unreachable', agent 1, unreachable for some time
    note: what is on offer is not compared: some of it was offered to another framework
no source: differs at 5.902 s
    expected p.c TASK_FINISHED, 'Command exited with status 0', agent 1, executor p, to be acknowledged, with its container
    got      nothing more of it
an update less: differs at 76.062 s
    expected p.a TASK_RUNNING, SourceExecutor, agent 1, executor p, to be acknowledged, with its container
    got      p.a TASK_STARTING, SourceExecutor, agent 1, executor p, to be acknowledged, with its container, again
a failure too early: differs at 2.343 s
    expected p.a TASK_FAILED, SourceAgent, ReasonExecutorTerminated, 'Executor terminated', agent 1, executor p, to be acknowledged
    got      before it: FAILURE of executor p on agent 1, status Some(9)
a kill that takes longer: differs at 7.305 s
    expected FAILURE of executor p on agent 1, status Some(0)
    got      the stream ends
something else on offer: differs at 3.735 s
    expected on offer of agent 1 to 'pods': cpus 3.7, mem 8096, ports 1000
    got      on offer of agent 1 to 'pods': cpus 3.7, disk 9970, mem 8096, ports 1000
another answer: differs at 4.309 s
    expected RECONCILE answered 202
    got      RECONCILE answered 400 'The stream ID 'STREAM' included in this request didn't match the stream ID currently associated with framework ID FRAMEWORK'
";

fn on_update(
    recording: &mut Recording,
    state: TaskState,
    change: impl Fn(&mut podium_core::model::mesos::TaskStatus),
) {
    let statuses = recording.events.iter_mut().filter_map(|event| match &mut event.event {
        Event::Update(status) if status.state == state => Some(status),
        _ => None,
    });
    change(statuses.last().unwrap());
}

fn is_failure(event: &recording::RecordedEvent) -> bool {
    matches!(&event.event, Event::Failure(_))
}

/// Whether the model reproduces the recording in `folder`, and what there is to say about it. Whatever becomes of one
/// recording, the others are played.
fn verdict(folder: &Path) -> (bool, String) {
    let name = name(folder);
    let recording = match Recording::read(folder) {
        Ok(recording) => recording,
        Err(problem) => return (false, format!("{name}: cannot be read: {problem}")),
    };
    match std::panic::catch_unwind(|| closest(&recording)) {
        Ok((played, differences)) => {
            (differences.is_empty(), report(&name, &recording, &played, &differences))
        }
        Err(_) => (false, format!("{name}: the model panics")),
    }
}

/// The draw that comes closest to the recording.
fn closest(recording: &Recording) -> (Played, Vec<Difference>) {
    let draw = |draw| {
        let played = player::play(recording, draw);
        let differences = compare::differences(recording, &played);
        (played, differences)
    };
    let mut closest = draw(0);
    for number in 1..DRAWS {
        if closest.1.is_empty() {
            break;
        }
        let other = draw(number);
        if other.1.len() < closest.1.len() {
            closest = other;
        }
    }
    closest
}

fn report(name: &str, recording: &Recording, played: &Played, differences: &[Difference]) -> String {
    let mut text = match differences.first() {
        None => format!("{name}: reproduced, {} events", recording.events.len()),
        Some(first) => format!(
            "{name}: differs at {:.3} s\n    expected {}\n    got      {}",
            first.at / 1000.0,
            first.expected,
            first.got
        ),
    };
    for remark in &played.remarks {
        text.push_str("\n    note: ");
        text.push_str(remark);
    }
    text
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../io-mesos/tests/captures")
}

/// All folders in `folder` that look like recordings, in the order of their names.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("calls.jsonl").exists()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} holds no recordings", folder.display());
    folders
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
