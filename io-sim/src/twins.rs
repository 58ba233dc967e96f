//! Is a run a function of its plan? Two runs go side by side, and everything that their schedulers are told and
//! decide is compared at once, so that the first difference is found where it arises.

use podium_core::model::time::Timestamp;
use podium_core::{Input, Output};

use crate::oracle::{Jury, Violation, Witness};
use crate::plan::Plan;
use crate::world::{Scene, Seen, Subject, World};

/// Where two runs of a plan part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "two runs of the plan part at step {step}, after {elapsed:?}, in {what}: '{first}' is not '{second}'"
)]
pub struct Difference {
    /// The scheduler's step, counted from 1.
    pub step: u64,
    /// How much time had passed in the world.
    pub elapsed: std::time::Duration,
    /// The part of the step that differs.
    pub what: &'static str,
    /// The first piece of it that differs, as it is in one run.
    pub first: String,
    /// The same piece in the other run.
    pub second: String,
}

/// Runs `plan` twice, in lockstep.
///
/// # Errors
/// They differ.
pub fn compare<S: Subject>(plan: &Plan) -> Result<(), Difference> {
    let mut twins = [(); 2].map(|()| World::<S, Diary>::new(plan, Diary::default()));
    let mut steps = 0;
    loop {
        let went_on = twins.each_mut().map(World::advance);
        let elapsed = twins[0].elapsed();
        let [first, second] = twins.each_mut().map(|twin| std::mem::take(&mut twin.witness_mut().steps));
        let longest = first.len().max(second.len());
        for index in 0..longest {
            steps += 1;
            compare_steps(first.get(index), second.get(index))
                .map_err(|(what, first, second)| Difference { step: steps, elapsed, what, first, second })?;
        }
        match went_on {
            [true, true] => {}
            [false, false] => return Ok(()),
            [first, second] => {
                let word = |went_on| if went_on { "it goes on" } else { "it ends" }.to_owned();
                return Err(Difference {
                    step: steps,
                    elapsed,
                    what: "its length",
                    first: word(first),
                    second: word(second),
                });
            }
        }
    }
}

/// The scheduler's steps that have not been compared yet.
#[derive(Clone, Debug, Default)]
struct Diary {
    jury: Jury,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    clock: Timestamp,
    input: Input,
    output: Output,
}

impl Witness for Diary {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Seen::Stepped { clock, input, output } = *seen {
            self.steps.push(Step { clock, input: input.clone(), output: output.clone() });
        }
        self.jury.see(seen, scene)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.jury.deadline()
    }

    fn is_satisfied(&self) -> bool {
        self.jury.is_satisfied()
    }
}

/// The part of a step that differs, and the first piece of it in both.
fn compare_steps(first: Option<&Step>, second: Option<&Step>) -> Result<(), (&'static str, String, String)> {
    if first == second {
        return Ok(());
    }
    let part = |what, show: fn(&Step) -> Vec<String>| {
        let [mut first, mut second] = [first, second].map(|step| step.map(show).unwrap_or_default());
        let longest = first.len().max(second.len());
        first.resize(longest, "nothing".to_owned());
        second.resize(longest, "nothing".to_owned());
        let mut pairs = first.into_iter().zip(second);
        pairs.find(|(a, b)| a != b).map(|(a, b)| (what, a, b))
    };
    let parts = [
        part("the clock", |step| vec![step.clock.to_string()]),
        part("the input", |step| vec![format!("{:?}", step.input)]),
        part("the records", |step| step.output.records.iter().map(|it| format!("{it:?}")).collect()),
        part("the actions", |step| step.output.actions.iter().map(|it| format!("{it:?}")).collect()),
    ];
    let unseen = ("a value that does not show", String::new(), String::new());
    Err(parts.into_iter().flatten().next().unwrap_or(unseen))
}
