//! Where the log lives. One short trait; `memory` keeps the log of a single node.
//!
//! An engine takes publications into one ordered log. A node delivers only what it reads from the log, through its
//! [`Tail`](wshub_hub::Tail), so that a message cannot loop and every node sees one order.

pub mod memory;

use wshub_hub::{Now, Outcome, Publication};

pub use memory::Memory;

/// Whoever waits for the outcomes of a batch, in the batch's order.
pub type Tell = Box<dyn FnOnce(Vec<Outcome>) + Send>;

/// Where the log lives.
pub trait Engine: Send + Sync {
    /// Puts a batch into the log, in its order; batches of one caller keep their order too.
    ///
    /// Each publication has exactly one outcome, told once and possibly before this returns: it is in the log, or it
    /// surely is not. The batch is not atomic. Never blocks for longer than a bounded piece of a batch takes.
    fn publish(&self, now: Now, batch: Vec<Publication>, tell: Tell);
}
