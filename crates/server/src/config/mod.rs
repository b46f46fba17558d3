//! What an operator may decide: one [`Config`], read once at start and never changed.
//!
//! It is read from five layers, the later of which win: the defaults, the file `wshub.toml`, the
//! environment, `--set`, the flags. Everything is checked here, at the door: whoever holds a
//! `Config` that came out of [`Sources::resolve`] need not look at a value again.
//! `docs/configuration.md` lists the keys for operators; a test holds it against [`keys`].

mod error;
mod form;
mod host;
pub mod keys;
mod layers;
mod listen;
mod nearest;
mod quantity;
mod redis;
mod redis_url;
mod resolved;
mod slow;
mod together;

#[cfg(test)]
mod doc_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use form::Form;
pub use layers::{ConfigFile, Origin, Sources};
pub use listen::{Listen, ListenAddress};
pub use redis::Redis;
pub use redis_url::{RedisUrl, Secret};
pub use resolved::Resolved;
pub use slow::{Slow, SlowPolicy, SlowRoom};

use quantity::{as_duration, as_size};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// A node's configuration. The bounds of each value stand in [`keys::KEYS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where clients and back ends connect. Loopback unless set, since a hub that trusts what it is
    /// told must not be reachable by accident.
    pub listen: Listen,
    /// This node's name in `connected`, logs and node facts: 1 to 64 characters from `!` to `~`.
    /// The host name unless set.
    pub node: String,
    /// Shard threads, 1 to 128. One per core unless set: a shard never waits, so more would only
    /// take turns. Fixed while running.
    pub shards: usize,
    /// Who may connect, and how they say who they are.
    pub auth: Auth,
    /// The Redis that makes several nodes one hub.
    pub redis: Redis,
    /// What waits for users who are away.
    pub offline: Offline,
    /// The log of messages that reconnecting clients catch up from. (Log lines are `--log`.)
    pub log: Log,
    /// How repeats of a publish are recognised.
    pub dedupe: Dedupe,
    /// How a dead connection is noticed.
    pub heartbeat: Heartbeat,
    /// How a node that is told to stop lets its connections go.
    pub drain: Drain,
    /// permessage-deflate.
    pub compression: Compression,
    /// What one connection, one user and one node may use.
    pub limits: Limits,
    /// What becomes of a connection that doesn't keep up.
    pub slow: Slow,
}

/// Section `auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How a client says who it is.
    pub mode: AuthMode,
    /// Web origins whose pages may connect, in the form a browser sends
    /// (`https://chat.example.org`). Without it any page that the user opens could speak in their
    /// name.
    pub allowed_origins: Vec<String>,
    /// Lets `trusted` listen beyond loopback. Needed behind a proxy that authenticates; everywhere
    /// else it lets anybody be anybody, hence the explicit word.
    pub trust_network: bool,
}

/// How a client says who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// The `user_id` in the query is believed: for development, or behind a proxy that
    /// authenticates.
    #[default]
    Trusted,
}

/// Section `offline`: the `user` messages that wait until one of the user's connections has received them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Offline {
    /// Messages that wait for one user; newer ones push the oldest out.
    pub messages: usize,
    /// How long a message waits. Half an hour outlasts a meeting and a ride on the train.
    #[serde(with = "as_duration")]
    pub ttl: Duration,
    /// Bytes of the messages that wait for one user. At least `limits.message_bytes`.
    #[serde(with = "as_size")]
    pub user_bytes: usize,
    /// Bytes of what waits for all users; the queues that were least recently written go first. At least
    /// `user_bytes`.
    #[serde(with = "as_size")]
    pub total_bytes: usize,
}

/// Section `log`: the window of messages that a client which was away can catch up from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How long a message stays, as a time. Two minutes outlast a restart, a lift and a tunnel.
    #[serde(with = "as_duration")]
    pub retention: Duration,
    /// How many bytes of messages stay at most; reached first under load, the window gets shorter.
    #[serde(with = "as_size")]
    pub bytes: usize,
}

/// Section `dedupe`: a publish with an `id` that was seen lately has no second effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dedupe {
    /// How long an id is remembered. Five minutes outlast every retry of a publisher that hasn't given up.
    #[serde(with = "as_duration")]
    pub window: Duration,
    /// Bytes that all remembered ids may take; full, publishes with a new id are refused with `overloaded`, and none
    /// is forgotten early.
    #[serde(with = "as_size")]
    pub bytes: usize,
}

/// Section `heartbeat`. Any frame counts as life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// A ping is sent this often. 50 s stays below the 60 s after which many proxies cut a silent
    /// connection.
    #[serde(with = "as_duration")]
    pub interval: Duration,
    /// After so long without a frame the connection is gone (4000). Longer than the interval, so
    /// that a living client has the difference to answer in.
    #[serde(with = "as_duration")]
    pub timeout: Duration,
}

/// Section `drain`: SIGTERM and SIGINT tell a node to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// How long the connections may take to leave, each at a moment of its own, so that the other nodes aren't
    /// stormed. Zero closes all at once.
    #[serde(with = "as_duration")]
    pub timeout: Duration,
    /// How long new connections are still taken by a node that says it isn't ready: a load balancer that looks
    /// only now and then goes on sending some.
    #[serde(with = "as_duration")]
    pub delay: Duration,
}

/// Section `compression`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compression {
    /// Whether offers of permessage-deflate are accepted.
    pub enabled: bool,
    /// Messages of fewer bytes go out uncompressed. Below 200 bytes deflate doesn't pay: without a
    /// shared context there is little to refer back to, and the frame saves less than a TCP header.
    #[serde(with = "as_size")]
    pub threshold: usize,
}

/// Section `limits`: a bound on everything a peer can make grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one message, inflated, with all its fragments (1009, 413 beyond).
    #[serde(with = "as_size")]
    pub message_bytes: usize,
    /// Messages that may wait behind a socket which takes no more; beyond it the connection is slow.
    pub queue_messages: usize,
    /// Bytes that may wait behind a socket which takes no more; beyond it the connection is slow.
    #[serde(with = "as_size")]
    pub queue_bytes: usize,
    /// Bytes that may wait for all connections of this node together, each message counted once however many wait
    /// for it. Beyond it those that have taken nothing for longest are closed (4008): thousands of slow connections,
    /// each below its own bound, must not fill the memory.
    #[serde(with = "as_size")]
    pub outbox_total_bytes: usize,
    /// How long a socket may take nothing while something waits for it (4008 beyond).
    #[serde(with = "as_duration")]
    pub write_timeout: Duration,
    /// How long a client may take for its whole request head, upgrade included.
    #[serde(with = "as_duration")]
    pub handshake_timeout: Duration,
    /// How long a keep-alive HTTP connection may idle between requests.
    #[serde(with = "as_duration")]
    pub http_idle_timeout: Duration,
    /// Connections of one user on this node (4009 beyond): a client in a loop must not take them
    /// all.
    pub connections_per_user: usize,
    /// Rooms that one connection may be in (`too_many_rooms` beyond).
    pub rooms_per_connection: usize,
    /// Connections of this node; `None` leaves it to the file descriptor limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// Bytes of all half-received messages of this node together: a thousand clients that each send
    /// half of a large message and stop must not fill the memory.
    #[serde(with = "as_size")]
    pub partial_bytes: usize,
    /// Bytes that may wait for the shards of this node together; full, publishes are refused with
    /// `overloaded` instead of waiting.
    #[serde(with = "as_size")]
    pub inbox_bytes: usize,
}

impl Default for Config {
    /// The defaults on this machine: they look at its host name and its cores.
    fn default() -> Self {
        Self {
            listen: Listen::loopback(8080),
            node: host::node_name(),
            shards: host::cores().clamp(1, keys::MOST_SHARDS),
            auth: Auth::default(),
            redis: Redis::default(),
            offline: Offline::default(),
            log: Log::default(),
            dedupe: Dedupe::default(),
            heartbeat: Heartbeat::default(),
            drain: Drain::default(),
            compression: Compression::default(),
            limits: Limits::default(),
            slow: Slow::default(),
        }
    }
}

impl Default for Offline {
    fn default() -> Self {
        Self {
            messages: 100,
            ttl: Duration::from_mins(30),
            user_bytes: MIB,
            total_bytes: GIB,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            retention: Duration::from_mins(2),
            bytes: 256 * MIB,
        }
    }
}

impl Default for Dedupe {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(5),
            bytes: 256 * MIB,
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(50),
            timeout: Duration::from_secs(60),
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            delay: Duration::ZERO,
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 200,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 512 * KIB,
            queue_messages: 256,
            queue_bytes: MIB,
            outbox_total_bytes: 256 * MIB,
            write_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
            http_idle_timeout: Duration::from_secs(120),
            connections_per_user: 1000,
            rooms_per_connection: 1000,
            connections: None,
            partial_bytes: 256 * MIB,
            inbox_bytes: 64 * MIB,
        }
    }
}
