//! Writing what a client says: each function makes the text of one message.

use std::fmt;

use serde::Serialize;
use wshub_protocol::client_message::{Publish, Target};
use wshub_protocol::ids::IdError;
use wshub_protocol::json::{write_bool, write_integer, write_string};
use wshub_protocol::{Cursor, MessageId, RoomId, UserId};

/// The most users that one message may be for.
const USERS: usize = 100;

/// Something to publish, made by [`Draft::broadcast`], [`Draft::user`] or [`Draft::room`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft(pub(crate) Publish);

/// Why a message can't be made.
#[derive(Debug)]
pub enum DraftError {
    /// A user's, a room's or the message's own id breaks the rules.
    Id(IdError),
    /// A message is for 1 to 100 users.
    Users,
    /// The data doesn't become JSON.
    Data(serde_json::Error),
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(error) => write!(f, "an id {error}"),
            Self::Users => write!(f, "a message is for 1 to {USERS} users"),
            Self::Data(error) => write!(f, "data that doesn't become JSON: {error}"),
        }
    }
}

impl std::error::Error for DraftError {}

impl Draft {
    /// A message for every connection.
    ///
    /// # Errors
    /// Where `data` doesn't become JSON.
    pub fn broadcast<T: Serialize + ?Sized>(data: &T) -> Result<Self, DraftError> {
        Self::new(Target::Everybody, data)
    }

    /// A message for each connection of these users, or for each one's next if there is none now.
    ///
    /// # Errors
    /// Where there are none or over 100, an id breaks the rules, or `data` doesn't become JSON.
    pub fn user<T: Serialize + ?Sized>(users: &[&str], data: &T) -> Result<Self, DraftError> {
        let mut named: Vec<UserId> = Vec::with_capacity(users.len());
        for user in users {
            let user = UserId::parse(user).map_err(DraftError::Id)?;
            if !named.contains(&user) {
                named.push(user);
            }
        }
        if !(1..=USERS).contains(&named.len()) {
            return Err(DraftError::Users);
        }
        Self::new(Target::Users(named.into()), data)
    }

    /// A message for each connection in a room.
    ///
    /// # Errors
    /// Where the id breaks the rules, or `data` doesn't become JSON.
    pub fn room<T: Serialize + ?Sized>(room: &str, data: &T) -> Result<Self, DraftError> {
        Self::new(
            Target::Room(RoomId::parse(room).map_err(DraftError::Id)?),
            data,
        )
    }

    /// Gives it an id of the application's, to be known by when it is published again later. Without one the client
    /// makes one.
    ///
    /// # Errors
    /// Where the id breaks the rules.
    pub fn with_id(mut self, id: &str) -> Result<Self, DraftError> {
        self.0.id = Some(MessageId::parse(id).map_err(DraftError::Id)?);
        Ok(self)
    }

    /// For whoever is there now, at most once: it is neither kept nor sent again.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.0.ephemeral = true;
        self
    }

    /// For all but the session that sends it.
    #[must_use]
    pub fn to_others(mut self) -> Self {
        self.0.to_others = true;
        self
    }

    fn new<T: Serialize + ?Sized>(target: Target, data: &T) -> Result<Self, DraftError> {
        let data = serde_json::to_string(data).map_err(DraftError::Data)?;
        Ok(Self(Publish {
            target,
            id: None,
            ephemeral: false,
            to_others: false,
            data: data.into(),
        }))
    }
}

impl From<Publish> for Draft {
    fn from(publish: Publish) -> Self {
        Self(publish)
    }
}

/// The text of something to publish.
#[must_use]
pub fn publish(message: &Publish) -> String {
    let mut out = Vec::with_capacity(message.data.len() + 64);
    match &message.target {
        Target::Everybody => begin(&mut out, "broadcast"),
        Target::Users(users) => {
            begin(&mut out, "user");
            out.extend_from_slice(br#","target_ids":"#);
            for (at, user) in users.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                write_string(&mut out, user.as_str());
            }
            out.push(b']');
        }
        Target::Room(room) => {
            begin(&mut out, "room");
            field(&mut out, "room_id", room.as_str());
        }
    }
    if let Some(id) = &message.id {
        field(&mut out, "id", id.as_str());
    }
    if message.ephemeral {
        out.extend_from_slice(br#","ephemeral":"#);
        write_bool(&mut out, true);
    }
    if message.to_others {
        field(&mut out, "to", "others");
    }
    out.extend_from_slice(br#","data":"#);
    out.extend_from_slice(message.data.as_bytes());
    end(out)
}

/// The text that asks to be in a room.
pub(crate) fn join(room: &str, history: Option<u8>, presence: bool, after: Option<&str>) -> String {
    let mut out = Vec::new();
    begin(&mut out, "join");
    field(&mut out, "room_id", room);
    if let Some(history) = history {
        out.extend_from_slice(br#","history":"#);
        write_integer(&mut out, history);
    }
    if presence {
        out.extend_from_slice(br#","presence":"#);
        write_bool(&mut out, true);
    }
    if let Some(after) = after {
        field(&mut out, "after", after);
    }
    end(out)
}

/// The text that leaves a room.
pub(crate) fn leave(room: &str) -> String {
    with("leave", "room_id", room)
}

/// The text that says that all `user` messages up to a place are received.
pub(crate) fn ack(cursor: &Cursor) -> String {
    with("ack", "cursor", &cursor.to_string())
}

/// The text that hands in a fresh token.
pub(crate) fn auth(token: &str) -> String {
    with("auth", "token", token)
}

/// The text that asks for a `pong`.
pub(crate) fn ping() -> String {
    r#"{"type":"ping"}"#.to_owned()
}

fn with(kind: &str, key: &str, value: &str) -> String {
    let mut out = Vec::new();
    begin(&mut out, kind);
    field(&mut out, key, value);
    end(out)
}

fn begin(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(br#"{"type":"#);
    write_string(out, kind);
}

fn field(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(format!(",\"{key}\":").as_bytes());
    write_string(out, value);
}

fn end(mut out: Vec<u8>) -> String {
    out.push(b'}');
    String::from_utf8(out).expect("strings and a JSON text make UTF-8")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wshub_protocol::After;
    use wshub_protocol::client_message::{ClientMessage, parse};

    use super::*;

    /// What this client would say to mean the same.
    fn said_again(message: &ClientMessage) -> Vec<String> {
        match message {
            ClientMessage::Publish(message) => vec![publish(message)],
            ClientMessage::Join { room, wish } => {
                let after = match &wish.after {
                    Some(After::Places(places)) => Some(
                        places
                            .iter()
                            .map(Cursor::to_string)
                            .collect::<Vec<_>>()
                            .join(","),
                    ),
                    // A client that resumes hands in whatever it was given.
                    Some(After::Unreadable) => Some("yesterday".to_owned()),
                    None => None,
                };
                vec![join(
                    room.as_str(),
                    wish.history,
                    wish.presence,
                    after.as_deref(),
                )]
            }
            ClientMessage::Leave { room } => vec![leave(room.as_str())],
            ClientMessage::Ack { cursors } => cursors.iter().map(ack).collect(),
            ClientMessage::Ping => vec![ping()],
        }
    }

    fn meant(texts: &[String]) -> Vec<ClientMessage> {
        texts
            .iter()
            .map(|text| parse(text.as_bytes()).expect(text))
            .collect()
    }

    #[test]
    fn what_the_golden_messages_mean_is_said_so_that_the_server_understands_it() {
        let file: Value =
            serde_json::from_str(include_str!("../../protocol/vectors/client_messages.json"))
                .unwrap();
        let mut understood = 0;
        for case in file["cases"].as_array().unwrap() {
            let (Some(text), Some(_)) = (case["text"].as_str(), case.get("message")) else {
                continue;
            };
            let golden = parse(text.as_bytes()).expect(text);
            let heard = meant(&said_again(&golden));
            match golden {
                ClientMessage::Ack { cursors } => {
                    let each = cursors.into_iter().map(|cursor| ClientMessage::Ack {
                        cursors: vec![cursor],
                    });
                    assert_eq!(heard, each.collect::<Vec<_>>(), "{}", case["name"]);
                }
                golden => assert_eq!(heard, [golden], "{}", case["name"]),
            }
            understood += 1;
        }
        assert!(understood > 50, "{understood} cases");
    }

    #[test]
    fn a_draft_is_right_or_there_is_none() {
        let draft = Draft::user(&["b", "a", "b"], "x")
            .unwrap()
            .to_others()
            .ephemeral();
        let text = publish(&draft.with_id("m-1").unwrap().0);
        assert_eq!(
            text,
            r#"{"type":"user","target_ids":["b","a"],"id":"m-1","ephemeral":true,"to":"others","data":"x"}"#
        );
        assert!(matches!(Draft::user(&[], "x"), Err(DraftError::Users)));
        assert!(matches!(Draft::room("\n", "x"), Err(DraftError::Id(_))));
        assert!(matches!(
            Draft::broadcast("x").unwrap().with_id("a:b"),
            Err(DraftError::Id(_))
        ));
    }

    #[test]
    fn a_fresh_token_is_handed_in() {
        assert_eq!(auth("a\"b"), r#"{"type":"auth","token":"a\"b"}"#);
    }
}
