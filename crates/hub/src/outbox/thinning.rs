//! Taking messages out of the middle of an outbox, for connections that are slow by a policy that lets them lose some.
//!
//! Messages and who comes and goes may go. A `gap` stands where the first of them stood, before everything that comes later: whoever keeps the cursor of a later
//! message has been told what is missing before it. Of a room, or of what is for everybody, the messages that go are
//! next to each other, so that the gap is exactly where they are missing.

use wshub_protocol::client_message::Target;
use wshub_protocol::extensions::Deflate;
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::{Cursor, Epoch, Offset, RoomId, server_message};

use super::{Outbox, Outboxes};
use crate::frames::{FrameKey, Gap, Missing, Shared};
use crate::message::Message;

/// Down to which size an outbox is thinned.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) messages: u32,
    pub(crate) bytes: usize,
}

/// What an outbox will be.
enum Step {
    Keep(FrameKey),
    /// The gap of this number stands here.
    Gap(usize),
}

/// How much went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) messages: u64,
    pub(crate) presence: u64,
}

/// An outbox on its way to be thinner.
struct Thinned {
    steps: Vec<Step>,
    gaps: Vec<GapSoFar>,
    dropped: Dropped,
    /// The client was given all up to here, or told of what is missing, once it has what was taken.
    passed: u64,
}

struct GapSoFar {
    room: Option<RoomId>,
    missing: Missing,
    /// The first message that is missing.
    offset: Offset,
    messages: u64,
    /// It stands in the outbox already, and is as it was.
    old: Option<FrameKey>,
    /// What is dropped next belongs to it: nothing that the client was told of its room lies between.
    open: bool,
}

impl Outboxes {
    /// Drops waiting frames for which `may_go`, oldest first, until the outbox is within its goal or none is left. Says
    /// how many. `told` is a place up to which the client was given all, but for what waits.
    pub(crate) fn thin(
        &mut self,
        outbox: &mut Outbox,
        deflate: Option<Deflate>,
        epoch: Epoch,
        goal: Goal,
        told: u64,
        may_go: impl Fn(&Shared) -> bool,
    ) -> Dropped {
        let waiting = self.keys(outbox).filter_map(|key| self.frames.get(key));
        let mut thinned = Thinned {
            steps: Vec::new(),
            gaps: Vec::new(),
            dropped: Dropped::default(),
            passed: waiting.filter_map(place_before).fold(told, u64::min),
        };
        let (mut messages, mut bytes) = (outbox.messages, outbox.bytes);
        for (at, key) in self.keys(outbox).enumerate() {
            let Some(frame) = self.frames.get(key) else {
                continue;
            };
            if at == 0 && outbox.written > 0 {
                // It is partly written, so it stays as it is.
                thinned.steps.push(Step::Keep(key));
                continue;
            }
            let goes = (messages > goal.messages || bytes > goal.bytes) && may_go(frame);
            if goes {
                messages -= 1;
                bytes -= frame.bytes(deflate).len();
            }
            thinned.take(key, frame, goes);
        }
        if thinned.dropped.messages + thinned.dropped.presence > 0 {
            self.rebuild(outbox, deflate, epoch, &thinned);
        }
        thinned.dropped
    }

    /// Whether a frame waits that is such.
    pub(crate) fn waits(&self, outbox: &Outbox, is_such: impl Fn(&Shared) -> bool) -> bool {
        let mut waiting = self.keys(outbox).filter_map(|key| self.frames.get(key));
        waiting.any(is_such)
    }

    fn keys(&self, outbox: &Outbox) -> impl Iterator<Item = FrameKey> {
        self.runs(outbox)
            .flat_map(|run| run.first..run.first + u64::from(run.length))
            .map(FrameKey)
    }

    fn rebuild(
        &mut self,
        outbox: &mut Outbox,
        deflate: Option<Deflate>,
        epoch: Epoch,
        thinned: &Thinned,
    ) {
        let written = outbox.written;
        let mut rebuilt = Outbox::default();
        for step in &thinned.steps {
            let held = match step {
                Step::Keep(key) => Ok(*key),
                Step::Gap(number) => {
                    let gap = &thinned.gaps[*number];
                    gap.old
                        .ok_or_else(|| Shared::Gap(Box::new(gap.frame(epoch))))
                }
            };
            match held {
                Ok(key) => {
                    let bytes = self.frames.bytes(key, deflate).len();
                    self.push(&mut rebuilt, key, bytes);
                }
                Err(gap) => self.push_shared(&mut rebuilt, gap),
            }
        }
        self.clear(outbox);
        rebuilt.written = written;
        rebuilt.bytes -= written as usize;
        *outbox = rebuilt;
    }
}

impl Thinned {
    fn take(&mut self, key: FrameKey, frame: &Shared, goes: bool) {
        match frame {
            Shared::Message(message) => self.take_message(key, message, goes),
            Shared::Presence(presence) if goes => {
                self.dropped.presence += 1;
                let offset = Offset::at(self.passed);
                self.miss(Some(&presence.room), Missing::Presence, offset);
            }
            Shared::Presence(presence) => {
                self.close_gap(Some(&presence.room), Missing::Presence);
                self.steps.push(Step::Keep(key));
            }
            Shared::Gap(gap) => self.take_gap(key, gap),
            // It may say that a room was left or joined: what is missing behind that is told behind it.
            Shared::Bytes(_) | Shared::Reset(_) => {
                self.gaps.iter_mut().for_each(|gap| gap.open = false);
                self.steps.push(Step::Keep(key));
            }
            Shared::Ping(_) => self.steps.push(Step::Keep(key)),
        }
    }

    fn take_message(&mut self, key: FrameKey, message: &Message, goes: bool) {
        let room = room_of(message);
        if !goes {
            if !matches!(message.target, Target::Users(_)) {
                self.close_gap(room, Missing::Messages);
            }
            self.steps.push(Step::Keep(key));
        } else {
            self.dropped.messages += 1;
            if let Some(offset) = message.offset {
                self.miss(room, Missing::Messages, offset);
            }
        }
        self.passed = self.passed.max(message.place());
    }

    fn open_gap(&mut self, room: Option<&RoomId>, missing: Missing) -> Option<&mut GapSoFar> {
        let mut gaps = self.gaps.iter_mut();
        gaps.find(|gap| gap.open && gap.missing == missing && gap.room.as_ref() == room)
    }

    fn close_gap(&mut self, room: Option<&RoomId>, missing: Missing) {
        if let Some(gap) = self.open_gap(room, missing) {
            gap.open = false;
        }
    }

    /// One more is missing, at this place if it is the first.
    fn miss(&mut self, room: Option<&RoomId>, missing: Missing, offset: Offset) {
        match self.open_gap(room, missing) {
            Some(gap) => {
                gap.messages += 1;
                gap.old = None;
            }
            None => self.begin(GapSoFar {
                room: room.cloned(),
                missing,
                offset,
                messages: 1,
                old: None,
                open: true,
            }),
        }
    }

    /// A gap that waits from before, which becomes one with what is missing right before it.
    fn take_gap(&mut self, key: FrameKey, gap: &Gap) {
        self.passed = self.passed.max(gap.offset.place());
        match self.open_gap(gap.room.as_ref(), gap.missing) {
            Some(before) => {
                before.messages += gap.dropped;
                before.old = None;
            }
            None => self.begin(GapSoFar {
                room: gap.room.clone(),
                missing: gap.missing,
                offset: gap.offset,
                messages: gap.dropped,
                old: Some(key),
                open: true,
            }),
        }
    }

    fn begin(&mut self, gap: GapSoFar) {
        self.steps.push(Step::Gap(self.gaps.len()));
        self.gaps.push(gap);
    }
}

/// A place before what a waiting frame tells of, where that has one: the client has passed it when it gets there.
fn place_before(frame: &Shared) -> Option<u64> {
    match frame {
        Shared::Message(message) => Some(message.offset?.place() - 1),
        Shared::Gap(gap) => Some(gap.offset.place().saturating_sub(1)),
        Shared::Reset(_) => Some(0),
        Shared::Bytes(_) | Shared::Presence(_) | Shared::Ping(_) => None,
    }
}

fn room_of(message: &Message) -> Option<&RoomId> {
    match &message.target {
        Target::Room(room) => Some(room),
        Target::Everybody | Target::Users(_) => None,
    }
}

impl GapSoFar {
    fn frame(&self, epoch: Epoch) -> Gap {
        let cursor = Cursor {
            epoch,
            partition: 0,
            offset: self.offset,
        };
        let mut json = Vec::new();
        server_message::write_gap(&mut json, self.messages, &cursor, self.room.as_ref());
        Gap {
            bytes: frame::encode(Opcode::Text, false, &json),
            room: self.room.clone(),
            missing: self.missing,
            dropped: self.messages,
            offset: self.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::sync::Arc;

    use super::*;
    use crate::frames::Presence;
    use crate::message::Frame;

    fn room() -> RoomId {
        RoomId::parse("news").expect("an id")
    }

    fn came() -> Shared {
        let bytes = b"somebody came".as_slice().into();
        Shared::Presence(
            Presence {
                room: room(),
                bytes,
            }
            .into(),
        )
    }

    fn said_at(place: u64) -> Shared {
        Shared::Message(Arc::new(Message {
            target: Target::Room(room()),
            offset: Some(Offset::at(LIFE + place)),
            except: None,
            heard_at_ms: None,
            reach: None,
            frame: Frame::text(b"said"),
        }))
    }

    /// The place before the first of a life of the log that isn't the first one.
    const LIFE: u64 = 3 << 40;

    /// The place that stands in a gap for all of `frames` that say who came, for a client that was told of place 50.
    fn place_of_gap(frames: Vec<Shared>) -> String {
        let (mut outboxes, mut outbox) = (Outboxes::default(), Outbox::default());
        for frame in frames {
            outboxes.push_shared(&mut outbox, frame);
        }
        let (messages, bytes) = (0, 0);
        let epoch = Epoch {
            ordinal: 1,
            random: 1,
        };
        let is_presence = |frame: &Shared| matches!(frame, Shared::Presence(_));
        let goal = Goal { messages, bytes };
        outboxes.thin(&mut outbox, None, epoch, goal, LIFE + 50, is_presence);
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = outboxes.gather(&outbox, None, 1000, &mut slices);
        let written = slices[..filled].iter().flat_map(|slice| slice.iter());
        let written: Vec<u8> = written.copied().collect();
        let text = String::from_utf8_lossy(&written).into_owned();
        let (_, behind) = text.split_once(":0:").expect("a cursor");
        let (place, _) = behind.split_once('"').expect("its end");
        place.to_owned()
    }

    #[test]
    fn who_came_and_went_is_missed_at_a_place_that_the_client_has_passed() {
        assert_eq!(place_of_gap(vec![came(), came()]), "3-50");
        assert_eq!(place_of_gap(vec![said_at(47), came(), said_at(50)]), "3-47");
        assert_eq!(place_of_gap(vec![came(), said_at(50), came()]), "3-49");
        let reset = Shared::Reset(b"reset".as_slice().into());
        assert_eq!(
            place_of_gap(vec![came(), reset]),
            "0",
            "it was told to jump"
        );
    }
}
