//! What waits to be written to one connection: runs of frames, oldest first.
//!
//! The newest run lies in the outbox itself, so that queueing a frame behind the one queued before it touches nothing
//! else; earlier runs lie in one pool for the whole shard. An idle connection holds none, and queueing a frame for a
//! thousand connections allocates nothing.

mod thinning;

use std::io::IoSlice;
use std::sync::Arc;

use wshub_protocol::extensions::Deflate;

use crate::frames::{FrameKey, Frames, Shared};
use crate::message::Message;

pub(crate) use thinning::{Dropped, Goal};

const NONE: u32 = u32::MAX;

/// Frames with numbers that follow one another.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    first: u64,
    length: u32,
}

#[derive(Clone, Copy)]
struct Link {
    run: Run,
    next: u32,
}

/// All that waits in a shard.
#[derive(Default)]
pub struct Outboxes {
    frames: Frames,
    links: Vec<Link>,
    /// The first unused link.
    unused: Option<u32>,
}

/// What waits for one connection.
#[derive(Debug)]
pub struct Outbox {
    /// The oldest and the newest run in the pool.
    first: u32,
    last: u32,
    /// The newest run of all.
    newest: Run,
    /// Frames that wait.
    pub messages: u32,
    /// How much of the first frame is through, in bytes.
    written: u32,
    /// Bytes that wait, without those of the first frame that are through.
    pub bytes: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
            newest: Run::default(),
            messages: 0,
            written: 0,
            bytes: 0,
        }
    }
}

impl Outbox {
    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// The first frame is partly through.
    pub(crate) fn is_within_a_frame(&self) -> bool {
        self.written > 0
    }
}

impl Outboxes {
    /// Holds a frame while it is queued; [`Outboxes::release`] must follow.
    pub fn hold(&mut self, shared: Shared) -> FrameKey {
        self.frames.hold(shared)
    }

    /// Says that no more connections are given the frame.
    pub fn release(&mut self, key: FrameKey) {
        self.frames.release(key);
    }

    /// Bytes of all that waits, each frame once, uncompressed.
    #[must_use]
    pub fn held(&self) -> usize {
        self.frames.held()
    }

    /// The message that a held frame is, if it is one.
    pub(crate) fn message(&self, key: FrameKey) -> Option<&Message> {
        self.frames.message(key)
    }

    /// Queues a held frame of `bytes` bytes.
    pub fn push(&mut self, outbox: &mut Outbox, key: FrameKey, bytes: usize) {
        self.frames.add_use(key);
        let newest = &mut outbox.newest;
        if newest.length > 0 && newest.first + u64::from(newest.length) == key.0 {
            newest.length += 1;
        } else {
            let before = std::mem::replace(
                newest,
                Run {
                    first: key.0,
                    length: 1,
                },
            );
            if before.length > 0 {
                self.link(outbox, before);
            }
        }
        outbox.messages += 1;
        outbox.bytes += bytes;
    }

    /// Queues a frame for one connection only.
    pub fn push_one(&mut self, outbox: &mut Outbox, bytes: Arc<[u8]>) {
        self.push_shared(outbox, Shared::Bytes(bytes));
    }

    fn push_shared(&mut self, outbox: &mut Outbox, shared: Shared) {
        let length = shared.bytes(None).len();
        let key = self.hold(shared);
        self.push(outbox, key, length);
        self.release(key);
    }

    /// Fills `slices` with what waits, oldest first, at most `bytes`; says how many slices it filled.
    pub fn gather<'a>(
        &'a self,
        outbox: &Outbox,
        deflate: Option<Deflate>,
        bytes: usize,
        slices: &mut [IoSlice<'a>],
    ) -> usize {
        let (mut filled, mut left) = (0, bytes);
        let mut skip = outbox.written as usize;
        for run in self.runs(outbox) {
            for number in run.first..run.first + u64::from(run.length) {
                if filled == slices.len() || left == 0 {
                    return filled;
                }
                let frame = &self.frames.bytes(FrameKey(number), deflate)[skip..];
                let part = &frame[..frame.len().min(left)];
                slices[filled] = IoSlice::new(part);
                filled += 1;
                left -= part.len();
                skip = 0;
            }
        }
        filled
    }

    /// Takes out what was written: `bytes` from the front. Says how many messages that the ledger counts by connection
    /// are through.
    pub fn advance(&mut self, outbox: &mut Outbox, deflate: Option<Deflate>, bytes: usize) -> u32 {
        outbox.bytes -= bytes;
        let mut through = 0;
        let mut left = bytes + outbox.written as usize;
        while let Some(key) = self.front(outbox) {
            let length = self.frames.bytes(key, deflate).len();
            if left < length {
                break;
            }
            left -= length;
            through += u32::from(self.pop(outbox, key));
        }
        outbox.written = left as u32;
        through
    }

    /// Drops all that waits but the rest of a frame that is partly written. Says how many messages that the ledger
    /// counts by connection are lost.
    pub fn clear_behind_current(&mut self, outbox: &mut Outbox, deflate: Option<Deflate>) -> u32 {
        let written = outbox.written;
        let Some(current) = self.front(outbox).filter(|_| written > 0) else {
            return self.clear(outbox);
        };
        let bytes = self.frames.bytes(current, deflate).len();
        self.frames.add_use(current);
        let lost = self.clear(outbox);
        self.push(outbox, current, bytes - written as usize);
        let kept = self.frames.release(current);
        outbox.written = written;
        lost - u32::from(kept)
    }

    /// Drops all that waits. Says how many messages that the ledger counts by connection are lost.
    pub fn clear(&mut self, outbox: &mut Outbox) -> u32 {
        let mut lost = 0;
        while let Some(key) = self.front(outbox) {
            lost += u32::from(self.pop(outbox, key));
        }
        *outbox = Outbox::default();
        lost
    }

    fn runs(&self, outbox: &Outbox) -> impl Iterator<Item = Run> {
        let (mut at, newest) = (outbox.first, outbox.newest);
        let linked = std::iter::from_fn(move || {
            let link = self.links.get(at as usize)?;
            at = link.next;
            Some(link.run)
        });
        linked.chain(std::iter::once(newest))
    }

    fn front(&self, outbox: &Outbox) -> Option<FrameKey> {
        match self.links.get(outbox.first as usize) {
            Some(link) => Some(FrameKey(link.run.first)),
            None => (outbox.newest.length > 0).then_some(FrameKey(outbox.newest.first)),
        }
    }

    fn link(&mut self, outbox: &mut Outbox, run: Run) {
        let link = Link { run, next: NONE };
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
    }

    /// Takes out the front frame; says whether the ledger counts it by connection.
    fn pop(&mut self, outbox: &mut Outbox, front: FrameKey) -> bool {
        outbox.messages -= 1;
        let counted = self.frames.release(front);
        let at = outbox.first;
        let run = match self.links.get_mut(at as usize) {
            Some(link) => &mut link.run,
            None => &mut outbox.newest,
        };
        run.first += 1;
        run.length -= 1;
        if run.length == 0 && at != NONE {
            let unused = self.unused.replace(at).unwrap_or(NONE);
            outbox.first = std::mem::replace(&mut self.links[at as usize].next, unused);
            if outbox.first == NONE {
                outbox.last = NONE;
            }
        }
        counted
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
            // A frame for somebody else between them: their numbers don't follow one another.
            let other = outboxes.hold(Shared::Bytes(b"other".as_slice().into()));
            outboxes.push_one(&mut outbox, frame.as_bytes().into());
            outboxes.release(other);
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
        assert!(outboxes.links.len() <= 3, "{}", outboxes.links.len());
    }

    #[test]
    fn frames_that_follow_one_another_take_no_link() {
        let (mut outboxes, mut outbox) = (Outboxes::default(), Outbox::default());
        for _ in 0..100 {
            outboxes.push_one(&mut outbox, b"x".as_slice().into());
        }
        assert!(outboxes.links.is_empty());
        outboxes.advance(&mut outbox, None, 100);
        assert!(outbox.is_empty() && outboxes.frames.is_empty());
    }
}
