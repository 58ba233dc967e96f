//! Each section of the Pods page has a scenario, and so has each big weakness of Marathon.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The sections of the Pods page.
const SECTIONS: [&str; 28] = [
    "Features",
    "Quick Start",
    "Technical Overview",
    "Networking",
    "Service name length limitations",
    "Ephemeral Storage",
    "Pod Events and State",
    "Pod Definitions",
    "Executor Resources",
    "Secrets",
    "Volumes",
    "Containerizers",
    "Create and Manage Pods",
    "Create",
    "Status",
    "Delete",
    "Example Pod Definitions",
    "Annotated simple pod definition",
    "Basic pod fields",
    "Basic pod container fields",
    "Annotated multi-pod with all parameters",
    "Additional pod fields",
    "Additional pod container fields",
    "A pod with multiple containers",
    "A Pod that Uses Ephemeral Volumes",
    "IP-per-Pod Networking",
    "Complete Pod",
    "Limitations",
];

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The rows of the table under `heading`, but for its own head: the first cell, and all of the row.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, part) = page.split_once(heading).expect("there is such a part");
    let part = part.split("\n## ").next().unwrap_or_default();
    let cells = |line: &'a str| Some((line.strip_prefix("| ")?.split_once(" | ")?.0, line));
    part.lines().filter_map(cells).skip(1).collect()
}

/// The scenarios that a row links, by the names of their files.
fn scenarios(row: &str) -> Vec<&str> {
    let targets = row.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter_map(|target| target.rsplit_once("scenarios/")?.1.strip_suffix(".json")).collect()
}

#[test]
fn every_section_of_the_pods_page_has_a_scenario() {
    let page = read("COVERAGE.md");
    let rows = rows(&page, "## The Pods page");
    let sections: Vec<&str> = rows.iter().map(|(section, _)| *section).collect();
    assert_eq!(sections, SECTIONS);
    let all = podium_scenarios::all().unwrap();
    assert!(all.len() >= 40);
    for (section, row) in rows {
        let named = scenarios(row);
        assert!(!named.is_empty(), "{section} has no scenario");
        for name in named {
            let scenario = all.iter().find(|scenario| scenario.name == name);
            let scenario = scenario.unwrap_or_else(|| panic!("{section} names {name}, which does not exist"));
            assert!(!scenario.plan.expect.is_empty(), "{name} expects nothing");
        }
    }
}

#[test]
fn every_big_weakness_of_marathon_has_a_scenario() {
    let page = read("COVERAGE.md");
    let elsewhere: BTreeSet<&str> = rows(&page, "## Weaknesses of Marathon")
        .into_iter()
        .flat_map(|(weaknesses, _)| weaknesses.split(", "))
        .collect();
    let lessons = read("../docs/lessons.md");
    let is_weakness = |cell: &str| {
        cell.split_once('-')
            .is_some_and(|(letter, number)| letter.len() == 1 && number.parse::<u32>().is_ok())
    };
    let weaknesses: BTreeMap<&str, &str> = lessons
        .lines()
        .filter_map(|line| Some((line.strip_prefix("| ")?.split_once(" | ")?.0, line)))
        .filter(|(cell, _)| is_weakness(cell))
        .collect();
    for (weakness, row) in &weaknesses {
        let has_scenario = !scenarios(row).is_empty();
        assert!(
            has_scenario != elsewhere.contains(weakness),
            "{weakness} needs a scenario in docs/lessons.md or a reason in COVERAGE.md, and not both"
        );
    }
    let unknown: Vec<_> = elsewhere.iter().filter(|weakness| !weaknesses.contains_key(*weakness)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no weaknesses");
}
