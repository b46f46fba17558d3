//! The shard driver: one thread with a poll, between the sockets of a shard and its rules.
//!
//! A turn: see what the sockets and the clock say, empty the inbox, read, do what the rules want done, write. Each step
//! is bounded, so that neither a flood of messages, nor one busy socket, nor a large message holds up the others; what
//! is left over comes in the next turn, for which the poll doesn't wait.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll};
use wshub_engine::Engine;
use wshub_hub::message::Asked;
use wshub_hub::shard::Wrote;
use wshub_hub::{Effect, Item, Now, Post, Publication, Shard, Token};
use wshub_protocol::CloseCode;

use crate::clock::Clock;
use crate::inbox::{Inboxes, Order, Posted, WAKER};

/// Read at once from one socket, in bytes; the buffer is the shard's, so that an idle connection has none. Small enough
/// that the smallest frames in it are handled within a millisecond.
const READ_BYTES: usize = 16 * 1024;
/// Read at once from a socket that agreed on deflate: so much can inflate to a thousand times as much.
const READ_DEFLATED_BYTES: usize = 2 * 1024;
/// What is done for readers in one turn, in the bytes of [`Shard::take_work`]: about a millisecond.
const READ_WORK_PER_TURN: usize = 256 * 1024;
/// The same while the inbox is deep: what clients send must not outgrow what the shard handles.
const READ_WORK_BEHIND: usize = 16 * 1024;
/// Sockets read from in one turn.
const READS_PER_TURN: usize = 64;
/// Sockets written to in one turn: some 200 µs, within which a quiet user's message waits.
const WRITES_PER_TURN: usize = 32;
/// Bytes written in one turn, so that a turn of large messages takes no longer.
const WRITE_BYTES_PER_TURN: usize = 1024 * 1024;
/// Frames queued in one turn: some 200 µs, after which the writes go on.
const QUEUED_PER_TURN: usize = 16 * 1024;
/// With more items waiting than this the inbox is deep.
const DEEP_INBOX_ITEMS: usize = 4096;
/// Slices handed to one vectored write.
const SLICES: usize = 128;
/// The same where so few frames wait, as they mostly do: the longer list costs more to lay out than to fill.
const FEW_SLICES: usize = 4;
/// A connection's socket, and where it stands with its driver.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// It is in the queue of those that may have something to read.
    readable: bool,
    /// The peer has closed its half: the end is to be read, too.
    ends: bool,
    /// A read may inflate to much more.
    deflates: bool,
}

impl Socket {
    /// A socket that isn't registered anywhere yet.
    #[must_use]
    pub fn new(stream: TcpStream, deflates: bool) -> Self {
        Self {
            stream,
            readable: false,
            ends: false,
            deflates,
        }
    }
}

/// What a shard's thread works with.
pub struct Driver {
    /// Which shard it is.
    pub number: usize,
    /// Its rules.
    pub shard: Shard<Socket>,
    /// Its poll, with the inbox's waker registered.
    pub poll: Poll,
    /// All inboxes, its own among them.
    pub inboxes: Arc<Inboxes>,
    /// Where publications go.
    pub engine: Arc<dyn Engine>,
    /// Sockets of the node, from the front's hand to their end.
    pub sockets: Arc<AtomicUsize>,
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
            order: Order::Serve,
            stop_at_ms: None,
            let_in: false,
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
    /// Connections that may have more to read, each once.
    readable: VecDeque<Token>,
    /// Items taken out of the inbox and not yet handled.
    items: VecDeque<Posted>,
    posted: Vec<Posted>,
    /// The last order that was carried out.
    order: Order,
    stop_at_ms: Option<u64>,
    /// The log has let a connection in since the inbox was last emptied.
    let_in: bool,
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
        let timeout = if busy || !inboxes.may_sleep(*number, self.order) {
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
                self.mark_readable(token, event.is_read_closed() || event.is_error());
            }
        }
        self.obey(now);
        self.driver.shard.expire(now);
        self.empty_inbox(now);
        self.read_some(now);
        self.act(now);
        if std::mem::take(&mut self.let_in) {
            // Who was just let in is greeted before anything is written: the answer to the upgrade, `connected` and
            // what waited leave in one write.
            self.empty_inbox(now);
            self.act(now);
        }
        self.write_some(now);
        self.act(now);
        if self.driver.shard.has_writes() {
            // Where the front shares this core it has what newcomers and publishers sent: a turn is all they wait.
            thread::yield_now();
        }
    }

    fn mark_readable(&mut self, token: Token, ends: bool) {
        let Some(socket) = self.driver.shard.socket_mut(token) else {
            return;
        };
        socket.ends |= ends;
        if !std::mem::replace(&mut socket.readable, true) {
            self.readable.push_back(token);
        }
    }

    fn obey(&mut self, now: Now) {
        let order = self.driver.inboxes.order();
        if order == std::mem::replace(&mut self.order, order) {
            return;
        }
        match order {
            Order::Serve => {}
            Order::Drain(over_ms) => self.driver.shard.drain(now, u64::from(over_ms)),
            Order::Stop(within_ms) => {
                self.stop_at_ms = Some(now.elapsed_ms + u64::from(within_ms));
                self.driver.shard.stop(now);
            }
        }
    }

    fn empty_inbox(&mut self, now: Now) {
        let Driver {
            inboxes, number, ..
        } = &self.driver;
        inboxes.take(*number, &mut self.posted);
        self.items.extend(self.posted.drain(..));
        if self.posted.capacity() > DEEP_INBOX_ITEMS {
            // A burst is over: its memory goes back.
            self.posted = Vec::new();
        }
        let mut queued = 0;
        while queued < QUEUED_PER_TURN {
            let Some(posted) = self.items.pop_front() else {
                return;
            };
            self.driver.inboxes.handled(self.driver.number, &posted);
            queued += self.driver.shard.cost(&posted.item);
            if let Some(token) = self.driver.shard.take(now, posted.item) {
                self.register(now, token);
            }
            self.write_urgent(now);
        }
    }

    /// Writes to those that reached a bound within this turn, before more is queued to them.
    fn write_urgent(&mut self, now: Now) {
        while let Some(token) = self.driver.shard.next_urgent() {
            self.write(now, token);
        }
    }

    fn register(&mut self, now: Now, token: Token) {
        let Driver { shard, poll, .. } = &mut self.driver;
        let Some(socket) = shard.socket_mut(token) else {
            return;
        };
        // Both at once and edge-triggered: nothing is registered again however often the socket is full.
        let interest = Interest::READABLE | Interest::WRITABLE;
        if poll
            .registry()
            .register(
                &mut socket.stream,
                mio::Token(token.number() as usize),
                interest,
            )
            .is_err()
        {
            shard.broken(now, token);
        }
    }

    fn read_some(&mut self, now: Now) {
        let deep = self.items.len() > DEEP_INBOX_ITEMS;
        let most = if deep {
            READ_WORK_BEHIND
        } else {
            READ_WORK_PER_TURN
        };
        let mut work = 0;
        for _ in 0..READS_PER_TURN.min(self.readable.len()) {
            let Some(token) = self.readable.pop_front() else {
                return;
            };
            if self.read(now, token) {
                self.mark_readable(token, false);
            }
            self.write_urgent(now);
            work += self.driver.shard.take_work();
            if work >= most {
                return;
            }
        }
    }

    /// Reads once; `true` if there may be more.
    fn read(&mut self, now: Now, token: Token) -> bool {
        let shard = &mut self.driver.shard;
        let Some(socket) = shard.socket_mut(token) else {
            return false;
        };
        socket.readable = false;
        let ends = socket.ends;
        let most = if socket.deflates {
            READ_DEFLATED_BYTES
        } else {
            READ_BYTES
        };
        let buffer = &mut self.buffer[..most];
        match socket.stream.read(buffer) {
            Ok(0) => {
                shard.broken(now, token);
                false
            }
            Ok(bytes) => {
                shard.receive(now, token, &mut buffer[..bytes]);
                // A short read has emptied the socket; what comes later is another event. Not so the end.
                bytes == most || ends
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                shard.broken(now, token);
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
            self.act_on(now, effect);
        }
        self.publish(now, &mut batch, &mut publishers);
    }

    fn act_on(&mut self, now: Now, effect: Effect<Socket>) {
        let Driver {
            engine,
            number,
            shard,
            ..
        } = &mut self.driver;
        match effect {
            Effect::Publish(..) => unreachable!("publications are gathered into batches"),
            Effect::Enter(token, wanted) => {
                engine.enter(now, *number, token, *wanted);
                self.let_in = true;
            }
            Effect::Ask(question) => engine.ask(now, *number, question),
            Effect::Receive(receipts) => engine.receive(&receipts),
            Effect::HalfClose(token) => {
                if let Some(socket) = shard.socket_mut(token) {
                    // It fails when the peer is gone already, which the next read tells.
                    let _ = socket.stream.shutdown(Shutdown::Write);
                }
            }
            Effect::Close(socket, session, code) => {
                drop(socket);
                self.driver.sockets.fetch_sub(1, Ordering::Relaxed);
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
            let Some(token) = self.driver.shard.next_to_write(now) else {
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
            let wrote = match shard.waiting(token) {
                0 => return total,
                waiting if waiting as usize <= FEW_SLICES => write_once::<FEW_SLICES>(shard, token),
                _ => write_once::<SLICES>(shard, token),
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

/// Writes the front of what waits for a connection, in at most `N` slices.
fn write_once<const N: usize>(shard: &Shard<Socket>, token: Token) -> Wrote {
    let mut slices = [IoSlice::new(&[]); N];
    match shard.gather(token, &mut slices) {
        Some((socket, filled)) => write_slices(&socket.stream, &slices[..filled]),
        None => Wrote::Some(0),
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
