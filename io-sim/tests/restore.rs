//! At every moment of a run, a scheduler restored from what is durable shows what the one that runs shows.

use podium_core::Scheduler;
use podium_sim::oracle::Jury;
use podium_sim::plan::{Plan, generate};
use podium_sim::world::World;

#[test]
fn restore_equals_live_at_every_moment() {
    let pod = |revision: &str| {
        format!(
            r#"{{ "id": "/web", "scaling": {{ "kind": "fixed", "instances": 3 }},
                 "networks": [{{ "mode": "host" }}], "environment": {{ "REVISION": "{revision}" }},
                 "scheduling": {{ "unreachableStrategy": {{ "inactiveAfterSeconds": 20, "expungeAfterSeconds": 60 }} }},
                 "containers": [
                   {{ "name": "a", "exec": {{ "command": {{ "shell": "x" }} }}, "resources": {{ "cpus": 0.1, "mem": 32 }},
                      "healthCheck": {{ "exec": {{ "command": {{ "shell": "check" }} }} }} }},
                   {{ "name": "b", "exec": {{ "command": {{ "shell": "x" }} }}, "resources": {{ "cpus": 0.1, "mem": 32 }} }}
                 ] }}"#
        )
    };
    let plan = format!(
        r#"{{ "cluster": {{ "agents": [{{ "cpus": 4, "mem": 4096 }}, {{ "cpus": 4, "mem": 4096 }}] }},
             "workload": [
               {{ "at": "2s", "do": {{ "create": {{ "pod": {} }} }} }},
               {{ "at": "5m", "do": {{ "update": {{ "pod": {} }} }} }},
               {{ "at": "6m", "do": {{ "cancel": {{ "pod": "/web" }} }} }},
               {{ "at": "8m", "do": {{ "kill": {{ "pod": "/web", "nth": [0, 1] }} }} }},
               {{ "at": "9m", "do": {{ "scale": {{ "pod": "/web", "instances": 1 }} }} }},
               {{ "at": "10m", "do": {{ "delete": {{ "pod": "/web" }} }} }}
             ],
             "faults": [
               {{ "at": "30s", "do": {{ "container_exits": {{ "of": {{}}, "status": {{ "code": 1 }} }} }} }},
               {{ "at": "1m", "do": {{ "agent_partitioned": {{ "agent": 0, "loss": true, "lasts": "3m" }} }} }},
               {{ "at": "4m30s", "do": {{ "master_failover": {{}} }} }},
               {{ "at": "5m", "on": "write", "do": {{ "scheduler_crashed": {{ "boundary": {{ "during_write": 1 }}, "lasts": "5s" }} }} }},
               {{ "at": "7m", "do": {{ "leader_changed": {{ "by": "3s", "back": true }} }} }}
             ] }}"#,
        pod("one"),
        pod("two")
    );
    let plan = Plan::from_json(&plan).unwrap();
    let mut world: World<'_, Scheduler, Jury> = World::new(&plan, Jury::thorough());
    assert_eq!(world.run(), Ok(()));
    assert!(world.counts().steps > 100, "{:?}", world.counts());
}

#[test]
fn restore_equals_live_at_every_moment_of_seeds() {
    // More of them take minutes; all seeds are compared from time to time.
    for seed in 0..2 {
        let plan = generate(seed);
        let mut world: World<'_, Scheduler, Jury> = World::new(&plan, Jury::thorough());
        assert_eq!(world.run(), Ok(()), "seed {seed}");
    }
}
