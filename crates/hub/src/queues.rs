//! What waits for users: each message to a user is kept until one of the user's connections has a receipt for it.
//!
//! A queue is the truth and the log the transport: there is no moment between online and offline in which a message can
//! fall through. What a bound pushes out or time expires is counted, in the ledger and for the user's next `connected`.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;
use wshub_protocol::{SessionId, UserId};

use crate::message::Message;
use crate::resume::Wanted;

/// What the queues may hold.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Messages of one user.
    pub messages: usize,
    /// How long a message waits, in milliseconds.
    pub ttl_ms: u64,
    /// Bytes of one user's messages, as they go over the wire.
    pub user_bytes: usize,
    /// Memory of all queues together, in bytes; beyond it those not written to for longest are emptied.
    pub total_bytes: usize,
}

/// The fate of all that was ever queued, one for each message and user. `pushed` is the sum of the others and of what
/// waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Put into a queue.
    pub pushed: u64,
    /// Taken out by a receipt.
    pub received: u64,
    /// Older than the queues keep.
    pub expired: u64,
    /// Pushed out by newer ones of the same user.
    pub pushed_out: u64,
    /// Pushed out since all queues together were full.
    pub total_full: u64,
}

/// What a user finds on coming.
#[derive(Debug, Default)]
pub struct Found {
    /// What waits, oldest first.
    pub waiting: Vec<Arc<Message>>,
    /// How many were lost since the user was last told.
    pub missed: u64,
}

/// What a waiting message takes beside itself, in bytes.
const WAITING_BYTES: usize = 2 * size_of::<Waiting>();
/// What a queue takes by itself beside its user's id, in bytes: its slots in slab and table, the smallest deque, and the
/// sessions it remembers.
const QUEUE_BYTES: usize = 512;
/// How long a count of lost messages is kept for a user who doesn't come, in milliseconds.
const MISSED_MS: u64 = 24 * 60 * 60 * 1000;
/// The share of the bytes of all queues that counts of lost messages may take: a million users who never come must not
/// push out what waits for others.
const COUNTS_SHARE: usize = 8;
/// How many sessions a queue remembers that were told to go on from behind it: more devices than somebody has.
const TOLD: usize = 8;
const NONE: u32 = u32::MAX;

struct Waiting {
    until_ms: u64,
    message: Arc<Message>,
}

struct Queue {
    user: UserId,
    waiting: VecDeque<Waiting>,
    /// Bytes of what waits, as it goes over the wire.
    bytes: usize,
    missed: u64,
    /// When the count of missed ones is forgotten.
    until_ms: u64,
    /// Sessions that were told to go on from a place behind what waits, and that place.
    told: Vec<(SessionId, u64)>,
    /// There were more of them than are remembered.
    told_more: bool,
    /// It stands among those that only remember a count.
    is_count: bool,
    /// Neighbours in the order of the last write, among queues of the same sort.
    older: u32,
    newer: u32,
}

/// Queues in the order in which they were last written to.
#[derive(Clone, Copy)]
struct Order {
    oldest: u32,
    newest: u32,
}

/// The queues of all users.
pub struct Queues {
    limits: QueueLimits,
    queues: Slab<Queue>,
    by_user: HashTable<u32>,
    hasher: FixedState,
    /// Those in which something waits.
    filled: Order,
    /// Those that only remember how many were lost.
    counts: Order,
    /// What the latter take.
    counts_bytes: usize,
    bytes: usize,
    messages: u64,
    fates: QueueCounts,
}

/// The memory that a waiting message takes.
fn bytes_of(message: &Message) -> usize {
    WAITING_BYTES + message.bytes(true)
}

/// What counts for the bound of its user: the frame alone, so that an operator can reckon with it.
fn wire_bytes(message: &Message) -> usize {
    message.frame.plain().len()
}

impl Queue {
    fn own_bytes(&self) -> usize {
        QUEUE_BYTES + self.user.as_str().len()
    }

    fn remember_told(&mut self, session: SessionId, end: u64) {
        if self.told.len() == TOLD {
            self.told_more = true;
        } else if !self.waiting.is_empty() {
            self.told.push((session, end));
        }
    }
}

impl Queues {
    /// No queue yet.
    #[must_use]
    pub fn new(limits: QueueLimits, seed: u64) -> Self {
        let empty = Order {
            oldest: NONE,
            newest: NONE,
        };
        Self {
            limits,
            queues: Slab::new(),
            by_user: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            filled: empty,
            counts: empty,
            counts_bytes: 0,
            bytes: 0,
            messages: 0,
            fates: QueueCounts::default(),
        }
    }

    /// Messages that wait, and the bytes that all queues take.
    #[must_use]
    pub fn depth(&self) -> (u64, usize) {
        (self.messages, self.bytes)
    }

    /// What became of all that was ever queued.
    #[must_use]
    pub fn fates(&self) -> QueueCounts {
        self.fates
    }

    /// Keeps a message for a user.
    pub fn push(&mut self, now_ms: u64, user: &UserId, message: &Arc<Message>) {
        let key = self.find(user.as_str()).unwrap_or_else(|| self.add(user));
        self.expire(key, now_ms);
        let (bytes, on_wire) = (bytes_of(message), wire_bytes(message));
        let limits = self.limits;
        let is_full = |queue: &Queue| {
            !queue.waiting.is_empty()
                && (queue.waiting.len() >= limits.messages
                    || queue.bytes + on_wire > limits.user_bytes)
        };
        while is_full(&self.queues[key as usize]) {
            self.lose_first(key);
            self.fates.pushed_out += 1;
        }
        self.unlink(key);
        let queue = &mut self.queues[key as usize];
        queue.waiting.push_back(Waiting {
            until_ms: now_ms + limits.ttl_ms,
            message: Arc::clone(message),
        });
        queue.bytes += on_wire;
        self.link(key);
        self.bytes += bytes;
        self.messages += 1;
        self.fates.pushed += 1;
        self.make_room(now_ms);
    }

    /// Takes out the messages at these places, which a connection of the user has a receipt for. Another device may
    /// have been quicker: what is gone already is passed over.
    pub fn receipt(&mut self, user: &str, places: &[u64]) {
        let Some(key) = self.find(user) else { return };
        for &place in places {
            // Receipts come in the order of the queue, so this looks at its front.
            let mut waiting = self.queues[key as usize].waiting.iter();
            if let Some(at) = waiting.position(|waiting| waiting.message.place() == place) {
                self.take(key, at);
            }
        }
        self.settle(key);
    }

    /// Takes out a message that was received.
    fn take(&mut self, key: u32, at: usize) {
        let queue = &mut self.queues[key as usize];
        if let Some(waiting) = queue.waiting.remove(at) {
            let bytes = bytes_of(&waiting.message);
            queue.bytes -= wire_bytes(&waiting.message);
            self.bytes -= bytes;
            self.messages -= 1;
            self.fates.received += 1;
        }
    }

    /// Takes out what a session was given up to a place: what it sent to others was not among it.
    fn take_given_to(&mut self, key: u32, session: SessionId, place: u64) {
        let mut at = 0;
        while let Some(waiting) = self.queues[key as usize].waiting.get(at)
            && waiting.message.place() <= place
        {
            if waiting.message.is_for(&session) {
                self.take(key, at);
            } else {
                at += 1;
            }
        }
    }

    /// Whether a client that has seen `place` has surely seen all of its user's messages before it. Messages are given
    /// in the order of the log, but for those that waited when its session was told to go on from a later place: of
    /// them it may have seen none if that place is still the newest it knows.
    fn proves_receipt(&self, key: u32, wanted: &Wanted, place: u64) -> bool {
        let queue = &self.queues[key as usize];
        let told = wanted.handed.map(|session| (session, place));
        told.is_some_and(|told| !wanted.acks && !queue.told_more && !queue.told.contains(&told))
    }

    /// What waits for a user who comes, and how much was lost; the count starts anew where the user is told now.
    ///
    /// Where the connection resumes at a place, what stands before it is no news to it: having seen that place is a
    /// receipt, unless the client acknowledges itself. Else it goes on from `end`.
    pub fn find_for(
        &mut self,
        now_ms: u64,
        wanted: &Wanted,
        resumes_at: Option<u64>,
        end: u64,
    ) -> Found {
        let Some(key) = self.find(wanted.user.as_str()) else {
            return Found::default();
        };
        self.expire(key, now_ms);
        match (resumes_at, wanted.handed) {
            (Some(place), Some(session)) if self.proves_receipt(key, wanted, place) => {
                self.take_given_to(key, session, place);
            }
            (Some(_), _) => {}
            (None, _) => self.queues[key as usize].remember_told(wanted.session, end),
        }
        let queue = &mut self.queues[key as usize];
        let missed = if wanted.again.is_some() {
            0
        } else {
            std::mem::take(&mut queue.missed)
        };
        let waiting = queue.waiting.iter();
        let waiting = waiting.map(|one| Arc::clone(&one.message)).collect();
        self.settle(key);
        Found { waiting, missed }
    }

    /// Expires what is older than the queues keep, and counts older than a day, in at most `most` of the queues not
    /// written to for longest. Which is all that can be: the queues stand in the order of their newest message.
    pub fn sweep(&mut self, now_ms: u64, most: usize) {
        for order in [self.filled, self.counts] {
            let mut key = order.oldest;
            for _ in 0..most {
                let Some(queue) = self.queues.get(key as usize) else {
                    break;
                };
                let next = queue.newer;
                if queue.is_count && queue.until_ms <= now_ms {
                    self.remove(key);
                } else {
                    self.expire(key, now_ms);
                    self.settle(key);
                }
                key = next;
            }
        }
    }

    fn find(&self, user: &str) -> Option<u32> {
        let is_theirs = |&key: &u32| self.queues[key as usize].user.as_str() == user;
        self.by_user
            .find(self.hasher.hash_one(user), is_theirs)
            .copied()
    }

    fn add(&mut self, user: &UserId) -> u32 {
        let key = self.queues.insert(Queue {
            user: user.clone(),
            waiting: VecDeque::new(),
            bytes: 0,
            missed: 0,
            until_ms: 0,
            told: Vec::new(),
            told_more: false,
            is_count: true,
            older: NONE,
            newer: NONE,
        }) as u32;
        let (queues, hasher) = (&self.queues, &self.hasher);
        let hash = |&key: &u32| hasher.hash_one(queues[key as usize].user.as_str());
        self.by_user.insert_unique(hash(&key), key, hash);
        self.bytes += self.queues[key as usize].own_bytes();
        self.link(key);
        key
    }

    fn remove(&mut self, key: u32) {
        let hash = self
            .hasher
            .hash_one(self.queues[key as usize].user.as_str());
        if let Ok(entry) = self.by_user.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
        self.unlink(key);
        let queue = self.queues.remove(key as usize);
        self.bytes -= queue.own_bytes();
    }

    /// Puts a queue in which nothing waits any more where it belongs, or forgets it.
    fn settle(&mut self, key: u32) {
        let queue = &self.queues[key as usize];
        if queue.waiting.is_empty() && queue.missed == 0 {
            self.remove(key);
        } else if queue.waiting.is_empty() && !queue.is_count {
            self.queues[key as usize].waiting = VecDeque::new();
            self.unlink(key);
            self.link(key);
        }
    }

    /// Expires the first messages of a queue.
    fn expire(&mut self, key: u32, now_ms: u64) {
        let is_old = |queue: &Queue| {
            let first = queue.waiting.front();
            first.is_some_and(|waiting| waiting.until_ms <= now_ms)
        };
        while is_old(&self.queues[key as usize]) {
            self.lose_first(key);
            self.fates.expired += 1;
        }
    }

    fn lose_first(&mut self, key: u32) {
        let Some(lost) = self.queues[key as usize].waiting.pop_front() else {
            return;
        };
        let bytes = bytes_of(&lost.message);
        self.bytes -= bytes;
        self.messages -= 1;
        let queue = &mut self.queues[key as usize];
        queue.bytes -= wire_bytes(&lost.message);
        queue.missed += 1;
        queue.until_ms = lost.until_ms + MISSED_MS;
    }

    /// Empties the queues not written to for longest, all but the one written to just now, until all fit.
    fn make_room(&mut self, now_ms: u64) {
        while self.bytes > self.limits.total_bytes && self.filled.oldest != self.filled.newest {
            let key = self.filled.oldest;
            self.expire(key, now_ms);
            while !self.queues[key as usize].waiting.is_empty() {
                self.lose_first(key);
                self.fates.total_full += 1;
            }
            self.settle(key);
        }
        while self.counts_bytes > self.limits.total_bytes / COUNTS_SHARE {
            self.remove(self.counts.oldest);
        }
    }

    /// Makes a queue the newest of its sort.
    fn link(&mut self, key: u32) {
        let queue = &mut self.queues[key as usize];
        queue.is_count = queue.waiting.is_empty();
        let order = if queue.is_count {
            self.counts_bytes += queue.own_bytes();
            &mut self.counts
        } else {
            &mut self.filled
        };
        let before = std::mem::replace(&mut order.newest, key);
        (queue.older, queue.newer) = (before, NONE);
        match self.queues.get_mut(before as usize) {
            Some(before) => before.newer = key,
            None => order.oldest = key,
        }
    }

    fn unlink(&mut self, key: u32) {
        let queue = &self.queues[key as usize];
        let (older, newer) = (queue.older, queue.newer);
        let order = if queue.is_count {
            self.counts_bytes -= queue.own_bytes();
            &mut self.counts
        } else {
            &mut self.filled
        };
        match self.queues.get_mut(older as usize) {
            Some(queue) => queue.newer = newer,
            None => order.oldest = newer,
        }
        match self.queues.get_mut(newer as usize) {
            Some(queue) => queue.older = older,
            None => order.newest = older,
        }
    }
}
