//! What a client tells the application.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use wshub_protocol::{CloseCode, Cursor};

use crate::server_message::{self, ServerMessage};

/// Something that happened, in the order in which it did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The hub has let the client in.
    Connected(Connected),
    /// Somebody said something to this client. None comes twice.
    Message(Message),
    /// The client is in a room, after a `join` or a reconnect.
    Joined(Joined),
    /// The client is in a room no more.
    Left {
        /// The room.
        room: String,
        /// Its distinct users, over the whole cluster.
        members: u64,
    },
    /// Who comes to or leaves a room whose join asked for presence.
    Presence {
        /// The room.
        room: String,
        /// What has changed.
        change: Presence,
    },
    /// The connection was too slow: so many messages are missing at this place.
    Gap {
        /// How many.
        dropped: u64,
        /// The room they were for, where it was one room's.
        room: Option<String>,
    },
    /// Messages may be missing here: what the application has built from them is to be loaded anew.
    Reset {
        /// Why, in the server's word: `log_lost` or `node_behind`.
        reason: String,
    },
    /// The log has moved on and nothing of it was for this client: [`Events::place`](crate::Events::place) is newer now.
    Position,
    /// A request other than a publish was refused, a join for example. Publishes have their own answers.
    Refused(Refused),
    /// The node drains: it serves this client for so long, then the client goes to another by itself.
    Draining {
        /// How long.
        delay: Duration,
    },
    /// The connection is over; the client comes back after a wait.
    Disconnected {
        /// Why.
        end: End,
        /// How long it waits before it tries again.
        wait: Duration,
    },
    /// The token has expired: the client comes back once [`Client::set_token`](crate::Client::set_token) has brought
    /// another.
    TokenExpired,
    /// The client is gone for good; nothing follows.
    Closed(End),
}

/// How a session begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// The session's label.
    pub session: String,
    /// The user, as the server has understood it.
    pub user: String,
    /// The node's name.
    pub node: String,
    /// Whether everything since the place handed in follows. Where it doesn't, what the application has built from
    /// messages is to be loaded anew.
    pub resumed: bool,
    /// Messages that waited for the user and follow.
    pub pending: u64,
    /// Messages that waited for the user and were lost to the bounds of the queue.
    pub missed: u64,
    /// The log is away; what waits follows once it is back, and `resumed: false` is no sign of loss. The client comes
    /// back by itself then, where it has missed something.
    pub degraded: bool,
    /// Whether the client handed in a place, and so had something to lose.
    pub came_back: bool,
}

/// The answer to a join.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// The room.
    pub room: String,
    /// Its distinct users, over the whole cluster.
    pub members: u64,
    /// The first 100 of them, where presence was asked for.
    pub users: Option<Vec<String>>,
    /// The room's last messages, oldest first, where asked for; without those that were given before.
    pub history: Vec<Message>,
    /// Whether the room has no older messages than these; none where no history was asked for.
    pub history_complete: Option<bool>,
    /// Whether all that was missed in the room follows, where the client caught up with it.
    pub resumed: Option<bool>,
}

/// What has changed among a room's users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// This user has come.
    Join(String),
    /// This user has left.
    Leave(String),
    /// The room is so large that only its users are counted.
    Count(u64),
}

/// The server's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For programs: one of the contract's error codes.
    pub code: String,
    /// For people.
    pub sentence: String,
    /// The room of the request, where it was about one.
    pub room: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The close code, where the connection ended by one.
    pub code: Option<u16>,
    /// In words.
    pub reason: String,
}

impl End {
    pub(crate) fn cut(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code: None, reason }
    }

    /// What the close code says of the way back; none for a code that isn't in the contract, or no code at all.
    pub(crate) fn known(&self) -> Option<CloseCode> {
        CloseCode::ALL
            .into_iter()
            .find(|known| Some(known.number()) == self.code)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.code.map_or(Ok(()), |code| write!(f, " ({code})"))
    }
}

/// A message of somebody else, or one's own.
#[derive(Clone, PartialEq)]
pub struct Message {
    pub(crate) target: Addressee,
    pub(crate) id: String,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) from: String,
    pub(crate) timestamp: u64,
    pub(crate) text: Box<str>,
    pub(crate) data: Range<usize>,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// Every connection.
    Everybody,
    /// This client's user, maybe among others.
    User,
    /// Whoever is in the room.
    Room(String),
}

impl Message {
    /// Reads a message as it came over the wire; none where the text is anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match server_message::read(text) {
            Some(ServerMessage::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Whom it is for.
    #[must_use]
    pub fn addressee(&self) -> &Addressee {
        &self.target
    }

    /// The publisher's name for it, or one that the server made.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its place in the log; none for ephemeral messages, and for those from outside.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The user who said it; empty for what came over HTTP.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// When it entered the log, in Unix seconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// What was said: a JSON text, byte for byte as it was sent.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.text[self.data.clone()]
    }

    /// The whole message as it came over the wire.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
