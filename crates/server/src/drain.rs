//! The end of a node: balancers are told first, then its clients, each at its own moment; what is left is closed.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use crate::inbox::Order;
use crate::ledger::Ledger;
use crate::node::Node;

/// The longest time over which clients leave: beyond it nothing is won by spreading the load of their return.
const LONGEST_SPREAD: Duration = Duration::from_secs(10);
/// What is kept of the drain time for good-byes: the last client to leave has this long for its close frame.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long connections that are closed without a drain, or that outstay it, may take to say good-bye.
const STOP: Duration = Duration::from_millis(2_500);
/// The same where somebody doesn't want to wait any more: long enough for close frames to go out.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(100);
/// How often is looked whether all have left.
const LOOK: Duration = Duration::from_millis(20);

/// What became of the clients and messages of a node that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Connections that were told to come back elsewhere, and left.
    pub moved: u64,
    /// Messages that were accepted and are neither received nor kept anywhere now.
    pub lost: u64,
}

/// Drains the node until all have left, the drain time is over, or `hurry` is; then has its shards end.
pub async fn drain(node: &Node, hurry: impl Future<Output = ()>) {
    node.draining.store(true, Ordering::Relaxed);
    let timeout = node.config.drain.timeout;
    let gently = async {
        sleep(node.config.drain.delay).await;
        if timeout.is_zero() {
            return STOP;
        }
        node.closed.store(true, Ordering::Relaxed);
        let spread = timeout.saturating_sub(GOODBYE).min(LONGEST_SPREAD);
        node.inboxes.give(Order::Drain(spread.as_millis() as u32));
        // Whoever outstays it is closed early enough that the node is gone in time.
        let stop = STOP.min(timeout / 4);
        let _ = tokio::time::timeout(timeout - stop, all_have_left(node)).await;
        stop
    };
    let stop = tokio::select! {
        stop = gently => stop,
        () = hurry => AT_ONCE,
    };
    node.closed.store(true, Ordering::Relaxed);
    node.inboxes.give(Order::Stop(stop.as_millis() as u32));
}

async fn all_have_left(node: &Node) {
    while node.sockets.load(Ordering::Relaxed) > 0 {
        sleep(LOOK).await;
    }
}

/// What has come of it, once the shards have ended. `before` is the ledger at the beginning of the drain: what a
/// connection lost before it could still have resumed.
#[must_use]
pub fn farewell(node: &Node, before: &Ledger) -> Farewell {
    let after = Ledger::of(node);
    let lost_with_connections = |ledger: &Ledger| {
        let with = ledger.dropped.iter();
        let with = with.filter(|(reason, _)| matches!(*reason, "too_slow" | "unwritten"));
        with.map(|(_, messages)| messages).sum::<u64>()
    };
    Farewell {
        moved: node.sum(|shard| shard.moved.get()),
        // The memory engine's log and queues end with the process.
        // In a cluster log and queues outlive the node.
        lost: match node.cluster {
            Some(_) => 0,
            None => {
                let queued = u64::try_from(after.queued).unwrap_or(0);
                queued + lost_with_connections(&after) - lost_with_connections(before)
            }
        },
    }
}
