//! What the documentation says about the sources is true.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// A link to a test (`` [`name`](../path/of/file.rs) ``) or to a scenario (`[name.json](../path/name.json)`).
struct Link<'a> {
    text: &'a str,
    target: &'a str,
}

fn links(line: &str) -> impl Iterator<Item = Link<'_>> {
    line.split('[').skip(1).filter_map(|rest| {
        let (text, rest) = rest.split_once("](")?;
        let (target, _) = rest.split_once(')')?;
        Some(Link { text, target })
    })
}

/// What is wrong with `link`, which is in a file in `folder`.
fn complaint(folder: &Path, link: &Link<'_>) -> Option<String> {
    let Link { text, target } = link;
    let content = match std::fs::read_to_string(folder.join(target)) {
        Ok(content) => content,
        Err(error) => return Some(format!("{target}: {error}")),
    };
    if target.ends_with(".json") {
        return serde_json::from_str::<Value>(&content).err().map(|error| format!("{target}: {error}"));
    }
    let Some(name) = text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) else {
        return Some(format!("{text} is not the name of a test"));
    };
    let mut lines = content.lines();
    let is_declared = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    // Among the attributes above a test is `#[test]`, or that of its runtime.
    let mut is_test = false;
    let found = lines.any(|line| {
        let line = line.trim_start().trim_start_matches("async ");
        if is_declared(line) {
            return true;
        }
        let is_attribute = line.starts_with("#[") || line.starts_with("//");
        is_test =
            (is_attribute && is_test) || line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        false
    });
    match (found, is_test) {
        (true, true) => None,
        (true, false) => Some(format!("{name} in {target} is not a test")),
        (false, _) => Some(format!("{target} has no {name}")),
    }
}

#[test]
fn every_lesson_names_tests_that_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let lessons = std::fs::read_to_string(folder.join("lessons.md")).unwrap();
    let mut complaints = Vec::new();
    let mut numbers = BTreeSet::new();
    for line in lessons.lines() {
        let Some((number, rest)) = line.strip_prefix("| ").and_then(|line| line.split_once(" | ")) else {
            continue;
        };
        let Some((letter, index)) = number.split_once('-') else { continue };
        let Ok(index) = index.parse::<u32>() else { continue };
        numbers.insert((letter.to_owned(), index));
        let mut count = 0;
        for link in links(rest) {
            count += 1;
            complaints.extend(complaint(&folder, &link).map(|what| format!("{number}: {what}")));
        }
        if count == 0 {
            complaints.push(format!("{number} names no test"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // None is left out: the gaps are numbers that no weakness has.
    for (letter, last, gaps) in [
        ("A", 22, &[][..]),
        ("B", 35, &[33]),
        ("C", 44, &[27, 33]),
        ("D", 10, &[]),
        ("E", 14, &[]),
        ("F", 6, &[]),
    ] {
        let missing: Vec<u32> =
            (1..=last).filter(|index| !numbers.contains(&(letter.to_owned(), *index))).collect();
        assert_eq!(missing, gaps, "{letter}");
    }
}
