use proptest::prelude::*;

use super::*;
use crate::model::ids::{AgentId, InstanceId, PodId, Role, Uuid};
use crate::model::instance::{Condition, Goal, Instance, Task};
use crate::model::mesos::{Attribute, FaultDomain, PortRange};
use crate::model::time::Timestamp;

fn constraint(field: &str, operator: ConstraintOperator, value: Option<&str>) -> Constraint {
    Constraint { field_name: field.to_owned(), operator, value: value.map(ToOwned::to_owned) }
}

fn compile(field: &str, operator: ConstraintOperator, value: Option<&str>) -> Constraints {
    Constraints::compile(&[constraint(field, operator, value)])
}

fn host(name: &str) -> AgentInfo {
    AgentInfo {
        agent_id: AgentId::new(format!("agent-on-{name}")),
        host: name.to_owned(),
        domain: None,
        attributes: Vec::new(),
    }
}

fn with(name: &str, value: AttributeValue) -> AgentInfo {
    AgentInfo { attributes: vec![Attribute { name: name.to_owned(), value }], ..host("h") }
}

fn rack(text: &str) -> AgentInfo {
    with("rack", AttributeValue::Text(text.to_owned()))
}

fn in_zone(region: &str, zone: &str) -> AgentInfo {
    let domain = FaultDomain { region: region.to_owned(), zone: zone.to_owned() };
    AgentInfo { domain: Some(domain), ..host("h") }
}

/// The reason against `agent`, if any, with copies on `placed`.
fn reason(
    constraints: &Constraints,
    agent: &AgentInfo,
    placed: &[AgentInfo],
    wanted: u32,
) -> Option<ConstraintReason> {
    let mut counts = constraints.counts();
    placed.iter().for_each(|agent| counts.add(agent));
    constraints.check(agent, &counts, wanted).err().map(|refusal| refusal.reason)
}

/// The sentence against `agent`, if any, with copies on `placed`, of two wanted.
fn sentence(constraints: &Constraints, agent: &AgentInfo, placed: &[AgentInfo]) -> String {
    let mut counts = constraints.counts();
    placed.iter().for_each(|agent| counts.add(agent));
    match constraints.check(agent, &counts, 2) {
        Ok(()) => "fits".to_owned(),
        Err(refusal) => constraints.explain(refusal, agent),
    }
}

#[test]
fn fields_are_found_where_they_are() {
    let is = |field, value| compile(field, ConstraintOperator::Is, Some(value));
    let fits = |constraints: Constraints, agent: &AgentInfo| reason(&constraints, agent, &[], 1).is_none();
    assert!(fits(is("@hostname", "h"), &host("h")));
    assert!(fits(is("hostname", "h"), &host("h")));
    assert!(!fits(is("hostname", "h"), &host("other")));
    assert!(fits(is("@region", "eu"), &in_zone("eu", "a")));
    assert!(fits(is("@zone", "a"), &in_zone("eu", "a")));
    assert!(!fits(is("@zone", "eu"), &in_zone("eu", "a")));
    assert!(fits(is("rack", "r1"), &rack("r1")));
    let mut twice = rack("r1");
    twice.attributes.extend(rack("r2").attributes);
    assert!(fits(is("rack", "r1"), &twice));
    assert!(!fits(is("rack", "r2"), &twice));
}

#[test]
fn values_have_marathons_text_forms() {
    let range = |begin, end| PortRange { begin, end };
    let like = |pattern| compile("x", ConstraintOperator::Like, Some(pattern));
    let fits = |pattern, value: AttributeValue| reason(&like(pattern), &with("x", value), &[], 1).is_none();
    assert!(fits("1\\.5", AttributeValue::Scalar(Scalar::from_thousandths(1500))));
    assert!(fits("4", AttributeValue::Scalar(Scalar::from_thousandths(4000))));
    assert!(fits("\\[1-2,5-9\\]", AttributeValue::Ranges(vec![range(5, 9), range(1, 2)])));
    assert!(fits("\\{a,b\\}", AttributeValue::Set(vec!["b".to_owned(), "a".to_owned()])));
    assert!(!fits("\\{b,a\\}", AttributeValue::Set(vec!["b".to_owned(), "a".to_owned()])));
}

#[test]
fn is_and_cluster_compare_numbers_as_numbers_and_texts_as_texts() {
    let four = with("x", AttributeValue::Scalar(Scalar::from_thousandths(4000)));
    let text = with("x", AttributeValue::Text("4.0".to_owned()));
    for operator in [ConstraintOperator::Is, ConstraintOperator::Cluster] {
        let fits = |value, agent| reason(&compile("x", operator, Some(value)), agent, &[], 1).is_none();
        assert!(fits("4", &four));
        assert!(fits("4.0", &four));
        assert!(!fits("4.1", &four));
        assert!(fits("4.0", &text));
        assert!(!fits("4", &text));
    }
    // Without a value `IS` means the empty text.
    let is_empty = compile("rack", ConstraintOperator::Is, None);
    assert_eq!(reason(&is_empty, &rack(""), &[], 1), None);
    assert_eq!(reason(&is_empty, &rack("r1"), &[], 1), Some(ConstraintReason::OtherValue));
}

#[test]
fn like_and_unlike_match_the_whole_value() {
    let like = compile("rack", ConstraintOperator::Like, Some("r[12]"));
    assert_eq!(reason(&like, &rack("r1"), &[], 1), None);
    assert_eq!(reason(&like, &rack("r12"), &[], 1), Some(ConstraintReason::OtherValue));
    let unlike = compile("rack", ConstraintOperator::Unlike, Some("r[12]"));
    assert_eq!(reason(&unlike, &rack("r1"), &[], 1), Some(ConstraintReason::ForbiddenValue));
    assert_eq!(reason(&unlike, &rack("r12"), &[], 1), None);
}

#[test]
fn an_agent_without_the_field_satisfies_unlike_only() {
    use ConstraintOperator::{Cluster, GroupBy, Is, Like, MaxPer, Unique, Unlike};
    let cases = [
        (Unique, None),
        (Cluster, None),
        (Cluster, Some("a")),
        (GroupBy, None),
        (GroupBy, Some("2")),
        (Like, Some(".*")),
        (Unlike, Some(".*")),
        (MaxPer, Some("5")),
        (Is, Some("a")),
        (Is, None),
    ];
    for field in ["rack", "@region", "@zone"] {
        for (operator, value) in cases {
            let constraints = compile(field, operator, value);
            let expected = if operator == Unlike { None } else { Some(ConstraintReason::NoSuchField) };
            assert_eq!(reason(&constraints, &host("h"), &[], 1), expected, "{field} {operator} {value:?}");
            let agent_only = constraints.check_agent(&host("h")).err().map(|refusal| refusal.reason);
            assert_eq!(agent_only, expected, "{field} {operator} {value:?}");
        }
    }
}

#[test]
fn unique_and_max_per_limit_the_copies_on_a_value() {
    let unique = compile("@hostname", ConstraintOperator::Unique, None);
    assert_eq!(reason(&unique, &host("a"), &[host("b"), host("c")], 9), None);
    let full = |copies, limit| Some(ConstraintReason::Full { copies, limit });
    assert_eq!(reason(&unique, &host("a"), &[host("a")], 9), full(1, 1));
    let two = compile("rack", ConstraintOperator::MaxPer, Some("2"));
    assert_eq!(reason(&two, &rack("r"), &[rack("r"), rack("s")], 9), None);
    assert_eq!(reason(&two, &rack("r"), &[rack("r"), rack("r")], 9), full(2, 2));
    for none in ["0", "-1"] {
        let none = compile("rack", ConstraintOperator::MaxPer, Some(none));
        assert_eq!(reason(&none, &rack("r"), &[], 9), full(0, 0));
        assert_eq!(none.check_agent(&rack("r")).unwrap_err().reason, full(0, 0).unwrap());
    }
}

#[test]
fn cluster_without_a_value_follows_the_majority_whatever_the_others_lack() {
    let cluster = compile("rack", ConstraintOperator::Cluster, None);
    assert_eq!(reason(&cluster, &rack("r"), &[], 9), None);
    assert_eq!(reason(&cluster, &rack("r"), &[rack("r")], 9), None);
    assert_eq!(reason(&cluster, &rack("r"), &[rack("s")], 9), Some(ConstraintReason::Elsewhere));
    // A copy on an agent without a rack binds nobody.
    assert_eq!(reason(&cluster, &rack("r"), &[host("h")], 9), None);
    assert_eq!(reason(&cluster, &rack("r"), &[host("h"), rack("r")], 9), None);
    let mixed = [rack("a"), rack("s"), rack("s")];
    assert_eq!(reason(&cluster, &rack("s"), &mixed, 9), None);
    assert_eq!(reason(&cluster, &rack("a"), &mixed, 9), Some(ConstraintReason::Elsewhere));
    let tied = [rack("s"), rack("r")];
    assert_eq!(reason(&cluster, &rack("r"), &tied, 9), None);
    assert_eq!(reason(&cluster, &rack("s"), &tied, 9), Some(ConstraintReason::Elsewhere));
}

#[test]
fn group_by_without_a_number_fills_the_emptiest_value_and_takes_new_ones() {
    for value in [None, Some("0"), Some("-3")] {
        let group = compile("rack", ConstraintOperator::GroupBy, value);
        assert_eq!(reason(&group, &rack("r"), &[], 9), None);
        assert_eq!(reason(&group, &rack("r"), &[rack("r")], 9), None);
        assert_eq!(reason(&group, &rack("s"), &[rack("r")], 9), None);
        let uneven = [rack("r"), rack("r"), rack("s")];
        let full = Some(ConstraintReason::Full { copies: 2, limit: 1 });
        assert_eq!(reason(&group, &rack("r"), &uneven, 9), full);
        assert_eq!(reason(&group, &rack("s"), &uneven, 9), None);
        assert_eq!(reason(&group, &rack("t"), &uneven, 9), None);
    }
}

#[test]
fn group_by_spreads_what_is_wanted_now_over_so_many_values() {
    let three = compile("rack", ConstraintOperator::GroupBy, Some("3"));
    let full = |copies, limit| Some(ConstraintReason::Full { copies, limit });
    let (r, s, t) = (rack("r"), rack("s"), rack("t"));
    let on = |rs: usize, ss: usize, ts: usize| {
        let copies = [(&r, rs), (&s, ss), (&t, ts)];
        let copies = copies.into_iter().flat_map(|(agent, count)| vec![agent.clone(); count]);
        copies.collect::<Vec<_>>()
    };
    // 7 over 3: 3, 2, 2.
    assert_eq!(reason(&three, &r, &on(2, 0, 0), 7), None);
    assert_eq!(reason(&three, &r, &on(3, 0, 0), 7), full(3, 3));
    assert_eq!(reason(&three, &s, &on(3, 1, 0), 7), None);
    assert_eq!(reason(&three, &s, &on(3, 2, 0), 7), full(2, 2));
    assert_eq!(
        reason(&three, &rack("u"), &on(1, 1, 1), 7),
        Some(ConstraintReason::TooManyValues { limit: 3 })
    );
    // Fewer than values: each on its own.
    assert_eq!(reason(&three, &r, &on(1, 0, 0), 2), full(1, 1));
    assert_eq!(reason(&three, &s, &on(1, 0, 0), 2), None);
    // Scaled up from 2 to 6, each value takes 2, whatever the first copies were launched with.
    assert_eq!(reason(&three, &r, &on(1, 1, 0), 6), None);
    assert_eq!(reason(&three, &r, &on(2, 1, 0), 6), full(2, 2));
}

#[test]
fn the_hostname_is_the_last_of_the_values_that_copies_are_spread_over() {
    let group_by = |field| constraint(field, ConstraintOperator::GroupBy, None);
    let unique = constraint("rack", ConstraintOperator::Unique, None);
    let constraints =
        Constraints::compile(&[group_by("@hostname"), unique, group_by("rack"), group_by("@zone")]);
    let agent = rack("r1");
    let values = constraints.spread_values(&agent);
    assert_eq!(values, [Some("r1".into()), None, Some("h".into())]);
}

#[test]
fn all_constraints_must_hold_and_the_first_that_does_not_is_named() {
    let constraints = Constraints::compile(&[
        constraint("rack", ConstraintOperator::Like, Some("r.")),
        constraint("@hostname", ConstraintOperator::Unique, None),
        constraint("rack", ConstraintOperator::MaxPer, Some("1")),
    ]);
    let agent = rack("r1");
    let mut counts = constraints.counts();
    assert_eq!(constraints.check(&agent, &counts, 3), Ok(()));
    counts.add(&agent);
    let refusal = |index| ConstraintRefusal { index, reason: ConstraintReason::Full { copies: 1, limit: 1 } };
    assert_eq!(constraints.check(&agent, &counts, 3), Err(refusal(1)));
    let neighbour = AgentInfo { host: "other".to_owned(), ..agent.clone() };
    assert_eq!(constraints.check(&neighbour, &counts, 3), Err(refusal(2)));
    assert_eq!(constraints.check_agent(&neighbour), Ok(()));
    counts.remove(&agent);
    assert_eq!(constraints.check(&agent, &counts, 3), Ok(()));
    assert_eq!(counts, constraints.counts());
}

#[test]
fn what_cannot_be_decided_refuses_and_says_so() {
    // Exponentially many ways not to match.
    let hard = "(?:(?=a)a|(?=a)aa)+(?<!a)";
    for (operator, value) in [
        (ConstraintOperator::MaxPer, "many"),
        (ConstraintOperator::GroupBy, "inf"),
        (ConstraintOperator::Like, "("),
        (ConstraintOperator::Unlike, "("),
        (ConstraintOperator::Like, hard),
        (ConstraintOperator::Unlike, hard),
    ] {
        let constraints = compile("rack", operator, Some(value));
        let found = reason(&constraints, &rack(&"a".repeat(64)), &[], 1);
        assert_eq!(found, Some(ConstraintReason::Undecidable), "{operator} {value:?}");
    }
}

#[test]
fn refusals_are_sentences() {
    use ConstraintOperator::{Cluster, GroupBy, Like, MaxPer, Unique, Unlike};
    let r1 = rack("r1");
    let sentences = [
        sentence(&compile("@zone", Unique, None), &in_zone("eu", "a"), &[in_zone("eu", "a")]),
        sentence(&compile("@zone", Unique, None), &host("h"), &[]),
        sentence(&compile("rack", MaxPer, Some("2")), &r1, &[r1.clone(), r1.clone()]),
        sentence(&compile("rack", MaxPer, Some("0")), &r1, &[]),
        sentence(&compile("rack", Like, Some("r[2-9]")), &r1, &[]),
        sentence(&compile("rack", Unlike, Some("r.*")), &r1, &[]),
        sentence(&compile("rack", Cluster, Some("r2")), &r1, &[]),
        sentence(&compile("rack", Cluster, None), &r1, &[rack("r2")]),
        sentence(&compile("rack", GroupBy, Some("1")), &r1, &[rack("r2")]),
        sentence(&compile("rack", GroupBy, Some("2")), &r1, std::slice::from_ref(&r1)),
        sentence(&compile("rack", Like, Some("(")), &r1, &[]),
    ];
    insta::assert_snapshot!(sentences.join("\n"));
}

#[test]
fn only_regions_and_zones_concern_fault_domains() {
    let concerns = |field| compile(field, ConstraintOperator::Unique, None).concern_fault_domains();
    assert!(concerns("@region") && concerns("@zone"));
    assert!(!concerns("@hostname") && !concerns("zone"));
}

#[test]
fn copies_hold_their_place_until_they_end_or_are_given_up() {
    let now = Timestamp::EPOCH;
    let id = InstanceId { pod: PodId::new("/p"), uuid: Uuid::nil() };
    let mut instance = Instance::scheduled(id, now, Role::new("*"), now);
    assert!(!holds_place(&instance), "never launched");
    instance.tasks = ["a", "b"].map(|name| Task::provisioned(name.into(), Vec::new(), now)).into();
    let mut check = |condition, containers: [Condition; 2], goal, expected| {
        instance.condition = condition;
        instance.goal = goal;
        for (task, condition) in instance.tasks.iter_mut().zip(containers) {
            task.condition = condition;
        }
        assert_eq!(holds_place(&instance), expected, "{condition} {containers:?} {goal:?}");
    };
    use Condition::*;
    for goal in [Goal::Running, Goal::Decommissioned] {
        for condition in [Provisioned, Staging, Starting, Running, Killing] {
            check(condition, [condition; 2], goal, true);
        }
        for condition in [Finished, Killed, Failed, Error, Dropped, Gone, Unknown] {
            check(condition, [condition; 2], goal, false);
        }
        // One container failed, the other is still ending.
        check(Failed, [Failed, Killing], goal, true);
        check(UnreachableInactive, [Unreachable; 2], goal, false);
        check(Unreachable, [Unreachable; 2], goal, goal == Goal::Running);
    }
}

/// What the operators mean, said naively over the list of all copies.
fn naive(constraint: &Constraint, agent: &AgentInfo, placed: &[AgentInfo], wanted: usize) -> bool {
    let value_of =
        |agent: &AgentInfo| match constraint.field_name.as_str() {
            "@hostname" => Some(agent.host.clone()),
            "@zone" => agent.domain.as_ref().map(|domain| domain.zone.clone()),
            name => agent.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| {
                match &attribute.value {
                    AttributeValue::Text(text) => text.clone(),
                    other => panic!("{other:?}"),
                }
            }),
        };
    let Some(value) = value_of(agent) else { return constraint.operator == ConstraintOperator::Unlike };
    let mut groups: Vec<(String, usize)> = Vec::new();
    for other in placed.iter().filter_map(value_of) {
        match groups.iter_mut().find(|(known, _)| *known == other) {
            Some((_, copies)) => *copies += 1,
            None => groups.push((other, 1)),
        }
    }
    groups.sort();
    let copies = groups.iter().find(|(known, _)| *known == value).map_or(0, |(_, copies)| *copies);
    let text = constraint.value.as_deref().unwrap_or_default();
    let number = || text.parse::<usize>().unwrap();
    match constraint.operator {
        ConstraintOperator::Unique => copies == 0,
        ConstraintOperator::MaxPer => copies < number(),
        ConstraintOperator::Is => value == text,
        ConstraintOperator::Like => text.split('|').any(|word| word == value),
        ConstraintOperator::Unlike => text.split('|').all(|word| word != value),
        ConstraintOperator::Cluster if constraint.value.is_some() => value == text,
        ConstraintOperator::Cluster => {
            let most = groups.iter().map(|(_, copies)| *copies).max();
            groups.iter().find(|(_, copies)| Some(*copies) == most).is_none_or(|(known, _)| *known == value)
        }
        ConstraintOperator::GroupBy if constraint.value.is_none() => {
            copies <= groups.iter().map(|(_, copies)| *copies).min().unwrap_or(0)
        }
        ConstraintOperator::GroupBy if copies == 0 => groups.len() < number(),
        ConstraintOperator::GroupBy => {
            let (share, rest) = (wanted / number(), wanted % number());
            let used: usize = groups.iter().map(|(_, copies)| copies.saturating_sub(share)).sum();
            copies < share || (copies == share && used < rest)
        }
    }
}

fn any_agent() -> impl Strategy<Value = AgentInfo> {
    let letter = || prop::option::of(prop::sample::select(vec!["a", "b", "c", "d"]));
    (letter(), letter(), letter()).prop_map(|(host_name, zone, rack_name)| AgentInfo {
        domain: zone.map(|zone| FaultDomain { region: "eu".to_owned(), zone: zone.to_owned() }),
        attributes: rack_name.map_or_else(Vec::new, |name| rack(name).attributes),
        ..host(host_name.unwrap_or("e"))
    })
}

fn any_constraint() -> impl Strategy<Value = Constraint> {
    use ConstraintOperator::{Cluster, GroupBy, Is, Like, MaxPer, Unique, Unlike};
    let kinds = prop::sample::select(vec![
        (Unique, None),
        (Cluster, None),
        (Cluster, Some("a")),
        (GroupBy, None),
        (GroupBy, Some("1")),
        (GroupBy, Some("2")),
        (GroupBy, Some("3")),
        (GroupBy, Some("7")),
        (Like, Some("a|b")),
        (Unlike, Some("a|b")),
        (MaxPer, Some("1")),
        (MaxPer, Some("3")),
        (Is, Some("b")),
    ]);
    let fields = prop::sample::select(vec!["@hostname", "@zone", "rack"]);
    (fields, kinds).prop_map(|(field, (operator, value))| constraint(field, operator, value))
}

proptest! {
    // Many, because only some of them make the counts matter; each takes microseconds.
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn decisions_agree_with_the_naive_reading(
        constraints in prop::collection::vec(any_constraint(), 0..4),
        placed in prop::collection::vec((any_agent(), any::<bool>()), 0..12),
        agent in any_agent(),
        wanted in 0_u32..20,
    ) {
        let compiled = Constraints::compile(&constraints);
        let mut counts = compiled.counts();
        placed.iter().for_each(|(agent, _)| counts.add(agent));
        for (agent, _) in placed.iter().filter(|(_, gone)| *gone) {
            counts.remove(agent);
        }
        let left: Vec<AgentInfo> =
            placed.iter().filter(|(_, gone)| !gone).map(|(agent, _)| agent.clone()).collect();
        let first = constraints.iter().position(|one| !naive(one, &agent, &left, wanted as usize));
        let found = compiled.check(&agent, &counts, wanted);
        prop_assert_eq!(found.err().map(|refusal| refusal.index), first);
        if let Err(refusal) = compiled.check_agent(&agent) {
            prop_assert!(found.is_err());
            prop_assert!(compiled.explain(refusal, &agent).contains(&constraints[refusal.index].field_name));
        }
    }

    /// Whatever offers come in whatever order, `GROUP_BY` never allows more than an even spread, and with
    /// enough offers of every value it allows all that is wanted.
    #[test]
    fn group_by_reaches_an_even_spread(
        values in 1_u32..6,
        wanted in 0_u32..30,
        order in prop::collection::vec(0_u32..6, 0..200),
    ) {
        let constraints = compile("rack", ConstraintOperator::GroupBy, Some(&values.to_string()));
        let mut counts = constraints.counts();
        let mut placed = [0_u32; 6];
        for value in order.into_iter().chain((0..wanted).flat_map(|_| 0..6)) {
            let agent = rack(&format!("r{value}"));
            let done = placed.iter().sum::<u32>() == wanted;
            if !done && constraints.check(&agent, &counts, wanted).is_ok() {
                counts.add(&agent);
                placed[value as usize] += 1;
            }
        }
        prop_assert_eq!(placed.iter().sum::<u32>(), wanted);
        let mut used: Vec<u32> = placed.into_iter().filter(|copies| *copies > 0).collect();
        used.sort_unstable();
        let (share, rest) = (wanted / values, (wanted % values) as usize);
        let mut even = vec![share; values as usize];
        even.iter_mut().rev().take(rest).for_each(|copies| *copies += 1);
        even.retain(|copies| *copies > 0);
        prop_assert_eq!(used, even);
    }
}
