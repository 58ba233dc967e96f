//! Every scenario ends as it says it does, and what happens on the way is there to be read.

use podium_core::Scheduler;
use podium_sim::oracle::Jury;
use podium_sim::plan::Planned;
use podium_sim::run::run_traced;
use podium_sim::world::World;

#[test]
fn every_scenario_ends_as_it_says() {
    let scenarios = podium_scenarios::all().unwrap();
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let report = run_traced(&scenario.plan);
        assert_eq!(report.violation, None, "{}", scenario.name);
        let trace = report.trace.expect("it was asked for");
        for Planned { what, .. } in &scenario.plan.faults {
            let planned =
                scenario.plan.faults.iter().filter(|other| other.what.name() == what.name()).count();
            let begun =
                trace.lines().iter().filter(|line| line.who == "fault" && line.to == what.name()).count();
            assert_eq!(begun, planned, "{}: {} never happens", scenario.name, what.name());
        }
        let trace = trace.short();
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
