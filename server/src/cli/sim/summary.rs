//! What all runs so far came to.

use std::fmt;
use std::time::{Duration, Instant};

use podium_core::Mark;
use podium_sim::coverage::Coverage;
use podium_sim::digest::Digest;
use podium_sim::run::Report;

/// What all runs so far came to.
pub(super) struct Summary {
    began: Instant,
    pub(super) seeds: u64,
    pub(super) failures: u64,
    excused: usize,
    steps: u64,
    simulated: Duration,
    pub(super) coverage: Coverage,
    digest: Digest,
    last_digest: u64,
}

impl Summary {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            seeds: 0,
            failures: 0,
            excused: 0,
            steps: 0,
            simulated: Duration::ZERO,
            coverage: Coverage::default(),
            digest: Digest::default(),
            last_digest: 0,
        }
    }

    /// Adds a run. The digest depends on the order in which they are added.
    pub(super) fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.failures += u64::from(report.violation.is_some());
        self.excused += report.excused;
        self.steps += report.counts.steps;
        self.simulated += report.elapsed;
        self.coverage.merge(&report.coverage);
        self.digest.write_u64(report.digest);
        self.last_digest = report.digest;
    }

    /// A line for while it goes on, which fits a terminal of 80 columns.
    pub(super) fn live(&self) -> String {
        format!(
            "{} seeds, {} failed, {} combinations, {} of {} rare paths, {:.0}/min",
            self.seeds,
            self.failures,
            self.coverage.combinations.len(),
            self.coverage.marks.len(),
            Mark::ALL.len(),
            self.per_second(self.seeds) * 60.0,
        )
    }

    /// The digest of the run, or of the digests if there were several.
    fn digest(&self) -> u64 {
        if self.seeds == 1 { self.last_digest } else { self.digest.finish() }
    }

    fn per_second(&self, count: u64) -> f64 {
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / self.seconds()
    }

    fn times_real_time(&self) -> f64 {
        self.simulated.as_secs_f64() / self.seconds()
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64().max(f64::EPSILON)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} failed, {:.1} hours simulated in {:.1} s ({:.0} times as fast as real time), \
             {:.0} steps/s\n{}\n{}digest {:016x}",
            self.seeds,
            self.failures,
            self.simulated.as_secs_f64() / 3600.0,
            self.seconds(),
            self.times_real_time(),
            self.per_second(self.steps),
            self.coverage,
            Excused(self.excused),
            self.digest(),
        )
    }
}

/// Nothing, or a line about so many pods.
struct Excused(usize);

impl fmt::Display for Excused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => writeln!(
                f,
                "1 pod had not become as its clients want it in the end, and nobody could help it"
            ),
            pods => {
                writeln!(
                    f,
                    "{pods} pods had not become as their clients want them in the end, and nobody could help it"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use podium_sim::oracle::Violation;

    use super::*;

    #[test]
    fn the_live_line_says_how_it_goes() {
        let minute = Duration::from_secs(60);
        let began = Instant::now().checked_sub(minute).expect("the machine has run for longer");
        let mut summary = Summary { began, ..Summary::new() };
        let failed = Report { violation: Some(Violation::new("rest", "")), ..Report::default() };
        let mut fine = Report::default();
        fine.coverage.marks.insert(Mark::ALL[0], 1);
        summary.add(&failed);
        summary.add(&fine);
        let marks = Mark::ALL.len();
        assert_eq!(
            summary.live(),
            format!("2 seeds, 1 failed, 0 combinations, 1 of {marks} rare paths, 2/min")
        );
        summary.excused = 2;
        assert!(summary.to_string().contains("\n2 pods had not become"), "{summary}");
        let much = Summary { seeds: 99_999_999, failures: 999, ..summary };
        assert!(much.live().len() <= 80, "{}", much.live());
    }
}
