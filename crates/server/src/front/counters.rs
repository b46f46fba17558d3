//! What the front has seen since it started: one struct of counters that metrics read and nobody resets.

use std::sync::atomic::{AtomicU64, Ordering};

use super::reader::Fault;

/// Counters of one front, shared with whoever exports them. All but [`Counters::open`] only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that the kernel gave us, refused ones included.
    pub accepted: AtomicU64,
    /// Connections that are in the front now (upgraded ones have left it).
    pub open: AtomicU64,
    /// Sockets handed to their shard.
    pub upgraded: AtomicU64,
    /// Upgrades that the service did not admit.
    pub not_admitted: AtomicU64,
    /// Requests given to the service.
    pub requests: AtomicU64,
    /// Connections refused with 503 because `FrontLimits::connections` were open and what they had sent could not be
    /// answered at once.
    pub refused_full: AtomicU64,
    /// Connections refused with 503 because the process had no descriptor left.
    pub refused_descriptors: AtomicU64,
    /// Heads refused with 400, 414 or 431.
    pub refused_head: AtomicU64,
    /// Bodies refused with 400 or 413, or with 503 because all bodies together were too large.
    pub refused_body: AtomicU64,
    /// Connections closed because no complete head came within `handshake_timeout`.
    pub timed_out_head: AtomicU64,
    /// Connections closed because a body paused or took too long.
    pub timed_out_body: AtomicU64,
    /// Connections closed because the client did not take its answer in time.
    pub timed_out_answer: AtomicU64,
    /// Errors of `accept` that made the front pause for a moment.
    pub accept_pauses: AtomicU64,
}

impl Counters {
    /// Where a refusal for this fault is counted.
    pub(super) fn refused(&self, fault: Fault) -> &AtomicU64 {
        match fault {
            Fault::Head => &self.refused_head,
            Fault::Body => &self.refused_body,
            Fault::Admission => &self.not_admitted,
        }
    }

    /// Adds one. Relaxed, since a counter orders nothing but itself.
    pub(crate) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
