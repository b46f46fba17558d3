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
    /// Messages that waited for a connection when it was given up or closed, and were not written.
    pub unwritten: Counter,
    /// Connections the server closed, by place in [`CloseCode::ALL`].
    pub closed: [Counter; CloseCode::ALL.len()],
    /// Connections that the peer closed or that broke.
    pub left: Counter,
    /// Bytes of half-received messages.
    pub partial_bytes: Counter,
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
