//! Reading what the server says. Fields and types that aren't known are passed over: the server may gain some.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use wshub_protocol::Cursor;

use crate::core::Places;
use crate::event::{Addressee, Connected, Joined, Message, Presence, Refused};

/// One message of the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ServerMessage {
    Connected {
        connected: Connected,
        cursor: Option<Places>,
    },
    Message(Message),
    Ack {
        id: String,
        cursor: Option<String>,
        duplicate: bool,
    },
    Joined {
        joined: Joined,
        cursor: Option<Cursor>,
    },
    Left {
        room: String,
        members: u64,
    },
    Presence {
        room: String,
        change: Presence,
    },
    Position {
        cursor: Places,
    },
    Gap {
        dropped: u64,
        cursor: Option<Cursor>,
        room: Option<String>,
    },
    Reset {
        reason: String,
        cursor: Option<Places>,
    },
    Error {
        refused: Refused,
        id: Option<String>,
        retry_after: Option<Duration>,
    },
    Reconnect {
        delay: Duration,
    },
    Authenticated,
    Pong,
}

/// Reads one frame's text; none where it is nothing that this client knows.
pub(crate) fn read(text: &str) -> Option<ServerMessage> {
    let wire: Wire<'_> = serde_json::from_str(text).ok()?;
    Some(match &*wire.kind {
        "connected" => wire.connected()?,
        "broadcast" | "user" | "room" => ServerMessage::Message(wire.message(text, None)?),
        "ack" => ServerMessage::Ack {
            id: wire.id?.into_owned(),
            cursor: wire.cursor.map(Cow::into_owned),
            duplicate: wire.duplicate.unwrap_or(false),
        },
        "joined" => wire.joined()?,
        "left" => ServerMessage::Left {
            room: wire.room_id?.into_owned(),
            members: wire.members.unwrap_or(0),
        },
        "presence" => wire.presence()?,
        "position" => ServerMessage::Position {
            cursor: Places::read(&wire.cursor?)?,
        },
        "gap" => ServerMessage::Gap {
            dropped: wire.dropped?,
            cursor: wire.place(),
            room: wire.room_id.map(Cow::into_owned),
        },
        "reset" => ServerMessage::Reset {
            cursor: wire.cursor.as_deref().and_then(Places::read),
            reason: wire.reason.unwrap_or_default().into_owned(),
        },
        "error" => ServerMessage::Error {
            refused: Refused {
                code: wire.code?.into_owned(),
                sentence: wire.error.unwrap_or_default().into_owned(),
                room: wire.room_id.map(Cow::into_owned),
            },
            id: wire.id.map(Cow::into_owned),
            retry_after: wire.retry_after_ms.map(Duration::from_millis),
        },
        "reconnect" => ServerMessage::Reconnect {
            delay: Duration::from_millis(wire.delay_ms.unwrap_or(0)),
        },
        "authenticated" => ServerMessage::Authenticated,
        "pong" => ServerMessage::Pong,
        _ => return None,
    })
}

/// Every field that any message has. Those that are borrowed are so unless they hold an escape.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cursor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    timestamp: Option<u64>,
    #[serde(borrow)]
    room_id: Option<Cow<'a, str>>,
    // `null` is data too: only where the key is missing there is none.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    resumed: Option<bool>,
    pending: Option<u64>,
    missed: Option<u64>,
    degraded: Option<bool>,
    duplicate: Option<bool>,
    members: Option<u64>,
    users: Option<Vec<String>>,
    #[serde(borrow)]
    history: Option<Vec<&'a RawValue>>,
    history_complete: Option<bool>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    dropped: Option<u64>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    delay_ms: Option<u64>,
    retry_after_ms: Option<u64>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Wire<'_> {
    /// The one place that most messages name. A form that only later servers know is no place.
    fn place(&self) -> Option<Cursor> {
        self.cursor
            .as_deref()
            .and_then(|cursor| Cursor::parse(cursor).ok())
    }

    fn connected(self) -> Option<ServerMessage> {
        let cursor = self.cursor.as_deref().and_then(Places::read);
        let connected = Connected {
            session: self.session_id?.into_owned(),
            user: self.user_id.unwrap_or_default().into_owned(),
            node: self.node.unwrap_or_default().into_owned(),
            resumed: self.resumed.unwrap_or(false),
            pending: self.pending.unwrap_or(0),
            missed: self.missed.unwrap_or(0),
            degraded: self.degraded.unwrap_or(false),
            came_back: false,
        };
        Some(ServerMessage::Connected { connected, cursor })
    }

    fn message(self, text: &str, room: Option<&str>) -> Option<Message> {
        let cursor = self.place();
        let data = self.data?.get();
        // The value was read from this very text, so it stands in it.
        let begin = data.as_ptr() as usize - text.as_ptr() as usize;
        Some(Message {
            target: match &*self.kind {
                "broadcast" => Addressee::Everybody,
                "user" => Addressee::User,
                _ => Addressee::Room(self.room_id.as_deref().or(room)?.to_owned()),
            },
            id: self.id.unwrap_or_default().into_owned(),
            cursor,
            from: self.from.unwrap_or_default().into_owned(),
            timestamp: self.timestamp.unwrap_or(0),
            text: text.into(),
            data: begin..begin + data.len(),
        })
    }

    fn joined(self) -> Option<ServerMessage> {
        let cursor = self.place();
        let room = self.room_id?.into_owned();
        let history = self.history.unwrap_or_default();
        // Whose history it is goes without saying.
        let read = |text: &&RawValue| {
            let wire: Wire<'_> = serde_json::from_str(text.get()).ok()?;
            wire.message(text.get(), Some(&room))
        };
        let joined = Joined {
            members: self.members.unwrap_or(0),
            users: self.users,
            history: history.iter().filter_map(read).collect(),
            history_complete: self.history_complete,
            resumed: self.resumed,
            room,
        };
        Some(ServerMessage::Joined { joined, cursor })
    }

    fn presence(self) -> Option<ServerMessage> {
        let user = self.user_id.map(Cow::into_owned);
        let change = match &*self.event? {
            "join" => Presence::Join(user?),
            "leave" => Presence::Leave(user?),
            "count" => Presence::Count(self.members?),
            _ => return None,
        };
        let room = self.room_id?.into_owned();
        Some(ServerMessage::Presence { room, change })
    }
}

#[cfg(test)]
mod tests;
