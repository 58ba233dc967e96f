//! The delay before a copy of a pod is launched again (Pods page, `scheduling.backoff`).
//!
//! ```text
//! first failure       delay = min(backoff, maxLaunchDelay)
//! each further one    delay = min(delay · backoffFactor, maxLaunchDelay)
//! ```
//!
//! in whole milliseconds, and at least one more each time if it is to grow.
//!
//! What differs from Marathon: a further failure is one of a copy that was launched after the delay, so a hundred
//! copies that fail together count once; a copy that served for a good while before it failed counts as a first failure
//! again, so success does lower the delay; a copy that finished without an error waits for the first delay and
//! never longer, and takes nothing off that of others; one that an operator drained away does not wait; copies that start do not push the delay of
//! others further away; a definition that replaces copies is not held back by what became of the one before; and the
//! delay is durable.

use std::sync::Arc;
use std::time::Duration;

use crate::model::instance::{Condition, Instance, Task};
use crate::model::mesos::{StatusReason, TaskState};
use crate::model::pod::{Backoff, PodSpec};
use crate::model::time::Timestamp;
use crate::record::LaunchDelay;
use crate::state::State;

/// A copy that served at least so long, and at least twice as long as the delay before it, was a success.
const SUCCESS: Duration = Duration::from_secs(60);

/// The delay after `instance` has ended without being asked to; none if nothing is to be waited for, as after the end of
/// one whose definition has been replaced.
pub(crate) fn after_end(state: &State, instance: &Instance, now: Timestamp) -> Option<LaunchDelay> {
    let pod = state.pod(&instance.id.pod)?;
    let backoff = pod.spec()?.scheduling.backoff;
    if !pod.is_in_use(instance.version) || instance.tasks.iter().any(was_sent_away) {
        return None;
    }
    let launched = instance.tasks.iter().map(|task| task.staged_at).min().unwrap_or(now);
    let served_since = instance.active_since.filter(|_| was_well(instance, pod.spec_of(instance.version)));
    let served = served_since.map(|at| now.since(at)).unwrap_or_default();
    let end = End { condition: instance.end(), launched, served };
    Some(next(backoff, pod.state.delay, end, now))
}

/// Whether all containers of `instance` that have a health check were once found healthy.
fn was_well(instance: &Instance, spec: Option<&Arc<PodSpec>>) -> bool {
    let containers = spec.into_iter().flat_map(|spec| &spec.containers);
    containers
        .zip(&instance.tasks)
        .all(|(container, task)| container.health_check.is_none() || task.was_healthy)
}

/// Whether `task` ended because its agent was to be emptied.
fn was_sent_away(task: &Task) -> bool {
    let last = task.last.as_deref();
    last.and_then(|last| last.reason) == Some(StatusReason::ReasonAgentDraining)
        || last.and_then(|last| last.state) == Some(TaskState::TaskGoneByOperator)
}

/// How a copy ended.
struct End {
    condition: Condition,
    /// When it was launched.
    launched: Timestamp,
    /// How long it served, and everything of it ran.
    served: Duration,
}

fn next(backoff: Backoff, previous: Option<LaunchDelay>, end: End, now: Timestamp) -> LaunchDelay {
    let longest = millis(backoff.max_launch_delay.0);
    let first = millis(backoff.backoff.0).min(longest);
    let was_success =
        |delay: &LaunchDelay| end.served >= SUCCESS.max(Duration::from_millis(delay.millis) * 2);
    let millis = match previous {
        // That one finishes is no merit of others that fail: what they have earned is kept for them.
        Some(delay) if end.condition == Condition::Finished && !was_success(&delay) => {
            let until = (now + Duration::from_millis(first)).max(delay.until);
            let failures_until = Some(delay.failures_until.unwrap_or(delay.until));
            return LaunchDelay { millis: delay.millis.clamp(first, longest), until, failures_until };
        }
        Some(delay) if !was_success(&delay) => {
            let grown = grow(delay.millis, backoff.backoff_factor.0);
            let is_further = end.launched >= delay.failures_until.unwrap_or(delay.until);
            if is_further { grown } else { delay.millis }.clamp(first, longest)
        }
        _ => first,
    };
    // Copies that fail together must not shorten each other's delay.
    let until = (now + Duration::from_millis(millis)).max(previous.map_or(now, |delay| delay.until));
    LaunchDelay { millis, until, failures_until: None }
}

/// A millisecond at least, unless it is no time at all.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float-to-int casts saturate")]
fn millis(seconds: f64) -> u64 {
    ((seconds * 1000.0).round() as u64).max(u64::from(seconds > 0.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "delays are far below 2^53 ms, and float-to-int casts saturate"
)]
fn grow(millis: u64, factor: f64) -> u64 {
    let grown = (millis as f64 * factor).round() as u64;
    // Or a short delay would stay what it is for ever.
    if factor > 1.0 && millis > 0 { grown.max(millis.saturating_add(1)) } else { grown }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::number::Number;

    const BACKOFF: Backoff = Backoff {
        backoff: Number(1.0),
        backoff_factor: Number(1.15),
        max_launch_delay: Number(3600.0),
        failing_agents: None,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn failure(previous: Option<LaunchDelay>, ran: u64, now: Timestamp) -> LaunchDelay {
        let end = End { condition: Condition::Failed, launched: now, served: Duration::from_secs(ran) };
        next(BACKOFF, previous, end, now)
    }

    #[test]
    fn the_delay_grows_by_its_factor_up_to_its_limit() {
        let first = failure(None, 0, at(100));
        assert_eq!(first, LaunchDelay { millis: 1000, until: at(101), failures_until: None });
        let second = failure(Some(first), 0, at(102));
        assert_eq!(second.millis, 1150);
        let mut delay = second;
        for _ in 0..100 {
            delay = failure(Some(delay), 0, delay.until);
        }
        assert_eq!(delay.millis, 3_600_000);
    }

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        let shortest = prop_oneof![Just(1e-9), 1e-4..1e-2, 1e-2..1e5];
        (shortest, 1.0..=1.001_f64, 0.1..1e6_f64).prop_map(|(backoff, factor, longest)| Backoff {
            backoff: Number(backoff),
            backoff_factor: Number(factor.next_up()),
            max_launch_delay: Number(longest),
            failing_agents: None,
        })
    }

    proptest! {
        /// Also where a thousandth of the delay is less than a millisecond.
        #[test]
        fn a_delay_that_is_to_grow_grows_with_every_failure_until_its_limit(backoff in any_backoff()) {
            let end = |launched| End { condition: Condition::Failed, launched, served: Duration::ZERO };
            let mut delay = next(backoff, None, end(at(0)), at(0));
            prop_assert!(delay.millis > 0);
            for _ in 0..100 {
                let further = next(backoff, Some(delay), end(delay.until), delay.until);
                let longest = millis(backoff.max_launch_delay.0);
                prop_assert!(further.millis > delay.millis || further.millis == longest, "{delay:?}");
                delay = further;
            }
        }
    }

    #[test]
    fn a_delay_that_is_not_to_grow_does_not() {
        for (seconds, factor, expected) in [(0.0, 2.0, 0), (0.003, 1.0, 3), (0.003, 0.5, 3)] {
            let (backoff, backoff_factor) = (Number(seconds), Number(factor));
            let backoff = Backoff { backoff, backoff_factor, ..BACKOFF };
            let end = |launched| End { condition: Condition::Failed, launched, served: Duration::ZERO };
            let first = next(backoff, None, end(at(0)), at(0));
            let second = next(backoff, Some(first), end(first.until), first.until);
            assert_eq!((first.millis, second.millis), (expected, expected), "{seconds} {factor}");
        }
    }

    #[test]
    fn copies_that_fail_together_count_once() {
        let before = LaunchDelay { millis: 10_000, until: at(100), failures_until: None };
        let end = |launched| End { condition: Condition::Failed, launched, served: Duration::ZERO };
        let first = next(BACKOFF, Some(before), end(at(101)), at(102));
        assert_eq!(
            first,
            LaunchDelay {
                millis: 11_500,
                until: at(102) + Duration::from_millis(11_500),
                failures_until: None
            }
        );
        let second = next(BACKOFF, Some(first), end(at(101)), at(103));
        assert_eq!(second, LaunchDelay { until: at(103) + Duration::from_millis(11_500), ..first });
    }

    #[test]
    fn a_long_run_makes_the_next_failure_a_first_one() {
        let delay = LaunchDelay { millis: 50_000, until: at(0), failures_until: None };
        assert_eq!(failure(Some(delay), 99, at(500)).millis, 57_500);
        assert_eq!(failure(Some(delay), 100, at(500)).millis, 1000);
    }

    #[test]
    fn finishing_is_no_failure() {
        let delay = LaunchDelay { millis: 50_000, until: at(0), failures_until: None };
        let end = End { condition: Condition::Finished, launched: at(10), served: Duration::ZERO };
        let next = next(BACKOFF, Some(delay), end, at(10));
        assert_eq!(next, LaunchDelay { millis: 50_000, until: at(11), failures_until: Some(at(0)) });
    }

    #[test]
    fn absurd_numbers_do_no_harm() {
        let absurd = Backoff {
            backoff: Number(1e300),
            backoff_factor: Number(1e300),
            max_launch_delay: Number(1e300),
            failing_agents: None,
        };
        let end = || End { condition: Condition::Failed, launched: at(0), served: Duration::ZERO };
        let first = next(absurd, None, end(), at(0));
        let _ = next(absurd, Some(first), end(), at(0));
    }
}
