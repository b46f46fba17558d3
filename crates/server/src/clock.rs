//! The one clock: everything else is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wshub_hub::Now;

/// What the clock shows at the start: what came into the log before has a time on it, too.
const BEFORE: Duration = Duration::from_hours(24);

/// Counts from a day before the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            elapsed_ms: (BEFORE + self.start.elapsed()).as_millis() as u64,
            unix_ms: unix.as_millis() as u64,
        }
    }
}
