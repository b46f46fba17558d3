//! File descriptors: every connection takes one, and the usual soft limit of 1,024 is far below what a hub holds.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept back for listeners, polls, files and a look at `/health`, however many clients there are.
const RESERVE: usize = 64;
/// Taken where the system knows no limit.
const UNLIMITED: usize = 1 << 20;

/// Raises the soft limit to the hard one; answers how many descriptors the process may have open.
pub fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on file descriptors could not be raised");
        }
    }
    limit_now()
}

/// How many descriptors the process may have open.
#[must_use]
pub fn limit_now() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .map_or(UNLIMITED, |most| usize::try_from(most).unwrap_or(UNLIMITED))
}

/// How many connections fit below a limit.
#[must_use]
pub fn connections_below(limit: usize) -> usize {
    limit.saturating_sub(RESERVE).max(1)
}
