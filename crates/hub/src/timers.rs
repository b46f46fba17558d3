//! One timer for each connection: a wheel of coarse slots with links by index, so that arming costs no allocation.
//!
//! A timer may fire early (a deadline beyond the wheel's span waits in its last slot) and fires at most once; whoever is
//! called looks at its real deadlines and arms the next. So activity, which only pushes deadlines out, costs nothing.

use crate::time::Tick;

/// Slots of one tick each: 102 s, beyond the longest ordinary deadline.
const SLOTS: usize = 1024;
const NONE: u32 = u32::MAX;
const UNARMED: u16 = u16::MAX;

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    slot: u16,
}

const LOOSE: Link = Link {
    previous: NONE,
    next: NONE,
    slot: UNARMED,
};

/// The timers of one shard, by connection index.
pub(crate) struct Timers {
    heads: Box<[u32; SLOTS]>,
    filled: [u64; SLOTS / 64],
    links: Vec<Link>,
    /// All slots before this tick were emptied.
    reached: Tick,
}

impl Timers {
    pub(crate) fn new(now: Tick) -> Self {
        Self {
            heads: Box::new([NONE; SLOTS]),
            filled: [0; SLOTS / 64],
            links: Vec::new(),
            reached: now,
        }
    }

    /// Has `key` called at `at`, unless it is to be called earlier anyway.
    pub(crate) fn arm(&mut self, key: u32, at: Tick) {
        if self.links.len() <= key as usize {
            self.links.resize(key as usize + 1, LOOSE);
        }
        let ahead = at.0.saturating_sub(self.reached.0).min(SLOTS as u32 - 1);
        let link = self.links[key as usize];
        if link.slot != UNARMED {
            if self.ahead_of(link.slot) <= ahead {
                return;
            }
            self.unlink(key);
        }
        let slot = (self.reached.0.wrapping_add(ahead) as usize) % SLOTS;
        let next = self.heads[slot];
        if next != NONE {
            self.links[next as usize].previous = key;
        }
        self.links[key as usize] = Link {
            previous: NONE,
            next,
            slot: slot as u16,
        };
        self.heads[slot] = key;
        self.filled[slot / 64] |= 1 << (slot % 64);
    }

    /// Forgets the timer of `key`.
    pub(crate) fn disarm(&mut self, key: u32) {
        if self
            .links
            .get(key as usize)
            .is_some_and(|link| link.slot != UNARMED)
        {
            self.unlink(key);
        }
    }

    /// The next that is due by `now`.
    pub(crate) fn due(&mut self, now: Tick) -> Option<u32> {
        loop {
            let Some(next) = self.next() else {
                self.reached = self.reached.max(now);
                return None;
            };
            if next > now {
                // Nothing lies between: the wheel may turn on.
                self.reached = self.reached.max(now);
                return None;
            }
            self.reached = next;
            let key = self.heads[next.0 as usize % SLOTS];
            if key != NONE {
                self.unlink(key);
                return Some(key);
            }
        }
    }

    /// The first tick at which something is due.
    pub(crate) fn next(&self) -> Option<Tick> {
        let start = self.reached.0 as usize % SLOTS;
        let mut word = start / 64;
        let mut bits = self.filled[word] & (u64::MAX << (start % 64));
        for _ in 0..=SLOTS / 64 {
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                return Some(Tick(
                    self.reached.0 + ((slot + SLOTS - start) % SLOTS) as u32,
                ));
            }
            word = (word + 1) % (SLOTS / 64);
            bits = self.filled[word];
        }
        None
    }

    fn ahead_of(&self, slot: u16) -> u32 {
        let start = self.reached.0 as usize % SLOTS;
        ((usize::from(slot) + SLOTS - start) % SLOTS) as u32
    }

    fn unlink(&mut self, key: u32) {
        let Link {
            previous,
            next,
            slot,
        } = std::mem::replace(&mut self.links[key as usize], LOOSE);
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if previous != NONE {
            self.links[previous as usize].next = next;
            return;
        }
        let slot = usize::from(slot);
        self.heads[slot] = next;
        if next == NONE {
            self.filled[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(timers: &mut Timers, now: u32) -> Vec<u32> {
        let mut keys: Vec<u32> = std::iter::from_fn(|| timers.due(Tick(now))).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn each_is_called_at_its_tick_and_once() {
        let mut timers = Timers::new(Tick(1000));
        for (key, at) in [(1, 1005), (2, 1005), (3, 1600), (4, 1000)] {
            timers.arm(key, Tick(at));
        }
        assert_eq!(timers.next(), Some(Tick(1000)));
        assert_eq!(drain(&mut timers, 1004), [4]);
        assert_eq!(drain(&mut timers, 1005), [1, 2]);
        assert_eq!(drain(&mut timers, 1599), [0u32; 0]);
        assert_eq!(drain(&mut timers, 5000), [3]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn arming_again_moves_a_timer_earlier_but_never_later() {
        let mut timers = Timers::new(Tick(0));
        timers.arm(7, Tick(500));
        timers.arm(7, Tick(20));
        timers.arm(7, Tick(600));
        assert_eq!(drain(&mut timers, 19), [0u32; 0]);
        assert_eq!(drain(&mut timers, 20), [7]);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_called_early_rather_than_late() {
        let mut timers = Timers::new(Tick(0));
        timers.arm(1, Tick(1_000_000));
        assert_eq!(drain(&mut timers, 1022), [0u32; 0]);
        assert_eq!(drain(&mut timers, 1023), [1]);
    }

    #[test]
    fn a_disarmed_timer_is_not_called() {
        let mut timers = Timers::new(Tick(0));
        for key in 1..=3 {
            timers.arm(key, Tick(9));
        }
        timers.disarm(2);
        timers.disarm(2);
        assert_eq!(drain(&mut timers, 9), [1, 3]);
    }

    #[test]
    fn after_a_long_time_without_any_the_next_is_called_at_its_tick_too() {
        let mut timers = Timers::new(Tick(0));
        assert_eq!(drain(&mut timers, 1_000_000), [0u32; 0]);
        timers.arm(1, Tick(1_000_500));
        assert_eq!(timers.next(), Some(Tick(1_000_500)));
    }
}
