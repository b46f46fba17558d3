//! Once a second: lets the log forget, and every ten seconds says in one line what went on.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use wshub_hub::message::Kind;
use wshub_protocol::CloseCode;

use crate::logs::{Counters, SUMMARY_EVERY};
use crate::node::Node;

const TICK: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
pub async fn watch(node: Arc<Node>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = read(&node);
    let mut since = Duration::ZERO;
    loop {
        ticks.tick().await;
        node.tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .trim(node.clock.now());
        since += TICK;
        if since >= SUMMARY_EVERY {
            since = Duration::ZERO;
            say(&node, &mut said);
        }
    }
}

/// The line for what went on since the last one, if anything did.
pub fn say(node: &Node, said: &mut Counters) {
    let counters = read(node);
    if let Some(line) = counters.summary(said) {
        tracing::info!("{line}");
    }
    *said = counters;
}

/// All that a node counts, now.
#[must_use]
pub fn read(node: &Node) -> Counters {
    let closed = |code| node.sum(|shard| shard.closed_with(code));
    let broke = [
        CloseCode::ProtocolError,
        CloseCode::InvalidData,
        CloseCode::TooBig,
    ];
    let load =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let front = &node.front;
    Counters {
        connected: node.clients(),
        opened: node.sum(|shard| shard.opened.get()),
        closed: node.sum(|shard| shard.left.get())
            + CloseCode::ALL.into_iter().map(closed).sum::<u64>(),
        messages_in: Kind::ALL
            .into_iter()
            .map(|kind| node.messages_in(kind))
            .sum(),
        messages_out: node.sum(|shard| shard.messages_out.iter().map(|kind| kind.get()).sum()),
        refused_requests: load(&front.refused_head)
            + load(&front.refused_body)
            + load(&front.not_admitted),
        refused_messages: node.sum(|shard| shard.refused.get()),
        too_slow: closed(CloseCode::TooSlow),
        heartbeat_missed: closed(CloseCode::HeartbeatMissed),
        broke_protocol: broke.into_iter().map(closed).sum(),
        not_accepted: load(&front.refused_full) + load(&front.refused_descriptors),
    }
}
