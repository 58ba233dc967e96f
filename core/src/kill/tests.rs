//! What ranks choose is what the rule says, whatever has happened to the copies since they were made.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Among, Choice, Preference, Ranks, Versions, choose_plainly};
use crate::model::ids::{AgentId, InstanceId, PodId, Role, Uuid};
use crate::model::instance::{AgentInfo, Instance, Task};
use crate::model::mesos::{Attribute, AttributeValue};
use crate::model::pod::{Constraint, ConstraintOperator, KillSelection, OnReturn};
use crate::model::time::Timestamp;
use crate::placement::Constraints;
use crate::state::Stage;

const STAGES: [Stage; 9] = [
    Stage::Waiting,
    Stage::Launching,
    Stage::Unready,
    Stage::Ready,
    Stage::Available,
    Stage::Ending,
    Stage::Unreachable,
    Stage::Inactive,
    Stage::Stopping,
];

/// A copy as it is in a pod's eyes.
type Copy = (Instance, Stage, bool);

fn copy() -> impl Strategy<Value = Copy> {
    let ages = (0_i64..5, 0_i64..5, 0_i64..5);
    let place = prop::option::of((0_u8..3, 0_u8..2, prop::option::of(0_u8..2), 0_u8..4));
    (any::<u128>(), prop::sample::select(&STAGES[..]), ages, place, prop::option::of(0_i64..5), any::<bool>())
        .prop_map(|(uuid, stage, (created, active, healthy), place, returned, is_current)| {
            let id = InstanceId { pod: PodId::from("/p"), uuid: Uuid::from_u128(uuid) };
            let at = Timestamp::from_millis;
            let mut instance = Instance::scheduled(id, at(1), Role::from("*"), at(created));
            instance.active_since = Some(at(active)).filter(|_| active > 0);
            instance.returned_at = returned.map(at);
            let mut task = Task::provisioned("c".into(), Vec::new(), at(created));
            task.health_since = Some(at(healthy)).filter(|_| healthy > 0);
            instance.tasks = vec![task];
            instance.agent = place.map(|(rack, room, row, host)| {
                let attribute = |name: &str, value: u8| {
                    let value = AttributeValue::Text(value.to_string());
                    Attribute { name: name.to_owned(), value }
                };
                let row = row.map(|row| attribute("row", row));
                Arc::new(AgentInfo {
                    agent_id: AgentId::from(format!("s{host}")),
                    host: format!("h{host}"),
                    domain: None,
                    attributes: [attribute("rack", rack), attribute("room", room)]
                        .into_iter()
                        .chain(row)
                        .collect(),
                })
            });
            (instance, stage, is_current)
        })
}

fn choice() -> impl Strategy<Value = Choice> {
    let of = prop::sample::select(vec![Versions::All, Versions::Current, Versions::Older]);
    let among = prop::sample::select(vec![
        Among::All,
        Among::NotInactive,
        Among::Inactive,
        Among::Serving,
        Among::NotServing,
        Among::NotServingNorEnding,
        Among::Idle,
    ]);
    let selection = || prop::sample::select(vec![KillSelection::OldestFirst, KillSelection::YoungestFirst]);
    let on_return =
        prop::sample::select(vec![OnReturn::Original, OnReturn::Replacement, OnReturn::BestHealth]);
    let preference = prop_oneof![
        selection().prop_map(Preference::KillSelection),
        (on_return, selection(), 0_i64..5).prop_map(|(on_return, selection, since)| {
            Preference::OnReturn(on_return, selection, Timestamp::from_millis(since))
        }),
    ];
    (of, among, preference).prop_map(|(of, among, preference)| Choice { of, among, preference })
}

fn spread_over(fields: &[&str]) -> Constraints {
    let constraint = |field: &&str| Constraint {
        field_name: (*field).to_owned(),
        operator: ConstraintOperator::GroupBy,
        value: None,
    };
    Constraints::compile(&fields.iter().map(constraint).collect::<Vec<_>>())
}

/// What happens to ranks.
#[derive(Clone, Debug)]
enum Event {
    Added(Copy),
    Removed(Index),
    Changed(Index, Copy),
    /// So many are chosen, by one of the choices.
    Chosen(Index, usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => copy().prop_map(Event::Added),
        1 => any::<Index>().prop_map(Event::Removed),
        2 => (any::<Index>(), copy()).prop_map(|(index, copy)| Event::Changed(index, copy)),
        2 => (any::<Index>(), 0_usize..12).prop_map(|(choice, count)| Event::Chosen(choice, count)),
    ]
}

fn ranked((instance, stage, is_current): &Copy) -> (&Instance, Stage, bool) {
    (instance, *stage, *is_current)
}

proptest! {
    #[test]
    fn ranks_choose_as_the_rule_says(
        mut copies in prop::collection::vec(copy(), 0..30),
        events in prop::collection::vec(event(), 1..40),
        choices in prop::collection::vec(choice(), 1..4),
        fields in prop::sample::select(vec![
            &[][..], &["rack"], &["@hostname"], &["rack", "@hostname"], &["@hostname", "rack"], &["rack", "room", "row"],
        ]),
    ) {
        let constraints = spread_over(fields);
        let mut ranks = Ranks::default();
        for event in events {
            match event {
                Event::Added(copy) => {
                    ranks.add(ranked(&copy), &constraints);
                    copies.push(copy);
                }
                Event::Removed(index) if !copies.is_empty() => {
                    let copy = copies.swap_remove(index.index(copies.len()));
                    ranks.remove(ranked(&copy), &constraints);
                }
                Event::Changed(index, copy) if !copies.is_empty() => {
                    let before = std::mem::replace(index.get_mut(&mut copies), copy);
                    ranks.remove(ranked(&before), &constraints);
                    ranks.add(ranked(index.get(&copies)), &constraints);
                }
                Event::Removed(_) | Event::Changed(..) => {}
                Event::Chosen(index, count) => {
                    let (choice, copies) = (*index.get(&choices), || copies.iter().map(ranked));
                    let chosen = ranks.choose(choice, count, copies, &constraints);
                    let by_the_rule = choose_plainly(copies(), choice, &constraints, count);
                    prop_assert_eq!(chosen, by_the_rule, "{:?}", choice);
                }
            }
        }
    }
}
