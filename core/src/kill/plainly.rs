//! The rule of [`Choice`] as it reads: all copies are looked at for each choice. Debug builds compare what
//! [`Ranks`](super::Ranks) choose with it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::selection::{Choice, Preference, Turn};
use crate::model::ids::Uuid;
use crate::model::instance::Instance;
use crate::placement::{Constraints, holds_place};
use crate::state::Stage;

/// The first `count` that go of `copies`, each with its stage and whether its definition is the current one.
pub(crate) fn choose<'a>(
    copies: impl Iterator<Item = (&'a Instance, Stage, bool)>,
    choice: Choice,
    constraints: &Constraints,
    count: usize,
) -> Vec<Uuid> {
    let Choice { of, among, mut preference } = choice;
    let mut left: Vec<(&Instance, Stage)> = copies
        .filter(|(_, stage, is_current)| *stage != Stage::Stopping && of.include(*is_current))
        .map(|(instance, stage, _)| (instance, stage))
        .filter(|(instance, stage)| among.include(super::selection::class(instance, *stage)))
        .collect();
    if let Preference::OnReturn(_, selection, since) = preference
        && !left.iter().any(|(instance, _)| instance.returned_at >= Some(since))
    {
        preference = Preference::KillSelection(selection);
    }
    let values = |instance: &'a Instance| -> Vec<Option<Cow<'a, str>>> {
        let agent = instance.agent.as_deref().filter(|_| holds_place(instance));
        agent.map(|agent| constraints.spread_values(agent)).unwrap_or_default()
    };
    let mut crowds: BTreeMap<(usize, Cow<'a, str>), i64> = BTreeMap::new();
    let spreads = matches!(preference, Preference::KillSelection(_)) && constraints.spread_copies();
    let on_values = |instance: &'a Instance| {
        values(instance).into_iter().enumerate().filter_map(|(field, value)| Some((field, value?)))
    };
    for place in left.iter().filter(|_| spreads).flat_map(|(instance, _)| on_values(instance)) {
        *crowds.entry(place).or_default() += 1;
    }
    let place = |(instance, stage): &(&Instance, Stage)| {
        (preference.class(instance, *stage), Turn::of(instance, preference))
    };
    if !spreads {
        left.sort_unstable_by_key(place);
        return left.into_iter().take(count).map(|(instance, _)| instance.id.uuid).collect();
    }
    let mut chosen = Vec::new();
    while chosen.len() < count
        && let Some(next) = (0..left.len()).min_by_key(|index| {
            let (class, turn) = place(&left[*index]);
            let crowd: i64 = on_values(left[*index].0).map(|place| crowds[&place]).sum();
            (class, -crowd, turn)
        })
    {
        let (instance, _) = left.swap_remove(next);
        for place in on_values(instance) {
            *crowds.entry(place).or_default() -= 1;
        }
        chosen.push(instance.id.uuid);
    }
    chosen
}
