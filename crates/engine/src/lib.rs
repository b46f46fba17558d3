//! Where the log and the queues live. One short trait; `memory` keeps them for a single node.
//!
//! An engine takes publications into one ordered log. A node delivers only what it reads from the log, through its
//! [`Tail`](wshub_hub::Tail), so that a message cannot loop and every node sees one order.

pub mod memory;
pub mod redis;

use std::sync::{Mutex, MutexGuard, PoisonError};

use wshub_hub::question::Question;
use wshub_hub::queues::QueueCounts;
use wshub_hub::resume::Wanted;
use wshub_hub::{Now, Outcome, Publication, Receipts, Refused, Token};
use wshub_protocol::{ErrorCode, UserId};

pub use memory::Memory;

/// Locks; what a thread that panicked left is as good as anything else.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) const REUSED: Refused = Refused {
    code: ErrorCode::IdReused,
    sentence: "this id was used for another message lately: give each message an id of its own",
};

pub(crate) const NO_ROOM_FOR_IDS: Refused = Refused {
    code: ErrorCode::Overloaded,
    sentence: "as many ids are remembered as may be; it was not published, try again later or without an id",
};

/// Whoever waits for the outcomes of a batch, in the batch's order.
pub type Tell = Box<dyn FnOnce(Vec<Outcome>) + Send>;

/// Where the log and the queues live.
pub trait Engine: Send + Sync {
    /// Puts a batch into the log, in its order; batches of one caller keep their order too. A message to users is in
    /// their queues at the same moment.
    ///
    /// Each publication has exactly one outcome, told once and possibly before this returns: it is in the log, or it
    /// surely is not. The batch is not atomic. Never blocks for longer than a bounded piece of a batch takes.
    fn publish(&self, now: Now, batch: Vec<Publication>, tell: Tell);

    /// Finds what waits for a connection of `shard` that comes, and lets it in: the answer is posted to its shard at a
    /// place in the log such that each message to its user is either among what was found or comes behind it.
    fn enter(&self, now: Now, shard: usize, token: Token, wanted: Wanted);

    /// Answers a shard's question through its inbox, or takes note of what it says.
    fn ask(&self, now: Now, shard: usize, question: Question);

    /// Has all connections closed that a user has at this moment, of which they are told before.
    fn disconnect(&self, now: Now, user: UserId);

    /// Takes out of the queues what was received. To say it again is harmless.
    fn receive(&self, receipts: &Receipts);

    /// Lets go of what is too old, a bounded part of it; called once a second.
    fn sweep(&self, now: Now);

    /// How it stands with the log.
    fn standing(&self) -> Standing {
        Standing::There {
            round_trip_ms: None,
        }
    }

    /// What the engine holds and has counted.
    fn state(&self) -> EngineState;
}

/// How a node stands to its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    There {
        /// How long the last entry that was sent to find out took into the log and back, in milliseconds.
        round_trip_ms: Option<u64>,
    },
    /// It is there and takes nothing, for this reason.
    Full(String),
    /// It is away, for this reason.
    Away(String),
}

/// What an engine holds and has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineState {
    /// Ids of publishes that are remembered, and the bytes they take.
    pub ids: (usize, usize),
    /// Publishes whose id was known: they had no effect.
    pub duplicates: u64,
    /// Messages that wait in queues, one for each user, and the bytes they take. Where several nodes share the queues it
    /// is what this one has put in less what it has taken out, which may be below zero: their sum is what waits.
    pub queued: (i64, usize),
    /// What became of those that were ever queued.
    pub fates: QueueCounts,
}
