//! The inboxes of simulated shards, which remember every message that went through them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wshub_hub::{Item, Message, Post};

/// A shard's end of a link, by the link's number.
#[derive(Debug)]
pub(crate) struct Socket(pub usize);

pub(crate) struct Inboxes {
    items: Vec<Mutex<VecDeque<Item<Socket>>>>,
    bytes: Vec<AtomicUsize>,
    most_bytes: usize,
    messages: Mutex<Vec<Weak<Message>>>,
    presence: AtomicUsize,
}

fn bytes_of(item: &Item<Socket>) -> usize {
    if let Item::Message(message) = item {
        message.frame.plain().len()
    } else {
        0
    }
}

impl Inboxes {
    pub(crate) fn new(shards: usize, most_bytes: usize) -> Self {
        Self {
            items: (0..shards).map(|_| Mutex::default()).collect(),
            bytes: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            most_bytes,
            messages: Mutex::default(),
            presence: AtomicUsize::new(0),
        }
    }

    fn of(&self, shard: usize) -> std::sync::MutexGuard<'_, VecDeque<Item<Socket>>> {
        self.items[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_empty(&self, shard: usize) -> bool {
        self.of(shard).is_empty()
    }

    pub(crate) fn take(&self, shard: usize) -> Option<Item<Socket>> {
        let item = self.of(shard).pop_front()?;
        self.bytes[shard].fetch_sub(bytes_of(&item), Ordering::Relaxed);
        Some(item)
    }

    /// How many times a message was posted to a shard, ever.
    pub(crate) fn messages_posted(&self) -> usize {
        self.messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// How many times a shard was posted who comes or goes.
    pub(crate) fn presence_posted(&self) -> usize {
        self.presence.load(Ordering::Relaxed)
    }

    /// How many of those messages are still in memory.
    pub(crate) fn messages_alive(&self) -> usize {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages
            .iter()
            .filter(|message| message.strong_count() > 0)
            .count()
    }
}

impl Post<Socket> for Inboxes {
    fn post(&self, shard: usize, item: Item<Socket>) {
        if let Item::Message(message) = &item {
            let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
            messages.push(Arc::downgrade(message));
        }
        let is_presence = matches!(item, Item::Presence(..));
        self.presence
            .fetch_add(usize::from(is_presence), Ordering::Relaxed);
        self.bytes[shard].fetch_add(bytes_of(&item), Ordering::Relaxed);
        self.of(shard).push_back(item);
    }

    fn has_room(&self) -> bool {
        self.bytes
            .iter()
            .all(|bytes| bytes.load(Ordering::Relaxed) < self.most_bytes)
    }
}
