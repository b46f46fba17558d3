//! File descriptors: every connection takes one, and the usual soft limit of 1,024 is far below what a hub holds.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept back for listeners, polls, files and a look at `/health`, however many clients there are.
const RESERVE: usize = 64;
/// Taken where the system knows no limit.
const UNLIMITED: usize = 1 << 20;

/// Raises the soft limit to the hard one; answers how many descriptors the process may have open.
pub fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => {
                tracing::warn!(%error, "the limit on file descriptors could not be raised")
            }
        }
    }
    limit
        .current
        .map_or(UNLIMITED, |most| usize::try_from(most).unwrap_or(UNLIMITED))
}

/// How many connections fit below a limit.
#[must_use]
pub fn connections_below(limit: usize) -> usize {
    limit.saturating_sub(RESERVE).max(1)
}
