//! What moves between the parts: publications into the log, messages out of it, and what waits in a shard's inbox.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;

use wshub_protocol::After;
use wshub_protocol::client_message::{Publish, Target};
use wshub_protocol::deflate::Deflater;
use wshub_protocol::extensions::Deflate;
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::server_message::ResetReason;
use wshub_protocol::{Cursor, ErrorCode, MessageId, Offset, RoomId, SessionId, UserId};

use crate::question::Admission;
use crate::resume::{Entrance, Piece, Wanted};
use crate::shard::Token;
use crate::time::Tick;

/// A message on its way into the log.
#[derive(Debug)]
pub struct Publication {
    /// What is to be said, and to whom.
    pub publish: Publish,
    /// The sender's user id; empty for what came by HTTP.
    pub from: String,
    /// The sending session, where it is not to get the message itself.
    pub except: Option<SessionId>,
}

/// What became of a publication that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The publisher's id, or the one that was given.
    pub id: String,
    /// Its place; there is none for what skips the log.
    pub cursor: Option<Cursor>,
    /// It was in the log before: this publish had no effect.
    pub duplicate: bool,
}

/// Why a publication is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code of the contract.
    pub code: ErrorCode,
    /// A sentence that says what to do.
    pub sentence: &'static str,
}

/// The answer where the log gave none in time: the message may be in it.
pub const OUTCOME_UNKNOWN: Refused = Refused {
    code: ErrorCode::OutcomeUnknown,
    sentence: "the log gave no answer in time, so it may have been published: publish it again with the same id",
};

/// The answer to a publication.
pub type Outcome = Result<Published, Refused>;

/// What a connection asked for when it published: the answer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The id it gave, if it gave one.
    pub id: Option<MessageId>,
    /// The room it wrote to, if it was one.
    pub room: Option<RoomId>,
}

impl Asked {
    /// What is asked by publishing this.
    #[must_use]
    pub fn by(publish: &Publish) -> Self {
        let room = match &publish.target {
            Target::Room(room) => Some(room.clone()),
            Target::Everybody | Target::Users(_) => None,
        };
        Self {
            id: publish.id.clone(),
            room,
        }
    }
}

/// The sort of a message, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For every connection.
    Broadcast,
    /// For the connections of some users.
    User,
    /// For the connections in a room.
    Room,
}

impl Kind {
    /// All of them, in the order of [`Kind::index`].
    pub const ALL: [Self; 3] = [Self::Broadcast, Self::User, Self::Room];

    /// The sort of message that has such a target.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        match target {
            Target::Everybody => Self::Broadcast,
            Target::Users(_) => Self::User,
            Target::Room(_) => Self::Room,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::User => "user",
            Self::Room => "room",
        }
    }

    /// Its place in an array of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A message as it stands in the log, or as it passes by: encoded once, shared by all its receivers.
#[derive(Debug)]
pub struct Message {
    /// Whom it is for.
    pub target: Target,
    /// Its place in the log; an ephemeral message has none.
    pub offset: Option<Offset>,
    /// The session that is not to get it.
    pub except: Option<SessionId>,
    /// When it was given before to those who were there then, in a life of the log that is over, in milliseconds.
    pub heard_at_ms: Option<u64>,
    /// About how many connections of the node it is for; `None` is all of them.
    pub reach: Option<u32>,
    /// Its frame as written to a socket.
    pub frame: Frame,
}

/// What a message takes beside its frame and its targets, in bytes: itself, its counts and the allocator's share.
const MESSAGE_BYTES: usize = 176;
/// What the id of a target takes beside its text, in bytes.
const TARGET_BYTES: usize = 32;

impl Message {
    /// Its place in this node's tail of the log: one more for each entry. An ephemeral message is before all of them.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.offset.map_or(0, Offset::place)
    }

    /// Whether it only passes by.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.offset.is_none()
    }

    /// Whether the ledger counts it by connection. Those to users that are in the log it counts by user.
    #[must_use]
    pub fn is_counted_by_connection(&self) -> bool {
        self.is_ephemeral() || !matches!(self.target, Target::Users(_))
    }

    /// Whether a user may be among those it is for, as far as that is known without the members of its room.
    #[must_use]
    pub fn may_be_for(&self, user: &UserId) -> bool {
        match &self.target {
            Target::Users(users) => users.contains(user),
            Target::Everybody | Target::Room(_) => true,
        }
    }

    /// Whether a session is to get it.
    #[must_use]
    pub fn is_for(&self, session: &SessionId) -> bool {
        self.except.as_ref() != Some(session)
    }

    /// Whether a connection that has been given everything since this moment hasn't had it in an earlier life of the
    /// log. What comes within the same tick counts as new: better twice, which clients notice, than never.
    #[must_use]
    pub(crate) fn is_new_to(&self, given_since: Tick) -> bool {
        let behind = given_since.plus_ms(0).elapsed_ms();
        self.heard_at_ms.is_none_or(|at_ms| behind > at_ms)
    }

    /// The memory it takes, in bytes. `compressed` says to count a compressed copy of the frame, too, which is smaller
    /// than the frame.
    #[must_use]
    pub fn bytes(&self, compressed: bool) -> usize {
        let target = match &self.target {
            Target::Everybody => 0,
            Target::Room(room) => room.as_str().len(),
            Target::Users(users) => users
                .iter()
                .map(|user| TARGET_BYTES + user.as_str().len())
                .sum(),
        };
        let copies = if compressed { 2 } else { 1 };
        MESSAGE_BYTES + target + copies * self.frame.plain().len()
    }
}

/// A text frame that many connections are written: its bytes, and on demand its compressed bytes.
#[derive(Debug)]
pub struct Frame {
    plain: Box<[u8]>,
    text_at: usize,
    compressed: OnceLock<Option<Box<[u8]>>>,
}

impl Frame {
    /// The frame of one JSON text.
    #[must_use]
    pub fn text(json: &[u8]) -> Self {
        let plain = frame::encode(Opcode::Text, false, json);
        Self {
            text_at: plain.len() - json.len(),
            plain,
            compressed: OnceLock::new(),
        }
    }

    /// The text within it.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.plain[self.text_at..]
    }

    /// The bytes to write uncompressed.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The bytes for a connection that agreed on deflate: compressed by whoever asks first, unless that isn't worth it.
    pub fn for_connection(&self, deflate: Option<Deflate>, compressor: &mut Compressor) -> &[u8] {
        let Some(deflate) = deflate else {
            return &self.plain;
        };
        let text = self.json();
        if !deflate.may_compress(text.len()) {
            return &self.plain;
        }
        let compressed = self
            .compressed
            .get_or_init(|| compressor.compress(Opcode::Text, text));
        compressed.as_deref().unwrap_or(&self.plain)
    }

    /// Like [`Frame::for_connection`] for one that was already asked for.
    #[must_use]
    pub fn chosen(&self, deflate: Option<Deflate>) -> &[u8] {
        let text = self.json().len();
        match (deflate, self.compressed.get()) {
            (Some(deflate), Some(Some(compressed))) if deflate.may_compress(text) => compressed,
            _ => &self.plain,
        }
    }
}

/// The compressor of a shard: one for all its connections, since no context is taken over.
pub struct Compressor {
    from_bytes: usize,
    deflater: Option<Deflater>,
    scratch: Vec<u8>,
}

impl Compressor {
    /// A compressor that leaves texts shorter than `from_bytes` alone.
    #[must_use]
    pub fn new(from_bytes: usize) -> Self {
        Self {
            from_bytes,
            deflater: None,
            scratch: Vec::new(),
        }
    }

    /// The whole frame of a message, or `None` if compressing it doesn't pay.
    pub fn compress(&mut self, opcode: Opcode, payload: &[u8]) -> Option<Box<[u8]>> {
        if payload.len() < self.from_bytes {
            return None;
        }
        self.scratch.clear();
        self.deflater
            .get_or_insert_with(Deflater::new)
            .compress(payload, &mut self.scratch);
        (self.scratch.len() < payload.len()).then(|| frame::encode(opcode, true, &self.scratch))
    }
}

/// A connection on its way to its shard.
#[derive(Debug)]
pub struct Arrival<S> {
    /// Its socket, or what the driver has in place of one.
    pub socket: S,
    /// Who it is; `None` is told so and closed.
    pub user: Option<UserId>,
    /// A fresh label for its session.
    pub session: SessionId,
    /// The label it handed in, where that was given to this user.
    pub handed: Option<SessionId>,
    /// The newest places it has seen.
    pub after: Option<After>,
    /// It acknowledges `user` messages itself.
    pub acks: bool,
    /// What was agreed on about compression.
    pub deflate: Option<Deflate>,
    /// Rooms to join at once; in place of what is no room's id its text.
    pub rooms: Vec<Result<RoomId, String>>,
    /// Bytes to write before anything else: the answer to the upgrade.
    pub answer: Vec<u8>,
    /// Bytes the client sent behind its upgrade.
    pub early: Vec<u8>,
}

/// What waits in the inbox of a shard. All but `Connect`, `Describe` and `Outcome` stand in the order of the log.
#[derive(Debug)]
pub enum Item<S> {
    /// A connection, which asks to enter.
    Connect(Box<Arrival<S>>),
    /// What a connection finds that asked to enter.
    Enter(Token, Box<Entrance>),
    /// The connections that are in enter once more, since the log has begun a new life or the node fell behind what it
    /// still holds. Where there is no reason, those do that came while the log was away. The log ends here now.
    Anew(Option<ResetReason>, Cursor),
    /// A connection that asked to enter can't be served in time.
    NotInTime(Token, Box<Wanted>),
    /// The next part of what a connection catches up with.
    CaughtUp(Token, Box<Piece>),
    /// A message for connections of this shard.
    Message(Arc<Message>),
    /// A join takes effect at a place in the log.
    Join(Token, Box<Admission>),
    /// A leave takes effect at this place in the log; so many users are in the room, this one still counted.
    Leave(Token, RoomId, u32, Cursor),
    /// Who comes and goes in a room, as it is said to those who asked: to about so many connections.
    Presence(RoomId, Arc<[u8]>, u32),
    /// The log's end, to whoever asked.
    End(Cursor),
    /// Somebody asks which connections a user has.
    Describe(UserId, Describe),
    /// All connections that a user has now are to be closed.
    Disconnect(UserId),
    /// What became of a connection's publication, where it is to be told: it asked by an id, or it was refused.
    Outcome(Token, Box<Asked>, Outcome),
}

/// One connection of a user, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The label of its session.
    pub session: SessionId,
    /// When it came, in Unix seconds.
    pub since: u64,
    /// The rooms it is in.
    pub rooms: Vec<RoomId>,
}

/// Whoever waits for the description of a user's connections.
pub struct Describe(pub Box<dyn FnOnce(Vec<Description>) + Send>);

impl fmt::Debug for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Describe")
    }
}

/// The way to the shards' inboxes.
pub trait Post<S> {
    /// Puts an item behind all that was posted to this shard before. Never blocks and never fails: whoever publishes
    /// has asked first whether there is room.
    fn post(&self, shard: usize, item: Item<S>);

    /// Whether every inbox may be given more messages. Without room a publication is refused before it is in the log.
    fn has_room(&self) -> bool;
}
