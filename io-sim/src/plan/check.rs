//! What a plan's types cannot express.

use serde::Deserialize as _;

use strum::VariantNames as _;

use super::{Moment, Plan, Planned, Request, Span};

/// No run lasts longer: it would take very long and show nothing for it.
const LATEST: Span = Span::from_secs(100 * 86_400);
/// Nothing on a machine is greater.
const MOST: f64 = 1e9;
/// Nobody asks for more copies.
const MOST_INSTANCES: u32 = 100_000;

/// A plan that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPlan {
    /// The text is no plan.
    #[error("not a plan: {0}")]
    Json(#[from] serde_path_to_error::Error<serde_json::Error>),
    /// The text is a list, whose elements could pass for a plan's fields.
    #[error("not a plan: a list, where an object should be")]
    List,
    /// A fault names an agent that there is not.
    #[error("faults[{fault}] names agent {agent}, but cluster.agents has only {agents}")]
    NoSuchAgent {
        /// The fault's index.
        fault: usize,
        /// The agent it names.
        agent: u32,
        /// So many there are.
        agents: usize,
    },
    /// There is nothing to run on.
    #[error("cluster.agents is empty; a plan needs at least one agent")]
    NoAgents,
    /// A field has a value that makes no sense.
    #[error("{field}: {problem}")]
    Field {
        /// Its place in the plan, such as `faults[2].at`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl InvalidPlan {
    fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { field: field.into(), problem: problem.into() }
    }
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// The text is no plan, or contradicts itself.
    pub fn from_json(text: &str) -> Result<Self, InvalidPlan> {
        if text.trim_start().starts_with('[') {
            return Err(InvalidPlan::List);
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let mut track = serde_path_to_error::Track::new();
        let plan = Self::deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
        let plan = plan.and_then(|plan| json.end().map(|()| plan));
        let plan = plan.map_err(|error| serde_path_to_error::Error::new(track.path(), error))?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks what its types cannot express.
    ///
    /// # Errors
    /// It contradicts itself.
    pub fn check(&self) -> Result<(), InvalidPlan> {
        self.check_agents()?;
        self.check_times()?;
        self.check_aims()?;
        for (index, rule) in self.containers.iter().enumerate() {
            let behaviour = &rule.behaviour;
            let chances = [
                ("launch_fails", behaviour.launch_fails),
                ("exits", behaviour.exits),
                ("deaf", behaviour.deaf),
                ("unhealthy", behaviour.unhealthy),
            ];
            if let Some((name, chance)) = chances.into_iter().find(|(_, chance)| chance.0 > 1000) {
                let problem = format!("{} of a thousand times is too often", chance.0);
                return Err(InvalidPlan::field(format!("containers[{index}].do.{name}"), problem));
            }
        }
        for (index, order) in self.workload.iter().enumerate() {
            if let Request::Scale { instances, .. } = order.what
                && instances > MOST_INSTANCES
            {
                let field = format!("workload[{index}].do.scale.instances");
                return Err(InvalidPlan::field(field, format!("{instances} is more than {MOST_INSTANCES}")));
            }
        }
        Ok(())
    }

    fn check_agents(&self) -> Result<(), InvalidPlan> {
        let agents = self.cluster.agents.len();
        if agents == 0 {
            return Err(InvalidPlan::NoAgents);
        }
        let mut named = self.faults.iter().map(|planned| planned.what.agent()).enumerate();
        let unknown =
            named.find_map(|(fault, agent)| Some((fault, agent.filter(|at| *at as usize >= agents)?)));
        if let Some((fault, agent)) = unknown {
            return Err(InvalidPlan::NoSuchAgent { fault, agent, agents });
        }
        for (index, agent) in self.cluster.agents.iter().enumerate() {
            let mut amounts = vec![
                ("cpus".to_owned(), agent.cpus),
                ("mem".to_owned(), agent.mem),
                ("disk".to_owned(), agent.disk),
                ("gpus".to_owned(), agent.gpus),
            ];
            let disks = agent.disks.iter().enumerate();
            amounts.extend(disks.map(|(disk, it)| (format!("disks[{disk}].size"), it.size)));
            for (place, reserved) in agent.reserved.iter().enumerate() {
                amounts.extend(
                    [("cpus", reserved.cpus), ("mem", reserved.mem), ("disk", reserved.disk)]
                        .map(|(name, amount)| (format!("reserved[{place}].{name}"), amount)),
                );
            }
            let is_wrong = |(_, amount): &(String, f64)| !(0.0..=MOST).contains(amount);
            if let Some((name, amount)) = amounts.into_iter().find(is_wrong) {
                let problem = format!("{amount} is no amount; it is at least 0 and at most {MOST}");
                return Err(InvalidPlan::field(format!("cluster.agents[{index}].{name}"), problem));
            }
        }
        Ok(())
    }

    fn check_aims(&self) -> Result<(), InvalidPlan> {
        for (index, order) in self.workload.iter().enumerate() {
            let name = format!("workload[{index}]");
            check_aim(&name, order.on, order.before, order.after)?;
            if order.until.is_some() {
                let problem = "a request has no end; only faults have one";
                return Err(InvalidPlan::field(format!("{name}.until"), problem));
            }
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let name = format!("faults[{index}]");
            check_aim(&name, fault.on, fault.before, fault.after)?;
            let Some(aim) = fault.until else { continue };
            check_aim(&format!("{name}.until"), Some(aim.on), aim.before, aim.after)?;
            if fault.what.lasts().is_none() {
                let problem = format!("{} has no end; only what lasts has one", fault.what.name());
                return Err(InvalidPlan::field(format!("{name}.until"), problem));
            }
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), InvalidPlan> {
        let mut times = vec![("settle".to_owned(), self.settle), ("quiet".to_owned(), self.quiet)];
        times.extend(self.mended_at.map(|at| ("mended_at".to_owned(), at)));
        for (index, order) in self.workload.iter().enumerate() {
            times.extend(times_of(&format!("workload[{index}]"), order));
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let name = format!("faults[{index}]");
            times.extend(times_of(&name, fault));
            times.extend(
                fault.what.lasts().map(|lasts| (format!("{name}.do.{}.lasts", fault.what.name()), lasts)),
            );
        }
        for (index, expectation) in self.expect.iter().enumerate() {
            times.push((format!("expect[{index}].at"), expectation.at));
        }
        if let Some((field, _)) = times.into_iter().find(|(_, time)| *time > LATEST) {
            return Err(InvalidPlan::field(field, format!("it is too late; a run ends after {LATEST}")));
        }
        let Some(mended_at) = self.mended_at else { return Ok(()) };
        let workload = self.workload.iter().map(Planned::earliest).enumerate();
        let faults = self.faults.iter().map(Planned::earliest).enumerate();
        let all = workload.map(|it| ("workload", it)).chain(faults.map(|it| ("faults", it)));
        match all.into_iter().find(|(_, (_, at))| *at > mended_at) {
            Some((list, (index, at))) => Err(InvalidPlan::field(
                format!("{list}[{index}].at"),
                format!("{at} is after mended_at, which is {mended_at}"),
            )),
            None => Ok(()),
        }
    }
}

fn times_of<T>(name: &str, planned: &Planned<T>) -> Vec<(String, Span)> {
    let mut times = vec![
        (format!("{name}.at"), planned.at),
        (format!("{name}.before"), planned.before),
        (format!("{name}.after"), planned.after),
    ];
    if let Some(aim) = planned.until {
        times.extend([
            (format!("{name}.until.before"), aim.before),
            (format!("{name}.until.after"), aim.after),
        ]);
    }
    times
}

/// Only of timers is known before when they fire.
fn check_aim(name: &str, on: Option<Moment>, before: Span, after: Span) -> Result<(), InvalidPlan> {
    if before == Span::ZERO {
        return Ok(());
    }
    if on.is_some_and(Moment::is_timer) {
        if after == Span::ZERO {
            return Ok(());
        }
        let problem = format!("it cannot be {before} before the moment and {after} after it; leave one out");
        return Err(InvalidPlan::field(format!("{name}.before"), problem));
    }
    let all = Moment::VARIANTS.iter().map(|name| name.parse::<Moment>());
    let timers: Vec<&str> =
        all.filter_map(Result::ok).filter(|moment| moment.is_timer()).map(Moment::name).collect();
    let problem = match on {
        Some(moment) => format!("nobody knows before when there will be {}", moment.name()),
        None => "there is no moment that it is before; 'on' names one".to_owned(),
    };
    let problem = format!("{problem}; it goes with {}", timers.join(", "));
    Err(InvalidPlan::field(format!("{name}.before"), problem))
}

impl<T> Planned<T> {
    /// When it happens if it waits for nothing; otherwise from when on it waits.
    fn earliest(&self) -> Span {
        if self.on.is_none() { self.at + self.after } else { self.at }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is said of a plan in which the value at `pointer` is another one.
    fn refusal(pointer: &str, value: Value) -> String {
        let mut plan = json!({
            "cluster": { "agents": [{
                "cpus": 4, "mem": 512, "disk": 100, "gpus": 0,
                "disks": [{ "root": "/d", "size": 5 }],
                "reserved": [{ "role": "r", "cpus": 1, "mem": 32, "disk": 1 }]
            }] },
            "containers": [{ "do": { "exits": 0, "launch_fails": 0, "deaf": 0, "unhealthy": 0 } }],
            "workload": [{ "at": "1m", "after": "0s", "do": { "scale": { "pod": "/a", "instances": 2 } } }],
            "faults": [
                { "at": "2m", "after": "10s", "do": { "agent_drained": { "agent": 0, "lasts": "1m" } } },
                { "at": "2m", "after": "10m", "on": "kill", "do": { "connection_broken": {} } },
                {
                    "at": "2m", "on": "kill_retry", "before": "5s",
                    "until": { "on": "inactive_timer", "before": "1s", "after": "0s" },
                    "do": { "agent_stopped": { "agent": 0, "lasts": "10m" } }
                }
            ],
            "mended_at": "3m",
            "settle": "5m",
            "quiet": "1m",
            "expect": [{ "at": "4m", "that": { "deployments": 0 } }]
        });
        assert!(Plan::from_json(&plan.to_string()).is_ok(), "{:?}", Plan::from_json(&plan.to_string()));
        *plan.pointer_mut(pointer).expect("the plan has such a field") = value;
        Plan::from_json(&plan.to_string()).expect_err("it makes no sense").to_string()
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_field() {
        for (pointer, value, expected) in [
            ("/cluster/agents", json!([]), "cluster.agents is empty; a plan needs at least one agent"),
            (
                "/faults/0/do/agent_drained/agent",
                json!(1),
                "faults[0] names agent 1, but cluster.agents has only 1",
            ),
            (
                "/cluster/agents/0/cpus",
                json!(-4),
                "cluster.agents[0].cpus: -4 is no amount; it is at least 0 and at most 1000000000",
            ),
            (
                "/cluster/agents/0/mem",
                json!(1e10),
                "cluster.agents[0].mem: 10000000000 is no amount; it is at least 0 and at most 1000000000",
            ),
            (
                "/workload/0/do/scale/instances",
                json!(4_000_000_000_u32),
                "workload[0].do.scale.instances: 4000000000 is more than 100000",
            ),
            (
                "/containers/0/do/exits",
                json!(1001),
                "containers[0].do.exits: 1001 of a thousand times is too often",
            ),
            ("/workload/0/at", json!("99999999h"), "workload[0].at: it is too late; a run ends after 100d"),
            (
                "/faults/2/until/after",
                json!("2s"),
                "faults[2].until.before: it cannot be 1s before the moment and 2s after it; leave one out",
            ),
            ("/workload/0/at", json!("3m1s"), "workload[0].at: 3m1s is after mended_at, which is 3m"),
            ("/faults/0/after", json!("61s"), "faults[0].at: 3m1s is after mended_at, which is 3m"),
            ("/faults/1/at", json!("4m"), "faults[1].at: 4m is after mended_at, which is 3m"),
            (
                "/faults/2/on",
                json!("kill"),
                "faults[2].before: nobody knows before when there will be kill; it goes with back_off_end, expunge_timer, \
                 inactive_timer, kill_retry",
            ),
            (
                "/faults/2/on",
                json!(null),
                "faults[2].before: there is no moment that it is before; 'on' names one; it goes with back_off_end, \
                 expunge_timer, inactive_timer, kill_retry",
            ),
            (
                "/faults/2/until/on",
                json!("reply"),
                "faults[2].until.before: nobody knows before when there will be reply; it goes with back_off_end, \
                 expunge_timer, inactive_timer, kill_retry",
            ),
            (
                "/faults/2/do",
                json!({ "connection_broken": {} }),
                "faults[2].until: connection_broken has no end; only what lasts has one",
            ),
            (
                "/workload/0",
                json!({ "at": "1m", "until": { "on": "kill" }, "do": { "reset_delay": { "pod": "/a" } } }),
                "workload[0].until: a request has no end; only faults have one",
            ),
        ] {
            assert_eq!(refusal(pointer, value), expected);
        }
        for field in ["disk", "gpus", "disks/0/size", "reserved/0/cpus", "reserved/0/mem", "reserved/0/disk"]
        {
            let said = refusal(&format!("/cluster/agents/0/{field}"), json!(-1));
            assert!(said.contains("-1 is no amount"), "{field}: {said}");
        }
        for field in ["launch_fails", "deaf", "unhealthy"] {
            let said = refusal(&format!("/containers/0/do/{field}"), json!(1001));
            assert!(said.starts_with(&format!("containers[0].do.{field}: 1001 of ")), "{said}");
        }
        for (pointer, field) in [
            ("/faults/0/after", "faults[0].after"),
            ("/faults/2/before", "faults[2].before"),
            ("/faults/2/until/before", "faults[2].until.before"),
            ("/faults/2/until/after", "faults[2].until.after"),
            ("/faults/0/do/agent_drained/lasts", "faults[0].do.agent_drained.lasts"),
            ("/mended_at", "mended_at"),
            ("/settle", "settle"),
            ("/quiet", "quiet"),
            ("/expect/0/at", "expect[0].at"),
        ] {
            assert_eq!(
                refusal(pointer, json!("101d")),
                format!("{field}: it is too late; a run ends after 100d")
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_path() {
        for (pointer, value, expected) in [
            (
                "/faults/0/do/agent_drained/lasts",
                json!("soon"),
                "not a plan: faults[0].do.agent_drained.lasts: 'soon' is no duration; ",
            ),
            ("/workload/0/do/scale/instances", json!(-1), "not a plan: workload[0].do.scale.instances: "),
            (
                "/cluster/agents/0/cpus",
                json!("4"),
                "not a plan: cluster.agents[0].cpus: invalid type: string",
            ),
        ] {
            let said = refusal(pointer, value);
            assert!(said.starts_with(expected), "{said}");
        }
        let refusal = |text: &str| Plan::from_json(text).unwrap_err().to_string();
        assert_eq!(refusal(" []"), "not a plan: a list, where an object should be");
        assert!(refusal("{").starts_with("not a plan: EOF while parsing"), "{}", refusal("{"));
        let twice = r#"{ "cluster": { "agents": [{ "cpus": 4, "mem": 512 }] } } {}"#;
        assert!(refusal(twice).contains("trailing characters"), "{}", refusal(twice));
    }
}
