//! What is kept and what clients are told.

use super::*;

#[test]
fn a_version_that_was_there_before() {
    #[derive(Clone, Default)]
    struct Backward;
    impl Bug for Backward {
        fn say(&mut self, mut output: Output) -> Output {
            for action in &mut output.actions {
                if let Action::Reply { result: Ok(response), .. } = action
                    && let Response::PodUpdated { pod, .. } = &mut **response
                {
                    Arc::make_mut(pod).version = Timestamp::EPOCH;
                }
            }
            output
        }
    }
    assert_eq!(verdict::<Backward>(), "history");
}

#[test]
fn a_change_that_goes_back_in_history() {
    #[derive(Clone, Default)]
    struct Rewound {
        first: Option<Timestamp>,
    }
    impl Bug for Rewound {
        fn say(&mut self, mut output: Output) -> Output {
            for record in &mut output.records {
                if let Record::Put(Entry::Pod(PodState { current: Some(version), .. })) = record
                    && *self.first.get_or_insert(*version) < *version
                {
                    *version = Timestamp::EPOCH;
                }
            }
            output
        }
    }
    let found = violation::<Rewound>(&plan_with("", "")).to_string();
    assert!(found.starts_with("history: /web went from version"), "{found}");
}

#[test]
fn a_history_that_is_tidied_up() {
    #[derive(Clone, Default)]
    struct Tidy;
    impl Bug for Tidy {
        fn say(&mut self, mut output: Output) -> Output {
            let old = output.records.iter().filter_map(|record| match record {
                Record::Put(Entry::PodVersion(spec)) => {
                    Some(Record::Delete(Key::PodVersion(spec.id.clone(), Timestamp::EPOCH)))
                }
                _ => None,
            });
            let old: Vec<Record> = old.collect();
            output.records.extend(old);
            output
        }
    }
    assert_eq!(verdict::<Tidy>(), "history");
}

#[test]
fn a_deletion_that_is_only_said() {
    #[derive(Clone, Default)]
    struct Liar {
        asked: Option<CommandId>,
        pod: Option<PodState>,
    }
    impl Bug for Liar {
        fn hear(&mut self, input: Input) -> Input {
            match input {
                Input::Command { id, ref command, .. } if matches!(**command, Command::DeletePod { .. }) => {
                    self.asked = Some(id);
                    Input::Tick
                }
                _ => input,
            }
        }

        fn say(&mut self, mut output: Output) -> Output {
            for record in &output.records {
                if let Record::Put(Entry::Pod(state)) = record {
                    self.pod = Some(state.clone());
                }
            }
            if let (Some(id), Some(pod)) = (self.asked.take(), self.pod.clone()) {
                output.records.push(Record::Put(Entry::Pod(PodState { current: None, ..pod })));
                let deployment = DeploymentId::new("none");
                let result = Ok(Box::new(Response::PodDeleted { deployment }));
                output.actions.push(Action::Reply { id, result });
            }
            output
        }
    }
    assert_eq!(violation_unheard::<Liar>(&plan()).oracle, "deletion");
}

#[test]
fn a_change_that_is_not_kept() {
    #[derive(Clone, Default)]
    struct Forgetful;
    impl Bug for Forgetful {
        fn say(&mut self, mut output: Output) -> Output {
            output.records.retain(|record| !matches!(record, Record::Delete(Key::Deployment(_))));
            output
        }
    }
    assert_eq!(violation_unheard::<Forgetful>(&plan()).oracle, "restore");
}

#[test]
fn a_request_that_does_not_do_what_its_dry_run_said() {
    #[derive(Clone, Default)]
    struct Moody;
    impl Bug for Moody {
        /// Takes what is to be changed by force for what is not.
        fn hear(&mut self, mut input: Input) -> Input {
            if let Input::Command { command, .. } = &mut input
                && let Command::UpdatePod { force, .. } = &mut **command
            {
                *force = false;
            }
            input
        }
    }
    let mut plan = surplus("", "", "");
    plan.rehearsed = true;
    let at = plan.workload[1].at;
    let what = Request::Scale { pod: "/web".to_owned(), instances: 5, force: true };
    plan.workload.insert(2, Planned::at(at, what));
    assert_eq!(run(&plan).violation, None);
    let found = violation::<Moody>(&plan).to_string();
    assert!(
        found.starts_with("rehearsal: the dry run was accepted, the request refused: App is locked"),
        "{found}"
    );
}

#[test]
fn an_answer_that_comes_twice() {
    #[derive(Clone, Default)]
    struct Stutter;
    impl Bug for Stutter {
        fn say(&mut self, mut output: Output) -> Output {
            let replies = output.actions.iter().filter(|action| matches!(action, Action::Reply { .. }));
            let replies: Vec<Action> = replies.cloned().collect();
            output.actions.extend(replies);
            output
        }
    }
    assert_eq!(verdict::<Stutter>(), "answers");
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
    assert_eq!(verdict::<Restless>(), "rest");
}

#[test]
fn a_deletion_of_a_group_that_is_only_said() {
    #[derive(Clone, Default)]
    struct Liar {
        asked: Option<CommandId>,
        pod: Option<PodState>,
    }
    impl Bug for Liar {
        fn hear(&mut self, input: Input) -> Input {
            match input {
                Input::Command { id, ref command, .. }
                    if matches!(**command, Command::DeleteGroup { .. }) =>
                {
                    self.asked = Some(id);
                    Input::Tick
                }
                _ => input,
            }
        }

        fn say(&mut self, mut output: Output) -> Output {
            for record in &output.records {
                if let Record::Put(Entry::Pod(state)) = record {
                    self.pod = Some(state.clone());
                }
            }
            if let (Some(id), Some(pod)) = (self.asked.take(), self.pod.clone()) {
                output.records.push(Record::Put(Entry::Pod(PodState { current: None, ..pod })));
                let (deployment, version) = (DeploymentId::new("none"), Timestamp::EPOCH);
                let result = Ok(Box::new(Response::GroupDeleted { deployment, version }));
                output.actions.push(Action::Reply { id, result });
            }
            output
        }
    }
    let mut plan = plan();
    plan.mended_at = Some("20m".parse().unwrap());
    plan.workload[2].what = Request::DeleteGroup { group: "/".to_owned(), force: true };
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard::<Liar>(&plan).to_string();
    assert!(found.starts_with("deletion: ") && found.ends_with("the API still shows it"), "{found}");
}

#[test]
fn a_launch_after_a_deletion() {
    #[derive(Clone, Default)]
    struct Undead {
        copy: Option<Arc<Instance>>,
    }
    impl Bug for Undead {
        fn say(&mut self, mut output: Output) -> Output {
            let is_launched = |record: &Record| match record {
                Record::Put(Entry::Instance(instance)) if instance.incarnation > 0 => Some(instance.clone()),
                _ => None,
            };
            self.copy = output.records.iter().find_map(is_launched).or(self.copy.take());
            let is_deletion =
                |record: &Record| matches!(record, Record::Put(Entry::Pod(pod)) if pod.current.is_none());
            if output.records.iter().any(is_deletion)
                && let Some(mut copy) = self.copy.take()
            {
                Arc::make_mut(&mut copy).incarnation += 1;
                output.records.push(Record::Put(Entry::Instance(copy)));
            }
            output
        }
    }
    let found = violation_unheard::<Undead>(&plan()).to_string();
    assert!(
        found.starts_with("deletion: ") && found.ends_with("is launched, but its pod was deleted"),
        "{found}"
    );
}

#[test]
fn a_group_that_is_forgotten() {
    #[derive(Clone, Default)]
    struct Forgetful;
    impl Bug for Forgetful {
        fn remember(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
            entries.retain(|entry| !matches!(entry, Entry::Group(_)));
            entries
        }
    }
    let crash = r#", "faults": [{ "at": "1m", "do": { "scheduler_crashed": { "lasts": "20s" } } }]"#;
    let mut plan = surplus("", "", crash);
    let update =
        r#"{ "at": "20s", "do": { "update_group": { "group": { "id": "/g", "dependencies": ["/h"] } } } }"#;
    plan.workload.push(serde_json::from_str(update).unwrap());
    assert_eq!(run(&plan).violation, None);
    let found = violation::<Forgetful>(&plan).to_string();
    assert!(found.starts_with("restore: ") && found.contains("the groups"), "{found}");
}

#[test]
fn a_delay_that_is_not_kept() {
    #[derive(Clone, Default)]
    struct Forgetful;
    impl Bug for Forgetful {
        fn say(&mut self, mut output: Output) -> Output {
            for record in &mut output.records {
                if let Record::Put(Entry::Pod(pod)) = record {
                    pod.delay = None;
                }
            }
            output
        }
    }
    let fails = r#", "containers": [{ "do": { "launch_fails": 1000 } }]"#;
    let plan = surplus("", "", fails);
    assert_eq!(run(&plan).violation, None);
    let found = violation::<Forgetful>(&plan).to_string();
    assert!(found.starts_with("restore: ") && found.contains("queue"), "{found}");
}

#[test]
fn a_definition_that_is_overwritten() {
    #[derive(Clone, Default)]
    struct Editor;
    impl Bug for Editor {
        fn say(&mut self, mut output: Output) -> Output {
            let is_definition = |record: &&Record| matches!(record, Record::Put(Entry::PodVersion(_)));
            if let Some(Record::Put(Entry::PodVersion(spec))) = output.records.iter().find(is_definition) {
                let mut spec = spec.clone();
                Arc::make_mut(&mut spec).labels.insert("edited".to_owned(), String::new());
                output.records.push(Record::Put(Entry::PodVersion(spec)));
            }
            output
        }
    }
    let found = violation::<Editor>(&plan()).to_string();
    assert!(found.starts_with("history: version ") && found.ends_with("was overwritten"), "{found}");
}

#[test]
fn a_definition_that_cannot_be_read_after_a_crash() {
    #[derive(Clone, Default)]
    struct Amnesiac;
    impl Bug for Amnesiac {
        /// Forgets what is not in use any more.
        fn remember(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
            let current = |entry: &Entry| match entry {
                Entry::Pod(pod) => pod.current,
                _ => None,
            };
            if let Some(current) = entries.iter().find_map(current) {
                entries.retain(|entry| !matches!(entry, Entry::PodVersion(spec) if spec.version < current));
            }
            entries
        }
    }
    let crash = r#", "faults": [{ "at": "9m", "do": { "scheduler_crashed": { "lasts": "20s" } } }]"#;
    let found = violation::<Amnesiac>(&plan_with("", crash)).to_string();
    assert!(found.starts_with("history: version ") && found.ends_with("cannot be read any more"), "{found}");
}

#[test]
fn records_that_nobody_can_continue_from() {
    #[derive(Clone, Default)]
    struct Careless;
    impl Bug for Careless {
        fn remember(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
            entries.retain(|entry| !matches!(entry, Entry::Pod(_)));
            entries
        }
    }
    let found = violation::<Careless>(&plan()).to_string();
    assert!(found.starts_with("restore: the scheduler cannot continue"), "{found}");
}

/// Does not keep entries of one kind.
macro_rules! lose {
    ($plan:expr, $pattern:pat) => {{
        #[derive(Clone, Default)]
        struct Lossy;
        impl Bug for Lossy {
            fn say(&mut self, mut output: Output) -> Output {
                output.records.retain(|record| !matches!(record, Record::Put($pattern)));
                output
            }
        }
        let plan = $plan;
        assert_eq!(run(&plan).violation, None);
        violation::<Lossy>(&plan).to_string()
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
