//! What a shard counts. Only the shard writes, anybody reads: a relaxed load and store, no locked instruction.

use std::sync::atomic::{AtomicU64, Ordering};

use wshub_protocol::CloseCode;

use crate::message::Kind;

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// The counters of one shard.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that were sent `connected` and aren't closing.
    pub clients: Counter,
    /// Sockets, those without identity and those that are closing included.
    pub sockets: Counter,
    /// Users with a connection.
    pub users: Counter,
    /// Rooms with a member here.
    pub rooms: Counter,
    /// Connections that came, ever.
    pub opened: Counter,
    /// Messages queued to connections, by [`Kind`].
    pub messages_out: [Counter; 3],
    /// Client messages that were answered by an error.
    pub refused: Counter,
    /// The fate of messages for everybody and for rooms and of all that pass by, by connection.
    pub ledger: Ledger,
    /// Connections the server closed, by place in [`CloseCode::ALL`].
    pub closed: [Counter; CloseCode::ALL.len()],
    /// Connections that the peer closed or that broke.
    pub left: Counter,
    /// Connections that were told to leave by a drain, and did or were closed.
    pub moved: Counter,
    /// Bytes of half-received messages.
    pub partial_bytes: Counter,
}

/// What became of messages for everybody and for rooms, and of those to users that only pass by. One is counted for each
/// connection that was there at its place in the log, or caught up with it later. `accepted` is the sum of the others and
/// of what waits in outboxes.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Were to be given to a connection.
    pub accepted: Counter,
    /// Taken by the connection's socket.
    pub delivered: Counter,
    /// Waited, or came, when the connection was given up for being too slow.
    pub too_slow: Counter,
    /// Waited when the connection ended.
    pub unwritten: Counter,
    /// Gave way to newer ones by the policy for slow connections; the client was told by `gap`. What says who comes and
    /// goes is counted here, and as accepted, where it gave way, and nowhere else.
    pub gap: Counter,
    /// Were ephemeral, and came when the connection had no room for them or was catching up.
    pub ephemeral: Counter,
}

/// What a [`Ledger`] says at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Were to be given to a connection.
    pub accepted: u64,
    /// Taken by the connection's socket.
    pub delivered: u64,
    /// Lost with a connection that was too slow.
    pub too_slow: u64,
    /// Lost with a connection that ended.
    pub unwritten: u64,
    /// Gave way to newer ones.
    pub gap: u64,
    /// Were ephemeral, and came to a connection that had no room for them or was catching up.
    pub ephemeral: u64,
}

impl Ledger {
    /// All of it. What is gone is read before what came, so that it never seems to be more.
    #[must_use]
    pub fn read(&self) -> LedgerCounts {
        LedgerCounts {
            delivered: self.delivered.get(),
            too_slow: self.too_slow.get(),
            unwritten: self.unwritten.get(),
            gap: self.gap.get(),
            ephemeral: self.ephemeral.get(),
            accepted: self.accepted.get(),
        }
    }
}

impl LedgerCounts {
    /// The sum of two shards'.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            delivered: self.delivered + other.delivered,
            too_slow: self.too_slow + other.too_slow,
            unwritten: self.unwritten + other.unwritten,
            gap: self.gap + other.gap,
            ephemeral: self.ephemeral + other.ephemeral,
        }
    }

    /// Messages that wait in outboxes.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let dropped = self.too_slow + self.unwritten + self.gap + self.ephemeral;
        self.accepted - self.delivered - dropped
    }
}

impl Counters {
    pub(crate) fn messages_out(&self, kind: Kind, n: u64) {
        self.messages_out[kind.index()].add(n);
    }

    pub(crate) fn close(&self, code: CloseCode) {
        if let Some(at) = CloseCode::ALL.iter().position(|&other| other == code) {
            self.closed[at].add(1);
        }
    }

    /// How many connections were closed with a code.
    #[must_use]
    pub fn closed_with(&self, code: CloseCode) -> u64 {
        CloseCode::ALL
            .iter()
            .position(|&other| other == code)
            .map_or(0, |at| self.closed[at].get())
    }
}
