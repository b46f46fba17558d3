//! Holds the code to the golden messages in vectors/, which every client reads too.

use serde_json::{Value, json};
use wshub_protocol::client_message::{
    BatchRefusal, Body, ClientMessage, Publish, Refusal, Target, parse, parse_body,
};
use wshub_protocol::server_message::{
    self, Connected, Joined, Kind, PresenceEvent, ResetReason, write_ack, write_error, write_gap,
    write_http_error, write_left, write_message, write_pong, write_position, write_presence,
    write_published, write_reconnect, write_reset,
};
use wshub_protocol::{After, Cursor, Epoch, ErrorCode, MessageId, Offset, RoomId, UserId};

/// The default of `limits.message_bytes`.
const MESSAGE_BYTES: usize = 512 << 10;

#[test]
fn client_messages_mean_what_the_vectors_say() {
    for case in cases(include_str!("../vectors/client_messages.json")) {
        let seen = match parse(&bytes_of(&case)) {
            Ok(message) => json!({ "message": meaning(&message) }),
            Err(refusal) => json!({ "refused": blame(&refusal, None) }),
        };
        assert_eq!(seen, expected(&case), "{}", case["name"]);
    }
}

#[test]
fn publish_bodies_mean_what_the_vectors_say() {
    for case in cases(include_str!("../vectors/publish_bodies.json")) {
        let seen = match parse_body(&bytes_of(&case), MESSAGE_BYTES) {
            Ok(Body::One(message)) => json!({ "message": content(&message) }),
            Ok(Body::Many(messages)) => {
                json!({ "messages": messages.iter().map(content).collect::<Vec<_>>() })
            }
            Err(BatchRefusal { at, refusal }) => json!({ "refused": blame(&refusal, at) }),
        };
        assert_eq!(seen, expected(&case), "{}", case["name"]);
    }
}

#[test]
fn server_messages_are_the_vectors_to_the_byte() {
    for case in cases(include_str!("../vectors/server_messages.json")) {
        let mut out = Vec::new();
        write(&mut out, text(&case["writes"]), &case["with"]);
        assert_eq!(
            String::from_utf8_lossy(&out),
            text(&case["text"]),
            "{}",
            case["name"]
        );
    }
}

fn cases(file: &str) -> Vec<Value> {
    let mut file: Value = serde_json::from_str(file).expect("a vectors file is JSON");
    match file["cases"].take() {
        Value::Array(cases) if !cases.is_empty() => cases,
        other => panic!("a vectors file has cases, not {other}"),
    }
}

fn bytes_of(case: &Value) -> Vec<u8> {
    if let Some(text) = case["text"].as_str() {
        return text.into();
    }
    if let Some(hex) = case["hex"].as_str() {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    let pieces = case["pieces"].as_array().expect("text, hex or pieces");
    let piece =
        |piece: &Value| text(&piece[0]).repeat(number(&piece[1]).try_into().expect("a count"));
    pieces.iter().map(piece).collect::<String>().into()
}

/// The one of the three keys that says what the server makes of a case.
fn expected(case: &Value) -> Value {
    let mut outcome = case.clone();
    let is_outcome = |key: &str| matches!(key, "message" | "messages" | "refused");
    outcome
        .as_object_mut()
        .expect("a case is an object")
        .retain(|key, _| is_outcome(key));
    outcome
}

fn meaning(message: &ClientMessage) -> Value {
    match message {
        ClientMessage::Ping => json!({ "type": "ping" }),
        ClientMessage::Join { room, wish } => {
            let mut value = json!({ "type": "join", "room_id": room.as_str() });
            if let Some(history) = wish.history {
                value["history"] = history.into();
            }
            if wish.presence {
                value["presence"] = true.into();
            }
            match &wish.after {
                None => {}
                Some(After::Unreadable) => value["after"] = Value::Null,
                Some(After::Places(places)) => value["after"] = names(places),
            }
            value
        }
        ClientMessage::Leave { room } => json!({ "type": "leave", "room_id": room.as_str() }),
        ClientMessage::Ack { cursors } => json!({ "type": "ack", "cursor": names(cursors) }),
        ClientMessage::Publish(message) => content(message),
    }
}

fn names(cursors: &[Cursor]) -> Value {
    cursors.iter().map(Cursor::to_string).collect()
}

fn content(message: &Publish) -> Value {
    let id = message.id.as_ref().map(MessageId::as_str);
    let mut value = json!({ "id": id, "data": &*message.data });
    if message.ephemeral {
        value["ephemeral"] = true.into();
    }
    if message.to_others {
        value["to"] = "others".into();
    }
    match &message.target {
        Target::Everybody => value["type"] = "broadcast".into(),
        Target::Users(users) => {
            value["type"] = "user".into();
            value["target_ids"] = users.iter().map(UserId::as_str).collect();
        }
        Target::Room(room) => {
            value["type"] = "room".into();
            value["room_id"] = room.as_str().into();
        }
    }
    value
}

fn blame(refusal: &Refusal, at: Option<usize>) -> Value {
    assert!(
        !refusal.sentence.is_empty() && refusal.sentence.len() < 200,
        "{refusal}"
    );
    let mut value = json!({ "code": refusal.code.name() });
    if let Some(at) = at {
        value["at"] = at.into();
    }
    if let Some(id) = &refusal.id {
        value["id"] = id.as_str().into();
    }
    if let Some(room_id) = &refusal.room_id {
        value["room_id"] = room_id.as_str().into();
    }
    value
}

fn write(out: &mut Vec<u8>, which: &str, with: &Value) {
    let room = || RoomId::parse(text(&with["room_id"])).expect("a room id");
    let cursors = || {
        with["cursors"]
            .as_array()
            .expect("cursors")
            .iter()
            .map(cursor)
            .collect::<Vec<_>>()
    };
    let flag = |key: &str| with[key].as_bool().expect("a flag");
    match which {
        "connected" => connected(with).write(out),
        "broadcast" => message(out, Kind::Broadcast, with),
        "user" => message(out, Kind::User, with),
        "room" => message(out, Kind::Room(&room()), with),
        "ack" => write_ack(out, text(&with["id"]), &cursors(), flag("duplicate")),
        "published" => write_published(out, text(&with["id"]), &cursors(), flag("duplicate")),
        "joined" => joined(out, &room(), with),
        "presence" => {
            let user = || UserId::parse(text(&with["user_id"])).expect("a user id");
            match text(&with["event"]) {
                "join" => write_presence(out, &room(), PresenceEvent::Join(&user())),
                "leave" => write_presence(out, &room(), PresenceEvent::Leave(&user())),
                _ => {
                    let count = PresenceEvent::Count(number(&with["members"]));
                    write_presence(out, &room(), count);
                }
            }
        }
        "left" => write_left(
            out,
            &room(),
            &cursor(&with["cursor"]),
            number(&with["members"]),
        ),
        "position" => write_position(out, &cursor(&with["cursor"])),
        "gap" => {
            let room = with["room_id"].as_str().map(|_| room());
            let dropped = number(&with["dropped"]);
            write_gap(out, dropped, &cursor(&with["cursor"]), room.as_ref());
        }
        "reset" => write_reset(out, reason(&with["reason"]), &cursor(&with["cursor"])),
        "reconnect" => write_reconnect(out, text(&with["reason"]), number(&with["delay_ms"])),
        "pong" => write_pong(out),
        "error" => {
            let (id, room_id) = (with["id"].as_str(), with["room_id"].as_str());
            write_error(out, code(&with["code"]), text(&with["error"]), id, room_id);
        }
        "http_error" => write_http_error(out, code(&with["code"]), text(&with["error"])),
        other => panic!("no message is called {other}"),
    }
}

fn joined(out: &mut Vec<u8>, room: &RoomId, with: &Value) {
    let texts = |key: &str| with[key].as_array().map(|all| all.iter().map(text));
    let messages = texts("history").map(|all| all.map(str::as_bytes));
    Joined {
        room,
        cursor: &cursor(&with["cursor"]),
        members: number(&with["members"]),
        resumed: with["resumed"].as_bool(),
        users: texts("users"),
        history: messages.zip(with["history_complete"].as_bool()),
    }
    .write(out);
}

fn connected(with: &Value) -> Connected<'_> {
    Connected {
        session_id: text(&with["session_id"]),
        user_id: text(&with["user_id"]),
        timestamp: number(&with["timestamp"]),
        node: text(&with["node"]),
        cursor: text(&with["cursor"]),
        resumed: with["resumed"].as_bool().expect("a flag"),
        pending: number(&with["pending"]).try_into().expect("a small number"),
        missed: number(&with["missed"]),
        degraded: with["degraded"].as_bool().unwrap_or(false),
    }
}

fn message(out: &mut Vec<u8>, kind: Kind<'_>, with: &Value) {
    let (id, from, data) = (text(&with["id"]), text(&with["from"]), text(&with["data"]));
    write_message(
        out,
        kind,
        id,
        with.get("cursor").map(cursor).as_ref(),
        from,
        number(&with["timestamp"]),
        data,
    );
    let hint = server_message::message_bytes_hint(kind, id, from, data);
    assert!(
        out.len() <= hint,
        "{} bytes are over the hint of {hint}",
        out.len()
    );
}

fn cursor(parts: &Value) -> Cursor {
    let part = |key: &str| number(&parts[key]);
    let random = u64::from_str_radix(text(&parts["random"]), 16).expect("hexadecimal");
    Cursor {
        epoch: Epoch {
            ordinal: part("ordinal").try_into().expect("an ordinal"),
            random,
        },
        partition: part("partition").try_into().expect("a partition"),
        offset: Offset {
            major: part("major"),
            minor: part("minor"),
        },
    }
}

fn reason(name: &Value) -> ResetReason {
    let found = [ResetReason::LogLost, ResetReason::NodeBehind]
        .into_iter()
        .find(|reason| Some(reason.name()) == name.as_str());
    found.unwrap_or_else(|| panic!("{name} is no reason for a reset"))
}

fn code(name: &Value) -> ErrorCode {
    let found = ErrorCode::ALL
        .into_iter()
        .find(|code| Some(code.name()) == name.as_str());
    found.unwrap_or_else(|| panic!("{name} is no error code"))
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} should be a string"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} should be a number"))
}
