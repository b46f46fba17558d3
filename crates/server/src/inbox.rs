//! The shards' inboxes: the only way to speak to a shard.
//!
//! An inbox is a list behind a lock that is held for a push or a swap, and a waker that is used only when the shard
//! sleeps: a busy shard is never woken, an idle one once for all that comes meanwhile.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::net::TcpStream;
use mio::{Registry, Token, Waker};
use wshub_hub::{Item, Post};

/// The poll token of an inbox's waker; no connection ever has it.
pub const WAKER: Token = Token(usize::MAX);

/// The inboxes of all shards.
pub struct Inboxes {
    inboxes: Box<[Inbox]>,
    most_bytes: usize,
    times_full: AtomicU64,
}

struct Inbox {
    items: Mutex<Vec<Item<TcpStream>>>,
    /// Bytes of the messages that were posted and not yet handled.
    bytes: AtomicUsize,
    asleep: AtomicBool,
    waker: Waker,
}

/// What an item takes beside its frame, in bytes.
const ITEM_BYTES: usize = 64;

fn bytes_of(item: &Item<TcpStream>) -> usize {
    match item {
        Item::Message(message) => ITEM_BYTES + message.frame.plain().len(),
        _ => ITEM_BYTES,
    }
}

impl Inboxes {
    /// One inbox for each registry of a shard's poll, holding at most `most_bytes` of messages each.
    ///
    /// # Errors
    /// When the system gives no waker.
    pub fn new<'a>(
        polls: impl Iterator<Item = &'a Registry>,
        most_bytes: usize,
    ) -> io::Result<Self> {
        let inbox = |registry| {
            let waker = Waker::new(registry, WAKER)?;
            let items = Mutex::default();
            Ok(Inbox {
                items,
                bytes: AtomicUsize::new(0),
                asleep: AtomicBool::new(false),
                waker,
            })
        };
        Ok(Self {
            inboxes: polls.map(inbox).collect::<io::Result<_>>()?,
            most_bytes,
            times_full: AtomicU64::new(0),
        })
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }

    /// How often a publisher found no room.
    #[must_use]
    pub fn times_full(&self) -> u64 {
        self.times_full.load(Ordering::Relaxed)
    }

    /// Takes all that was posted to a shard, in order, by swapping it with the empty `into`.
    pub fn take(&self, shard: usize, into: &mut Vec<Item<TcpStream>>) {
        std::mem::swap(&mut *self.inboxes[shard].lock(), into);
    }

    /// Says that an item was handled, so that there is room for others.
    pub fn handled(&self, shard: usize, item: &Item<TcpStream>) {
        self.inboxes[shard]
            .bytes
            .fetch_sub(bytes_of(item), Ordering::Relaxed);
    }

    /// Whether the shard may sleep now: if so, the next post wakes it.
    #[must_use]
    pub fn may_sleep(&self, shard: usize) -> bool {
        let inbox = &self.inboxes[shard];
        // Whoever takes the lock behind this sees the flag; whoever took it before has left an item to be seen.
        inbox.asleep.store(true, Ordering::SeqCst);
        let empty = inbox.lock().is_empty();
        if !empty {
            self.awake(shard);
        }
        empty
    }

    /// Says that the shard looks into its inbox by itself now.
    pub fn awake(&self, shard: usize) {
        self.inboxes[shard].asleep.store(false, Ordering::SeqCst);
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Item<TcpStream>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post<TcpStream> for Inboxes {
    fn post(&self, shard: usize, item: Item<TcpStream>) {
        let inbox = &self.inboxes[shard];
        inbox.bytes.fetch_add(bytes_of(&item), Ordering::Relaxed);
        inbox.lock().push(item);
        if inbox.asleep.load(Ordering::SeqCst) && inbox.asleep.swap(false, Ordering::SeqCst) {
            // An error here means that the poll is gone, and so is the shard.
            let _ = inbox.waker.wake();
        }
    }

    fn has_room(&self) -> bool {
        let below = |inbox: &Inbox| inbox.bytes.load(Ordering::Relaxed) < self.most_bytes;
        let has_room = self.inboxes.iter().all(below);
        if !has_room {
            self.times_full.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }
}
