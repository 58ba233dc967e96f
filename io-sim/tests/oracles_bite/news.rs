//! Who is ended by old news.

use super::*;

/// Ends a copy as one too many as soon as it has subscribed again.
#[derive(Clone, Default)]
struct Rash {
    copies: BTreeMap<Uuid, Arc<Instance>>,
    subscriptions: u32,
    is_due: bool,
}

impl Bug for Rash {
    fn hear(&mut self, input: &mut Input) {
        let is_subscribed =
            matches!(input, Input::Event(event) if matches!(**event, Event::Subscribed { .. }));
        self.subscriptions += u32::from(is_subscribed);
        self.is_due = is_subscribed && self.subscriptions == 2;
    }

    fn say(&mut self, output: &mut Output) {
        for record in &output.records {
            match record {
                Record::Put(Entry::Instance(copy)) => self.copies.insert(copy.id.uuid, copy.clone()),
                Record::Delete(Key::Instance(id)) => self.copies.remove(&id.uuid),
                _ => None,
            };
        }
        if std::mem::take(&mut self.is_due)
            && let Some(copy) = self.copies.values_mut().next()
        {
            let copy = Arc::make_mut(copy);
            copy.goal = Goal::Decommissioned;
            output.records.push(Record::Put(Entry::Instance(Arc::new(copy.clone()))));
        }
    }
}

#[test]
fn a_copy_ends_before_mesos_has_said_how_the_others_are() {
    let plan = plan_with("", r#", "faults": [{ "at": "1m", "do": { "connection_broken": {} } }]"#);
    assert_eq!(run(&plan).violation, None);
    let found = violation_unheard(Rash::default(), &plan).to_string();
    let why = "is ended although nothing was heard since the subscription of";
    assert!(found.starts_with("news: ") && found.contains(why), "{found}");
}
