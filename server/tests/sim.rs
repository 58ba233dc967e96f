//! `podium sim` as a person meets it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn podium(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podium"));
    command.arg("sim").args(args).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(args: &[&str], folder: &Path) -> Output {
    podium(args, folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn any_number_of_jobs_gives_the_same_account() {
    let folder = tempfile::tempdir().unwrap();
    let account = |jobs| {
        let output = run(&["--seeds", "0..4", "--trace", "--jobs", jobs], folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let account = text(&output.stdout);
        // How long it took is the only thing that may differ.
        let timeless = account.lines().filter(|line| !line.contains("hours simulated in"));
        timeless.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = account("1");
    assert!(first.last().is_some_and(|line| line.starts_with("digest ")), "{first:?}");
    assert!(first.len() > 400);
    assert_eq!(account("3"), first);
}

#[test]
fn a_small_world_is_explored() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["explore", "--depth", "4"], folder.path());
    let account = text(&output.stdout);
    assert!(account.contains(" states, 4 events deep, "), "{account}");
    assert!(account.ends_with("nothing is violated\n"), "{account}");
    assert!(output.status.success());
}

#[test]
fn an_exploration_ends_on_an_interrupt_with_its_account() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = podium(&["explore", "--depth", "1000"], folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.ends_with(" events tried"), "{first}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut account = String::new();
    child.stdout.take().unwrap().read_to_string(&mut account).unwrap();
    assert!(account.contains(" states, 1000 events deep, "), "{account}");
    assert!(account.ends_with("nothing is violated so far: given up\n"), "{account}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_way_through_a_world_is_gone_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.json"), DISAPPOINTED).unwrap();
    let found = run(&["explore", "plan.json", "--from", "1m59s900ms", "--depth", "3"], folder.path());
    let account = text(&found.stdout);
    assert_eq!(found.status.code(), Some(1), "{account}{}", text(&found.stderr));
    let command =
        account.lines().find_map(|line| line.strip_prefix("to see it happen: podium sim ")).unwrap();
    let again = run(&command.split_whitespace().collect::<Vec<_>>(), folder.path());
    let violated = account.lines().find(|line| line.starts_with("violated: expectation: ")).unwrap();
    assert_eq!((again.status.code(), text(&again.stdout).lines().last()), (Some(1), Some(violated)));
    assert!(text(&again.stdout).contains("VIOLATED"), "{}", text(&again.stdout));
    let lost = run(&["explore", "plan.json", "--path", "0.99"], folder.path());
    let said = text(&lost.stderr);
    assert!(
        said.starts_with("podium: --path: after 1 events there are ") && lost.status.code() == Some(1),
        "{said}"
    );
}

#[test]
fn runs_are_compared_with_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let plain = run(&["--seeds", "3..4"], folder.path());
    let checked = run(&["--seeds", "3..4", "--check"], folder.path());
    let digest = |output: &Output| text(&output.stdout).lines().last().map(str::to_owned);
    assert_eq!((checked.status.code(), digest(&checked)), (Some(0), digest(&plain)));
    let plan = run(&["plan", "--seed", "3"], folder.path());
    std::fs::write(folder.path().join("plan.json"), plan.stdout).unwrap();
    let alone = run(&["run", "plan.json"], folder.path());
    assert_eq!((alone.status.code(), digest(&alone)), (Some(0), digest(&plain)), "a run has one digest");
}

#[test]
fn what_was_reached_can_be_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["--seeds", "0..2", "--coverage", "coverage.txt"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tables = std::fs::read_to_string(folder.path().join("coverage.txt")).unwrap();
    let (_, combinations) = tables.split_once("all of this came together:\n\n").unwrap();
    let (combinations, _) = combinations.split_once("\n\n").unwrap();
    let said = format!("\n{} combinations", combinations.lines().skip(1).count());
    assert!(text(&output.stdout).contains(&said), "{said}\n{}", text(&output.stdout));
    assert!(tables.contains("\nRunning ") && tables.contains("\nNever:\n"), "{tables}");
}

#[test]
fn it_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["--minutes", "0.01", "--from", "0"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("0 failed"), "{}", text(&output.stdout));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing failed, nothing is kept");
}

#[test]
fn an_interrupt_ends_it_with_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = podium(&["--minutes", "600", "--from", "0", "--jobs", "2"], folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("seeds from 0 on") && first.ends_with("for 36000s"), "{first}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut summary = String::new();
    child.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(summary.contains(" 0 failed, ") && summary.contains("\ndigest "), "{summary}");
}

#[test]
fn a_line_is_printed_now_and_then_where_there_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = podium(&["--minutes", "600", "--from", "0", "--jobs", "1"], folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "seeds from 0 on, for 36000s");
    let live = lines.next().unwrap();
    assert!(live.contains(" seeds, 0 failed, ") && live.ends_with("/min"), "{live}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bar_and_the_line_below_it_fit_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let mut child = podium(&["--seeds", "0..4", "--jobs", "1"], folder.path())
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(terminal.slave)
        .spawn()
        .unwrap();
    let mut screen = Vec::new();
    // The end of a terminal is an error.
    let _ = File::from(terminal.master).read_to_end(&mut screen);
    assert!(child.wait().unwrap().success());
    let rows = rows(&text(&screen), 80);
    let is_bar = |row: &&str| row.starts_with("00:0") && row.ends_with(['█', '░']);
    let is_live = |row: &&str| row.contains(" seeds, 0 failed, ") && row.ends_with("/min");
    assert!(rows.iter().map(String::as_str).all(|row| is_bar(&row) || is_live(&row)), "{rows:#?}");
    for is_there in [is_bar as fn(&&str) -> bool, is_live] {
        assert!(rows.iter().map(String::as_str).any(|row| is_there(&row)), "{rows:#?}");
    }
}

/// What there is to be read on a screen of so many columns, row by row as it is written: what is too long for one goes on
/// in the next one.
fn rows(screen: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut chars = screen.chars();
    while let Some(c) = chars.next() {
        match c {
            // A command: to go somewhere else, or to clear something.
            '\u{1b}' => _ = chars.by_ref().skip(1).find(char::is_ascii_alphabetic),
            '\r' | '\n' => rows.push(String::new()),
            c => {
                if rows.last().is_none_or(|row| row.chars().count() == columns) {
                    rows.push(String::new());
                }
                rows.last_mut().unwrap().push(c);
            }
        }
    }
    rows.iter().map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
}

#[test]
fn whoever_reads_only_the_beginning_is_not_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--seeds", "0..1000000", "--trace"][..], &["plan", "--seed", "1"], &["schema"]] {
        let mut child =
            podium(args, folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn results_that_cannot_be_written_are_an_error_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.json"), DISAPPOINTED).unwrap();
    for args in [
        &["--seeds", "0..1"][..],
        &["--seeds", "0..1", "--trace"],
        &["plan", "--seed", "1"],
        &["schema"],
        &["explore", "--depth", "1"],
        &["shrink", "plan.json"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = podium(args, folder.path()).stdout(full).output().unwrap();
        let said = text(&output.stderr);
        let expected = "podium: cannot write to standard output: No space left on device (os error 28)";
        assert_eq!((output.status.code(), said.lines().last()), (Some(1), Some(expected)), "{args:?}");
        // What is about to be shrunk is said first.
        assert_eq!(said.lines().count(), if args[0] == "shrink" { 2 } else { 1 }, "{args:?}: {said}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, plan: String| std::fs::write(folder.path().join(name), plan).unwrap();
    write(
        "late.json",
        DISAPPOINTED.replace(r#""faults""#, r#""mended_at": "30s", "faults""#).replace("70s", "7s"),
    );
    write("odd.json", DISAPPOINTED.replace("connection_broken", "connection_broke"));
    for (args, words) in [
        (&["--seeds", "5"][..], "0..100"),
        (&["--minutes", "0"], "--minutes 0"),
        (&["--minutes=-1"], "--minutes -1"),
        (&["--minutes", "-1"], "--minutes -1 is no time"),
        (&["--minutes", "1", "--seeds", "0..1"], "--seeds"),
        (&["--jobs", "0"], "--jobs"),
        (&["run", "missing.json"], "podium: cannot read missing.json: "),
        (&["shrink", "missing.json"], "podium: cannot read missing.json: "),
        (
            &["run", "late.json"],
            "podium: cannot use late.json: faults[1].at: 40s is after mended_at, which is 30s",
        ),
        (&["run", "odd.json"], "podium: cannot use odd.json: not a plan: faults[0].do: unknown variant"),
    ] {
        let output = run(args, folder.path());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
}

/// Three pods, two faults, and an expectation about one of the pods that is never true.
const DISAPPOINTED: &str = r#"{
  "about": "Disappointed on purpose",
  "cluster": { "agents": [{ "cpus": 4, "mem": 4096 }, { "cpus": 4, "mem": 4096 }] },
  "workload": [
    { "at": "2s", "do": { "create": { "pod": { "id": "/a", "scaling": { "kind": "fixed", "instances": 3 },
      "containers": [{ "name": "c", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
    { "at": "3s", "do": { "create": { "pod": { "id": "/b", "scaling": { "kind": "fixed", "instances": 2 },
      "containers": [{ "name": "c", "exec": { "command": { "shell": "x" } }, "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
    { "at": "70s", "do": { "scale": { "pod": "/b", "instances": 1 } } }
  ],
  "faults": [
    { "at": "30s", "do": { "connection_broken": {} } },
    { "at": "40s", "do": { "agent_disconnected": { "agent": 1 } } }
  ],
  "expect": [{ "at": "2m", "that": { "gone": "/a" } }]
}"#;

#[test]
fn a_failing_plan_is_shrunk_to_a_file_that_fails_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.json"), DISAPPOINTED).unwrap();
    let output = run(&["shrink", "plan.json", "--out", "small"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.starts_with("expectation: ") && said.contains("2 of 6 events are left"), "{said}");
    let file = "small/expectation-disappointed-on-purpose.json";
    assert!(said.contains(&format!("to see it happen: podium sim run {file}\n")), "{said}");
    let small = std::fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(small.contains("\"about\": \"Showed: expectation: ") && !small.contains("/b"), "{small}");
    let again = run(&["run", file], folder.path());
    assert!(
        !again.status.success() && text(&again.stderr).contains("there is a pod /a"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn an_interrupt_leaves_the_smallest_plan_so_far() {
    let folder = tempfile::tempdir().unwrap();
    // Many events, of which none can be left out in a short time.
    let mut plan: serde_json::Value =
        serde_json::from_slice(&run(&["plan", "--seed", "0"], folder.path()).stdout).unwrap();
    plan["expect"] = serde_json::json!([{ "at": "1m", "that": { "deployments": 1000 } }]);
    std::fs::write(folder.path().join("plan.json"), plan.to_string()).unwrap();
    let mut child = podium(&["shrink", "plan.json", "--out", "small", "--name", "it"], folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("to be shown by a smaller plan: expectation: "), "{first}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(said.contains(" runs, and it may become smaller yet: small/it.json\n"), "{said}");
    let again = run(&["run", "small/it.json"], folder.path());
    assert!(text(&again.stderr).contains("instead of 1000"), "{}", text(&again.stderr));
}

#[test]
fn a_plan_that_violates_nothing_is_not_shrunk() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.json"), DISAPPOINTED.replace("gone\": \"/a", "gone\": \"/c"))
        .unwrap();
    let output = run(&["shrink", "plan.json"], folder.path());
    assert!(!output.status.success() && text(&output.stderr).contains("violates nothing"));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn a_page_is_one_file_that_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.json"), DISAPPOINTED.replace("on purpose", "</script>")).unwrap();
    let output = run(&["run", "plan.json", "--html", "page.html"], folder.path());
    assert!(!output.status.success(), "the expectation is not true");
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "nothing of the plan ends a script");
    for outside in ["http://", "https://", "src=", "@import"] {
        let ours = page.matches(outside).count();
        // The name of the SVG namespace is no request.
        assert!(ours <= usize::from(outside == "http://"), "{outside} {ours} times");
    }
    let several = run(&["--seeds", "0..2", "--html", "page.html"], folder.path());
    assert!(text(&several.stderr).contains("one seed"), "{}", text(&several.stderr));
}
