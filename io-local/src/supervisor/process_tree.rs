//! All processes that descend from this one, found through `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends SIGKILL to every living descendant of `root`, whatever group or session it has moved to.
///
/// A process may fork while this looks, so call it again until nothing is left.
pub(super) fn kill_descendants(root: Pid) {
    for pid in descendants(root, processes()) {
        // It may have ended in the meantime.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// A line of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
}

fn descendants(root: Pid, processes: Vec<Process>) -> BTreeSet<i32> {
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut found = BTreeSet::new();
    let mut unseen = vec![root.as_raw()];
    while let Some(parent) = unseen.pop() {
        for &pid in children.get(&parent).into_iter().flatten() {
            if found.insert(pid) {
                unseen.push(pid);
            }
        }
    }
    found
}

/// The process table. What cannot be read has ended since the directory was listed.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| parse(&fs::read(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// Reads `pid (name) state parent …`. The name is the program's own choice and may hold anything, brackets
/// included, so the last bracket counts.
fn parse(stat: &[u8]) -> Option<Process> {
    let end_of_name = stat.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(stat.split(|&byte| byte == b' ').next()?).ok()?.parse().ok()?;
    let rest = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    let parent = rest.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Process { pid, parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_deceive() {
        assert_eq!(parse(b"7 (sh) S 3 7 7 0 -1"), Some(Process { pid: 7, parent: 3 }));
        assert_eq!(parse(b"8 (a) S 1 (b\xff) R 9 8 8"), Some(Process { pid: 8, parent: 9 }));
        assert_eq!(parse(b"8 (sh"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn finds_all_generations_and_nobody_else() {
        let process = |pid, parent| Process { pid, parent };
        let table =
            vec![process(1, 0), process(5, 2), process(2, 1), process(3, 2), process(4, 3), process(9, 1)];
        assert_eq!(descendants(Pid::from_raw(2), table), BTreeSet::from([3, 4, 5]));
    }
}
