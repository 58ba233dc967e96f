//! Random faults under a simple scheduler. Whatever happens, the books balance: what is used, offered and free on
//! an agent adds up to what it has. And when the faults stop, everything is as it should be.

use std::collections::BTreeSet;
use std::time::Duration;

use podium_core::model::mesos::{Call, TaskState};
use proptest::prelude::*;

use super::super::{
    AgentIndex, AgentStanding, Cluster, Exit, Fault, Input, Latency, LinkConfig, OperatorCall,
};
use super::harness::{World, config, framework};
use crate::cluster::resources::Resources;
use crate::random::Random;

/// Used, offered and available resources add up to the total on every registered agent.
fn check_books(cluster: &Cluster) {
    for agent in cluster.agents() {
        if !matches!(agent.standing, AgentStanding::Registered | AgentStanding::Disconnected) {
            continue;
        }
        let mut sum = Resources::sum(&agent.available());
        for view in cluster.offers().filter(|view| view.agent == agent.index) {
            sum.add_all(&Resources::sum(view.resources).allocated(None));
        }
        let record = cluster.master.agents[agent.index.0 as usize].as_ref().unwrap();
        for item in record.used(&cluster.master) {
            sum.add_all(&Resources::sum(item).allocated(None));
        }
        let total = Resources::sum(agent.total);
        assert!(
            sum.contains(&total) && total.contains(&sum),
            "agent {:?}: {sum} is not {total}",
            agent.agent_id
        );
    }
}

struct Chaos {
    world: World,
    random: Random,
    pods: u32,
    target: usize,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut config = config(3);
        config.links =
            LinkConfig { master_agent: Latency::millis(1, 50), agent_executor: Latency::millis(0, 20) };
        config.agent.registration_backoff = Duration::from_secs(1);
        let mut world = World::with(config, framework());
        world.seconds(2);
        Self { world, random: Random::new(seed), pods: 0, target: 6 }
    }

    /// What the scheduler does: keeps a number of pods, forgets nothing.
    fn schedule(&mut self) {
        let live = self.world.cluster.tasks().filter(|task| !task.state.is_terminal()).count() / 2;
        if self.world.stream.is_none() {
            self.world.subscribe();
        } else if live < self.target && !self.world.offers.is_empty() {
            self.pods += 1;
            let names = [format!("p{}.a", self.pods), format!("p{}.b=deaf", self.pods)];
            // Few executor ids, so that they are used again.
            let executor = format!("e{}", self.pods % 8);
            self.world.launch(&executor, &[&names[0], &names[1]]);
        } else if let Some(offer) = self.world.offers.pop() {
            let refuse = Some(self.random.duration(Duration::ZERO, Duration::from_secs(20)));
            self.world.call(Call::Decline { offer_ids: vec![offer.id], refuse });
        }
    }

    fn fault(&mut self) {
        let agent = AgentIndex(u32::try_from(self.random.below(3)).unwrap());
        let loss = self.random.chance(500);
        let tasks: Vec<_> =
            self.world.cluster.containers().map(|view| view.task_id.as_str().to_owned()).collect();
        let executors: Vec<_> = self.world.cluster.executors().map(|view| view.container.clone()).collect();
        let task = self.random.pick(&tasks).cloned();
        let executor = self.random.pick(&executors).cloned();
        let fault = match self.random.below(26) {
            0 => Fault::Partition { agent, loss },
            1 | 2 => Fault::Heal { agent },
            3 => Fault::Disconnect { agent },
            4 => Fault::StopAgent { agent },
            5 | 6 => Fault::StartAgent { agent },
            7 => Fault::SuspendAgent { agent },
            8 | 9 => Fault::ResumeAgent { agent },
            10 => Fault::PowerOff { agent },
            11 => Fault::WipeAgent { agent, keeps_disk: self.random.chance(500) },
            12 => Fault::MasterFailover,
            13 => Fault::RescindOffers { agent: Some(agent) },
            14 => Fault::Delay { agent, extra: self.random.duration(Duration::ZERO, Duration::from_secs(3)) },
            15 => Fault::ShutDownAgent { agent },
            16 => match executor {
                Some(container) => Fault::KillExecutor { container, signal: 9 },
                None => return,
            },
            17 => match executor {
                Some(container) => Fault::SuspendExecutor { container },
                None => return,
            },
            18 => match executor {
                Some(container) => Fault::ResumeExecutor { container },
                None => return,
            },
            19 | 20 => {
                let Some(task) = task else { return };
                if self.world.exists(&task) {
                    self.world.end(&task, Exit::Code(i32::try_from(self.random.below(2)).unwrap()));
                }
                return;
            }
            21 => {
                if let Some(task) = task
                    && self.world.stream.is_some()
                {
                    self.world.kill(&task, None);
                }
                return;
            }
            22 => match task {
                Some(task) => Fault::DropUpdate { task_id: task.as_str().into() },
                None => return,
            },
            23 => match task {
                Some(task) => Fault::DropAcknowledgement { task_id: task.as_str().into() },
                None => return,
            },
            24 => return self.operate(agent),
            _ => {
                if self.world.stream.is_some() {
                    self.world.disconnect();
                }
                return;
            }
        };
        // Wiping the disk of a running agent is not something that happens.
        let running = self.world.cluster.agents().nth(agent.0 as usize).is_some_and(|view| view.running);
        if !(running && matches!(fault, Fault::WipeAgent { .. })) {
            self.world.fault(fault);
        }
    }

    fn operate(&mut self, agent: AgentIndex) {
        let view = self.world.cluster.agents().nth(agent.0 as usize);
        let Some(agent_id) = view.and_then(|view| view.agent_id.cloned()) else { return };
        let call = match self.random.below(4) {
            0 => OperatorCall::MarkAgentGone { agent_id },
            1 => OperatorCall::DrainAgent { agent_id, max_grace_period: None, mark_gone: false },
            2 => OperatorCall::DeactivateAgent { agent_id },
            _ => OperatorCall::ReactivateAgent { agent_id },
        };
        self.world.operator(call);
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.fault();
            let pause = self.random.exponential(Duration::from_secs(4));
            let end = self.world.now + pause;
            while self.world.now < end {
                self.schedule();
                self.world.run(Duration::from_millis(500));
                check_books(&self.world.cluster);
            }
        }
    }

    /// All faults end.
    fn calm(&mut self) {
        let executors: Vec<_> = self.world.cluster.executors().map(|view| view.container.clone()).collect();
        for container in executors {
            self.world.fault(Fault::ResumeExecutor { container });
        }
        for agent in (0..3).map(AgentIndex) {
            self.world.fault(Fault::Delay { agent, extra: Duration::ZERO });
            self.world.fault(Fault::Heal { agent });
            self.world.fault(Fault::ResumeAgent { agent });
        }
        for round in 0..6 {
            // Agents that were told to end are started again, as their machines' supervisors would.
            for agent in (0..3).map(AgentIndex) {
                self.world.fault(Fault::StartAgent { agent });
            }
            self.world.seconds(if round == 0 { 200 } else { 100 });
            if self.world.stream.is_none() {
                self.world.subscribe();
            }
        }
        let ids: Vec<_> = self.world.cluster.agents().filter_map(|view| view.agent_id.cloned()).collect();
        for agent_id in ids {
            self.world.operator_quietly(OperatorCall::ReactivateAgent { agent_id });
        }
        self.world.seconds(1300);
    }
}

#[test]
fn the_books_balance_and_calm_returns() {
    for seed in 0..60 {
        let mut chaos = Chaos::new(seed);
        chaos.run(60);
        chaos.calm();
        let cluster = &chaos.world.cluster;
        check_books(cluster);
        for agent in cluster.agents() {
            assert_eq!(agent.standing, AgentStanding::Registered, "seed {seed}: {:?}", agent.index);
            assert!(agent.active, "seed {seed}: {:?}", agent.index);
        }
        // What runs is what the master believes to run, and nothing else is left over.
        let believed: BTreeSet<_> = cluster
            .tasks()
            .filter(|task| !task.unreachable)
            .map(|task| (task.task.task_id.as_str(), task.state == TaskState::TaskRunning))
            .collect();
        let real: BTreeSet<_> =
            cluster.containers().map(|view| (view.task_id.as_str(), view.started)).collect();
        let odd: Vec<_> = believed.symmetric_difference(&real).collect();
        let told =
            |id: &str| chaos.world.story().lines().filter(|line| line.contains(id)).collect::<Vec<_>>();
        let stories: Vec<_> = odd.iter().map(|(id, _)| told(id).join("\n")).collect();
        assert!(odd.is_empty(), "seed {seed}: {odd:?}\n{}", stories.join("\n\n"));
    }
}

#[test]
fn equal_seeds_tell_equal_stories() {
    let story = |seed| {
        let mut chaos = Chaos::new(seed);
        chaos.run(40);
        chaos.world.story
    };
    assert_eq!(story(5), story(5));
    assert_ne!(story(5), story(6));
}

#[test]
fn a_clone_has_the_same_future() {
    let mut chaos = Chaos::new(9);
    chaos.run(20);
    let mut copy = Chaos {
        world: chaos.world.clone(),
        random: chaos.random.clone(),
        pods: chaos.pods,
        target: chaos.target,
    };
    chaos.run(20);
    copy.run(20);
    assert_eq!(chaos.world.story, copy.world.story);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A late tick, or many early ones, change nothing but the times.
    #[test]
    fn ticks_are_harmless(seed in 0..1000u64, extra in 1..20u64) {
        let run = |ticks: u64| {
            let mut world = Chaos::new(seed).world;
            world.launch("pod", &["A", "B"]);
            for _ in 0..200 {
                for _ in 0..ticks {
                    let mut outputs = Vec::new();
                    world.cluster.step(world.now, Input::Tick, &mut outputs);
                    prop_assert!(outputs.is_empty());
                }
                world.run(Duration::from_millis(50));
            }
            Ok(world.story)
        };
        prop_assert_eq!(run(0)?, run(extra)?);
    }
}
