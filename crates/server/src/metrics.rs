//! `GET /metrics`: what a node counts, in the Prometheus text format (version 0.0.4).
//!
//! Scraping reads counters and asks no shard for anything. Labels are words of ours, so their number is bounded.

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;

use wshub_hub::message::Kind;
use wshub_protocol::CloseCode;

use crate::front::Answer;
use wshub_engine::{EngineState, Standing};

use crate::ledger::Ledger;
use crate::node::Node;

/// The content type of the format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a node, now, as an answer.
#[must_use]
pub fn answer(node: &Node) -> Answer {
    Answer::new(200, TEXT, text(node).into_bytes())
}

/// All metrics of a node, now.
#[must_use]
pub fn text(node: &Node) -> String {
    let mut page = Page::default();
    connections(node, &mut page);
    messages(node, &mut page);
    ledger(node, &mut page);
    log(node, &mut page);
    cluster(node, &mut page);
    requests(node, &mut page);
    page.0
}

/// Metrics as text.
#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) {
        self.family(name, "counter", help);
        for (word, value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{word}\"}} {value}");
        }
    }

    fn family(&mut self, name: &str, sort: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {sort}");
    }
}

fn connections(node: &Node, page: &mut Page) {
    page.gauge(
        "wshub_connections",
        "Connections that were sent `connected`.",
        node.clients(),
    );
    let users = node.sum(|shard| shard.users.get());
    page.gauge("wshub_users", "Users with a connection here.", users);
    let opened = node.sum(|shard| shard.opened.get());
    page.counter(
        "wshub_connections_opened_total",
        "Connections that came.",
        opened,
    );
    let closed = CloseCode::ALL.into_iter();
    let closed = closed.map(|code| (code.name(), node.sum(|shard| shard.closed_with(code))));
    let left = ("client", node.sum(|shard| shard.left.get()));
    page.counters(
        "wshub_disconnects_total",
        "Connections that ended: `client` where the client left, else why the node closed them.",
        "reason",
        closed.chain([left]),
    );
    let partial = node.sum(|shard| shard.partial_bytes.get());
    page.gauge(
        "wshub_partial_bytes",
        "Bytes of half-received messages.",
        partial,
    );
}

fn messages(node: &Node, page: &mut Page) {
    let accepted = node.accepted();
    let kinds = || Kind::ALL.into_iter();
    page.counters(
        "wshub_messages_in_total",
        "Messages that were put into the log.",
        "type",
        kinds().map(|kind| (kind.name(), accepted[kind.index()])),
    );
    page.counters(
        "wshub_messages_out_total",
        "Messages that were queued to connections.",
        "type",
        kinds().map(|kind| {
            (
                kind.name(),
                node.sum(|shard| shard.messages_out[kind.index()].get()),
            )
        }),
    );
    let refused = node.sum(|shard| shard.refused.get());
    page.counter(
        "wshub_messages_refused_total",
        "Client messages answered by an error.",
        refused,
    );
}

fn ledger(node: &Node, page: &mut Page) {
    let ledger = Ledger::of(node);
    page.counter(
        "wshub_ledger_accepted_total",
        "Messages taken, one for each user or connection they were for: the sum of all other parts.",
        ledger.accepted,
    );
    page.counter(
        "wshub_ledger_delivered_total",
        "Received by a user, or taken by a connection's socket.",
        ledger.delivered,
    );
    page.gauge(
        "wshub_ledger_queued",
        "Wait in their user's queue.",
        ledger.queued,
    );
    page.gauge(
        "wshub_ledger_in_flight",
        "Wait to be written to a connection.",
        ledger.in_flight,
    );
    page.counter(
        "wshub_ledger_expired_total",
        "Waited in a queue for too long.",
        ledger.expired,
    );
    page.counter(
        "wshub_duplicates_total",
        "Publishes whose id was known.",
        ledger.duplicate,
    );
    page.counters(
        "wshub_dropped_total",
        "Lost: too_slow and unwritten with their connection, gap by the policy for slow ones, ephemeral on one that was slow or catching up, pushed_out of a full queue, queues_full for want of room in all.",
        "reason",
        ledger.dropped.into_iter(),
    );
}

fn log(node: &Node, page: &mut Page) {
    let (rooms, (entries, bytes), window_ms) = {
        let tail = node.tail();
        (tail.rooms(), tail.depth(), tail.window_ms(node.clock.now()))
    };
    let EngineState { ids, queued, .. } = node.engine.state();
    page.gauge("wshub_rooms", "Rooms with a member here.", rooms);
    page.gauge("wshub_log_entries", "Messages that the log holds.", entries);
    page.gauge("wshub_log_bytes", "Memory that they take.", bytes);
    page.gauge(
        "wshub_log_window_seconds",
        "How far back the log reaches now; shorter than log.retention where log.bytes is reached.",
        window_ms as f64 / 1000.0,
    );
    page.gauge(
        "wshub_dedupe_ids",
        "Ids of publishes that are remembered.",
        ids.0,
    );
    page.gauge("wshub_dedupe_bytes", "Memory that they take.", ids.1);
    page.gauge(
        "wshub_queue_bytes",
        "Memory that users' queues take.",
        queued.1,
    );
}

/// How the node stands to Redis; a node without has none of it.
fn cluster(node: &Node, page: &mut Page) {
    let Some(cluster) = &node.cluster else { return };
    let (there, round_trip_ms) = match node.engine.standing() {
        Standing::There { round_trip_ms } => (1, round_trip_ms),
        Standing::Full(_) | Standing::Away(_) => (0, None),
    };
    page.gauge(
        "wshub_redis_up",
        "1 while Redis is there and takes what it is given.",
        there,
    );
    if let Some(round_trip_ms) = round_trip_ms {
        page.gauge(
            "wshub_log_round_trip_seconds",
            "How long the last entry that was sent to find out took into the log and back.",
            round_trip_ms as f64 / 1000.0,
        );
    }
    page.gauge(
        "wshub_cluster_nodes",
        "Nodes that live, this one included.",
        cluster.nodes().len(),
    );
    let [unreadable, overheard, forgotten] = cluster.trouble();
    page.counter(
        "wshub_redis_unreadable_total",
        "Entries of the log and of queues, and messages on channels, that nobody could read.",
        unreadable,
    );
    page.counter(
        "wshub_redis_channel_dropped_total",
        "Messages on channels that the shards had no room for.",
        overheard,
    );
    page.counter(
        "wshub_redis_forgotten_receipts_total",
        "Receipts that had no room to wait for Redis in: their messages come again.",
        forgotten,
    );
}

fn requests(node: &Node, page: &mut Page) {
    let front = &node.front;
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    page.counter(
        "wshub_http_requests_total",
        "HTTP requests answered.",
        load(&front.requests),
    );
    page.counters(
        "wshub_http_refused_total",
        "Connections and requests refused or given up before an answer of the API.",
        "reason",
        [
            ("head", load(&front.refused_head)),
            ("body", load(&front.refused_body)),
            ("not_admitted", load(&front.not_admitted)),
            ("front_full", load(&front.refused_full)),
            ("no_descriptors", load(&front.refused_descriptors)),
            ("head_timeout", load(&front.timed_out_head)),
            ("body_timeout", load(&front.timed_out_body)),
            ("answer_timeout", load(&front.timed_out_answer)),
        ]
        .into_iter(),
    );
    page.counter(
        "wshub_inbox_full_total",
        "Times that a publisher found no room in the shards' inboxes.",
        node.inboxes.times_full(),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const SOURCE: &str = include_str!("metrics.rs");
    const PAGE: &str = include_str!("../../../docs/operations.md");

    /// The names of metrics that stand in a text between two of these marks, where a table names them.
    fn names(text: &'static str, mark: char) -> BTreeSet<&'static str> {
        let words = text.split(mark);
        let is_name = |word: &&str| {
            let rest = word.strip_prefix("wshub_").unwrap_or_default();
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        words.filter(is_name).collect()
    }

    #[test]
    fn operators_can_read_what_each_metric_means() {
        let (_, table) = PAGE.split_once("## Metrics").expect("a part on metrics");
        assert_eq!(names(SOURCE, '"'), names(table, '`'));
    }
}
