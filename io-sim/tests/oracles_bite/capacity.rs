//! How many copies there are in a rollout.

use super::*;

/// Each copy takes a minute to end, and one after the other is replaced. `more` is what else the plan has.
fn slow_ends(minimum: f32, more: &str) -> Plan {
    let pod = |revision: &str| {
        format!(
            r#"{{ "id": "/web", "scaling": {{ "kind": "fixed", "instances": 4 }}, "networks": [{{ "mode": "host" }}],
                 "scheduling": {{ "upgrade": {{ "minimumHealthCapacity": {minimum}, "maximumOverCapacity": 0 }} }},
                 "containers": [{{ "name": "a", "exec": {{ "command": {{ "shell": "{revision}" }} }},
                   "lifecycle": {{ "killGracePeriodSeconds": 120 }},
                   "resources": {{ "cpus": 0.1, "mem": 32 }} }}] }}"#
        )
    };
    let text = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}, {{ "cpus": 4, "mem": 4096 }}] }},
             "containers": [{{ "do": {{ "stop": ["60s", "60s"] }} }}],
             "workload": [
               {{ "at": "2s", "do": {{ "create": {{ "pod": {} }} }} }},
               {{ "at": "4m", "do": {{ "update": {{ "pod": {} }} }} }}
             ] {more} }}"#,
        pod("one"),
        pod("two")
    );
    Plan::from_json(&text).unwrap()
}

#[test]
fn a_copy_in_the_place_of_one_that_has_not_ended() {
    /// Takes a copy that it has asked to end for one that has ended.
    #[derive(Clone, Default)]
    struct Forgetful {
        running: BTreeMap<TaskId, TaskStatus>,
        killed: Vec<TaskStatus>,
    }
    impl Bug for Forgetful {
        fn hear(&mut self, input: &mut Input) {
            let Input::Event(event) = input else { return };
            match &mut **event {
                Event::Update(status) if status.state == TaskState::TaskRunning => {
                    self.running.insert(status.task_id.clone(), status.clone());
                }
                heartbeat @ Event::Heartbeat => {
                    if let Some(status) = self.killed.pop() {
                        *heartbeat = Event::Update(status);
                    }
                }
                _ => {}
            }
        }

        fn say(&mut self, output: &mut Output) {
            for action in &output.actions {
                if let Action::Call(Call::Kill { task_id, .. }) = action
                    && let Some(mut status) = self.running.remove(task_id)
                {
                    (status.state, status.uuid) = (TaskState::TaskKilled, None);
                    self.killed.push(status);
                }
            }
        }
    }
    assert_eq!(run(&slow_ends(0.5, "")).violation, None);
    let found = violation_unheard(Forgetful::default(), &slow_ends(0.5, "")).to_string();
    assert!(found.starts_with("ceiling: ") && found.contains("still running without a record"), "{found}");
}

#[test]
fn a_copy_that_is_gone_and_believed_to_serve() {
    /// Takes silence for the answer that all is as it was.
    #[derive(Clone, Default)]
    struct Trusting {
        running: BTreeMap<TaskId, TaskStatus>,
        asked: BTreeSet<TaskId>,
    }
    impl Bug for Trusting {
        fn hear(&mut self, input: &mut Input) {
            let Input::Event(event) = input else { return };
            match &mut **event {
                Event::Update(status) => {
                    self.asked.remove(&status.task_id);
                    self.running.insert(status.task_id.clone(), status.clone());
                }
                heartbeat @ Event::Heartbeat => {
                    let last = self.asked.pop_first().and_then(|task| self.running.get(&task).cloned());
                    if let Some(status) = last {
                        *heartbeat = Event::Update(TaskStatus { uuid: None, ..status });
                    }
                }
                _ => {}
            }
        }

        fn say(&mut self, output: &mut Output) {
            for action in &output.actions {
                if let Action::Call(Call::Reconcile { tasks }) = action {
                    self.asked.extend(tasks.iter().map(|task| task.task_id.clone()));
                }
            }
        }
    }
    // A new master waits for an agent that was shut down, and says nothing of it.
    let silence = r#", "faults": [
        { "at": "1m", "do": { "master_stopped": { "lasts": "1m" } } },
        { "at": "80s", "do": { "agent_shut_down": { "agent": 0, "lasts": "0s" } } }]"#;
    let plan = slow_ends(0.75, silence);
    assert_eq!(run(&plan).violation, None);
    let found = violation(Trusting::default(), &plan).to_string();
    assert!(found.starts_with("floor: ") && found.ends_with("is gone, although nobody said so"), "{found}");
}

#[test]
fn a_new_copy_that_is_ended_below_the_floor() {
    #[derive(Clone, Default)]
    struct Fickle {
        first: Option<Timestamp>,
        new: Option<Arc<Instance>>,
        is_over_one: bool,
    }
    impl Bug for Fickle {
        /// When an old copy has made room for a new one that serves, ends that one, too.
        fn say(&mut self, output: &mut Output) {
            if let Some(mut new) = self.new.take_if(|_| self.is_over_one) {
                Arc::make_mut(&mut new).kill_requested =
                    Some(KillRequest { at: new.since, reason: KillReason::Upgrading });
                output.records.push(Record::Put(Entry::Instance(new)));
            }
            for record in &output.records {
                let Record::Put(Entry::Instance(instance)) = record else { continue };
                let is_old = *self.first.get_or_insert(instance.version) == instance.version;
                self.is_over_one |= is_old && instance.goal != Goal::Running;
                if !is_old && instance.active_since.is_some() {
                    self.new = Some(instance.clone());
                }
            }
        }
    }
    let found = violation_unheard(Fickle::default(), &plan_with(ONE_BY_ONE, "")).to_string();
    assert!(found.starts_with("floor: "), "{found}");
}
