//! Ways in which what was seen breaks the contract: how often, and the first cases in words.

use std::collections::BTreeMap;

/// How many cases are told in words.
const TOLD: usize = 12;

/// One such way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offence {
    /// A message addressed to the client didn't come.
    Lost,
    /// A message came twice where none may, or stands in the log twice.
    Doubled,
    /// A message came behind a later one.
    OutOfOrder,
    /// A message came to whom it wasn't for.
    Uninvited,
    /// A message's fields or bytes are not what its speaker said, or it is no message.
    Garbled,
    /// A `gap` told another number than is missing.
    Gap,
    /// The server answered what it must not, or told a client to reload that had missed nothing.
    Answer,
    /// The server's ledger contradicts itself or what was seen.
    Ledger,
}

/// What the accounts came to.
#[derive(Default)]
pub struct Verdict {
    counts: BTreeMap<Offence, u64>,
    /// The first cases.
    pub cases: Vec<String>,
}

impl Verdict {
    /// Counts an offence; `case` says who saw what instead of what.
    pub fn accuse(&mut self, offence: Offence, case: impl FnOnce() -> String) {
        *self.counts.entry(offence).or_default() += 1;
        if self.cases.len() < TOLD {
            self.cases.push(format!("{offence:?}: {}", case()));
        }
    }

    /// How often it was so.
    pub fn count(&self, offence: Offence) -> u64 {
        self.counts.get(&offence).copied().unwrap_or_default()
    }

    /// How many offences there are in all.
    pub fn offences(&self) -> u64 {
        self.counts.values().sum()
    }
}
