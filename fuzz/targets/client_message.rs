//! Client messages: what is taken is JSON that serde_json takes too, `data` is a piece of what was sent
//! and means the same when sent again, and the socket and HTTP read a message alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use wshub_protocol::client_message::{
    Body, ClientMessage, HISTORY_MESSAGES, Publish, Refusal, Target, parse, parse_body,
    parse_publish, parse_publishes,
};
use wshub_protocol::{After, Cursor, ErrorCode};

/// Far beyond what libFuzzer sends, so that only the contract's own bounds refuse.
const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(bytes);
    match &parsed {
        Ok(message) => taken(bytes, message),
        Err(refusal) => refused(bytes, refusal),
    }
    // Over HTTP the same message is read the same, alone and in an array.
    let published = parse_publish(bytes);
    if let Ok(message) = &published {
        assert_eq!(parsed, Ok(ClientMessage::Publish(message.clone())));
        let array = [b"[", bytes, b"]"].concat();
        assert_eq!(parse_publishes(&array, LIMIT), Ok(vec![message.clone()]));
        assert_eq!(parse_body(bytes, LIMIT), Ok(Body::One(message.clone())));
    } else if !matches!(parsed, Ok(ClientMessage::Publish(_))) {
        assert!(!matches!(parse_body(bytes, LIMIT), Ok(Body::One(_))));
    }
});

fn taken(bytes: &[u8], message: &ClientMessage) {
    let text = str::from_utf8(bytes).expect("what is taken is UTF-8");
    assert!(
        serde_json::from_str::<IgnoredAny>(text).is_ok(),
        "what is taken is JSON"
    );
    if let ClientMessage::Publish(message) = message {
        assert!(
            text.contains(&*message.data),
            "data is a piece of what was sent"
        );
        assert!(serde_json::from_str::<IgnoredAny>(&message.data).is_ok());
        assert_eq!(
            parse(sent_again(message).as_bytes()),
            Ok(ClientMessage::Publish(message.clone()))
        );
    }
    // A reader that keeps the values sees the same; it can't read all that we can (numbers beyond f64,
    // lone surrogates), and of a key that is none of ours twice it keeps the last.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let (kind, room) = match message {
            ClientMessage::Publish(Publish {
                target: Target::Everybody,
                ..
            }) => ("broadcast", None),
            ClientMessage::Publish(Publish {
                target: Target::Users(_),
                ..
            }) => ("user", None),
            ClientMessage::Publish(Publish {
                target: Target::Room(room),
                ..
            }) => ("room", Some(room)),
            ClientMessage::Join { room, .. } => ("join", Some(room)),
            ClientMessage::Leave { room } => ("leave", Some(room)),
            ClientMessage::Ack { .. } => ("ack", None),
            ClientMessage::Ping => ("ping", None),
        };
        assert_eq!(value["type"], kind);
        if let Some(room) = room {
            assert_eq!(value["room_id"], room.as_str());
        }
        match message {
            ClientMessage::Ack { cursors } => assert_eq!(value["cursor"], listed(cursors)),
            ClientMessage::Join { wish, .. } => {
                if let Some(After::Places(places)) = &wish.after {
                    assert_eq!(value["after"], listed(places));
                }
                assert_eq!(value["presence"] == true, wish.presence);
                if let Some(history) = wish.history {
                    assert!(history <= HISTORY_MESSAGES && value["history"] == history);
                }
            }
            ClientMessage::Publish(message) => {
                assert_eq!(value["ephemeral"] == true, message.ephemeral);
                assert_eq!(value["to"] == "others", message.to_others);
            }
            _ => {}
        }
    }
}

/// Cursors as they must have been sent: there is one way to write each.
fn listed(cursors: &[Cursor]) -> String {
    let texts: Vec<String> = cursors.iter().map(Cursor::to_string).collect();
    texts.join(",")
}

fn refused(bytes: &[u8], refusal: &Refusal) {
    assert!(refusal.sentence.len() < 400, "{refusal}");
    assert!(
        !refusal.sentence.contains(char::is_control),
        "a forged line: {refusal}"
    );
    for echoed in [&refusal.id, &refusal.room_id].into_iter().flatten() {
        assert!(echoed.len() <= 128);
    }
    let is_json =
        str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match refusal.code {
        ErrorCode::InvalidJson => assert!(!is_json, "{refusal}"),
        // Nesting is measured before anything else is read.
        ErrorCode::TooDeep => assert!(bytes.len() > 128),
        ErrorCode::InvalidMessage | ErrorCode::UnknownType | ErrorCode::BadCursor => {
            assert!(is_json, "{refusal}");
        }
        other => panic!("{other:?} is no way to refuse a message"),
    }
}

fn sent_again(message: &Publish) -> String {
    let quoted = |text: &str| serde_json::to_string(text).expect("text can be written");
    let target = match &message.target {
        Target::Everybody => r#""type":"broadcast""#.to_owned(),
        Target::Room(room) => format!(r#""type":"room","room_id":{}"#, quoted(room.as_str())),
        Target::Users(users) => {
            let users: Vec<_> = users.iter().map(|user| quoted(user.as_str())).collect();
            format!(r#""type":"user","target_ids":[{}]"#, users.join(","))
        }
    };
    let id = message
        .id
        .as_ref()
        .map_or("null".to_owned(), |id| quoted(id.as_str()));
    let to = if message.to_others { "others" } else { "all" };
    let ephemeral = message.ephemeral;
    format!(
        r#"{{{target},"id":{id},"to":"{to}","ephemeral":{ephemeral},"data":{}}}"#,
        message.data
    )
}
