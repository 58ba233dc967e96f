//! The files of plans are what they should be, and so is what is said of them.

use std::fs;
use std::path::Path;

use podium_sim::plan::Plan;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn the_schema_is_current() {
    let current = Plan::schema_text();
    assert!(
        read("plan.schema.json") == current,
        "plans have changed: podium sim schema > sim-scenarios/plan.schema.json"
    );
}

#[test]
fn every_file_is_valid_by_the_schema() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("plan.schema.json", Plan::schema().to_value()).unwrap();
    let schema = compiler.compile("plan.schema.json", &mut schemas).unwrap();
    let validate =
        |json: &serde_json::Value| schemas.validate(json, schema).map_err(|error| error.to_string());
    for scenario in podium_scenarios::all().unwrap() {
        let text = fs::read_to_string(&scenario.file).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(validate(&json), Ok(()), "{}", scenario.file.display());
        let written = serde_json::to_value(&scenario.plan).unwrap();
        assert_eq!(validate(&written), Ok(()), "{}, once it is written again", scenario.name);
    }
    let nonsense = serde_json::json!({ "cluster": { "agents": [{ "cpus": "many", "mem": 1 }] } });
    assert!(validate(&nonsense).is_err());
}

#[test]
fn every_scenario_says_what_it_is_about_in_the_table() {
    let scenarios = podium_scenarios::all().unwrap();
    assert!(scenarios.iter().all(|scenario| !scenario.plan.about.is_empty()));
    let rows = scenarios.iter().map(|scenario| format!("| {} | {} |\n", scenario.name, scenario.plan.about));
    let table: String =
        ["| scenario | what it shows |\n|---|---|\n".to_owned()].into_iter().chain(rows).collect();
    let readme = read("README.md");
    let (head, _) = readme.split_once("| scenario |").expect("there is a table");
    assert!(readme == format!("{head}{table}"), "the table in sim-scenarios/README.md is to be:\n{table}");
}
