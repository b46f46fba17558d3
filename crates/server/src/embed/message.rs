//! What a program publishes, and why it may not be.

use std::fmt;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use wshub_hub::Refused;
use wshub_protocol::ErrorCode;
use wshub_protocol::client_message::BatchRefusal;

/// A message to publish: for whom it is, and the data that they are handed.
///
/// ```
/// # use wshub::Message;
/// # use serde_json::json;
/// let to_all = Message::to_everybody("the shop opens");
/// let to_ann = Message::to_user("ann", json!({ "order": 7 })).with_id("order-7-shipped");
/// let in_room = Message::to_room("lobby", [1, 2, 3]);
/// ```
///
/// It is checked when it is published: ids have 1 to 128 bytes without control characters, `data` is anything that
/// serde makes JSON of, and all of it together stays below `limits.message_bytes`.
#[derive(Clone, Debug)]
pub struct Message {
    kind: &'static str,
    room_id: Option<String>,
    target_ids: Option<Vec<String>>,
    id: Option<String>,
    ephemeral: bool,
    data: Result<Box<RawValue>, String>,
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishError {
    /// The code, as clients and HTTP publishers are told it; docs/errors.md has a section on each.
    pub code: ErrorCode,
    /// A sentence that says what to do.
    pub sentence: String,
}

impl Message {
    /// A message for every connection.
    pub fn to_everybody(data: impl Serialize) -> Self {
        Self::new("broadcast", data)
    }

    /// A message for all connections of a user; it waits for them while they have none.
    pub fn to_user(user: &str, data: impl Serialize) -> Self {
        Self::to_users([user], data)
    }

    /// A message for up to 100 users, as if each had been sent it.
    pub fn to_users<'a>(users: impl IntoIterator<Item = &'a str>, data: impl Serialize) -> Self {
        let users = users.into_iter().map(str::to_owned).collect();
        Self {
            target_ids: Some(users),
            ..Self::new("user", data)
        }
    }

    /// A message for every connection in a room.
    pub fn to_room(room: &str, data: impl Serialize) -> Self {
        Self {
            room_id: Some(room.to_owned()),
            ..Self::new("room", data)
        }
    }

    /// The same message under a name of your own, 1 to 64 characters from `!` to `~` without `:`. Published again under
    /// it within `dedupe.window`, five minutes unless set, it has no second effect.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// The same message, worth something now or never: it goes to whoever is there, and neither into the log nor into a
    /// queue.
    #[must_use]
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    fn new(kind: &'static str, data: impl Serialize) -> Self {
        Self {
            kind,
            room_id: None,
            target_ids: None,
            id: None,
            ephemeral: false,
            data: to_raw_value(&data).map_err(|error| error.to_string()),
        }
    }

    /// The message as it is sent over HTTP, so that it is read and refused as any other.
    pub(super) fn into_json(self) -> Result<Vec<u8>, PublishError> {
        #[derive(Serialize)]
        struct Fields<'a> {
            r#type: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            room_id: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            target_ids: Option<Vec<String>>,
            id: Option<String>,
            ephemeral: bool,
            data: Box<RawValue>,
        }
        let no_json = |error| PublishError {
            code: ErrorCode::InvalidJson,
            sentence: format!("data is no JSON: {error}"),
        };
        let fields = Fields {
            r#type: self.kind,
            room_id: self.room_id,
            target_ids: self.target_ids,
            id: self.id,
            ephemeral: self.ephemeral,
            data: self.data.map_err(no_json)?,
        };
        serde_json::to_vec(&fields).map_err(|error| no_json(error.to_string()))
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence, self.code.name())
    }
}

impl std::error::Error for PublishError {}

impl From<BatchRefusal> for PublishError {
    fn from(BatchRefusal { refusal, .. }: BatchRefusal) -> Self {
        Self {
            code: refusal.code,
            sentence: refusal.sentence,
        }
    }
}

impl From<Refused> for PublishError {
    fn from(Refused { code, sentence }: Refused) -> Self {
        Self {
            code,
            sentence: sentence.to_owned(),
        }
    }
}
