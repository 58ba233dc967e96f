//! What is on offer. How free resources are cut into offers is chance: it depends on which of them come back
//! before which of the allocator's cycles. So not offers are compared but what they amount to.
//!
//! ```text
//!   recorded  ───┐____┌──────────────    wherever a role has had the same of an agent on offer for
//!   model     ────┐__┌───────────────    longer than twice TOLERANCE, the model has that as well,
//!                |same|                  but for TOLERANCE at both ends
//! ```

use std::collections::{BTreeMap, HashMap};

use podium_core::model::ids::OfferId;
use podium_core::model::mesos::{Event, Resource, ResourceValue};

use crate::names::Labels;
use crate::recording::{Millis, RecordedEvent};

/// An allocation cycle of a second, and some load.
pub(crate) const TOLERANCE: Millis = 1300.0;

/// Amounts by kind, in thousandths; ports are counted.
pub(crate) type Amounts = BTreeMap<String, i64>;

pub(crate) fn amounts(resources: &[Resource]) -> Amounts {
    let mut amounts = Amounts::new();
    for resource in resources {
        let reserved = resource.reserved_role().map_or(String::new(), |role| format!(" for {role}"));
        let volume = resource.disk.as_ref().and_then(|disk| disk.persistence.as_ref());
        let volume = volume.map_or(String::new(), |volume| format!(" volume {}", volume.id));
        let amount = match &resource.value {
            ResourceValue::Scalar(amount) => amount.as_thousandths(),
            ResourceValue::Ranges(ranges) => {
                ranges.iter().map(|range| (range.end.saturating_sub(range.begin) + 1) as i64 * 1000).sum()
            }
            ResourceValue::Set(items) => items.len() as i64 * 1000,
        };
        *amounts.entry(format!("{}{reserved}{volume}", resource.kind)).or_default() += amount;
    }
    amounts.retain(|_, amount| *amount != 0);
    amounts
}

/// What was on offer when, by agent and role; each entry lasts until the next.
pub(crate) type Timeline = BTreeMap<(String, String), Vec<(Millis, Amounts)>>;

pub(crate) fn timeline(
    events: &[RecordedEvent],
    ends: &[Millis],
    used: &[(Millis, OfferId)],
    labels: &Labels,
) -> Timeline {
    enum Change<'a> {
        Event(&'a Event),
        Used(&'a OfferId),
        End,
    }
    // The end of one stream may come with the beginning of the next.
    let mut changes: Vec<(Millis, Change<'_>)> = ends.iter().map(|at| (*at, Change::End)).collect();
    changes.extend(events.iter().map(|event| (event.at, Change::Event(&event.event))));
    changes.extend(used.iter().map(|(at, id)| (*at, Change::Used(id))));
    changes.sort_by(|(a, _), (b, _)| a.total_cmp(b));

    let mut outstanding: HashMap<OfferId, ((String, String), Amounts)> = HashMap::new();
    let mut timeline = Timeline::new();
    for (at, change) in changes {
        match change {
            Change::Event(Event::Offers(offers)) => {
                for offer in offers {
                    let role = offer.role.as_ref().map_or(String::new(), ToString::to_string);
                    let key = (labels.agent(&offer.agent_id), role);
                    timeline.entry(key.clone()).or_default();
                    outstanding.insert(offer.id.clone(), (key, amounts(&offer.resources)));
                }
            }
            Change::Event(Event::Rescind(id)) | Change::Used(id) => drop(outstanding.remove(id)),
            Change::Event(Event::Subscribed { .. }) | Change::End => outstanding.clear(),
            Change::Event(_) => continue,
        }
        for (key, history) in &mut timeline {
            let mut sum = Amounts::new();
            for (_, amounts) in outstanding.values().filter(|(of, _)| of == key) {
                for (kind, amount) in amounts {
                    *sum.entry(kind.clone()).or_default() += amount;
                }
            }
            if history.last().map_or(&Amounts::new(), |(_, last)| last) != &sum {
                history.push((at, sum));
            }
        }
    }
    timeline
}

/// The first point where the model does not offer what was recorded: when, and the two.
pub(crate) fn difference(
    recorded: &Timeline,
    ours: &Timeline,
    end: Millis,
) -> Option<(Millis, String, String)> {
    let nothing = Vec::new();
    let keys: std::collections::BTreeSet<_> = recorded.keys().chain(ours.keys()).collect();
    let mut first: Option<(Millis, String, String)> = None;
    for key in keys {
        let recorded = recorded.get(key).unwrap_or(&nothing);
        let ours = ours.get(key).unwrap_or(&nothing);
        let mut begin = 0.0;
        let mut amounts = Amounts::new();
        let last = (end, Amounts::new());
        for (until, next) in recorded.iter().chain([&last]) {
            let core = (begin + TOLERANCE, until - TOLERANCE);
            if core.0 < core.1
                && let Some((at, other)) = other_value(ours, &amounts, core)
                && first.as_ref().is_none_or(|(first, ..)| at < *first)
            {
                let say =
                    |amounts: &Amounts| format!("on offer of {} to '{}': {}", key.0, key.1, words(amounts));
                first = Some((at, say(&amounts), say(&other)));
            }
            begin = *until;
            amounts = next.clone();
        }
    }
    first
}

/// Whether something else than `expected` is on offer somewhere within `core`.
fn other_value(
    history: &[(Millis, Amounts)],
    expected: &Amounts,
    core: (Millis, Millis),
) -> Option<(Millis, Amounts)> {
    let nothing = Amounts::new();
    let at_begin =
        history.iter().take_while(|(at, _)| *at <= core.0).last().map_or(&nothing, |(_, amounts)| amounts);
    let later = history.iter().filter(|(at, _)| *at > core.0 && *at < core.1);
    let mut values = std::iter::once((core.0, at_begin)).chain(later.map(|(at, amounts)| (*at, amounts)));
    values.find(|(_, amounts)| *amounts != expected).map(|(at, amounts)| (at, amounts.clone()))
}

fn words(amounts: &Amounts) -> String {
    if amounts.is_empty() {
        return "nothing".to_owned();
    }
    let amount = |(kind, amount): (&String, &i64)| format!("{kind} {}", *amount as f64 / 1000.0);
    amounts.iter().map(amount).collect::<Vec<_>>().join(", ")
}
