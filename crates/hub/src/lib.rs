//! The rules of the hub, without I/O: inputs and `now` go in, effects and the next deadline come out.
//!
//! A [`Shard`] owns the connections of its users and their outboxes; the [`Tail`] is this node's place in the log, from
//! which every shard is fed. Neither owns a socket, reads a clock, starts a thread or draws unseeded randomness, so that
//! the seeded simulator of tests/stories drives the same code as the server does.

mod absences;
mod connection;
pub mod counters;
pub mod dedupe;
pub mod frames;
mod index;
mod joins;
mod keys;
pub mod limits;
pub mod members;
pub mod message;
pub mod outbox;
pub mod placement;
pub mod question;
pub mod queues;
mod receipts;
pub mod resume;
mod rooms;
mod roster;
pub mod session;
pub mod shard;
pub mod slow;
pub mod tail;
pub mod time;
mod timers;
mod users;

pub use counters::Counters;
pub use limits::Limits;
pub use message::{Arrival, Item, Message, Outcome, Post, Publication, Refused};
pub use placement::{ShardSet, shard_of};
pub use receipts::Receipts;
pub use shard::{Effect, Mode, Shard, Token};
pub use tail::Tail;
pub use time::Now;
