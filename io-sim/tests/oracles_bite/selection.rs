//! Who is ended.

use super::*;

/// Has another definition in mind than the one that it makes durable.
macro_rules! misread_definitions {
    ($in_mind:expr, $durable:expr) => {{
        #[derive(Clone, Default)]
        struct Misreads;
        impl Bug for Misreads {
            fn hear(&mut self, input: &mut Input) {
                if let Input::Command { command, .. } = input
                    && let Command::CreatePod { pod, .. } | Command::UpdatePod { pod, .. } = &mut **command
                {
                    $in_mind(&mut pod.scheduling);
                }
            }

            fn say(&mut self, output: &mut Output) {
                for record in &mut output.records {
                    if let Record::Put(Entry::PodVersion(spec)) = record {
                        $durable(&mut Arc::make_mut(spec).scheduling);
                    }
                }
            }
        }
        Misreads
    }};
}

#[test]
fn the_wrong_one_of_equal_copies_ends() {
    fn set(selection: KillSelection) -> impl Fn(&mut Scheduling) {
        move |scheduling| scheduling.kill_selection = selection
    }
    let young = misread_definitions!(set(KillSelection::OldestFirst), set(KillSelection::YoungestFirst));
    let old = misread_definitions!(set(KillSelection::YoungestFirst), set(KillSelection::OldestFirst));
    let plan = surplus("", "", "");
    assert_eq!(run(&plan).violation, None);
    let found = violation(young, &plan).to_string();
    assert!(found.ends_with("although it is the older one and killSelection is YOUNGEST_FIRST"), "{found}");
    let found = violation(old, &plan).to_string();
    assert!(found.ends_with("although it is the younger one and killSelection is OLDEST_FIRST"), "{found}");
    assert!(found.starts_with("selection: "), "{found}");
}

#[test]
fn a_healthy_copy_ends_and_an_unhealthy_one_stays() {
    /// Believes that everything is healthy, but keeps what it was told.
    #[derive(Clone, Default)]
    struct Hopeful {
        told: BTreeMap<TaskId, bool>,
        copies: BTreeMap<Uuid, Arc<Instance>>,
        is_told: bool,
    }
    impl Bug for Hopeful {
        fn hear(&mut self, input: &mut Input) {
            self.is_told = false;
            with_status(input, |status| {
                self.is_told = status.healthy.is_some();
                self.told.extend(status.healthy.map(|healthy| (status.task_id.clone(), healthy)));
                status.healthy = status.healthy.map(|_| true);
            })
        }

        fn say(&mut self, output: &mut Output) {
            for record in &output.records {
                match record {
                    Record::Put(Entry::Instance(copy)) => self.copies.insert(copy.id.uuid, copy.clone()),
                    Record::Delete(Key::Instance(id)) => self.copies.remove(&id.uuid),
                    _ => None,
                };
            }
            if self.is_told {
                output.records.extend(self.copies.values().cloned().map(Entry::Instance).map(Record::Put));
            }
            for instance in copies(output) {
                for task in &mut instance.tasks {
                    let id = instance.id.task_id(&task.container, instance.incarnation);
                    task.healthy = self.told.get(&id).copied().or(task.healthy);
                }
            }
        }
    }
    let check = r#", "healthCheck": { "exec": { "command": { "shell": "check" } }, "intervalSeconds": 5,
                     "timeoutSeconds": 1, "maxConsecutiveFailures": 30, "gracePeriodSeconds": 5 }"#;
    let ill = r#", "faults": [
        { "at": "3m30s", "do": { "container_unhealthy": { "of": { "nth": 0 }, "lasts": "2m" } } }]"#;
    let plan = surplus("", check, ill);
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard(Hopeful::default(), &plan).to_string();
    assert!(
        found.starts_with("selection: ") && found.contains("the one serves and the other is not"),
        "{found}"
    );
}

#[test]
fn the_wrong_one_ends_when_a_copy_has_returned() {
    fn set(wanted: OnReturn) -> impl Fn(&mut Scheduling) {
        move |scheduling| {
            if let UnreachableStrategy::Enabled { on_return, .. } = &mut scheduling.unreachable_strategy {
                *on_return = Some(wanted);
            }
        }
    }
    let original = misread_definitions!(set(OnReturn::Replacement), set(OnReturn::Original));
    let replacement = misread_definitions!(set(OnReturn::Original), set(OnReturn::Replacement));
    let best_health = misread_definitions!(set(OnReturn::Original), set(OnReturn::BestHealth));
    let plan = |more: &str| {
        let strategy = format!(
            r#""unreachableStrategy": {{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 3600 {more} }}"#
        );
        let out_of_reach = r#", "faults": [
            { "at": "1m", "do": { "agent_partitioned": { "agent": 0, "loss": true, "lasts": "2m" } } }]"#;
        // One whose draws have the first copy on the machine that is lost.
        Plan { seed: 7, ..surplus(&strategy, "", out_of_reach) }
    };
    for (on_return, found) in [
        ("ORIGINAL", violation(original, &plan(""))),
        ("REPLACEMENT", violation(replacement, &plan(""))),
        ("BEST_HEALTH", violation(best_health, &plan(""))),
    ] {
        assert_eq!(run(&plan(&format!(r#", "onReturn": "{on_return}""#))).violation, None);
        let found = found.to_string();
        assert!(found.starts_with("selection: "), "{on_return}: {found}");
        assert!(found.contains(&format!("although onReturn is {on_return}: ")), "{found}");
    }
}

#[test]
fn copies_end_where_few_are() {
    let blind = misread_definitions!(
        |scheduling: &mut Scheduling| scheduling.placement.constraints.truncate(1),
        |scheduling: &mut Scheduling| {
            let (field_name, operator) = ("rack".to_owned(), ConstraintOperator::GroupBy);
            scheduling.placement.constraints.truncate(1);
            scheduling.placement.constraints.push(Constraint { field_name, operator, value: None });
        }
    );
    // The youngest two are on one machine, with this seed.
    let text = r#"{ "seed": 7, "cluster": { "agents": [
          { "cpus": 4, "mem": 4096, "attributes": { "rack": "a" } },
          { "cpus": 4, "mem": 4096, "attributes": { "rack": "b" } }] },
        "mended_at": "6m",
        "containers": [{ "launches": [1, 2], "do": { "start": ["20s", "20s"] } }],
        "workload": [
          { "at": "2s", "do": { "create": { "pod": {
            "id": "/web", "scaling": { "kind": "fixed", "instances": 6 }, "networks": [{ "mode": "host" }],
            "scheduling": { "placement": { "constraints": [
              { "fieldName": "@hostname", "operator": "MAX_PER", "value": "3" },
              { "fieldName": "rack", "operator": "GROUP_BY" }] } },
            "containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
              "resources": { "cpus": 0.1, "mem": 32 } }] } } } },
          { "at": "4m", "do": { "scale": { "pod": "/web", "instances": 4 } } }
        ] }"#;
    let plan = Plan::from_json(text).unwrap();
    assert_eq!(run(&plan).violation, None);
    let found = violation(blind, &plan).to_string();
    assert!(found.starts_with("selection: ") && found.contains("that leaves 1 copies on"), "{found}");
}
