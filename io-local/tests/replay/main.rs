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
    let folders = folders();
    for folder in &folders {
        let name = name(folder);
        match Recording::read(folder) {
            // Whatever becomes of one recording, the others are played.
            Ok(recording) => match std::panic::catch_unwind(|| closest(&recording)) {
                Ok((played, differences)) => {
                    println!("{}", report(&name, &recording, &played, &differences));
                    if !differences.is_empty() {
                        differ.push(name);
                    }
                }
                Err(_) => {
                    println!("{name}: the model panics");
                    differ.push(name);
                }
            },
            Err(problem) => {
                println!("{name}: cannot be read: {problem}");
                differ.push(name);
            }
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
    for (what, name, change) in changes {
        let mut recording = Recording::read(&repository().join(name)).unwrap();
        assert_eq!(closest(&recording).1, [], "{name}");
        change(&mut recording);
        assert_ne!(closest(&recording).1, [], "{what} in {name} goes unnoticed");
    }
}

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

/// All folders that look like recordings, in the order of their names.
fn folders() -> Vec<PathBuf> {
    let folder = env::var_os("PODIUM_MESOS_CAPTURES").map_or_else(repository, PathBuf::from);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("calls.jsonl").exists()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} holds no recordings", folder.display());
    folders
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
