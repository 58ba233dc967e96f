//! The cluster's time: the machine's when the cluster started, and from then on never backwards.

use std::time::{Duration, SystemTime};

use podium_core::model::time::Timestamp;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    epoch: Timestamp,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), epoch: Timestamp::EPOCH + since_1970 }
    }

    pub(super) fn now(self) -> Timestamp {
        self.epoch + self.started.elapsed()
    }

    /// When [`Self::now`] will be `time` for the first time.
    pub(super) fn instant(self, time: Timestamp) -> Instant {
        // A cap that no cluster lives to see, and that tokio's clock can still express.
        self.started + time.since(self.epoch).min(Duration::from_secs(10 * 365 * 86_400))
    }
}
