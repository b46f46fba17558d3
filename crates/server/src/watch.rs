//! Once a second: lets the log forget, and tells of trouble; every ten seconds says in one line what went on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use wshub_protocol::CloseCode;

use crate::logs::{Admission, Counters, SUMMARY_EVERY, Troubles};
use crate::node::Node;

const TICK: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
pub async fn watch(node: Arc<Node>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = read(&node);
    let mut seen = trouble_of(&node);
    let mut troubles = Troubles::default();
    let mut since = Duration::ZERO;
    loop {
        ticks.tick().await;
        let now = node.clock.now();
        node.tail().tick(now, &*node.inboxes);
        node.engine.sweep(now);
        if let Some(cluster) = &node.cluster {
            let sent = node.sum(|shard| shard.messages_out.iter().map(|kind| kind.get()).sum());
            cluster.report(node.clients(), node.sum(|shard| shard.users.get()), sent);
        }
        tell_trouble(&node, &mut seen, &mut troubles);
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
    let front = &node.front;
    Counters {
        connected: node.clients(),
        opened: node.sum(|shard| shard.opened.get()),
        closed: node.sum(|shard| shard.left.get())
            + CloseCode::ALL.into_iter().map(closed).sum::<u64>(),
        messages_in: node.accepted().iter().sum(),
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

/// A kind of trouble: its name, how often it was met, and what the operator can do.
type Trouble = (&'static str, u64, &'static str);

fn trouble_of(node: &Node) -> [Trouble; 6] {
    let counters = read(node);
    let front = &node.front;
    let not_served = node.sum(|shard| shard.closed_with(CloseCode::TryAgainLater));
    [
        (
            "no_descriptors",
            load(&front.refused_descriptors) + load(&front.accept_pauses),
            "connections could not be accepted: raise the limit on open files (ulimit -n), or add a node",
        ),
        (
            "front_full",
            load(&front.refused_full),
            "connections were refused: too many in their handshake, see limits.handshake_timeout",
        ),
        (
            "overloaded",
            node.inboxes.times_full(),
            "publishes were refused: the shards are behind, see limits.inbox_bytes, or add a node",
        ),
        (
            "partial_full",
            not_served,
            "connections were closed: half-received messages fill limits.partial_bytes",
        ),
        (
            "too_slow",
            counters.too_slow,
            "connections were closed: they read too slowly, see limits.queue_messages and limits.queue_bytes",
        ),
        (
            "broke_protocol",
            counters.broke_protocol,
            "connections were closed: what they sent broke the protocol or a size limit",
        ),
    ]
}

fn tell_trouble(node: &Node, seen: &mut [Trouble; 6], troubles: &mut Troubles) {
    let now = Instant::now();
    let met = trouble_of(node);
    for ((kind, times, sentence), (_, before, _)) in
        met.into_iter().zip(std::mem::replace(seen, met))
    {
        if times == before {
            continue;
        }
        if let Admission::Say(_) = troubles.admit(kind, now) {
            tracing::warn!(kind, times, "{sentence}");
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
