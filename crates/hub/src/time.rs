//! Time as the core sees it: an argument, never a clock.

/// The moment at which an input happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never jumps; only differences mean anything. All waiting is measured on it.
    pub elapsed_ms: u64,
    /// Milliseconds since 1970, which may jump; it only stamps messages and ids.
    pub unix_ms: u64,
}

impl Now {
    pub(crate) fn tick(self) -> Tick {
        Tick((self.elapsed_ms / TICK_MS) as u32)
    }

    /// Seconds since 1970, as `timestamp` says it.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.unix_ms / 1000
    }
}

/// The grain of all waiting: a tenth of a second, so that 32 bits hold 13 years.
pub const TICK_MS: u64 = 100;

/// A moment in ticks of [`TICK_MS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u32);

impl Tick {
    /// Behind all others.
    pub(crate) const NEVER: Self = Self(u32::MAX);

    /// A tick by whose beginning `ms` have passed since any moment of this one: waiting may take longer, never shorter.
    pub(crate) fn plus_ms(self, ms: u64) -> Self {
        Self(
            self.0
                .saturating_add(1 + ms.div_ceil(TICK_MS).min(u64::from(u32::MAX) - 1) as u32),
        )
    }

    /// The first millisecond of the tick.
    pub(crate) fn elapsed_ms(self) -> u64 {
        u64::from(self.0) * TICK_MS
    }
}
