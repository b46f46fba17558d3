//! The shard driver: one thread with a poll, between the sockets of a shard and its rules.
//!
//! A turn: see what the sockets and the clock say, empty the inbox, read, do what the rules want done, write. Each step
//! is bounded, so that neither a flood of messages, nor one busy socket, nor a large message holds up the others; what
//! is left over comes in the next turn, for which the poll doesn't wait.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll};
use wshub_engine::Engine;
use wshub_hub::message::Asked;
use wshub_hub::shard::Wrote;
use wshub_hub::{Effect, Item, Now, Post, Publication, Shard, Tail, Token};
use wshub_protocol::CloseCode;

use crate::clock::Clock;
use crate::inbox::{Inboxes, WAKER};

/// Read at once from one socket, in bytes; the buffer is the shard's, so that an idle connection has none.
const READ_BYTES: usize = 64 * 1024;
/// Sockets read from in one turn.
const READS_PER_TURN: usize = 64;
/// Sockets written to in one turn: some 200 µs, within which a quiet user's message waits.
const WRITES_PER_TURN: usize = 32;
/// Bytes written in one turn, so that a turn of large messages takes no longer.
const WRITE_BYTES_PER_TURN: usize = 1024 * 1024;
/// Frames queued in one turn: some 200 µs, after which the writes go on.
const QUEUED_PER_TURN: usize = 16 * 1024;
/// With more items waiting than this only one socket is read in a turn, so that what clients send can't outgrow what
/// the shard handles.
const DEEP_INBOX_ITEMS: usize = 4096;
/// Slices handed to one vectored write.
const SLICES: usize = 128;
/// How long the shard waits for its connections to say good-bye when the node stops, in milliseconds.
const STOP_MS: u64 = 2_500;

/// What a shard's thread works with.
pub struct Driver {
    /// Which shard it is.
    pub number: usize,
    /// Its rules.
    pub shard: Shard<TcpStream>,
    /// Its poll, with the inbox's waker registered.
    pub poll: Poll,
    /// All inboxes, its own among them.
    pub inboxes: Arc<Inboxes>,
    /// This node's tail of the log.
    pub tail: Arc<Mutex<Tail>>,
    /// Where publications go.
    pub engine: Arc<dyn Engine>,
    /// The time.
    pub clock: Clock,
}

impl Driver {
    /// Runs until the shard was told to stop and its connections are gone.
    ///
    /// # Errors
    /// When the poll itself fails.
    pub fn run(self) -> io::Result<()> {
        let mut turns = Turns {
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            readable: VecDeque::new(),
            items: VecDeque::new(),
            posted: Vec::new(),
            stop_at_ms: None,
            driver: self,
        };
        let mut events = Events::with_capacity(1024);
        while !turns.are_over() {
            turns.poll(&mut events)?;
            turns.turn(&events);
        }
        Ok(())
    }
}

/// A driver at work, and what is left over from its last turn.
struct Turns {
    driver: Driver,
    buffer: Box<[u8]>,
    /// Sockets that may have more to read.
    readable: VecDeque<Readable>,
    /// Items taken out of the inbox and not yet handled.
    items: VecDeque<Item<TcpStream>>,
    posted: Vec<Item<TcpStream>>,
    stop_at_ms: Option<u64>,
}

struct Readable {
    token: Token,
    /// The peer has closed its half: the end is to be read, too.
    ends: bool,
}

impl Turns {
    fn are_over(&self) -> bool {
        let late = |at| self.driver.clock.now().elapsed_ms >= at;
        self.stop_at_ms
            .is_some_and(|at| self.driver.shard.is_empty() || late(at))
    }

    fn poll(&mut self, events: &mut Events) -> io::Result<()> {
        let Driver {
            inboxes,
            shard,
            number,
            clock,
            ..
        } = &self.driver;
        let busy = !self.items.is_empty() || !self.readable.is_empty() || shard.has_writes();
        let timeout = if busy || !inboxes.may_sleep(*number) {
            Some(Duration::ZERO)
        } else {
            let deadline = [shard.next_deadline_ms(), self.stop_at_ms]
                .into_iter()
                .flatten()
                .min();
            deadline.map(|at| Duration::from_millis(at.saturating_sub(clock.now().elapsed_ms)))
        };
        let polled = self.driver.poll.poll(events, timeout);
        self.driver.inboxes.awake(self.driver.number);
        match polled {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn turn(&mut self, events: &Events) {
        let now = self.driver.clock.now();
        for event in events {
            if event.token() == WAKER {
                continue;
            }
            let token = Token::from_number(event.token().0 as u64);
            if event.is_writable() {
                self.driver.shard.writable(now, token);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                let ends = event.is_read_closed() || event.is_error();
                self.readable.push_back(Readable { token, ends });
            }
        }
        self.driver.shard.expire(now);
        self.empty_inbox(now);
        self.read_some(now);
        self.act(now);
        self.write_some(now);
        self.act(now);
    }

    fn empty_inbox(&mut self, now: Now) {
        let Driver {
            inboxes, number, ..
        } = &self.driver;
        inboxes.take(*number, &mut self.posted);
        self.items.extend(self.posted.drain(..));
        let mut queued = 0;
        while queued < QUEUED_PER_TURN {
            let Some(item) = self.items.pop_front() else {
                return;
            };
            self.driver.inboxes.handled(self.driver.number, &item);
            if matches!(item, Item::Stop) {
                self.stop_at_ms = Some(now.elapsed_ms + STOP_MS);
            }
            queued += self.driver.shard.cost(&item);
            if let Some(token) = self.driver.shard.take(now, item) {
                self.register(token);
            }
            while let Some(token) = self.driver.shard.next_urgent() {
                self.write(now, token);
            }
        }
    }

    fn register(&mut self, token: Token) {
        let Driver { shard, poll, .. } = &mut self.driver;
        let Some(socket) = shard.socket_mut(token) else {
            return;
        };
        // Both at once and edge-triggered: nothing is registered again however often the socket is full.
        let interest = Interest::READABLE | Interest::WRITABLE;
        if poll
            .registry()
            .register(socket, mio::Token(token.number() as usize), interest)
            .is_err()
        {
            shard.broken(token);
        }
    }

    fn read_some(&mut self, now: Now) {
        let deep = self.items.len() > DEEP_INBOX_ITEMS;
        let most = if deep {
            1
        } else {
            READS_PER_TURN.min(self.readable.len())
        };
        for _ in 0..most {
            let Some(readable) = self.readable.pop_front() else {
                return;
            };
            if self.read(now, &readable) {
                self.readable.push_back(readable);
            }
        }
    }

    /// Reads once; `true` if there may be more.
    fn read(&mut self, now: Now, readable: &Readable) -> bool {
        let shard = &mut self.driver.shard;
        let Some(socket) = shard.socket_mut(readable.token) else {
            return false;
        };
        match socket.read(&mut self.buffer) {
            Ok(0) => {
                shard.broken(readable.token);
                false
            }
            Ok(bytes) => {
                shard.receive(now, readable.token, &mut self.buffer[..bytes]);
                // A short read has emptied the socket; what comes later is another event. Not so the end.
                bytes == self.buffer.len() || readable.ends
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                shard.broken(readable.token);
                false
            }
        }
    }

    /// Does what the rules want done. Publications that stand together travel together.
    fn act(&mut self, now: Now) {
        let mut batch: Vec<Publication> = Vec::new();
        let mut publishers: Vec<(Token, Asked)> = Vec::new();
        while let Some(effect) = self.driver.shard.pop_effect() {
            if let Effect::Publish(token, publication) = effect {
                publishers.push((token, Asked::by(&publication.publish)));
                batch.push(publication);
                continue;
            }
            self.publish(now, &mut batch, &mut publishers);
            self.act_on(effect);
        }
        self.publish(now, &mut batch, &mut publishers);
    }

    fn act_on(&mut self, effect: Effect<TcpStream>) {
        let Driver {
            tail,
            inboxes,
            number,
            shard,
            ..
        } = &mut self.driver;
        let lock = || tail.lock().unwrap_or_else(PoisonError::into_inner);
        match effect {
            Effect::Publish(..) => unreachable!("publications are gathered into batches"),
            Effect::Join(token, room) => lock().join(*number, token, room, &**inboxes),
            Effect::Leave(token, room) => lock().leave(*number, token, room, &**inboxes),
            Effect::Forget(room) => lock().forget(*number, &room),
            Effect::HalfClose(token) => {
                if let Some(socket) = shard.socket_mut(token) {
                    // It fails when the peer is gone already, which the next read tells.
                    let _ = socket.shutdown(Shutdown::Write);
                }
            }
            Effect::Close(socket, session, code) => {
                drop(socket);
                let code = code.map(CloseCode::number);
                tracing::debug!(session = session.text(), code, "connection ended");
            }
        }
    }

    fn publish(
        &self,
        now: Now,
        batch: &mut Vec<Publication>,
        publishers: &mut Vec<(Token, Asked)>,
    ) {
        if batch.is_empty() {
            return;
        }
        let publishers = std::mem::take(publishers);
        let (inboxes, number) = (Arc::clone(&self.driver.inboxes), self.driver.number);
        let tell = move |outcomes: Vec<_>| {
            for ((token, asked), outcome) in publishers.into_iter().zip(outcomes) {
                if asked.id.is_some() || Result::is_err(&outcome) {
                    inboxes.post(number, Item::Outcome(token, Box::new(asked), outcome));
                }
            }
        };
        self.driver
            .engine
            .publish(now, std::mem::take(batch), Box::new(tell));
    }

    fn write_some(&mut self, now: Now) {
        let mut bytes = 0;
        for _ in 0..WRITES_PER_TURN {
            let Some(token) = self.driver.shard.next_to_write() else {
                return;
            };
            bytes += self.write(now, token);
            if bytes >= WRITE_BYTES_PER_TURN {
                return;
            }
        }
    }

    /// Writes what waits for a connection, as far as its socket takes it and its turn allows; says how many bytes.
    fn write(&mut self, now: Now, token: Token) -> usize {
        let shard = &mut self.driver.shard;
        let mut total = 0;
        while total < wshub_hub::limits::WRITE_BYTES_PER_TURN {
            let wrote = {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let Some((socket, filled)) = shard.gather(token, &mut slices) else {
                    return total;
                };
                write_slices(socket, &slices[..filled])
            };
            if let Wrote::Some(bytes) = wrote {
                total += bytes;
            }
            if !shard.wrote(now, token, wrote) {
                return total;
            }
        }
        shard.yield_write(now, token);
        total
    }
}

fn write_slices(mut socket: &TcpStream, slices: &[IoSlice<'_>]) -> Wrote {
    loop {
        let written = match slices {
            // The kernel handles one buffer faster than a list of one.
            [only] => socket.write(only),
            several => socket.write_vectored(several),
        };
        match written {
            Ok(0) => return Wrote::Broken,
            Ok(bytes) => return Wrote::Some(bytes),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Wrote::Blocked,
            Err(_) => return Wrote::Broken,
        }
    }
}
