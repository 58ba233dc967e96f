//! The wall clock, made fit for the scheduler: it never goes back, not even between two runs of the daemon.

use std::time::{Duration, Instant, SystemTime};

use podium_core::model::time::Timestamp;

/// Follows the wall clock forwards. When the wall clock is set back, time goes on at its usual pace from
/// where it was, until the wall clock has caught up: delays keep their length either way.
pub(crate) struct Clock {
    newest: Timestamp,
    read_at: Instant,
}

impl Clock {
    /// A clock that begins at `earliest`, if the wall clock is behind it.
    pub(crate) fn new(earliest: Timestamp) -> Self {
        Self { newest: wall().max(earliest), read_at: Instant::now() }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        let read_at = Instant::now();
        self.advance(wall(), read_at - self.read_at, read_at)
    }

    fn advance(&mut self, wall: Timestamp, elapsed: Duration, read_at: Instant) -> Timestamp {
        if wall >= self.newest {
            self.newest = wall;
            self.read_at = read_at;
        } else if elapsed >= Duration::from_millis(1) {
            // Whole milliseconds only, or frequent readings would round every one of them away.
            let millis = Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            self.newest = self.newest + millis;
            self.read_at = read_at.checked_sub(elapsed - millis).unwrap_or(read_at);
        }
        self.newest
    }
}

/// The wall clock as it is.
pub(crate) fn wall() -> Timestamp {
    let millis = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    };
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_begins_ahead_of_the_wall_clock_goes_on_from_there() {
        let earliest = wall() + Duration::from_secs(3600);
        let mut clock = Clock::new(earliest);
        let first = clock.now();
        assert!(first >= earliest, "{first} {earliest}");
        let read_at = clock.read_at + Duration::from_secs(2);
        let elapsed = read_at - clock.read_at;
        assert_eq!(clock.advance(wall(), elapsed, read_at), first + Duration::from_secs(2));
        let early = Clock::new(Timestamp::EPOCH).now();
        assert!(early > Timestamp::EPOCH && early < earliest, "otherwise it is the wall clock: {early}");
    }

    #[test]
    fn time_never_goes_back_and_never_stands_still() {
        let start = Instant::now();
        let mut clock = Clock { newest: Timestamp::from_millis(1000), read_at: start };
        let mut read = |wall, elapsed_micros: u64| {
            let at = start + Duration::from_micros(elapsed_micros);
            let elapsed = at - clock.read_at;
            clock.advance(Timestamp::from_millis(wall), elapsed, at).as_millis()
        };
        assert_eq!(read(1010, 10_000), 1010);
        // Set back by ten seconds.
        assert_eq!(read(-8990, 10_400), 1010);
        assert_eq!(read(-8990, 10_900), 1010);
        assert_eq!(read(-8989, 11_100), 1011);
        assert_eq!(read(-8987, 13_050), 1013);
        // Set forward again.
        assert_eq!(read(1020, 14_000), 1020);
    }
}
