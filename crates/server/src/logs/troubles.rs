//! One line per kind of trouble and ten seconds, however many peers make it.
//!
//! It has no clock: the caller hands in `now`. Each thread that meets trouble has its own.

use std::fmt;
use std::time::{Duration, Instant};

/// How long the next line of a kind is held back after one was let through.
pub const TROUBLE_EVERY: Duration = Duration::from_secs(10);

/// The kinds of trouble that were met lately.
///
/// A kind is a word of ours (`"accept_failed"`), never outside text: so there are as many as the
/// code names, and a list is the fastest map.
#[derive(Debug, Default)]
pub struct Troubles {
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    name: &'static str,
    last_line: Instant,
    held_back: u64,
}

/// Whether a line may be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Write it; so many like it were held back before it.
    Say(MoreLikeIt),
    /// Hold it back: it was counted.
    Hold,
}

/// How many lines were held back; prints as `and 3 more like it`, or as nothing when there are
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoreLikeIt(pub u64);

/// A kind of trouble that is over, and how many lines of it were held back since its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// The kind.
    pub kind: &'static str,
    /// How many lines there would have been.
    pub more: MoreLikeIt,
}

impl Troubles {
    /// Asks for a line about this kind of trouble.
    pub fn admit(&mut self, kind: &'static str, now: Instant) -> Admission {
        let Some(known) = self.kinds.iter_mut().find(|known| known.name == kind) else {
            self.kinds.push(Kind {
                name: kind,
                last_line: now,
                held_back: 0,
            });
            return Admission::Say(MoreLikeIt(0));
        };
        if !known.may_speak(now) {
            known.held_back += 1;
            return Admission::Hold;
        }
        known.last_line = now;
        Admission::Say(MoreLikeIt(std::mem::take(&mut known.held_back)))
    }

    /// What was held back and no later line has told of, though its time has come. To be asked
    /// about once in [`TROUBLE_EVERY`]: else the last burst of a trouble would never be counted in
    /// the log.
    pub fn overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let due = self
            .kinds
            .iter_mut()
            .filter(|kind| kind.held_back > 0 && kind.may_speak(now));
        due.map(|kind| {
            kind.last_line = now;
            let more = MoreLikeIt(std::mem::take(&mut kind.held_back));
            Overdue {
                kind: kind.name,
                more,
            }
        })
        .collect()
    }
}

impl Kind {
    fn may_speak(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_line) >= TROUBLE_EVERY
    }
}

impl MoreLikeIt {
    /// How many, where there were any: for a field of a line.
    #[must_use]
    pub fn count(self) -> Option<u64> {
        Some(self.0).filter(|&more| more > 0)
    }
}

impl fmt::Display for MoreLikeIt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, "and {more} more like it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any instant will do: only distances count.
    struct World {
        troubles: Troubles,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self {
                troubles: Troubles::default(),
                now: Instant::now(),
            }
        }

        fn advance(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn meets(&mut self, kind: &'static str) -> Option<u64> {
            match self.troubles.admit(kind, self.now) {
                Admission::Say(more) => Some(more.0),
                Admission::Hold => None,
            }
        }
    }

    #[test]
    fn a_kind_of_trouble_has_one_line_in_ten_seconds_and_the_next_counts_the_rest() {
        let mut world = World::new();
        assert_eq!(world.meets("bad_head"), Some(0));
        assert_eq!(world.meets("bad_head"), None);
        world.advance(9);
        assert_eq!(world.meets("bad_head"), None);
        world.advance(1);
        assert_eq!(world.meets("bad_head"), Some(2));
        assert_eq!(world.meets("bad_head"), None);
    }

    #[test]
    fn one_kind_does_not_silence_another() {
        let mut world = World::new();
        assert_eq!(world.meets("bad_head"), Some(0));
        assert_eq!(world.meets("accept_failed"), Some(0));
    }

    #[test]
    fn a_burst_that_nothing_follows_is_told_once() {
        let mut world = World::new();
        world.meets("bad_head");
        world.meets("bad_head");
        assert_eq!(world.troubles.overdue(world.now), []);
        world.advance(10);
        let told = Overdue {
            kind: "bad_head",
            more: MoreLikeIt(1),
        };
        assert_eq!(world.troubles.overdue(world.now), [told]);
        assert_eq!(world.troubles.overdue(world.now), []);
        assert_eq!(world.meets("bad_head"), None, "its ten seconds begin again");
    }

    #[test]
    fn the_count_reads_as_the_end_of_a_sentence() {
        assert_eq!(MoreLikeIt(0).to_string(), "");
        assert_eq!(MoreLikeIt(41).to_string(), "and 41 more like it");
    }
}
