//! What waits to be written: shared frames, and for each connection a list of them.
//!
//! The lists of a shard live in one pool of links, so that an idle connection holds none and queueing a frame for a
//! thousand connections allocates nothing. Frames are counted here rather than by their `Arc`s: a count that only one
//! thread touches costs no traffic between cores.

use std::io::IoSlice;
use std::sync::Arc;

use slab::Slab;
use wshub_protocol::extensions::Deflate;

use crate::message::Message;

const NONE: u32 = u32::MAX;

/// The bytes of a frame, however many connections they go to.
#[derive(Debug)]
pub enum Shared {
    /// A message out of the log.
    Message(Arc<Message>),
    /// A frame (or an upgrade's answer) for one connection, or the ping of all.
    Bytes(Arc<[u8]>),
}

impl Shared {
    fn chosen(&self, deflate: Option<Deflate>) -> &[u8] {
        match self {
            Self::Message(message) => message.frame.chosen(deflate),
            Self::Bytes(bytes) => bytes,
        }
    }
}

struct Stored {
    shared: Shared,
    uses: u32,
}

/// The key of a frame that is held for its receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKey(u32);

#[derive(Clone, Copy)]
struct Link {
    frame: u32,
    next: u32,
}

/// All frames that wait in a shard.
#[derive(Default)]
pub struct Outboxes {
    frames: Slab<Stored>,
    links: Vec<Link>,
    /// The first unused link.
    unused: Option<u32>,
}

/// What waits for one connection, oldest first.
#[derive(Debug)]
pub struct Outbox {
    first: u32,
    last: u32,
    /// Frames that wait.
    pub messages: u32,
    /// Bytes that wait, without those of the first frame that are through.
    pub bytes: usize,
    /// How much of the first frame is through.
    written: u32,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
            messages: 0,
            bytes: 0,
            written: 0,
        }
    }
}

impl Outbox {
    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// A frame is partly written, so that nothing may come in before its end.
    #[must_use]
    pub fn is_within_a_frame(&self) -> bool {
        self.written > 0
    }
}

impl Outboxes {
    /// Holds a frame while it is queued; [`Outboxes::release`] must follow.
    pub fn hold(&mut self, shared: Shared) -> FrameKey {
        FrameKey(self.frames.insert(Stored { shared, uses: 1 }) as u32)
    }

    /// Says that no more connections are given the frame.
    pub fn release(&mut self, key: FrameKey) {
        let stored = &mut self.frames[key.0 as usize];
        stored.uses -= 1;
        if stored.uses == 0 {
            self.frames.remove(key.0 as usize);
        }
    }

    /// Queues a held frame of `bytes` bytes.
    pub fn push(&mut self, outbox: &mut Outbox, key: FrameKey, bytes: usize) {
        self.frames[key.0 as usize].uses += 1;
        let link = Link {
            frame: key.0,
            next: NONE,
        };
        let at = match self.unused {
            Some(at) => {
                let next = self.links[at as usize].next;
                self.unused = (next != NONE).then_some(next);
                self.links[at as usize] = link;
                at
            }
            None => {
                self.links.push(link);
                self.links.len() as u32 - 1
            }
        };
        match outbox.last {
            NONE => outbox.first = at,
            last => self.links[last as usize].next = at,
        }
        outbox.last = at;
        outbox.messages += 1;
        outbox.bytes += bytes;
    }

    /// Queues a frame for one connection only.
    pub fn push_one(&mut self, outbox: &mut Outbox, bytes: Arc<[u8]>) {
        let length = bytes.len();
        let key = self.hold(Shared::Bytes(bytes));
        self.push(outbox, key, length);
        self.release(key);
    }

    /// Fills `slices` with what waits, oldest first, at most about `bytes`; says how many slices it filled.
    pub fn gather<'a>(
        &'a self,
        outbox: &Outbox,
        deflate: Option<Deflate>,
        bytes: usize,
        slices: &mut [IoSlice<'a>],
    ) -> usize {
        let (mut at, mut filled, mut total) = (outbox.first, 0, 0);
        let mut skip = outbox.written as usize;
        while at != NONE && filled < slices.len() && total < bytes {
            let link = self.links[at as usize];
            let frame = &self.frames[link.frame as usize].shared.chosen(deflate)[skip..];
            skip = 0;
            let part = &frame[..frame.len().min(bytes - total)];
            slices[filled] = IoSlice::new(part);
            filled += 1;
            total += part.len();
            at = link.next;
        }
        filled
    }

    /// Takes out what was written: `bytes` from the front.
    pub fn advance(&mut self, outbox: &mut Outbox, deflate: Option<Deflate>, bytes: usize) {
        outbox.bytes -= bytes;
        let mut left = bytes + outbox.written as usize;
        while outbox.first != NONE {
            let frame = self.links[outbox.first as usize].frame;
            let length = self.frames[frame as usize].shared.chosen(deflate).len();
            if left < length {
                break;
            }
            left -= length;
            self.pop(outbox);
        }
        outbox.written = left as u32;
    }

    /// Drops all that waits but the rest of a frame that is partly written.
    pub fn clear_behind_current(&mut self, outbox: &mut Outbox, deflate: Option<Deflate>) {
        if outbox.written == 0 {
            return self.clear(outbox);
        }
        let current = outbox.first;
        let rest = self.links[current as usize];
        let mut behind = Outbox {
            first: rest.next,
            last: outbox.last,
            messages: outbox.messages - 1,
            bytes: 0,
            written: 0,
        };
        self.clear(&mut behind);
        self.links[current as usize].next = NONE;
        outbox.last = current;
        outbox.messages = 1;
        outbox.bytes = self.frames[rest.frame as usize]
            .shared
            .chosen(deflate)
            .len()
            - outbox.written as usize;
    }

    /// Drops all that waits.
    pub fn clear(&mut self, outbox: &mut Outbox) {
        while outbox.first != NONE {
            self.pop(outbox);
        }
        *outbox = Outbox::default();
    }

    fn pop(&mut self, outbox: &mut Outbox) {
        let at = outbox.first;
        let link = self.links[at as usize];
        self.links[at as usize].next = self.unused.unwrap_or(NONE);
        self.unused = Some(at);
        outbox.first = link.next;
        if link.next == NONE {
            outbox.last = NONE;
        }
        outbox.messages -= 1;
        self.release(FrameKey(link.frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(outboxes: &Outboxes, outbox: &Outbox, most: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = outboxes.gather(outbox, None, most, &mut slices);
        slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    fn with(frames: &[&str]) -> (Outboxes, Outbox) {
        let (mut outboxes, mut outbox) = (Outboxes::default(), Outbox::default());
        for frame in frames {
            outboxes.push_one(&mut outbox, frame.as_bytes().into());
        }
        (outboxes, outbox)
    }

    #[test]
    fn what_was_written_is_gone_to_the_byte() {
        let all = "onetwothree";
        for cut in 0..=all.len() {
            let (mut outboxes, mut outbox) = with(&["one", "two", "three"]);
            outboxes.advance(&mut outbox, None, cut);
            assert_eq!(
                waiting(&outboxes, &outbox, 100),
                all.as_bytes()[cut..],
                "after {cut} bytes"
            );
            assert_eq!(outbox.bytes, all.len() - cut);
        }
    }

    #[test]
    fn no_more_is_gathered_than_asked_for() {
        let (outboxes, outbox) = with(&["one", "two", "three"]);
        assert_eq!(waiting(&outboxes, &outbox, 4), b"onet");
    }

    #[test]
    fn a_frame_lives_as_long_as_somebody_waits_for_it() {
        let mut outboxes = Outboxes::default();
        let (mut ann, mut bob) = (Outbox::default(), Outbox::default());
        let key = outboxes.hold(Shared::Bytes(b"hi".as_slice().into()));
        outboxes.push(&mut ann, key, 2);
        outboxes.push(&mut bob, key, 2);
        outboxes.release(key);
        outboxes.clear(&mut ann);
        assert_eq!(waiting(&outboxes, &bob, 9), b"hi");
        outboxes.advance(&mut bob, None, 2);
        assert!(outboxes.frames.is_empty());
    }

    #[test]
    fn clearing_keeps_the_rest_of_a_frame_that_is_partly_written() {
        let (mut outboxes, mut outbox) = with(&["one", "two", "three"]);
        outboxes.advance(&mut outbox, None, 4);
        outboxes.clear_behind_current(&mut outbox, None);
        assert_eq!(
            (
                waiting(&outboxes, &outbox, 99),
                outbox.bytes,
                outbox.messages
            ),
            (b"wo".to_vec(), 2, 1)
        );
        outboxes.push_one(&mut outbox, b"bye".as_slice().into());
        assert_eq!(waiting(&outboxes, &outbox, 99), b"wobye");
    }

    #[test]
    fn links_are_used_again() {
        let (mut outboxes, mut outbox) = with(&["x", "x"]);
        for _ in 0..1000 {
            outboxes.push_one(&mut outbox, b"x".as_slice().into());
            outboxes.advance(&mut outbox, None, 1);
        }
        assert_eq!(outboxes.links.len(), 3);
    }
}
