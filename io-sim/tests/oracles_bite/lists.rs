//! What is asked of Mesos all the time, and what lists say.

use super::*;

/// Asked often, and for long enough.
const OFTEN: &str = r#", "scheduler": { "reconciliation_interval": "30s" }, "quiet": "20m""#;

#[test]
fn offers_that_nobody_needs() {
    let greedy = bug!(say, |output| {
        output.actions.retain_mut(|action| match action {
            Action::Call(Call::Suppress { .. }) => false,
            Action::Call(Call::UpdateFramework { suppressed_roles, .. }) => {
                suppressed_roles.clear();
                true
            }
            _ => true,
        });
    });
    let found = violation(greedy, &plan()).to_string();
    assert!(found.starts_with("demand: ") && found.contains("nobody waits for any"), "{found}");
}

#[test]
fn mesos_is_never_asked_what_it_knows() {
    let incurious = bug!(say, |output| {
        let is_about_all = |call: &Call| matches!(call, Call::Reconcile { tasks } if tasks.is_empty());
        output.actions.retain(|action| !matches!(action, Action::Call(call) if is_about_all(call)));
    });
    let plan = plan_with("", OFTEN);
    assert_eq!(run(&plan).violation, None);
    let found = violation(incurious, &plan).to_string();
    assert!(found.starts_with("questions: ") && found.contains("was not asked what it knows"), "{found}");
}

#[test]
fn a_copy_that_mesos_is_never_asked_about() {
    let partial = bug!(say_with, Option<TaskId>, |left_out, output| {
        for action in &mut output.actions {
            if let Action::Call(Call::Reconcile { tasks }) = action
                && let Some(last) = tasks.last()
            {
                let left_out = left_out.get_or_insert(last.task_id.clone());
                tasks.retain(|task| task.task_id != *left_out);
            }
        }
    });
    let mut plan = crowded();
    plan.faults.clear();
    plan.scheduler = plan_with("", OFTEN).scheduler;
    let found = violation(partial, &plan).to_string();
    assert!(found.starts_with("questions: ") && found.contains("which runs"), "{found}");
}

#[test]
fn a_copy_that_waits_and_is_not_in_the_queue() {
    let forgetful = bug!(remember, |entries| {
        let waits = |entry: &Entry| matches!(entry, Entry::Instance(copy) if copy.is_waiting());
        if let Some(index) = entries.iter().position(waits) {
            entries.remove(index);
        }
    });
    let found = violation_unheard(forgetful, &crowded()).to_string();
    assert!(found.starts_with("queue: ") && found.contains("copies of /web wait by the queue"), "{found}");
}

#[test]
fn a_copy_that_waits_since_another_time() {
    let late = bug!(remember, |entries| {
        for entry in entries {
            if let Entry::Instance(copy) = entry {
                Arc::make_mut(copy).since = Timestamp::EPOCH;
            }
        }
    });
    let found = violation_unheard(late, &crowded()).to_string();
    assert!(found.starts_with("queue: ") && found.contains("since 1970"), "{found}");
}

/// There is room for some copies, and the scheduler dies while the others wait.
fn crowded() -> Plan {
    let crash = r#"{ "at": "1m", "do": { "scheduler_crashed": { "lasts": "3s" } } }"#;
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 1, "mem": 512 }}] }},
             "workload": [{{ "at": "2s", "do": {{ "create": {{ "pod": {{
               "id": "/web", "scaling": {{ "kind": "fixed", "instances": 5 }},
               "containers": [{{ "name": "a", "exec": {{ "command": {{ "shell": "x" }} }},
                 "resources": {{ "cpus": 0.3, "mem": 32 }} }}] }} }} }} }}],
             "faults": [{crash}] }}"#
    );
    Plan::from_json(&text).unwrap()
}

#[test]
fn a_task_is_listed_that_is_not_there() {
    /// Hears with each heartbeat of a task that there never was.
    #[derive(Clone, Default)]
    struct Haunted(Option<TaskStatus>);
    impl Bug for Haunted {
        fn hear(&mut self, input: &mut Input) {
            with_status(input, |status| {
                let ghost = TaskId::new("ghost.instance-0190163d-8694-739b-aea5-966c26f8ad91.a.1");
                let status = TaskStatus {
                    task_id: ghost,
                    state: TaskState::TaskRunning,
                    uuid: None,
                    ..status.clone()
                };
                self.0.get_or_insert(status);
            });
            if let Input::Event(event) = input
                && matches!(**event, Event::Heartbeat)
                && let Some(status) = self.0.clone()
            {
                **event = Event::Update(status);
            }
        }
    }
    let found = violation_unheard(Haunted::default(), &plan_with("", OFTEN)).to_string();
    assert!(found.starts_with("unknown: ") && found.contains("does not run"), "{found}");
}

/// Knows everything, and shows what it would show had it not heard of tasks without a record.
#[derive(Clone)]
struct Discreet {
    real: Scheduler,
    shown: Scheduler,
    copies: BTreeSet<Uuid>,
}

impl Subject for Discreet {
    fn start(config: Config, seed: u64, entries: Vec<Entry>) -> Result<Self, RestoreError> {
        let real = Scheduler::restore(config, seed, entries)?;
        Ok(Self { shown: real.clone(), real, copies: BTreeSet::new() })
    }

    fn step(&mut self, now: Timestamp, input: Input) -> Output {
        let mut shown = input.clone();
        with_status(&mut shown, |status| {
            if status.task_id.parse().is_ok_and(|id| !self.copies.contains(&id.uuid)) {
                status.state = TaskState::TaskFinished;
            }
        });
        let _ = self.shown.step(now, shown);
        let output = self.real.step(now, input);
        for record in &output.records {
            match record {
                Record::Put(Entry::Instance(copy)) => self.copies.insert(copy.id.uuid),
                Record::Delete(Key::Instance(id)) => self.copies.remove(&id.uuid),
                _ => false,
            };
        }
        output
    }

    fn scheduler(&self) -> &Scheduler {
        &self.shown
    }
}

#[test]
fn a_task_without_a_record_is_not_listed() {
    let stubborn = r#", "max_ping_timeouts": 2 }, "settle": "2h",
      "containers": [{ "do": { "stop": ["30m", "30m"] } }],
      "scheduler": { "reconciliation_interval": "30s" },
      "faults": [{ "at": "1m", "do": { "agent_partitioned": { "agent": 0, "loss": false, "lasts": "2m" } } }],
      "workload": [{ "at": "2s", "do": { "create": { "pod": {
        "id": "/web", "scaling": { "kind": "fixed", "instances": 1 },
        "scheduling": { "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 } },
        "containers": [{ "name": "a", "exec": { "command": { "shell": "x" } },
          "lifecycle": { "killGracePeriodSeconds": 3600 },
          "resources": { "cpus": 0.1, "mem": 32 } }] } } } }] }"#;
    let plan = format!(r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}] {stubborn}"#);
    let plan = Plan::from_json(&plan).unwrap();
    assert_eq!(run(&plan).violation, None);
    let report = run_subject::<Discreet>(&plan, false);
    let found = report.violation.expect("the planted bug is found").to_string();
    assert!(found.starts_with("unknown: ") && found.contains("is not listed"), "{found}");
}
