//! Who is to be written to, in which order, and what came of it.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use wshub_protocol::Epoch;
use wshub_protocol::extensions::Deflate;
use wshub_protocol::frame::{self, Opcode};

use super::{Effect, Shard, Token};
use crate::connection::{Connection, Phase};
use crate::frames::{FrameKey, PING_BYTES, Shared};
use crate::limits::{BUSY_MS, Limits, WRITE_BYTES_PER_TURN};
use crate::message::{Compressor, Message};
use crate::outbox::{Dropped, Outbox, Outboxes};
use crate::receipts;
use crate::slow::SlowPolicies;
use crate::time::Now;

/// The bit of a frame's first byte that says it is whole.
const FIN: u8 = 0x80;

/// How a write to a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// The kernel took this many bytes, all that was offered or a part.
    Some(usize),
    /// The kernel takes no more now.
    Blocked,
    /// The socket is broken.
    Broken,
}

/// All that waits to be written, and the queues of connections that can be written to.
pub(super) struct Outgoing {
    pub(super) outboxes: Outboxes,
    compressor: Compressor,
    pub(super) most_messages: u32,
    pub(super) most_bytes: usize,
    pub(super) most_held: usize,
    /// Bytes of queued messages that connections which have just come were not given yet, each connection's counted.
    pub(super) aside: usize,
    /// With more than this held it is looked for connections to give up. More than `most_held` only where that was tried
    /// in vain, so that not each further frame tries it again.
    pub(super) evict_above: usize,
    pub(super) slow_policies: SlowPolicies,
    /// Some policy lets messages go.
    pub(super) may_drop: bool,
    /// What went.
    pub(super) dropped: Dropped,
    /// The life of the log, in which gaps have their place.
    pub(super) epoch: Epoch,
    /// Connections that reached a bound within a turn: they are written to before anything more is queued.
    urgent: Vec<u32>,
    /// Connections that nothing was written to lately.
    fresh: VecDeque<u32>,
    /// The others.
    busy: VecDeque<u32>,
    /// The next turn belongs to the busy ones.
    busy_next: bool,
    /// Connections that a frame could not be queued to.
    pub(super) slow: Vec<u32>,
    /// Connections that were given messages to ask a receipt for, each once.
    to_ping: Vec<u32>,
}

impl Outgoing {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            outboxes: Outboxes::default(),
            compressor: Compressor::new(limits.compress_from_bytes),
            most_messages: limits.queue_messages,
            most_bytes: limits.queue_bytes,
            most_held: limits.outbox_bytes,
            aside: 0,
            evict_above: limits.outbox_bytes,
            may_drop: limits.slow.may_drop(),
            slow_policies: limits.slow.clone(),
            dropped: Dropped::default(),
            epoch: Epoch {
                ordinal: 0,
                random: 0,
            },
            urgent: Vec::new(),
            fresh: VecDeque::new(),
            busy: VecDeque::new(),
            busy_next: false,
            slow: Vec::new(),
            to_ping: Vec::new(),
        }
    }

    pub(super) fn hold(&mut self, shared: Shared) -> FrameKey {
        self.outboxes.hold(shared)
    }

    pub(super) fn release(&mut self, key: FrameKey) {
        self.outboxes.release(key);
    }

    /// Queues a message; `false` if the connection was too slow for it. An ephemeral one then is just not given: it is
    /// worth nothing later.
    pub(super) fn queue_message<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        key: FrameKey,
        message: &Message,
    ) -> bool {
        let bytes = message
            .frame
            .for_connection(connection.deflate, &mut self.compressor)
            .len();
        if !message.is_ephemeral() {
            connection.told = connection.told.max(message.place());
            connection.told_at = now.tick();
        } else if connection.blocked && !self.has_room_for(connection, bytes) {
            return false;
        }
        self.queue(now, index, connection, key, bytes)
    }

    pub(super) fn queue_one<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        bytes: Arc<[u8]>,
    ) {
        if bytes.is_empty() {
            return;
        }
        self.queue_shared(now, index, connection, Shared::Bytes(bytes));
    }

    /// Queues a ping with a number.
    pub(super) fn queue_ping<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        number: u32,
    ) {
        let mut ping = [0; PING_BYTES];
        ping[0] = FIN | Opcode::Ping.bits();
        ping[1] = (PING_BYTES - 2) as u8;
        ping[2..].copy_from_slice(&receipts::payload(number));
        self.queue_shared(now, index, connection, Shared::Ping(ping));
    }

    pub(super) fn queue_shared<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        shared: Shared,
    ) {
        let length = shared.bytes(None).len();
        let key = self.outboxes.hold(shared);
        self.queue(now, index, connection, key, length);
        self.outboxes.release(key);
    }

    /// Whether a connection that catches up may be given a message of this size: while less than half of its outbox is
    /// full, so that what is live later finds room.
    pub(super) fn has_room_for<S>(&self, connection: &Connection<S>, bytes: usize) -> bool {
        let outbox = &connection.outbox;
        let below_half =
            outbox.messages * 2 < self.most_messages.max(2) && outbox.bytes * 2 < self.most_bytes;
        below_half && (outbox.is_empty() || outbox.bytes + bytes <= self.most_bytes)
    }

    /// A frame for one connection, compressed where it agreed on that and it pays.
    pub(super) fn encode_for(
        &mut self,
        deflate: Option<Deflate>,
        opcode: Opcode,
        payload: &[u8],
    ) -> Box<[u8]> {
        let compressed = deflate
            .filter(|deflate| deflate.may_compress(payload.len()))
            .and_then(|_| self.compressor.compress(opcode, payload));
        compressed.unwrap_or_else(|| frame::encode(opcode, false, payload))
    }

    /// Queues a held frame of so many bytes; `false` if the connection was too slow for it.
    pub(super) fn queue<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        key: FrameKey,
        bytes: usize,
    ) -> bool {
        if connection.blocked && !self.make_room(connection, key, bytes) {
            self.slow.push(index);
            return false;
        }
        let outbox = &mut connection.outbox;
        let was_over = self.is_over(outbox);
        self.outboxes.push(outbox, key, bytes);
        if connection.blocked {
            return true;
        }
        if !was_over && self.is_over(outbox) {
            self.urgent.push(index);
        }
        self.mark(now, index, connection);
        true
    }

    /// Puts a connection into its queue, once. One that was written to lately waits behind those that weren't.
    fn mark<S>(&mut self, now: Now, index: u32, connection: &mut Connection<S>) {
        if connection.queued {
            return;
        }
        connection.queued = true;
        let quiet_ms = (now.elapsed_ms as u32).wrapping_sub(connection.written_ms);
        if u64::from(quiet_ms) < BUSY_MS {
            self.busy.push_back(index)
        } else {
            self.fresh.push_back(index)
        }
    }

    /// Whether more waits than may. One message alone is never too much, however large.
    pub(super) fn is_over(&self, outbox: &Outbox) -> bool {
        outbox.messages > self.most_messages
            || outbox.messages > 1 && outbox.bytes > self.most_bytes
    }

    /// Fresh and busy ones in turn, so that neither starves.
    fn next(&mut self) -> Option<u32> {
        self.busy_next = !self.busy_next && !self.busy.is_empty();
        let (first, second) = if self.busy_next {
            (&mut self.busy, &mut self.fresh)
        } else {
            (&mut self.fresh, &mut self.busy)
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    /// Drops what waits for a connection that is over; says how many messages the ledger loses by it.
    pub(super) fn clear(&mut self, outbox: &mut Outbox) -> u32 {
        self.outboxes.clear(outbox)
    }

    /// Drops what waits but for the frame that is partly written; says how many messages the ledger loses by it.
    pub(super) fn clear_behind_current(
        &mut self,
        outbox: &mut Outbox,
        deflate: Option<Deflate>,
    ) -> u32 {
        self.outboxes.clear_behind_current(outbox, deflate)
    }

    /// Remembers to ask a connection for a receipt when all of this turn is queued.
    pub(super) fn list_for_ping(&mut self, index: u32) {
        self.to_ping.push(index);
    }

    /// The next connection that is to be asked for a receipt.
    pub(super) fn pop_to_ping(&mut self) -> Option<u32> {
        self.to_ping.pop()
    }

    /// Queues a close frame whatever the limits say: it is the last.
    pub(super) fn queue_last<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        frame: Box<[u8]>,
    ) {
        self.outboxes.push_one(&mut connection.outbox, frame.into());
        if !connection.blocked {
            self.mark(now, index, connection);
        }
    }
}

impl<S> Shard<S> {
    /// Whether some connection can be written to.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        let Outgoing {
            fresh,
            busy,
            to_ping,
            ..
        } = &self.outgoing;
        !(fresh.is_empty() && busy.is_empty() && to_ping.is_empty())
    }

    /// The next connection that must be written to before anything more is queued. It stays the next until it is
    /// below its bound or its socket takes no more, and keeps its place in the queue.
    pub fn next_urgent(&mut self) -> Option<Token> {
        loop {
            let index = *self.outgoing.urgent.last()?;
            let is_over = |connection: &Connection<S>| self.outgoing.is_over(&connection.outbox);
            if self.connections.get(index as usize).is_some_and(is_over)
                && let Some(token) = self.can_write(index)
            {
                return Some(token);
            }
            self.outgoing.urgent.pop();
        }
    }

    /// The next connection to write to: gather, write and report until it says to stop.
    pub fn next_to_write(&mut self, now: Now) -> Option<Token> {
        self.ask_for_receipts(now);
        loop {
            let index = self.outgoing.next()?;
            if let Some(connection) = self.connections.get_mut(index as usize) {
                connection.queued = false;
            }
            if let Some(token) = self.can_write(index) {
                return Some(token);
            }
        }
    }

    fn can_write(&self, index: u32) -> Option<Token> {
        let connection = self.connections.get(index as usize)?;
        let can = !connection.outbox.is_empty() && !connection.blocked;
        can.then(|| Token::new(index, connection.generation))
    }

    /// How many frames wait for a connection.
    #[must_use]
    pub fn waiting(&self, token: Token) -> u32 {
        let connection = self.connections.get(token.index() as usize);
        connection.map_or(0, |connection| connection.outbox.messages)
    }

    /// Fills `slices` with what waits for a connection, and names its socket.
    pub fn gather<'a>(
        &'a self,
        token: Token,
        slices: &mut [IoSlice<'a>],
    ) -> Option<(&'a S, usize)> {
        let connection = self.connections.get(token.index() as usize)?;
        let outboxes = &self.outgoing.outboxes;
        let filled = outboxes.gather(
            &connection.outbox,
            connection.deflate,
            WRITE_BYTES_PER_TURN,
            slices,
        );
        Some((&connection.socket, filled))
    }

    /// Takes what a write did; `true` if more waits and the socket may take it.
    pub fn wrote(&mut self, now: Now, token: Token, wrote: Wrote) -> bool {
        let index = token.index();
        let Some(connection) = self.get_mut(token) else {
            return false;
        };
        match wrote {
            Wrote::Some(bytes) => {
                connection.written_ms = now.elapsed_ms as u32;
                connection.progress = now.tick();
                let Connection {
                    outbox, deflate, ..
                } = connection;
                let deflate = *deflate;
                let mut taken = std::mem::take(outbox);
                let through = self.outgoing.outboxes.advance(&mut taken, deflate, bytes);
                self.counters.ledger.delivered.add(u64::from(through));
                let connection = &mut self.connections[index as usize];
                connection.outbox = taken;
                if connection.catching_up.is_some() {
                    self.feed(now, index, false);
                }
                let more = !self.connections[index as usize].outbox.is_empty();
                if !more {
                    self.all_written(index);
                }
                more
            }
            Wrote::Blocked => {
                connection.blocked = true;
                connection.progress = now.tick();
                let connection = &mut self.connections[index as usize];
                self.outgoing.blocked(index, connection);
                self.evict_slow(now);
                self.arm(index);
                false
            }
            Wrote::Broken => {
                self.broken(now, token);
                false
            }
        }
    }

    /// Puts a connection that had its turn back into the queue.
    pub fn yield_write(&mut self, now: Now, token: Token) {
        let index = token.index();
        if let Some(connection) = self.connections.get_mut(index as usize) {
            self.outgoing.mark(now, index, connection);
        }
    }

    /// The socket takes something again.
    pub fn writable(&mut self, now: Now, token: Token) {
        let index = token.index();
        let Some(connection) = self.get_mut(token) else {
            return;
        };
        if !std::mem::take(&mut connection.blocked) {
            return;
        }
        if std::mem::take(&mut connection.ping_owed) && connection.phase == Phase::Open {
            self.send_ping(now, index);
        }
        self.list_for_receipt(index);
        self.outgoing
            .mark(now, index, &mut self.connections[index as usize]);
    }

    pub(super) fn all_written(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        match connection.phase {
            Phase::Open | Phase::Leaving => {}
            Phase::Answered => self.release(index),
            Phase::Deaf => {
                if !std::mem::replace(&mut connection.half_closed, true) {
                    self.effects
                        .push_back(Effect::HalfClose(Token::new(index, connection.generation)));
                }
            }
        }
    }
}
