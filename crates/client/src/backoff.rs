//! How long a client waits before it comes back, or tries again what may go well later: full jitter under a doubling
//! ceiling.
//!
//! Thousands of clients lose a node in the same moment; a random wait over the whole span spreads them evenly, where a
//! fixed one would bring them all back at once.

use std::time::Duration;

use crate::limits::{FIRST_CEILING, LAST_CEILING};

/// The wait before the next attempt, when `failed` have failed since it last went well. What the other side asks for,
/// `at_least`, comes before the jitter, so that those who were sent away together don't return together.
#[must_use]
pub fn wait(rng: &mut fastrand::Rng, failed: u32, at_least: Duration) -> Duration {
    let doubled = FIRST_CEILING.saturating_mul(2_u32.saturating_pow(failed));
    at_least + doubled.min(LAST_CEILING).mul_f64(rng.f64())
}

/// Whether a refusal of this code speaks of its moment only: the same request may go well later.
#[must_use]
pub fn passes(code: &str) -> bool {
    matches!(
        code,
        "unavailable" | "overloaded" | "rate_limited" | "outcome_unknown"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_spread_over_the_whole_span_below_a_ceiling_that_doubles_up_to_its_bound() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (failed, ceiling) in [(0, 1), (1, 2), (4, 16), (5, 30), (1000, 30)] {
            let ceiling = Duration::from_secs(ceiling);
            let mut waits: Vec<_> = (0..200)
                .map(|_| wait(&mut rng, failed, Duration::ZERO))
                .collect();
            waits.sort();
            assert!(
                waits[0] < ceiling / 10 && waits[199] > ceiling * 9 / 10,
                "after {failed}"
            );
            assert!(waits[199] < ceiling, "after {failed}");
        }
    }

    #[test]
    fn the_distance_that_was_asked_for_is_kept() {
        let mut rng = fastrand::Rng::with_seed(2);
        let asked = Duration::from_secs(30);
        let waits: Vec<_> = (0..50).map(|_| wait(&mut rng, 0, asked)).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (asked..asked + FIRST_CEILING).contains(wait))
        );
    }
}
