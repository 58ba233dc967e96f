//! Large batches of offers are cut: a step answers all it is given, so their size bounds how long it takes.

use std::collections::VecDeque;

use podium_core::model::mesos::Offer;

/// So many offers are given to the scheduler at once.
const MAX_OFFERS: usize = 100;

/// Cuts a batch of offers into portions and leaves the first one. Offers of one agent stay together: they are used
/// together.
pub(super) fn split_off(offers: &mut Vec<Offer>) -> impl Iterator<Item = Vec<Offer>> + use<> {
    let mut portions = VecDeque::new();
    if offers.len() > MAX_OFFERS {
        offers.sort_by(|one, other| one.agent_id.cmp(&other.agent_id));
        let mut all = std::mem::take(offers).into_iter().peekable();
        while let Some(first) = all.next() {
            let mut portion = vec![first];
            while let Some(next) = all.next_if(|next| {
                portion.len() < MAX_OFFERS
                    || portion.last().is_some_and(|last| last.agent_id == next.agent_id)
            }) {
                portion.push(next);
            }
            portions.push_back(portion);
        }
        *offers = portions.pop_front().unwrap_or_default();
    }
    portions.into_iter()
}

#[cfg(test)]
mod tests {
    use podium_core::model::ids::{AgentId, FrameworkId, OfferId};

    use super::*;

    fn offers(agents: impl Iterator<Item = u32>) -> Vec<Offer> {
        let offer = |(n, agent): (usize, u32)| Offer {
            id: OfferId::from(format!("o{n}")),
            framework_id: FrameworkId::from("fw"),
            agent_id: AgentId::from(format!("s{agent}")),
            hostname: String::new(),
            role: None,
            resources: Vec::new(),
            attributes: Vec::new(),
            executor_ids: Vec::new(),
            domain: None,
            unavailability: None,
        };
        agents.enumerate().map(offer).collect()
    }

    #[test]
    fn a_large_batch_of_offers_is_cut_between_agents_and_none_is_lost() {
        let mut first = offers((0..300).map(|n| n % 90));
        let all: Vec<OfferId> = first.iter().map(|offer| offer.id.clone()).collect();
        let rest: Vec<Vec<Offer>> = split_off(&mut first).collect();
        let portions = [vec![first], rest].concat();
        assert_eq!(portions.iter().map(Vec::len).collect::<Vec<_>>(), [102, 102, 96]);
        for (n, portion) in portions.iter().enumerate() {
            for offer in portion {
                let elsewhere = portions[..n].iter().flatten().any(|other| other.agent_id == offer.agent_id);
                assert!(!elsewhere, "{} is in two portions", offer.agent_id);
            }
        }
        let mut found: Vec<OfferId> = portions.into_iter().flatten().map(|offer| offer.id).collect();
        let mut expected = all;
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_batch_of_ordinary_size_stays_as_it_is() {
        let mut batch = offers((0..100).rev());
        let before = batch.clone();
        assert_eq!((split_off(&mut batch).count(), batch), (0, before));
    }
}
