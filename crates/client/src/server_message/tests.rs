//! The golden messages, as this client reads them.

use serde_json::{Value, json};

use super::*;
use crate::event::Addressee;

#[test]
fn the_golden_messages_are_read_as_the_vectors_say() {
    let file: Value = serde_json::from_str(include_str!(
        "../../../protocol/vectors/server_messages.json"
    ))
    .unwrap();
    for case in file["cases"].as_array().unwrap() {
        let (name, text) = (&case["name"], case["text"].as_str().unwrap());
        match case["writes"].as_str().unwrap() {
            // These two are answers over HTTP, which no socket brings.
            "published" | "http_error" => assert_eq!(read(text), None, "{name}"),
            kind => {
                let message = read(text).unwrap_or_else(|| panic!("{name} isn't read"));
                let (as_kind, with) = told(&message);
                assert_eq!(as_kind, kind, "{name}");
                assert_eq!(with, expected(&case["with"], &with), "{name}");
            }
        }
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"weather\"}",
        "{\"type\":\"gap\"}",
        "not JSON",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    let later = r#"{"type":"pong","mood":{"a":[1e999,"\ud800"]},"b":null}"#;
    assert_eq!(read(later), Some(ServerMessage::Pong));
}

#[test]
fn what_a_later_server_says_is_read_already() {
    let text =
        r#"{"type":"error","code":"rate_limited","error":"no","id":"m","retry_after_ms":250}"#;
    assert!(matches!(
        read(text),
        Some(ServerMessage::Error { retry_after: Some(after), .. }) if after == Duration::from_millis(250)
    ));
    assert_eq!(
        read(r#"{"type":"authenticated","expires":1}"#),
        Some(ServerMessage::Authenticated)
    );
}

/// The vector's values under the names that [`told`] uses, for as much as this client looks at.
fn expected(with: &Value, told: &Value) -> Value {
    let mut all = with.clone();
    let object = all.as_object_mut().unwrap();
    for key in ["cursor", "cursors"] {
        let text = match object.remove(key) {
            None => continue,
            Some(Value::Array(parts)) => parts.iter().map(cursor).collect::<Vec<_>>().join(","),
            Some(Value::String(text)) => text,
            Some(parts) => cursor(&parts),
        };
        if !text.is_empty() {
            object.insert("cursor".to_owned(), text.into());
        }
    }
    // What a `left` names isn't kept, and `connected` and `joined` have times and places that say nothing to a client.
    object.retain(|key, _| {
        told.get(key).is_some() || !["timestamp", "cursor", "reason"].contains(&key.as_str())
    });
    all
}

fn cursor(parts: &Value) -> String {
    let [ordinal, partition, major, minor] =
        ["ordinal", "partition", "major", "minor"].map(|key| &parts[key]);
    let random = parts["random"].as_str().unwrap();
    let minor = if *minor == json!(0) {
        String::new()
    } else {
        format!("-{minor}")
    };
    format!("{ordinal}.{random}:{partition}:{major}{minor}")
}

/// What was read, under the names of the vectors.
fn told(message: &ServerMessage) -> (&'static str, Value) {
    let (kind, mut with) = match message {
        ServerMessage::Message(message) => told_message(message),
        ServerMessage::Connected { connected, cursor } => {
            told_connected(connected, cursor.as_ref())
        }
        ServerMessage::Joined { joined, cursor } => told_joined(joined, cursor.as_ref()),
        ServerMessage::Presence { room, change } => told_presence(room, change),
        ServerMessage::Ack {
            id,
            cursor,
            duplicate,
        } => (
            "ack",
            json!({"id": id, "cursor": cursor, "duplicate": duplicate}),
        ),
        ServerMessage::Left { room, members } => {
            ("left", json!({"room_id": room, "members": members}))
        }
        ServerMessage::Position { cursor } => ("position", json!({"cursor": cursor.to_string()})),
        ServerMessage::Gap {
            dropped,
            cursor,
            room,
        } => (
            "gap",
            json!({"dropped": dropped, "room_id": room, "cursor": cursor.map(|cursor| cursor.to_string())}),
        ),
        ServerMessage::Reset { reason, cursor } => (
            "reset",
            json!({"reason": reason, "cursor": cursor.as_ref().map(Places::to_string)}),
        ),
        ServerMessage::Error { refused, id, .. } => {
            let Refused {
                code,
                sentence,
                room,
            } = refused;
            (
                "error",
                json!({"code": code, "error": sentence, "room_id": room, "id": id}),
            )
        }
        ServerMessage::Reconnect { delay } => {
            ("reconnect", json!({"delay_ms": delay.as_millis() as u64}))
        }
        ServerMessage::Authenticated => ("authenticated", json!({})),
        ServerMessage::Pong => ("pong", json!({})),
    };
    with.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    (kind, with)
}

fn told_message(message: &Message) -> (&'static str, Value) {
    let (kind, room) = match message.addressee() {
        Addressee::Everybody => ("broadcast", None),
        Addressee::User => ("user", None),
        Addressee::Room(room) => ("room", Some(room)),
    };
    let with = json!({
        "id": message.id(),
        "from": message.from(),
        "timestamp": message.timestamp(),
        "data": message.data(),
        "cursor": message.cursor().map(Cursor::to_string),
        "room_id": room,
    });
    (kind, with)
}

fn told_connected(connected: &Connected, cursor: Option<&Places>) -> (&'static str, Value) {
    let with = json!({
        "session_id": connected.session,
        "user_id": connected.user,
        "node": connected.node,
        "resumed": connected.resumed,
        "pending": connected.pending,
        "missed": connected.missed,
        "degraded": connected.degraded.then_some(true),
        "cursor": cursor.map(Places::to_string),
    });
    ("connected", with)
}

fn told_joined(joined: &Joined, cursor: Option<&Cursor>) -> (&'static str, Value) {
    let texts: Vec<_> = joined.history.iter().map(Message::text).collect();
    let with = json!({
        "room_id": joined.room,
        "members": joined.members,
        "users": joined.users,
        "resumed": joined.resumed,
        "history": joined.history_complete.map(|_| texts),
        "history_complete": joined.history_complete,
        "cursor": cursor.map(Cursor::to_string),
    });
    ("joined", with)
}

fn told_presence(room: &str, change: &Presence) -> (&'static str, Value) {
    let with = match change {
        Presence::Join(user) => json!({"room_id": room, "event": "join", "user_id": user}),
        Presence::Leave(user) => json!({"room_id": room, "event": "leave", "user_id": user}),
        Presence::Count(members) => json!({"room_id": room, "event": "count", "members": members}),
    };
    ("presence", with)
}
