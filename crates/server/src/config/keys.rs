//! Every key there is, with its form, its bounds and the reason for them: the one table that
//! decides what is accepted. A key that is in [`super::Config`] but not here can't be set, which a
//! test notices.

use std::time::Duration;

use super::form::Form;
use super::listen::Listen;
use super::{redis, redis_url, slow};

/// More shards than any machine we know has cores; each costs a thread and its buffers.
pub const MOST_SHARDS: usize = 128;

/// A node's name goes into every `connected`, so it is short.
pub const LONGEST_NODE: usize = 64;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The dotted name, `limits.message_bytes`.
    pub name: &'static str,
    /// What a value must look like.
    pub form: Form,
    /// Why the bounds are where they are; told to whoever crosses them.
    pub why: &'static str,
    /// How the value is shown where it may hold a secret.
    pub masked: Option<fn(&str) -> String>,
}

/// All keys, in the order in which they are printed.
pub const KEYS: &[Key] = &[
    key("listen", Form::List(listen_rule), ""),
    key("node", Form::Text(node_rule), ""),
    key(
        "shards",
        count(1, MOST_SHARDS),
        "a shard is a thread, and more of them than cores only take turns",
    ),
    key("auth.mode", Form::Text(mode_rule), ""),
    key("auth.allowed_origins", Form::List(origins_rule), ""),
    key("auth.trust_network", Form::Switch, ""),
    Key {
        masked: Some(redis_url::shown),
        ..key("redis.url", Form::Text(redis_url::url_rule), "")
    },
    key("redis.password_file", Form::Text(redis::path_rule), ""),
    key("redis.prefix", Form::Text(redis::prefix_rule), ""),
    key("redis.required", Form::Switch, ""),
    key(
        "offline.messages",
        count(1, 10_000),
        "without room for one message nothing waits, and who comes back to more reads them from a database",
    ),
    key(
        "offline.ttl",
        duration(Duration::from_secs(1), Duration::from_hours(7 * 24)),
        "shorter is over before a client is back, and what must last longer belongs into a database",
    ),
    key(
        "offline.user_bytes",
        size(KIB, GIB),
        "a message must fit, and each user who is away may hold as much memory as this",
    ),
    key(
        "offline.total_bytes",
        size(KIB, 256 * GIB),
        "a user's messages must fit, and it must fit into memory",
    ),
    key(
        "log.retention",
        duration(Duration::from_secs(1), Duration::from_hours(24)),
        "clients catch up from it after seconds or minutes; what must last longer belongs into a database",
    ),
    key(
        "log.bytes",
        size(MIB, 256 * GIB),
        "it must hold some messages and fit into memory",
    ),
    key(
        "dedupe.window",
        duration(Duration::from_secs(1), Duration::from_hours(24)),
        "shorter forgets an id before its publisher has tried again, longer takes memory for nothing",
    ),
    key(
        "dedupe.bytes",
        size(KIB, 256 * GIB),
        "an id takes some 150 bytes, and all must fit into memory",
    ),
    key(
        "heartbeat.interval",
        duration(Duration::from_millis(100), Duration::from_hours(1)),
        "shorter floods the clients with pings, longer leaves the dead among the living",
    ),
    key(
        "heartbeat.timeout",
        duration(Duration::from_millis(200), Duration::from_hours(2)),
        "shorter cuts off clients that are merely far away, longer leaves the dead among the living",
    ),
    key(
        "drain.timeout",
        duration(Duration::ZERO, Duration::from_hours(1)),
        "longer than an hour is a node that doesn't stop",
    ),
    key(
        "drain.delay",
        duration(Duration::ZERO, Duration::from_mins(10)),
        "a load balancer that hasn't looked for ten minutes doesn't look at all",
    ),
    key("compression.enabled", Form::Switch, ""),
    key(
        "compression.threshold",
        size(0, MIB),
        "a message over 1MiB is always worth compressing",
    ),
    key(
        "limits.message_bytes",
        size(KIB, 4 * MIB),
        "a request must fit with the longest ids, and POST /publish takes bodies of up to 4MiB",
    ),
    key(
        "limits.queue_messages",
        count(1, 1_000_000),
        "without room for one message every receiver is too slow, and each one waiting costs memory",
    ),
    key(
        "limits.queue_bytes",
        size(KIB, GIB),
        "a message must fit, and each slow connection may hold as much memory as this",
    ),
    key(
        "limits.outbox_total_bytes",
        size(KIB, 256 * GIB),
        "a message must fit, and it must fit into memory",
    ),
    key(
        "limits.write_timeout",
        duration(Duration::from_millis(100), Duration::from_mins(10)),
        CLIENT_PACE,
    ),
    key(
        "limits.handshake_timeout",
        duration(Duration::from_millis(100), Duration::from_mins(5)),
        CLIENT_PACE,
    ),
    key(
        "limits.http_idle_timeout",
        duration(Duration::from_millis(100), Duration::from_hours(1)),
        CLIENT_PACE,
    ),
    key(
        "limits.connections_per_user",
        count(1, 1_000_000),
        "a user without a connection is no user",
    ),
    key(
        "limits.rooms_per_connection",
        count(1, 1_000_000),
        "each room of a connection costs memory",
    ),
    key(
        "limits.connections",
        count(1, 100_000_000),
        "a node without connections has nothing to do",
    ),
    key(
        "limits.partial_bytes",
        size(KIB, 256 * GIB),
        "a message must fit, and it must fit into memory",
    ),
    key(
        "limits.inbox_bytes",
        size(KIB, 256 * GIB),
        "a message must fit, and it must fit into memory",
    ),
    key("slow.policy", Form::Text(slow::policy_rule), ""),
    key("slow.room", Form::Tables(slow::room_rule), ""),
];

const CLIENT_PACE: &str =
    "shorter cuts off clients on a slow network, longer lets the stalled ones hold their place";

/// The key of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether some key lies in a section of this name.
#[must_use]
pub fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| {
        key.name
            .split_once('.')
            .is_some_and(|(section, _)| section == name)
    })
}

const fn key(name: &'static str, form: Form, why: &'static str) -> Key {
    Key {
        name,
        form,
        why,
        masked: None,
    }
}

const fn count(least: usize, most: usize) -> Form {
    Form::Count { least, most }
}

const fn size(least: usize, most: usize) -> Form {
    Form::Size { least, most }
}

const fn duration(least: Duration, most: Duration) -> Form {
    Form::Duration { least, most }
}

fn listen_rule(texts: &[&str]) -> Result<(), String> {
    Listen::parse(texts).map(drop)
}

fn node_rule(name: &str) -> Result<(), String> {
    let fits =
        (1..=LONGEST_NODE).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    let form = format!("must be 1 to {LONGEST_NODE} visible ASCII characters, without spaces");
    if fits { Ok(()) } else { Err(form) }
}

fn mode_rule(mode: &str) -> Result<(), String> {
    match mode {
        "trusted" => Ok(()),
        "jwt" => Err("can't be \"jwt\" yet, this version has only \"trusted\"; \
                      until then put a proxy that authenticates in front"
            .to_owned()),
        _ => Err("must be \"trusted\"".to_owned()),
    }
}

fn origins_rule(origins: &[&str]) -> Result<(), String> {
    match origins.iter().find(|origin| !is_origin(origin)) {
        None => Ok(()),
        Some(origin) => Err(format!(
            "must list origins as a browser sends them, like \"https://chat.example.org\" or \
             \"http://localhost:3000\" (lower case, no path, no slash at the end), and {origin:?} isn't one"
        )),
    }
}

/// Origins are compared as text, so one in another spelling than the browser's would never match
/// and leave the operator wondering.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-._:[]".contains(c);
    !scheme.is_empty()
        && !host.is_empty()
        && text.replacen("://", "", 1).chars().all(plain)
        && (default_port.is_empty() || !host.ends_with(default_port))
}
