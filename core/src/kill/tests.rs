//! What ranks choose is what the rule says, whatever has happened to the copies since they were made.

use std::sync::Arc;

use proptest::prelude::*;

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
    let place = prop::option::of((0_u8..3, 0_u8..4));
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
            instance.agent = place.map(|(rack, host)| {
                let rack = AttributeValue::Text(format!("r{rack}"));
                Arc::new(AgentInfo {
                    agent_id: AgentId::from(format!("s{host}")),
                    host: format!("h{host}"),
                    domain: None,
                    attributes: vec![Attribute { name: "rack".to_owned(), value: rack }],
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

proptest! {
    #[test]
    fn ranks_choose_as_the_rule_says(
        mut copies in prop::collection::vec(copy(), 0..30),
        changes in prop::collection::vec((any::<prop::sample::Index>(), copy()), 0..10),
        choices in prop::collection::vec((choice(), 0_usize..12), 1..5),
        fields in prop::sample::select(vec![&[][..], &["rack"], &["@hostname"], &["rack", "@hostname"]]),
    ) {
        fn ranked(copies: &[Copy]) -> impl Iterator<Item = (&Instance, Stage, bool)> {
            copies.iter().map(|(instance, stage, is_current)| (instance, *stage, *is_current))
        }
        let constraints = spread_over(fields);
        let mut ranks = Ranks::of(ranked(&copies));
        // Some of the orders are there before the changes, and some are made after them.
        for (choice, count) in choices.iter().take(2) {
            ranks.choose(*choice, *count, || ranked(&copies), &constraints);
        }
        for (index, (instance, stage, is_current)) in changes {
            if !copies.is_empty() {
                let before = index.get(&copies).clone();
                ranks.remove((&before.0, before.1, before.2), &constraints);
                ranks.add((&instance, stage, is_current), &constraints);
                *index.get_mut(&mut copies) = (instance, stage, is_current);
            }
        }
        for (choice, count) in choices {
            let chosen = ranks.choose(choice, count, || ranked(&copies), &constraints);
            prop_assert_eq!(chosen, choose_plainly(ranked(&copies), choice, &constraints, count), "{:?}", choice);
        }
    }
}
