//! What is kept and what clients are told.

use super::*;

#[test]
fn a_version_that_was_there_before() {
    let backward = bug!(say, |output| {
        for action in &mut output.actions {
            if let Action::Reply { result: Ok(response), .. } = action
                && let Response::PodUpdated { pod, .. } = &mut **response
            {
                Arc::make_mut(pod).version = Timestamp::EPOCH;
            }
        }
    });
    assert_eq!(verdict(backward), "history");
}

#[test]
fn a_change_that_goes_back_in_history() {
    let rewound = bug!(say_with, Option<Timestamp>, |first, output| {
        for record in &mut output.records {
            if let Record::Put(Entry::Pod(PodState { current: Some(version), .. })) = record
                && *first.get_or_insert(*version) < *version
            {
                *version = Timestamp::EPOCH;
            }
        }
    });
    let found = violation(rewound, &plan_with("", "")).to_string();
    assert!(found.starts_with("history: /web went from version"), "{found}");
}

#[test]
fn a_history_that_is_tidied_up() {
    let tidy = bug!(say, |output| {
        let old = output.records.iter().filter_map(|record| match record {
            Record::Put(Entry::PodVersion(spec)) => {
                Some(Record::Delete(Key::PodVersion(spec.id.clone(), Timestamp::EPOCH)))
            }
            _ => None,
        });
        let old: Vec<Record> = old.collect();
        output.records.extend(old);
    });
    assert_eq!(verdict(tidy), "history");
}

/// Says that something is deleted, and does nothing for it.
#[derive(Clone, Default)]
struct Liar {
    asked: Option<(CommandId, Response)>,
    pod: Option<PodState>,
}

impl Bug for Liar {
    fn hear(&mut self, input: &mut Input) {
        let Input::Command { id, command, .. } = input else { return };
        let (deployment, version) = (DeploymentId::new("none"), Timestamp::EPOCH);
        let response = match **command {
            Command::DeletePod { .. } => Response::PodDeleted { deployment },
            Command::DeleteGroup { .. } => Response::GroupDeleted { deployment, version },
            _ => return,
        };
        self.asked = Some((*id, response));
        *input = Input::Tick;
    }

    fn say(&mut self, output: &mut Output) {
        for record in &output.records {
            if let Record::Put(Entry::Pod(state)) = record {
                self.pod = Some(state.clone());
            }
        }
        if let (Some((id, response)), Some(pod)) = (self.asked.take(), self.pod.clone()) {
            output.records.push(Record::Put(Entry::Pod(PodState { current: None, ..pod })));
            output.actions.push(Action::Reply { id, result: Ok(Box::new(response)) });
        }
    }
}

#[test]
fn a_deletion_that_is_only_said() {
    assert_eq!(violation_unheard(Liar::default(), &plan()).oracle, "deletion");
    let mut plan = plan();
    plan.mended_at = Some("20m".parse().unwrap());
    plan.workload[2].what = Request::DeleteGroup { group: "/".to_owned(), force: true };
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard(Liar::default(), &plan).to_string();
    assert!(found.starts_with("deletion: ") && found.ends_with("the API still shows it"), "{found}");
}

#[test]
fn a_change_that_is_not_kept() {
    let forgetful = bug!(say, |output| {
        output.records.retain(|record| !matches!(record, Record::Delete(Key::Deployment(_))));
    });
    assert_eq!(violation_unheard(forgetful, &plan()).oracle, "restore");
}

#[test]
fn a_request_that_does_not_do_what_its_dry_run_said() {
    // Takes what is to be changed by force for what is not.
    let moody = bug!(hear, |input| {
        if let Input::Command { command, .. } = input
            && let Command::UpdatePod { force, .. } = &mut **command
        {
            *force = false;
        }
    });
    let mut plan = surplus("", "", "");
    plan.rehearsed = true;
    let at = plan.workload[1].at;
    let what = Request::Scale { pod: "/web".to_owned(), instances: 5, force: true };
    plan.workload.insert(2, Planned::at(at, what));
    assert_eq!(run(&plan).violation, None);
    let found = violation(moody, &plan).to_string();
    assert!(
        found.starts_with("rehearsal: the dry run was accepted, the request refused: App is locked"),
        "{found}"
    );
}

#[test]
fn a_deployment_that_does_more_than_its_dry_run_said() {
    /// Ends two copies where one is to end, and says and keeps that it was one.
    #[derive(Clone, Default)]
    struct Zealous(bool);
    impl Bug for Zealous {
        fn hear(&mut self, input: &mut Input) {
            self.0 = false;
            if let Input::Command { command, .. } = input
                && let Command::UpdatePod { pod, .. } = &mut **command
                && pod.scaling.instances == 2
            {
                pod.scaling.instances = 1;
                self.0 = true;
            }
        }

        fn say(&mut self, output: &mut Output) {
            let kept = output.records.iter_mut().filter_map(|record| match record {
                Record::Put(Entry::PodVersion(spec)) => Some(spec),
                _ => None,
            });
            let said = output.actions.iter_mut().filter_map(|action| match action {
                Action::Reply { result: Ok(response), .. } => match &mut **response {
                    Response::PodUpdated { pod, .. } => Some(pod),
                    _ => None,
                },
                _ => None,
            });
            for spec in kept.chain(said).filter(|_| self.0) {
                Arc::make_mut(spec).scaling.instances = 2;
            }
        }
    }
    let mut plan = surplus("", "", "");
    plan.rehearsed = true;
    assert_eq!(run(&plan).violation, None);
    let found = violation(Zealous::default(), &plan).to_string();
    assert!(found.starts_with("rehearsal: deployment ") && found.contains(", and did "), "{found}");
}

#[test]
fn an_answer_that_comes_twice() {
    let stutter = bug!(say, |output| {
        let replies = output.actions.iter().filter(|action| matches!(action, Action::Reply { .. }));
        let replies: Vec<Action> = replies.cloned().collect();
        output.actions.extend(replies);
    });
    assert_eq!(verdict(stutter), "answers");
}

#[test]
fn a_timer_that_never_rests() {
    #[derive(Clone, Default)]
    struct Restless;
    impl Bug for Restless {
        fn deadline(&self, _: Option<Timestamp>) -> Option<Timestamp> {
            Some(Timestamp::EPOCH)
        }
    }
    assert_eq!(verdict(Restless), "rest");
}

#[test]
fn a_launch_after_a_deletion() {
    let undead = bug!(say_with, Option<Arc<Instance>>, |copy, output| {
        let is_launched = |record: &Record| match record {
            Record::Put(Entry::Instance(instance)) if instance.incarnation > 0 => Some(instance.clone()),
            _ => None,
        };
        *copy = output.records.iter().find_map(is_launched).or(copy.take());
        let is_deletion =
            |record: &Record| matches!(record, Record::Put(Entry::Pod(pod)) if pod.current.is_none());
        if output.records.iter().any(is_deletion)
            && let Some(mut copy) = copy.take()
        {
            Arc::make_mut(&mut copy).incarnation += 1;
            output.records.push(Record::Put(Entry::Instance(copy)));
        }
    });
    let found = violation_unheard(undead, &plan()).to_string();
    assert!(
        found.starts_with("deletion: ") && found.ends_with("is launched, but its pod was deleted"),
        "{found}"
    );
}

#[test]
fn a_group_that_is_forgotten() {
    let forgetful = bug!(remember, |entries| {
        entries.retain(|entry| !matches!(entry, Entry::Group(_)));
    });
    let crash = r#", "faults": [{ "at": "1m", "do": { "scheduler_crashed": { "lasts": "20s" } } }]"#;
    let mut plan = surplus("", "", crash);
    let update =
        r#"{ "at": "20s", "do": { "update_group": { "group": { "id": "/g", "dependencies": ["/h"] } } } }"#;
    plan.workload.push(serde_json::from_str(update).unwrap());
    assert_eq!(run(&plan).violation, None);
    let found = violation(forgetful, &plan).to_string();
    assert!(found.starts_with("restore: ") && found.contains("the groups"), "{found}");
}

#[test]
fn a_delay_that_is_not_kept() {
    let forgetful = bug!(say, |output| {
        for record in &mut output.records {
            if let Record::Put(Entry::Pod(pod)) = record {
                pod.delay = None;
            }
        }
    });
    let fails = r#", "containers": [{ "do": { "launch_fails": 1000 } }]"#;
    let plan = surplus("", "", fails);
    assert_eq!(run(&plan).violation, None);
    let found = violation(forgetful, &plan).to_string();
    assert!(found.starts_with("queue: ") && found.contains("and by the queue"), "{found}");
}

#[test]
fn a_definition_that_is_overwritten() {
    let editor = bug!(say, |output| {
        let is_definition = |record: &&Record| matches!(record, Record::Put(Entry::PodVersion(_)));
        if let Some(Record::Put(Entry::PodVersion(spec))) = output.records.iter().find(is_definition) {
            let mut spec = spec.clone();
            Arc::make_mut(&mut spec).labels.insert("edited".to_owned(), String::new());
            output.records.push(Record::Put(Entry::PodVersion(spec)));
        }
    });
    let found = violation(editor, &plan()).to_string();
    assert!(found.starts_with("history: version ") && found.ends_with("was overwritten"), "{found}");
}

#[test]
fn a_definition_that_cannot_be_read_after_a_crash() {
    // Forgets what is not in use any more.
    let amnesiac = bug!(remember, |entries| {
        let current = |entry: &Entry| match entry {
            Entry::Pod(pod) => pod.current,
            _ => None,
        };
        if let Some(current) = entries.iter().find_map(current) {
            entries.retain(|entry| !matches!(entry, Entry::PodVersion(spec) if spec.version < current));
        }
    });
    let crash = r#", "faults": [{ "at": "9m", "do": { "scheduler_crashed": { "lasts": "20s" } } }]"#;
    let found = violation(amnesiac, &plan_with("", crash)).to_string();
    assert!(found.starts_with("history: version ") && found.ends_with("cannot be read any more"), "{found}");
}

#[test]
fn records_that_nobody_can_continue_from() {
    let careless = bug!(remember, |entries| {
        entries.retain(|entry| !matches!(entry, Entry::Pod(_)));
    });
    let found = violation(careless, &plan()).to_string();
    assert!(found.starts_with("restore: the scheduler cannot continue"), "{found}");
}

/// Does not keep entries of one kind.
macro_rules! lose {
    ($plan:expr, $pattern:pat) => {{
        let lossy = bug!(say, |output| {
            output.records.retain(|record| !matches!(record, Record::Put($pattern)));
        });
        let plan = $plan;
        assert_eq!(run(&plan).violation, None);
        violation(lossy, &plan).to_string()
    }};
}

/// No client is shown these, so that they are not kept shows in what becomes of the copies after a crash.
#[test]
fn copies_that_are_gone_and_forgotten() {
    let crash = |on: &str| -> Planned<Fault> {
        serde_json::from_str(&format!(r#"{{ {on}, "do": {{ "scheduler_crashed": {{ "lasts": "5s" }} }} }}"#))
            .unwrap()
    };
    let mut plan = partition(r#"{ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }"#);
    plan.faults.push(crash(r#""at": "4m""#));
    let found = lose!(plan, Entry::Forgotten(_));
    assert!(found.starts_with("unreachable: ") && found.ends_with("and is not killed"), "{found}");
    let mut plan = placement::residents();
    plan.faults.push(crash(r#""at": "2m", "on": "kill", "after": "700ms""#));
    let found = lose!(plan, Entry::Leftover(_));
    assert!(found.starts_with("volumes: ") && found.ends_with("which is gone"), "{found}");
}
