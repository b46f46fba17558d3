//! The fate of every message this node took, added up over its queues and shards: accepted is always the sum of the
//! rest.
//!
//! The unit is a message for one user, or for one connection that was there at the message's place in the log.

use wshub_hub::counters::LedgerCounts;

use crate::node::Node;

/// What became of all that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Taken, repeats included.
    pub accepted: u64,
    /// Received by a user, or taken by a connection's socket.
    pub delivered: u64,
    /// Wait in their user's queue. In a cluster it is what this node has put into the queues less what it has taken out.
    pub queued: i64,
    /// Waited there for too long.
    pub expired: u64,
    /// Lost for another reason, by the reason's name.
    pub dropped: [(&'static str, u64); 6],
    /// Repeats, which had no effect.
    pub duplicate: u64,
    /// Wait to be written to a connection.
    pub in_flight: u64,
}

impl Ledger {
    /// The ledger as it stands now.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let state = node.engine.state();
        let shards = node.shards.iter().map(|shard| shard.ledger.read());
        let connections = shards.fold(LedgerCounts::default(), LedgerCounts::and);
        let (queued, _) = state.queued;
        Self {
            accepted: state.fates.pushed + connections.accepted + state.duplicates,
            delivered: state.fates.received + connections.delivered,
            queued,
            expired: state.fates.expired,
            dropped: [
                ("too_slow", connections.too_slow),
                ("unwritten", connections.unwritten),
                ("gap", connections.gap),
                ("ephemeral", connections.ephemeral),
                ("pushed_out", state.fates.pushed_out),
                ("queues_full", state.fates.total_full),
            ],
            duplicate: state.duplicates,
            in_flight: connections.in_flight(),
        }
    }
}
