//! Every limit of the core, named with its unit. What reaches one is refused, dropped or closed for a counted reason.

use crate::slow::SlowPolicies;

/// What one shard allows. The defaults are those of the configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest client message, in bytes after inflating.
    pub message_bytes: usize,
    /// Messages that may wait behind a socket that takes no more.
    pub queue_messages: u32,
    /// Bytes that may wait behind a socket that takes no more.
    pub queue_bytes: usize,
    /// What is done for connections whose socket takes no more.
    pub slow: SlowPolicies,
    /// What waits for all connections of this shard together, each message once, in bytes.
    pub outbox_bytes: usize,
    /// Half-received messages of all this shard's connections together, in bytes.
    pub partial_bytes: usize,
    /// Connections of one user.
    pub connections_per_user: u32,
    /// Rooms of one connection.
    pub rooms_per_connection: u32,
    /// Rooms of connections that are gone which are kept for them until they are back, each counted. Beyond it those
    /// that were away for longest are taken out of theirs early.
    pub absent_memberships: usize,
    /// A ping goes out this often, in milliseconds.
    pub heartbeat_interval_ms: u64,
    /// A connection without a frame for this long is gone, in milliseconds.
    pub heartbeat_timeout_ms: u64,
    /// A socket that takes nothing for this long is given up, in milliseconds.
    pub write_timeout_ms: u64,
    /// A connection that was given no cursor for this long is told where the log is, in milliseconds.
    pub position_after_ms: u64,
    /// `user` messages without a receipt that are remembered for a connection: as many as a queue holds.
    pub unreceived_messages: usize,
    /// Messages shorter than this are not worth compressing, in bytes.
    pub compress_from_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 512 * 1024,
            queue_messages: 256,
            queue_bytes: 1024 * 1024,
            slow: SlowPolicies::default(),
            outbox_bytes: 256 * 1024 * 1024,
            partial_bytes: 256 * 1024 * 1024,
            connections_per_user: 1000,
            rooms_per_connection: 1000,
            absent_memberships: ABSENT_MEMBERSHIPS,
            heartbeat_interval_ms: 50_000,
            heartbeat_timeout_ms: 60_000,
            write_timeout_ms: 10_000,
            position_after_ms: 30_000,
            unreceived_messages: 100,
            compress_from_bytes: 200,
        }
    }
}

/// How long a user whose last connection in a room ended without leaving still counts as there, in milliseconds: long
/// enough for a page to be loaded again or a phone to change its network.
pub const GRACE_MS: u64 = 10_000;
/// As many rooms of connections that are gone does a shard keep for them that long: 24 MB. No fewer than one connection
/// may be in, by the configuration.
pub const ABSENT_MEMBERSHIPS: usize = 1_000_000;
/// How long a closing connection may take to say good-bye, in milliseconds: long enough for a slow link's round trip,
/// short enough that a silent peer soon frees its descriptor.
pub const CLOSE_MS: u64 = 2_000;
/// How long a connection that is to leave may wait to be told where the log ends, in milliseconds, before it is closed
/// without.
pub const LEAVE_MS: u64 = 1_000;
/// How long a connection that was too slow may take for its close frame, in milliseconds: it has shown that it doesn't
/// read, and the contract has it gone within a second.
pub const EVICT_MS: u64 = 800;
/// What one connection may be written in one go, in bytes, before others have their turn: large enough that a full
/// socket buffer is filled at once, small enough that a large message doesn't hold up a shard.
pub const WRITE_BYTES_PER_TURN: usize = 256 * 1024;
/// A connection that was written to within this many milliseconds is busy: it waits behind those that weren't, so that
/// a hot room doesn't hold up a quiet user (the sparse-flow rule of FQ-CoDel, RFC 8290 section 4.2).
pub const BUSY_MS: u64 = 20;
/// A connection that is given messages to its user is asked for a receipt at most this often, in milliseconds, unless
/// half of what a queue holds waits for one: a steady stream then costs a ping and a pong for every few messages.
pub const RECEIPT_MS: u64 = 400;
/// A receipt that no further message brings along is asked for by itself after this long, in milliseconds.
pub const LONE_RECEIPT_MS: u64 = 500;
