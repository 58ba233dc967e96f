//! Every scenario ends as it says it does, and what happens on the way is there to be read.

use podium_core::Scheduler;
use podium_sim::oracle::Jury;
use podium_sim::run::run_traced;
use podium_sim::world::World;

#[test]
fn every_scenario_ends_as_it_says() {
    let scenarios = podium_scenarios::all().unwrap();
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let report = run_traced(&scenario.plan);
        assert_eq!(report.violation, None, "{}", scenario.name);
        let trace = report.trace.expect("it was asked for").short();
        insta::with_settings!({ snapshot_suffix => scenario.name, description => scenario.plan.about }, {
            insta::assert_snapshot!(trace);
        });
    }
}

#[test]
fn every_scenario_can_be_taken_over_at_every_moment() {
    for scenario in podium_scenarios::all().unwrap() {
        let mut world: World<'_, Scheduler, Jury> = World::new(&scenario.plan, Jury::thorough());
        assert_eq!(world.run(), Ok(()), "{}", scenario.name);
    }
}
