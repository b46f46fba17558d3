//! How long to wait before Redis is tried again.

use std::time::Duration;

/// The first pause is at least this long, so that a Redis that refuses isn't asked in a loop.
pub const SHORTEST: Duration = Duration::from_millis(50);

/// No pause is longer, so that a Redis which is back is soon found.
pub const LONGEST: Duration = Duration::from_millis(500);

/// Pauses that double, each drawn from the upper half of its bound: nodes that lost the same Redis at one moment don't
/// all come back at one moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    bound: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// Begins with the shortest pauses. The same seed draws the same ones.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            bound: SHORTEST * 2,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(LONGEST);
        let half = bound / 2;
        half + half.mul_f64(self.random.f64())
    }

    /// The connection was good: what comes next is a new trouble.
    pub fn reset(&mut self) {
        self.bound = SHORTEST * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.pause().as_millis()).collect()
    }

    #[test]
    fn pauses_double_within_their_bounds() {
        for seed in 0..100 {
            let pauses = pauses(&mut Backoff::seeded(seed), 6);
            for (pause, (least, most)) in pauses.iter().zip([
                (50, 100),
                (100, 200),
                (200, 400),
                (250, 500),
                (250, 500),
                (250, 500),
            ]) {
                assert!((least..=most).contains(pause), "seed {seed}: {pauses:?}");
            }
        }
    }

    #[test]
    fn nodes_do_not_come_back_at_one_moment() {
        let of = |seed| pauses(&mut Backoff::seeded(seed), 4);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn after_a_good_connection_it_begins_anew() {
        let mut backoff = Backoff::seeded(7);
        pauses(&mut backoff, 5);
        backoff.reset();
        assert!(backoff.pause() <= SHORTEST * 2);
    }
}
