//! What becomes of copies out of reach.

use super::*;

#[test]
fn a_copy_out_of_reach_that_is_given_up_while_its_pod_grows() {
    // Takes what is out of reach for gone.
    let impatient = bug!(hear, |input| {
        with_status(input, |status| {
            if status.state == TaskState::TaskUnreachable {
                status.state = TaskState::TaskUnknown;
            }
        })
    });
    let plan = |strategy: &str| {
        surplus(
            &format!(r#""unreachableStrategy": {strategy}"#),
            "",
            r#", "containers": [{ "launches": [2, 3], "do": { "start": ["2m", "2m"] } }],
                 "faults": [
                { "at": "32s", "do": { "agent_partitioned": { "agent": 0, "loss": false, "lasts": "1m50s" } } },
                { "at": "32s", "do": { "agent_partitioned": { "agent": 1, "loss": false, "lasts": "1m50s" } } }]"#,
        )
    };
    let disabled = plan(r#""disabled""#);
    assert_eq!(run(&disabled).violation, None);
    let found = violation_unheard(impatient, &disabled).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("strategy is disabled"), "{found}");
}

#[test]
fn a_place_that_nobody_takes() {
    /// Never says that a copy takes the place of another.
    #[derive(Clone, Default)]
    struct Secretive {
        known: BTreeSet<Uuid>,
        is_lost: bool,
    }
    impl Bug for Secretive {
        fn say(&mut self, output: &mut Output) {
            let Self { known, is_lost } = self;
            *is_lost |= output.records.iter().any(|record| {
                matches!(record, Record::Put(Entry::Instance(instance))
                    if instance.condition == Condition::UnreachableInactive)
            });
            output.records.retain(|record| {
                let Record::Put(Entry::Instance(instance)) = record else { return true };
                if !*is_lost {
                    known.insert(instance.id.uuid);
                }
                known.contains(&instance.id.uuid)
            });
            for action in &mut output.actions {
                if let Action::Accept(accept) = action
                    && accept.launches.iter().any(|launch| !known.contains(&launch.instance.uuid))
                {
                    let offer_ids = std::mem::take(&mut accept.offer_ids);
                    *action = Action::Call(Call::Decline { offer_ids, refuse: None });
                }
            }
        }
    }
    let strategy = r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 3600 }"#;
    let found = violation_unheard(Secretive::default(), &partition(strategy)).to_string();
    assert!(
        found.starts_with("unreachable: ") && found.ends_with("no other copy takes its place"),
        "{found}"
    );
}

#[test]
fn a_copy_out_of_reach_that_is_never_given_up() {
    // Never says that a copy is given up.
    let faithful = bug!(say, |output| {
        output.records.retain(|record| !matches!(record, Record::Delete(Key::Instance(_))));
        for instance in copies(output) {
            instance.goal = Goal::Running;
        }
    });
    let strategy = r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 60 }"#;
    let found = violation_unheard(faithful, &partition(strategy)).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("should have been given up"), "{found}");
}

#[test]
fn copies_that_are_given_up_by_old_news() {
    // Does not notice that it could not look for a while.
    let dreamy = bug!(hear, |input| {
        if matches!(input, Input::Resumed) {
            *input = Input::Tick;
        }
    });
    let plan = plan_with(
        r#""unreachableStrategy": { "inactiveAfterSeconds": 60, "expungeAfterSeconds": 120 }"#,
        r#", "faults": [
          { "at": "20s", "do": { "agent_partitioned": { "agent": 0, "loss": false, "lasts": "2m20s" } } },
          { "at": "20s", "do": { "agent_partitioned": { "agent": 1, "loss": false, "lasts": "2m20s" } } },
          { "at": "1m50s", "do": { "scheduler_suspended": { "lasts": "2m" } } }
        ]"#,
    );
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard(dreamy, &plan).to_string();
    assert!(found.starts_with("unreachable: ") && found.contains("Mesos has not said again"), "{found}");
}
