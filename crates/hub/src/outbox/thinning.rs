//! Taking messages out of the middle of an outbox, for connections that are slow by a policy that lets them lose some.
//!
//! A `gap` stands where the first of them stood, before everything that comes later: whoever keeps the cursor of a later
//! message has been told what is missing before it. Of a room, or of what is for everybody, the messages that go are
//! next to each other, so that the gap is exactly where they are missing.

use wshub_protocol::client_message::Target;
use wshub_protocol::extensions::Deflate;
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::{Cursor, Epoch, Offset, RoomId, server_message};

use super::{Outbox, Outboxes};
use crate::frames::{FrameKey, Gap, Shared};
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

/// An outbox on its way to be thinner.
#[derive(Default)]
struct Thinned {
    steps: Vec<Step>,
    gaps: Vec<GapSoFar>,
    dropped: u64,
}

struct GapSoFar {
    room: Option<RoomId>,
    /// The first message that is missing.
    offset: Offset,
    messages: u64,
    /// It stands in the outbox already, and is as it was.
    old: Option<FrameKey>,
    /// What is dropped next belongs to it: nothing that the client was told of its room lies between.
    open: bool,
}

impl Outboxes {
    /// Drops waiting messages for which `may_go`, oldest first, until the outbox is within its goal or none is left.
    /// Says how many.
    pub(crate) fn thin(
        &mut self,
        outbox: &mut Outbox,
        deflate: Option<Deflate>,
        epoch: Epoch,
        goal: Goal,
        may_go: impl Fn(&Message) -> bool,
    ) -> u64 {
        let mut thinned = Thinned::default();
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
            let goes = (messages > goal.messages || bytes > goal.bytes)
                && matches!(frame, Shared::Message(message) if may_go(message));
            if goes {
                messages -= 1;
                bytes -= frame.bytes(deflate).len();
            }
            thinned.take(key, frame, goes);
        }
        if thinned.dropped > 0 {
            self.rebuild(outbox, deflate, epoch, &thinned);
        }
        thinned.dropped
    }

    /// Whether a message waits that must not go.
    pub(crate) fn waits_for_good(
        &self,
        outbox: &Outbox,
        may_go: impl Fn(&Message) -> bool,
    ) -> bool {
        self.keys(outbox)
            .filter_map(|key| self.frames.message(key))
            .any(|message| !may_go(message))
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
            Shared::Message(message) if goes => {
                self.dropped += 1;
                self.miss(message);
            }
            Shared::Message(message) => {
                let is_of_user = matches!(message.target, Target::Users(_));
                if let Some(gap) = self.open_gap(room_of(message)).filter(|_| !is_of_user) {
                    gap.open = false;
                }
                self.steps.push(Step::Keep(key));
            }
            Shared::Gap(gap) => self.take_gap(key, gap),
            // It may say that a room was left or joined: what is missing behind that is told behind it.
            Shared::Bytes(_) => {
                self.gaps.iter_mut().for_each(|gap| gap.open = false);
                self.steps.push(Step::Keep(key));
            }
            Shared::Ping(_) => self.steps.push(Step::Keep(key)),
        }
    }

    fn open_gap(&mut self, room: Option<&RoomId>) -> Option<&mut GapSoFar> {
        let mut gaps = self.gaps.iter_mut();
        gaps.find(|gap| gap.open && gap.room.as_ref() == room)
    }

    fn miss(&mut self, message: &Message) {
        let room = room_of(message);
        let Some(offset) = message.offset else {
            return;
        };
        match self.open_gap(room) {
            Some(gap) => {
                gap.messages += 1;
                gap.old = None;
            }
            None => self.begin(GapSoFar {
                room: room.cloned(),
                offset,
                messages: 1,
                old: None,
                open: true,
            }),
        }
    }

    /// A gap that waits from before, which becomes one with what is missing right before it.
    fn take_gap(&mut self, key: FrameKey, gap: &Gap) {
        match self.open_gap(gap.room.as_ref()) {
            Some(before) => {
                before.messages += gap.dropped;
                before.old = None;
            }
            None => self.begin(GapSoFar {
                room: gap.room.clone(),
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
            dropped: self.messages,
            offset: self.offset,
        }
    }
}
