//! The frames that wait in a shard, each held once however many connections it waits for.
//!
//! Frames are numbered in the order they came, so that a connection which missed none remembers a run of them by its
//! first and its length. Recent ones lie side by side in a ring; one that somebody still waits for when the ring has
//! gone round is parked apart, so that a slow reader holds what it waits for and nothing between.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use wshub_protocol::extensions::Deflate;
use wshub_protocol::{Offset, RoomId};

use crate::message::Message;

/// Places in the ring: 1.5 MiB, and a second's worth of frames at any rate a shard reaches.
const RING: usize = 64 * 1024;

/// The bytes of a frame, however many connections they go to.
#[derive(Debug)]
pub enum Shared {
    /// A message out of the log.
    Message(Arc<Message>),
    /// A frame (or an upgrade's answer) for one connection, or the ping of all.
    Bytes(Arc<[u8]>),
    /// A ping behind messages to a user.
    Ping([u8; PING_BYTES]),
    /// Tells those of a room who asked that somebody came or went.
    Presence(Box<Presence>),
    /// Tells one connection that messages are missing here.
    Gap(Box<Gap>),
    /// Tells one connection to go on from another place than what it was given before.
    Reset(Box<[u8]>),
}

/// A frame that says who came into a room or left it.
#[derive(Debug)]
pub struct Presence {
    pub(crate) room: RoomId,
    pub(crate) bytes: Arc<[u8]>,
}

/// A frame that stands in place of messages that a connection was too slow for.
#[derive(Debug)]
pub struct Gap {
    pub(crate) bytes: Box<[u8]>,
    /// The room they were of, or none where they were for everybody.
    pub(crate) room: Option<RoomId>,
    pub(crate) missing: Missing,
    /// How many they are.
    pub(crate) dropped: u64,
    /// The place of the first. Who came and went has none: then it is one that the client has passed.
    pub(crate) offset: Offset,
}

/// What a gap stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// What was said.
    Messages,
    /// Who came and went.
    Presence,
}

/// A ping with a number: its header and eight digits.
pub(crate) const PING_BYTES: usize = 10;

impl Shared {
    pub(crate) fn bytes(&self, deflate: Option<Deflate>) -> &[u8] {
        match self {
            Self::Message(message) => message.frame.chosen(deflate),
            Self::Bytes(bytes) => bytes,
            Self::Ping(bytes) => bytes,
            Self::Presence(presence) => &presence.bytes,
            Self::Gap(gap) => &gap.bytes,
            Self::Reset(bytes) => bytes,
        }
    }

    /// Whether the ledger counts it by connection.
    fn is_counted(&self) -> bool {
        matches!(self, Self::Message(message) if message.is_counted_by_connection())
    }
}

/// The number of a frame that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKey(pub(crate) u64);

struct Stored {
    shared: Shared,
    /// Counted here rather than by an `Arc`: only one thread touches it, so it costs no traffic between cores.
    uses: u32,
    counted: bool,
}

/// All frames that wait in a shard.
#[derive(Default)]
pub struct Frames {
    ring: VecDeque<Option<Stored>>,
    /// The number of the ring's first place.
    base: u64,
    parked: HashMap<u64, Stored, FixedState>,
    /// Bytes of all that is held, uncompressed.
    held: usize,
}

impl Frames {
    /// Holds a frame, with one use.
    pub fn hold(&mut self, shared: Shared) -> FrameKey {
        if self.ring.len() == RING {
            self.park_oldest();
        }
        self.held += shared.bytes(None).len();
        let counted = shared.is_counted();
        self.ring.push_back(Some(Stored {
            shared,
            uses: 1,
            counted,
        }));
        FrameKey(self.base + self.ring.len() as u64 - 1)
    }

    /// Adds a use.
    pub fn add_use(&mut self, key: FrameKey) {
        if let Some(stored) = self.get_mut(key) {
            stored.uses += 1;
        }
    }

    /// Takes a use away; without any the frame is gone. Says whether the ledger counts it by connection.
    pub fn release(&mut self, key: FrameKey) -> bool {
        let Some(stored) = self.get_mut(key) else {
            return false;
        };
        stored.uses -= 1;
        let counted = stored.counted;
        if stored.uses == 0 {
            let bytes = stored.shared.bytes(None).len();
            self.held -= bytes;
            self.remove(key);
        }
        counted
    }

    fn remove(&mut self, key: FrameKey) {
        if key.0 < self.base {
            self.parked.remove(&key.0);
            return;
        }
        self.ring[(key.0 - self.base) as usize] = None;
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.base += 1;
        }
    }

    /// The bytes of a held frame for a connection with such a compression.
    #[must_use]
    pub fn bytes(&self, key: FrameKey, deflate: Option<Deflate>) -> &[u8] {
        self.get(key).map_or(&[], |shared| shared.bytes(deflate))
    }

    /// The message of a held frame, if it is one.
    pub(crate) fn message(&self, key: FrameKey) -> Option<&Message> {
        match self.get(key)? {
            Shared::Message(message) => Some(message),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: FrameKey) -> Option<&Shared> {
        let stored = match key.0.checked_sub(self.base) {
            Some(at) => self.ring.get(at as usize).and_then(Option::as_ref),
            None => self.parked.get(&key.0),
        };
        stored.map(|stored| &stored.shared)
    }

    /// Bytes of all that is held, each frame once, uncompressed.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.parked.is_empty()
    }

    fn get_mut(&mut self, key: FrameKey) -> Option<&mut Stored> {
        match key.0.checked_sub(self.base) {
            Some(at) => self.ring.get_mut(at as usize)?.as_mut(),
            None => self.parked.get_mut(&key.0),
        }
    }

    fn park_oldest(&mut self) {
        if let Some(Some(stored)) = self.ring.pop_front() {
            self.parked.insert(self.base, stored);
        }
        self.base += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Shared {
        Shared::Bytes(text.as_bytes().into())
    }

    #[test]
    fn a_frame_that_outlives_the_ring_is_parked_and_found() {
        let mut frames = Frames::default();
        let slow = frames.hold(frame("slow"));
        for _ in 0..RING + 10 {
            let key = frames.hold(frame("quick"));
            frames.release(key);
        }
        assert_eq!(frames.bytes(slow, None), b"slow");
        assert!(frames.ring.len() <= RING);
        assert_eq!(frames.parked.len(), 1);
        frames.release(slow);
        assert!(frames.parked.is_empty());
    }

    #[test]
    fn a_frame_lives_until_its_last_use() {
        let mut frames = Frames::default();
        let key = frames.hold(frame("hi"));
        frames.add_use(key);
        frames.release(key);
        assert_eq!(frames.bytes(key, None), b"hi");
        frames.release(key);
        assert!(frames.is_empty());
    }
}
