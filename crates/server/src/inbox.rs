//! The shards' inboxes: the only way to speak to a shard.
//!
//! An inbox is a list behind a lock that is held for a push or a swap, and a waker that is used only when the shard
//! sleeps: a busy shard is never woken, an idle one once for all that comes meanwhile. What waits is bounded twice: by
//! the memory it takes, and by the work it is, so that nobody who comes waits long behind what was published before.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};
use wshub_hub::{Counters, Item, Post};

use crate::driver::Socket;

/// The poll token of an inbox's waker; no connection ever has it.
pub const WAKER: Token = Token(usize::MAX);

/// Deliveries that may wait in an inbox, a large message counting for several: under load, when writes coalesce, less
/// than a second's work, and 64 broadcasts to 60,000 connections.
const WAITING_WORK: usize = 4_000_000;
/// Bytes of a message that cost about as much as one more delivery.
const BYTES_PER_WORK: usize = 1024;
/// What an item takes beside what it points to, in bytes.
const ITEM_BYTES: usize = 64;

/// What all shards are to do; the later of these ends the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Serve their connections.
    Serve,
    /// Have each connection leave, the last after so many milliseconds.
    Drain(u32),
    /// Close all connections, and be done after so many milliseconds at most.
    Stop(u32),
}

impl Order {
    fn encoded(self) -> u64 {
        match self {
            Self::Serve => 0,
            Self::Drain(ms) => 1 << 32 | u64::from(ms),
            Self::Stop(ms) => 2 << 32 | u64::from(ms),
        }
    }

    fn decoded(code: u64) -> Self {
        match code >> 32 {
            0 => Self::Serve,
            1 => Self::Drain(code as u32),
            _ => Self::Stop(code as u32),
        }
    }
}

/// An item as it waits.
#[derive(Debug)]
pub struct Posted {
    /// The item.
    pub item: Item<Socket>,
    bytes: usize,
    work: usize,
}

/// The inboxes of all shards.
pub struct Inboxes {
    inboxes: Box<[Inbox]>,
    most_bytes: usize,
    times_full: AtomicU64,
    order: AtomicU64,
}

struct Inbox {
    items: Mutex<Vec<Posted>>,
    /// What was posted and isn't handled yet.
    bytes: AtomicUsize,
    work: AtomicUsize,
    asleep: AtomicBool,
    waker: Waker,
    shard: Arc<Counters>,
}

impl Inboxes {
    /// One inbox for each shard, by the registry of its poll and its counters, holding at most `most_bytes` each.
    ///
    /// # Errors
    /// When the system gives no waker.
    pub fn new<'a>(
        shards: impl Iterator<Item = (&'a Registry, Arc<Counters>)>,
        most_bytes: usize,
    ) -> io::Result<Self> {
        let inbox = |(registry, shard)| {
            Ok(Inbox {
                items: Mutex::default(),
                bytes: AtomicUsize::new(0),
                work: AtomicUsize::new(0),
                asleep: AtomicBool::new(false),
                waker: Waker::new(registry, WAKER)?,
                shard,
            })
        };
        Ok(Self {
            inboxes: shards.map(inbox).collect::<io::Result<_>>()?,
            most_bytes,
            times_full: AtomicU64::new(0),
            order: AtomicU64::new(Order::Serve.encoded()),
        })
    }

    /// How often a publisher found no room.
    #[must_use]
    pub fn times_full(&self) -> u64 {
        self.times_full.load(Ordering::Relaxed)
    }

    /// Gives all shards an order. It overtakes what waits: a node that is behind obeys as soon as any other.
    pub fn give(&self, order: Order) {
        self.order.store(order.encoded(), Ordering::SeqCst);
        self.inboxes.iter().for_each(Inbox::wake);
    }

    /// What the shards are to do.
    #[must_use]
    pub fn order(&self) -> Order {
        Order::decoded(self.order.load(Ordering::SeqCst))
    }

    /// Takes all that was posted to a shard, in order, by swapping it with the empty `into`.
    pub fn take(&self, shard: usize, into: &mut Vec<Posted>) {
        std::mem::swap(&mut *self.inboxes[shard].lock(), into);
    }

    /// Says that an item is being handled, so that there is room for others.
    pub fn handled(&self, shard: usize, posted: &Posted) {
        let inbox = &self.inboxes[shard];
        inbox.bytes.fetch_sub(posted.bytes, Ordering::Relaxed);
        inbox.work.fetch_sub(posted.work, Ordering::Relaxed);
    }

    /// Whether the shard, that has carried out this order, may sleep now: if so, the next post or order wakes it.
    #[must_use]
    pub fn may_sleep(&self, shard: usize, carried_out: Order) -> bool {
        let inbox = &self.inboxes[shard];
        // Whoever takes the lock behind this sees the flag; whoever took it before has left an item to be seen.
        inbox.asleep.store(true, Ordering::SeqCst);
        let may = inbox.lock().is_empty() && self.order() == carried_out;
        if !may {
            self.awake(shard);
        }
        may
    }

    /// Says that the shard looks into its inbox by itself now.
    pub fn awake(&self, shard: usize) {
        self.inboxes[shard].asleep.store(false, Ordering::SeqCst);
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Posted>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            // An error here means that the poll is gone, and so is the shard.
            let _ = self.waker.wake();
        }
    }

    /// The memory that an item takes and the work that it is.
    fn weigh(&self, item: &Item<Socket>) -> (usize, usize) {
        match item {
            Item::Message(message) => {
                let reach = message
                    .reach
                    .map_or_else(|| self.shard.clients.get(), u64::from);
                let each = 1 + message.frame.plain().len() / BYTES_PER_WORK;
                (ITEM_BYTES + message.bytes(false), 1 + reach as usize * each)
            }
            Item::Connect(arrival) => (
                ITEM_BYTES + size_of_val(&**arrival) + arrival.early.len(),
                1,
            ),
            Item::Presence(_, frame, reach) => (ITEM_BYTES + frame.len(), 1 + *reach as usize),
            // Their messages are the log's or a queue's, which count them.
            Item::Enter(_, entrance) => (ITEM_BYTES, 1 + entrance.waiting.len()),
            Item::CaughtUp(_, piece) => (ITEM_BYTES, 1 + piece.messages.len()),
            _ => (ITEM_BYTES, 1),
        }
    }
}

impl Post<Socket> for Inboxes {
    fn post(&self, shard: usize, item: Item<Socket>) {
        let inbox = &self.inboxes[shard];
        let (bytes, work) = inbox.weigh(&item);
        inbox.bytes.fetch_add(bytes, Ordering::Relaxed);
        inbox.work.fetch_add(work, Ordering::Relaxed);
        inbox.lock().push(Posted { item, bytes, work });
        inbox.wake();
    }

    fn has_room(&self) -> bool {
        let below = |inbox: &Inbox| {
            inbox.bytes.load(Ordering::Relaxed) < self.most_bytes
                && inbox.work.load(Ordering::Relaxed) < WAITING_WORK
        };
        let has_room = self.inboxes.iter().all(below);
        if !has_room {
            self.times_full.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }
}
