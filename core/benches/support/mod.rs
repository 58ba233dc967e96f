//! A scheduler that is given inputs: what the benchmarks of the core share.

use podium_core::model::ids::{AgentId, FrameworkId, OfferId, TaskId};
use podium_core::model::mesos::{
    Event, Offer, PortRange, Resource, ResourceKind, StatusSource, StatusUuid, TaskState, TaskStatus,
};
use podium_core::model::number::Scalar;
use podium_core::model::time::Timestamp;
use podium_core::{Action, Command, CommandId, Config, Input, Origin, Output, Scheduler};

/// How an input is given to the scheduler.
pub(crate) type Step = fn(&mut Scheduler, Timestamp, Input) -> Output;

/// Defines the way into the scheduler of one phase.
macro_rules! phase {
    ($name:ident) => {
        #[inline(never)]
        fn $name(
            scheduler: &mut podium_core::Scheduler,
            now: podium_core::model::time::Timestamp,
            input: podium_core::Input,
        ) -> podium_core::Output {
            // Keeps the compiler from making one function of all phases.
            std::hint::black_box(stringify!($name));
            scheduler.step(now, input)
        }
    };
}

/// The tasks that `output` launches, each with its agent.
pub(crate) fn launched(output: &Output) -> impl Iterator<Item = (TaskId, AgentId)> + '_ {
    let launches = output.actions.iter().filter_map(|action| match action {
        Action::Accept(accept) => Some(&accept.launches),
        _ => None,
    });
    launches.flatten().flat_map(|launch| {
        let containers = launch.spec.containers.iter();
        containers.map(|container| {
            let task = launch.instance.task_id(&container.name, launch.incarnation);
            (task, launch.agent.agent_id.clone())
        })
    })
}

/// A scheduler, and what it is given.
pub(crate) struct Driver {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Timestamp,
    commands: u64,
    offers: u64,
}

impl Driver {
    /// One that has a subscription.
    pub(crate) fn connected(config: Config) -> Self {
        let mut scheduler = Scheduler::new(config, 1);
        let now = Timestamp::from_millis(1_600_000_000_000);
        let framework_id = FrameworkId::from("fw");
        let subscribed = Event::Subscribed { framework_id, heartbeat_interval: None, master: None };
        let _ = scheduler.step(now, Input::Event(Box::new(subscribed)));
        Self { scheduler, now, commands: 0, offers: 0 }
    }

    /// `command` as an input.
    pub(crate) fn command(&mut self, command: Command) -> Input {
        self.commands += 1;
        Input::Command { id: CommandId(self.commands), origin: Origin::default(), command: Box::new(command) }
    }

    /// An offer of one agent.
    pub(crate) fn offer(&mut self, agent: usize, cpus: f64) -> Offer {
        self.offers += 1;
        let role = self.scheduler.config().mesos_role.clone();
        let scalar =
            |kind, amount| Resource::scalar(kind, Scalar::from_f64(amount)).allocated_to(role.clone());
        Offer {
            id: OfferId::from(format!("O{}", self.offers)),
            framework_id: FrameworkId::from("fw"),
            agent_id: AgentId::from(format!("S{agent}")),
            hostname: format!("agent-{agent}"),
            role: Some(role.clone()),
            resources: vec![
                scalar(ResourceKind::Cpus, cpus),
                scalar(ResourceKind::Mem, 65_536.0),
                scalar(ResourceKind::Disk, 100_000.0),
                Resource::ports(vec![PortRange { begin: 31_000, end: 32_000 }]).allocated_to(role.clone()),
            ],
            attributes: Vec::new(),
            executor_ids: Vec::new(),
            domain: None,
            unavailability: None,
        }
    }
}

/// What Mesos says of a task.
pub(crate) fn update((task, agent): &(TaskId, AgentId), state: TaskState) -> Input {
    let mut status = TaskStatus::new(task.clone(), state);
    status.agent_id = Some(agent.clone());
    status.source = Some(StatusSource::SourceExecutor);
    status.uuid = Some(StatusUuid::from_u128(7));
    Input::Event(Box::new(Event::Update(status)))
}
