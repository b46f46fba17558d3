//! What a shard asks of the tail about rooms and places in the log. The answers come through its inbox, in the order of
//! the log.

use std::sync::Arc;

use wshub_protocol::client_message::JoinWish;
use wshub_protocol::{Cursor, RoomId, UserId};

use crate::message::Message;
use crate::resume::Behind;
use crate::shard::Token;

/// A question, or something to take note of.
#[derive(Debug)]
pub enum Question {
    /// The next part of what this connection has to catch up with.
    CatchUp(Token, Box<Behind>),
    /// Where the log ends.
    End,
    /// To let this connection into a room.
    Join(Token, Box<Joining>),
    /// To take this connection out of a room.
    Leave(Token, RoomId),
    /// A user has no connection in the room any more and isn't waited for.
    Left(RoomId, UserId),
    /// Nobody of this shard is in the room any more.
    Forget(RoomId),
    /// Nobody of this shard wants to be told any more who comes and goes there.
    Unheard(RoomId),
}

/// A connection on its way into a room.
#[derive(Debug)]
pub struct Joining {
    /// The room.
    pub room: RoomId,
    /// Whose connection it is.
    pub user: UserId,
    /// What it wants to know.
    pub wish: JoinWish,
}

/// A connection is let into a room.
#[derive(Debug)]
pub struct Admission {
    /// The room.
    pub room: RoomId,
    /// Whose connection it is.
    pub user: UserId,
    /// Where in the log: what is behind it is for this connection, too.
    pub cursor: Cursor,
    /// The room's users, this one included.
    pub members: u32,
    /// Whether it can be caught up with.
    pub caught: Caught,
    /// It is told from now on who comes and goes.
    pub listens: bool,
    /// The first of the users, where that was asked.
    pub users: Option<Vec<UserId>>,
    /// What was said before, where that was asked.
    pub history: Option<History>,
}

impl Admission {
    /// An admission to somebody who asked for nothing but the room.
    #[must_use]
    pub fn plain(room: RoomId, user: UserId, cursor: Cursor, members: u32) -> Self {
        Self {
            room,
            user,
            cursor,
            members,
            caught: Caught::NotAsked,
            listens: false,
            users: None,
            history: None,
        }
    }
}

/// Whether a room can be caught up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// That wasn't asked.
    NotAsked,
    /// All that was said there behind this place can be given.
    Behind(u64),
    /// The log doesn't know any more, or never knew that place.
    Lost,
}

/// What was said in a room lately.
#[derive(Debug, Default)]
pub struct History {
    /// The newest messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// There never were any others.
    pub complete: bool,
}

impl History {
    /// The bytes of its messages' texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = self.messages.iter().map(|message| message.frame.json());
        texts.map(<[u8]>::len).sum()
    }
}

/// The most users that are named to whoever joins.
pub const USERS_TOLD: usize = 100;
/// The most bytes of history that are given at once; a larger message is left out, and so is what is older.
pub const HISTORY_BYTES: usize = 512 * 1024;
