//! What a client says: one JSON object a message, read once, at the door; `data` stays the bytes that were sent.

mod body;
mod fields;
mod refusal;
mod targets;

pub use body::{
    BATCH_MESSAGES, BatchRefusal, Body, FAN_OUT_BYTES, parse_body, parse_publish, parse_publishes,
};
pub use refusal::Refusal;

use crate::codes::ErrorCode;
use crate::cursor::{After, Cursor};
use crate::ids::{MessageId, RoomId, UserId};
use fields::{Fields, Key, Text};
use refusal::excerpt;
use targets::parse_targets;

/// One message from a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// `broadcast`, `user` and `room`: something for others.
    Publish(Publish),
    /// The connection wants to be in a room.
    Join {
        /// The room.
        room: RoomId,
        /// What it wants to know of it.
        wish: JoinWish,
    },
    /// The connection wants to be in a room no more.
    Leave {
        /// The room.
        room: RoomId,
    },
    /// The connection has received all `user` messages given to it up to these places.
    Ack {
        /// One place for each partition: 1 to [`CURSORS`](crate::cursor::CURSORS), as they were named.
        cursors: Vec<Cursor>,
    },
    /// Asks for a `pong`.
    Ping,
}

/// What a join asks for beside the room itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinWish {
    /// The places from which it wants to catch up with the room first; none where it doesn't.
    pub after: Option<After>,
    /// How many of the newest messages it wants with the answer, 0 to [`HISTORY_MESSAGES`]; none where it didn't ask.
    pub history: Option<u8>,
    /// Whether it wants to be told who comes and goes.
    pub presence: bool,
}

/// The most messages of a room that a join may ask for.
pub const HISTORY_MESSAGES: u8 = 100;

/// Something to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Whom it is for.
    pub target: Target,
    /// The publisher's name for it, which asks for an `ack` and makes a repeat harmless.
    pub id: Option<MessageId>,
    /// It skips log, queue and history: whoever is there now gets it, at most once.
    pub ephemeral: bool,
    /// The sending session is not among its receivers.
    pub to_others: bool,
    /// The JSON value to hand on, byte for byte as it was sent, without the blanks around it.
    pub data: Box<str>,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every connection.
    Everybody,
    /// Each connection of these users: 1 to 100, distinct, in the order they were first named.
    Users(Box<[UserId]>),
    /// Each connection in the room.
    Room(RoomId),
}

/// Reads one message from a socket.
///
/// # Errors
/// What is wrong with it, in the words of an `error` message.
pub fn parse(bytes: &[u8]) -> Result<ClientMessage, Refusal> {
    const TYPES: &str = "broadcast, user, room, join, leave, ack or ping";
    let fields = Fields::of_message(as_text(bytes)?)?;
    let kind = message_type(&fields, TYPES)?;
    match &*kind {
        "join" => Ok(ClientMessage::Join {
            room: room(&fields)?,
            wish: JoinWish {
                after: after(&fields)?,
                history: history(&fields)?,
                presence: flag(&fields, Key::Presence, "presence")?,
            },
        }),
        "leave" => Ok(ClientMessage::Leave {
            room: room(&fields)?,
        }),
        "ack" => Ok(ClientMessage::Ack {
            cursors: receipt(&fields)?,
        }),
        "ping" => Ok(ClientMessage::Ping),
        _ => publish(&fields, &kind, TYPES).map(ClientMessage::Publish),
    }
}

fn as_text(bytes: &[u8]) -> Result<&str, Refusal> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| {
        Refusal::new(
            ErrorCode::InvalidJson,
            "this is not UTF-8, and all JSON is: encode it so",
        )
    })
}

fn message_type<'a>(
    fields: &Fields<'a>,
    types: &str,
) -> Result<std::borrow::Cow<'a, str>, Refusal> {
    let wrong = |what| {
        fields.refuse(
            ErrorCode::InvalidMessage,
            format!("type {what}: use {types}"),
        )
    };
    match fields.text(Key::Type) {
        Some(Text::Unicode(kind)) => Ok(kind),
        Some(Text::LoneSurrogate) => Err(fields.refuse(
            ErrorCode::UnknownType,
            format!("type is unknown: use {types}"),
        )),
        Some(Text::NotAString) => Err(wrong("must be a string")),
        None => Err(wrong("is missing")),
    }
}

/// Reads a message of one of the three types that publish; `types` are those that could have stood here.
fn publish(fields: &Fields<'_>, kind: &str, types: &str) -> Result<Publish, Refusal> {
    let target = match kind {
        "broadcast" => Target::Everybody,
        "user" => Target::Users(users(fields)?),
        "room" => Target::Room(room(fields)?),
        _ => {
            let sentence = format!("type {} is unknown here: use {types}", excerpt(kind));
            return Err(fields.refuse(ErrorCode::UnknownType, sentence));
        }
    };
    let id = message_id(fields)?;
    let ephemeral = flag(fields, Key::Ephemeral, "ephemeral")?;
    let to_others = to_others(fields)?;
    let data = fields.raw(Key::Data).ok_or_else(|| {
        let sentence = "data is missing: send any JSON value, null included";
        fields.refuse(ErrorCode::InvalidMessage, sentence)
    })?;
    Ok(Publish {
        target,
        id,
        ephemeral,
        to_others,
        data: data.into(),
    })
}

fn users(fields: &Fields<'_>) -> Result<Box<[UserId]>, Refusal> {
    let wrong = |sentence| fields.refuse(ErrorCode::InvalidMessage, sentence);
    let raw = fields.raw(Key::TargetIds).ok_or_else(|| {
        wrong("target_ids is missing: name the users the message is for".to_owned())
    })?;
    parse_targets(raw).map_err(|error| wrong(error.to_string()))
}

fn room(fields: &Fields<'_>) -> Result<RoomId, Refusal> {
    let wrong = |what: &str| {
        let sentence =
            format!("room_id {what}: name a room by 1 to 128 bytes without control characters");
        fields.refuse(ErrorCode::InvalidMessage, sentence)
    };
    match fields.text(Key::RoomId) {
        Some(Text::Unicode(name)) => {
            RoomId::parse(&name).map_err(|error| wrong(&error.to_string()))
        }
        Some(Text::LoneSurrogate) => Err(wrong("holds a lone surrogate")),
        Some(Text::NotAString) => Err(wrong("must be a string")),
        None => Err(wrong("is missing")),
    }
}

fn after(fields: &Fields<'_>) -> Result<Option<After>, Refusal> {
    match fields.text(Key::After) {
        Some(Text::Unicode(places)) => Ok(After::parse(&places)),
        Some(Text::LoneSurrogate) => Ok(Some(After::Unreadable)),
        Some(Text::NotAString) if fields.raw(Key::After) != Some("null") => {
            let sentence = "after must be a string of cursors, comma-separated: send those kept, or leave it out";
            Err(fields.refuse(ErrorCode::InvalidMessage, sentence))
        }
        Some(Text::NotAString) | None => Ok(None),
    }
}

/// A field that may be left out; `null` is no different from that.
fn optional<'a>(fields: &Fields<'a>, key: Key) -> Option<&'a str> {
    fields.raw(key).filter(|raw| *raw != "null")
}

fn flag(fields: &Fields<'_>, key: Key, name: &str) -> Result<bool, Refusal> {
    match optional(fields, key) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let sentence = format!("{name} must be true or false, or left out");
            Err(fields.refuse(ErrorCode::InvalidMessage, sentence))
        }
    }
}

fn history(fields: &Fields<'_>) -> Result<Option<u8>, Refusal> {
    let Some(raw) = optional(fields, Key::History) else {
        return Ok(None);
    };
    match raw.parse() {
        Ok(messages) if messages <= HISTORY_MESSAGES => Ok(Some(messages)),
        _ => {
            let sentence =
                format!("history must be a whole number from 0 to {HISTORY_MESSAGES}, or left out");
            Err(fields.refuse(ErrorCode::InvalidMessage, sentence))
        }
    }
}

/// An empty text counts as none: a Go struct without `omitempty` sends it.
fn to_others(fields: &Fields<'_>) -> Result<bool, Refusal> {
    let wrong = || {
        let sentence = "to must be \"all\" or \"others\", or left out";
        fields.refuse(ErrorCode::InvalidMessage, sentence)
    };
    match optional(fields, Key::To).map(Text::of) {
        None => Ok(false),
        Some(Text::Unicode(to)) => match &*to {
            "others" => Ok(true),
            "all" | "" => Ok(false),
            _ => Err(wrong()),
        },
        Some(Text::LoneSurrogate | Text::NotAString) => Err(wrong()),
    }
}

/// What an `ack` can't be read as is told, unlike an `after`: its sender would wait in vain for the queue to shrink.
fn receipt(fields: &Fields<'_>) -> Result<Vec<Cursor>, Refusal> {
    const DO: &str = "send back that of the newest user message as it came, or one of each partition, comma-separated";
    let refuse = |code, what: &str| fields.refuse(code, format!("cursor {what}: {DO}"));
    match fields.text(Key::Cursor) {
        Some(Text::Unicode(cursors)) => Cursor::parse_list(&cursors)
            .map_err(|error| refuse(ErrorCode::BadCursor, &error.to_string())),
        Some(Text::LoneSurrogate) => Err(refuse(ErrorCode::BadCursor, "holds a lone surrogate")),
        Some(Text::NotAString) => Err(refuse(ErrorCode::InvalidMessage, "must be a string")),
        None => Err(refuse(ErrorCode::InvalidMessage, "is missing")),
    }
}

fn message_id(fields: &Fields<'_>) -> Result<Option<MessageId>, Refusal> {
    let wrong = |what: &str| {
        let sentence =
            format!("id {what}: use 1 to 64 characters from ! to ~ without :, or leave it out");
        fields.refuse(ErrorCode::InvalidMessage, sentence)
    };
    match fields.text(Key::Id) {
        Some(Text::Unicode(id)) => MessageId::parse(&id)
            .map(Some)
            .map_err(|error| wrong(&error.to_string())),
        Some(Text::LoneSurrogate) => Err(wrong("holds a lone surrogate")),
        Some(Text::NotAString) if fields.raw(Key::Id) == Some("null") => Ok(None),
        Some(Text::NotAString) => Err(wrong("must be a string")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> Refusal {
        parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_user_message_names_its_users_and_keeps_its_data_as_sent() {
        let text = r#" {"data" : {"a": [1.50,  "\ud800"]} ,"type":"user","target_ids":["bob","ann","bob"],"id":"m1"}"#;
        let Ok(ClientMessage::Publish(message)) = parse(text.as_bytes()) else {
            panic!("{:?}", parse(text.as_bytes()))
        };
        let Target::Users(users) = message.target else {
            panic!("{:?}", message.target)
        };
        assert_eq!(
            users.iter().map(UserId::as_str).collect::<Vec<_>>(),
            ["bob", "ann"]
        );
        assert_eq!(message.id.as_ref().map(MessageId::as_str), Some("m1"));
        assert_eq!(&*message.data, r#"{"a": [1.50,  "\ud800"]}"#);
    }

    #[test]
    fn a_refusal_carries_the_id_and_the_room_it_came_with() {
        let refusal = refused(r#"{"type":"room","room_id":"r","id":"m\u0031"}"#);
        assert_eq!(refusal.code, ErrorCode::InvalidMessage);
        assert_eq!(
            (refusal.id.as_deref(), refusal.room_id.as_deref()),
            (Some("m1"), Some("r"))
        );
        assert!(
            refusal.sentence.starts_with("data is missing"),
            "{}",
            refusal.sentence
        );

        let long = "x".repeat(1000);
        let refusal = refused(&format!(r#"{{"type":"{long}","room_id":7,"id":"{long}"}}"#));
        assert_eq!(refusal.code, ErrorCode::UnknownType);
        assert_eq!(
            (refusal.id.as_deref(), refusal.room_id),
            (Some(&long[..128]), None)
        );
        assert!(refusal.sentence.len() < 150, "{}", refusal.sentence);
    }

    #[test]
    fn a_cursor_that_cannot_be_read_is_refused_with_what_to_send() {
        for (cursor, code, start) in [
            (
                "\"x\"",
                ErrorCode::BadCursor,
                "cursor holds what is not a cursor: send",
            ),
            (
                "\"\\ud800\"",
                ErrorCode::BadCursor,
                "cursor holds a lone surrogate: send",
            ),
            (
                "7",
                ErrorCode::InvalidMessage,
                "cursor must be a string: send",
            ),
        ] {
            let refusal = refused(&format!(r#"{{"type":"ack","cursor":{cursor}}}"#));
            assert_eq!(refusal.code, code);
            assert!(refusal.sentence.starts_with(start), "{refusal}");
        }
        let refusal = refused(r#"{"type":"join","room_id":"r","after":7}"#);
        assert_eq!(refusal.code, ErrorCode::InvalidMessage);
        assert!(
            refusal
                .sentence
                .starts_with("after must be a string of cursors"),
            "{refusal}"
        );
    }

    #[test]
    fn a_message_nested_too_deep_still_says_which_it_was() {
        let deep = "[".repeat(128) + &"]".repeat(128);
        let refusal = refused(&format!(
            r#"{{"type":"broadcast","data":{deep},"id":"m1"}}"#
        ));
        assert_eq!(
            (refusal.code, refusal.id.as_deref()),
            (ErrorCode::TooDeep, Some("m1"))
        );
    }

    #[test]
    fn a_hundred_thousand_brackets_need_no_stack() {
        let nested = "[".repeat(100_000) + &"]".repeat(100_000);
        let texts = [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            nested.clone(),
            format!(r#"{{"type":"broadcast","data":{nested}}}"#),
            format!(r#"{{"type":"broadcast","data":1,"unknown":{nested}}}"#),
            format!(r#"{{"type":"user","data":1,"target_ids":{nested}}}"#),
        ];
        // Recursion over so many levels would need megabytes.
        let small = std::thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || {
                for text in texts {
                    assert_eq!(refused(&text).code, ErrorCode::TooDeep);
                    assert!(parse_publishes(format!("[{text}]").as_bytes(), 1 << 20).is_err());
                }
            });
        small.expect("a thread").join().expect("no overflow");
    }

    #[test]
    fn two_faults_are_told_by_the_graver_one() {
        assert_eq!(
            refused(r#"{"type":"ping","type":"ping""#).code,
            ErrorCode::InvalidJson
        );
        assert_eq!(
            refused(r#"{"type":"nonsense","id":"a","id":"b"}"#).code,
            ErrorCode::InvalidMessage
        );
        assert_eq!(refused("[1,2").code, ErrorCode::InvalidJson);
        assert_eq!(refused("[1,2]").code, ErrorCode::InvalidMessage);
    }

    fn blanks() -> BoxedStrategy<String> {
        "[ \t\n\r]{0,3}".boxed()
    }

    fn json_value() -> BoxedStrategy<String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,6})?",
            any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
            r#""(\\u[dD][89a-fA-F][0-9a-f]{2}|\\[nt"/\\]|[a-z]){0,8}""#,
        ];
        scalar
            .prop_recursive(6, 40, 4, |inner| {
                let spaced = (blanks(), inner, blanks())
                    .prop_map(|(before, value, after)| before + &value + &after)
                    .boxed();
                let member = (
                    blanks(),
                    "\"(type|id|[a-z]{0,3})\"",
                    blanks(),
                    spaced.clone(),
                )
                    .prop_map(|(before, key, after, value)| {
                        format!("{before}{key}{after}:{value}")
                    });
                prop_oneof![
                    prop::collection::vec(spaced, 1..4)
                        .prop_map(|all| format!("[{}]", all.join(","))),
                    prop::collection::vec(member, 1..4)
                        .prop_map(|all| format!("{{{}}}", all.join(","))),
                ]
            })
            .boxed()
    }

    proptest! {
        #[test]
        fn data_comes_back_byte_for_byte(data in json_value(), before in blanks(), after in blanks()) {
            let text = format!(r#"{{"type":"broadcast","data":{before}{data}{after},"x":{data}}}{after}"#);
            match parse(text.as_bytes()) {
                Ok(ClientMessage::Publish(message)) => prop_assert_eq!(&*message.data, &data),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            _ = parse(&bytes);
            _ = parse_body(&bytes, 100);
        }

        #[test]
        fn no_damage_to_a_message_makes_it_panic(
            data in json_value(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let text = format!(r#"[{{"type":"user","target_ids":["a","\u00e9"],"id":null,"data":{data}}}]"#);
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            _ = parse_body(&bytes, 100);
            _ = parse(&bytes[1..]);
            _ = parse(&bytes[1..at.max(1)]);
        }
    }
}
