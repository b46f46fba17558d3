//! What is published over HTTP: one message, or an array of them that is taken or refused as a whole.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{BLANKS, Fields, not_json};
use super::{Publish, Refusal, Target, as_text, message_type, publish};
use crate::codes::ErrorCode;

/// The most messages in one array.
pub const BATCH_MESSAGES: usize = 1_000;
/// The most bytes that one message over HTTP may come to, its own times the users it is for.
pub const FAN_OUT_BYTES: usize = 4 << 20;

/// The body of a `POST /publish`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// One message, answered by one result.
    One(Publish),
    /// An array of messages, answered by an array of results.
    Many(Vec<Publish>),
}

/// A body of which nothing is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRefusal {
    /// The place of the message that is to blame, from 0; none where it is the body as a whole.
    pub at: Option<usize>,
    /// What is wrong; of an array's message the sentence says which it is.
    pub refusal: Refusal,
}

/// Reads a body: an array where its first character says so, else one message. A message of over `limit` bytes is
/// too large.
///
/// # Errors
/// What is wrong with the body or with its first wrong message.
pub fn parse_body(bytes: &[u8], limit: usize) -> Result<Body, BatchRefusal> {
    let blank = |byte: &&u8| BLANKS.contains(&char::from(**byte));
    if bytes.iter().find(|byte| !blank(byte)) == Some(&b'[') {
        return parse_publishes(bytes, limit).map(Body::Many);
    }
    as_text(bytes)
        .and_then(|text| publish_within(text.trim_matches(BLANKS), limit))
        .map(Body::One)
        .map_err(|refusal| BatchRefusal { at: None, refusal })
}

/// Reads one message: a `broadcast`, `user` or `room` as a client would send it.
///
/// # Errors
/// What is wrong with it.
pub fn parse_publish(bytes: &[u8]) -> Result<Publish, Refusal> {
    publish_within(as_text(bytes)?, usize::MAX)
}

/// Reads an array of up to 1,000 messages, each of up to `limit` bytes.
///
/// # Errors
/// What is wrong with the array or with its first wrong message.
pub fn parse_publishes(bytes: &[u8], limit: usize) -> Result<Vec<Publish>, BatchRefusal> {
    let whole = |refusal| BatchRefusal { at: None, refusal };
    let text = as_text(bytes).map_err(whole)?;
    let array: Array<'_> =
        serde_json::from_str(text).map_err(|error| whole(no_array(text, &error)))?;
    if array.count > BATCH_MESSAGES {
        let sentence = format!(
            "{} messages are over {BATCH_MESSAGES}: send several arrays",
            array.count
        );
        return Err(whole(Refusal::new(ErrorCode::TooLarge, sentence)));
    }
    let item = |(at, text)| {
        publish_within(text, limit).map_err(|mut refusal| {
            refusal
                .sentence
                .insert_str(0, &format!("message {at} of the array: "));
            BatchRefusal {
                at: Some(at),
                refusal,
            }
        })
    };
    array.items.into_iter().enumerate().map(item).collect()
}

fn publish_within(text: &str, limit: usize) -> Result<Publish, Refusal> {
    const TYPES: &str = "broadcast, user or room";
    if text.len() > limit {
        let sentence = format!(
            "{} bytes are over the limit of {limit} for a message",
            text.len()
        );
        return Err(Refusal::new(ErrorCode::TooLarge, sentence));
    }
    let fields = Fields::of_message(text)?;
    let kind = message_type(&fields, TYPES)?;
    let message = publish(&fields, &kind, TYPES)?;
    match &message.target {
        Target::Users(users) if text.len().saturating_mul(users.len()) > FAN_OUT_BYTES => {
            let (size, count) = (text.len(), users.len());
            let sentence = format!(
                "{size} bytes to {count} users are over {FAN_OUT_BYTES} bytes in all: name fewer users, or use a room"
            );
            Err(fields.refuse(ErrorCode::TooLarge, sentence))
        }
        _ => Ok(message),
    }
}

fn no_array(text: &str, error: &serde_json::Error) -> Refusal {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Refusal::new(
            ErrorCode::InvalidMessage,
            "this is not an array of messages",
        ),
        Err(_) => not_json(error),
    }
}

/// An array's elements as JSON texts: the first 1,000, and how many there are.
struct Array<'a> {
    items: Vec<&'a str>,
    count: usize,
}

impl<'de> Deserialize<'de> for Array<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArrayVisitor)
    }
}

struct ArrayVisitor;

impl<'de> Visitor<'de> for ArrayVisitor {
    type Value = Array<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Array<'de>, A::Error> {
        let mut items = Vec::new();
        let mut count = 0;
        // serde_json steps over each element without recursion, so nesting can wait until the element itself is read.
        while let Some(item) = array.next_element::<&RawValue>()? {
            count += 1;
            if count <= BATCH_MESSAGES {
                items.push(item.get());
            }
        }
        Ok(Array { items, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 512 << 10;

    fn refused(text: &str) -> (Option<usize>, ErrorCode) {
        let refused = parse_body(text.as_bytes(), LIMIT).expect_err("a refusal");
        (refused.at, refused.refusal.code)
    }

    fn array_of(count: usize) -> String {
        format!(
            "[{}]",
            vec![r#"{"type":"broadcast","data":1}"#; count].join(",")
        )
    }

    #[test]
    fn a_thousand_messages_are_taken_and_one_more_is_not() {
        let taken = |count| parse_publishes(array_of(count).as_bytes(), LIMIT).map(|all| all.len());
        assert_eq!(taken(0), Ok(0));
        assert_eq!(taken(1_000), Ok(1_000));
        assert_eq!(refused(&array_of(1_001)), (None, ErrorCode::TooLarge));
    }

    #[test]
    fn the_first_wrong_message_refuses_the_whole_array() {
        let text = r#"[{"type":"broadcast","data":1},{"type":"join","room_id":"r"},7]"#;
        assert_eq!(refused(text), (Some(1), ErrorCode::UnknownType));
        assert_eq!(refused("[[]]"), (Some(0), ErrorCode::InvalidMessage));
        assert_eq!(
            refused(r#"[{"type":"broadcast","data":1},]"#),
            (None, ErrorCode::InvalidJson)
        );
    }

    #[test]
    fn a_message_has_a_limit_and_so_has_what_it_comes_to() {
        let message = |bytes: usize, users: usize| {
            let users: Vec<String> = (0..users).map(|n| format!("\"u{n}\"")).collect();
            let text = format!(
                r#"{{"type":"user","target_ids":[{}],"data":""}}"#,
                users.join(",")
            );
            let filler = "x".repeat(bytes - text.len());
            text.replace(r#""data":"""#, &format!(r#""data":"{filler}""#))
        };
        let taken = |text: &str| parse_body(text.as_bytes(), LIMIT).is_ok();
        assert!(taken(&format!("  {}\n", message(LIMIT, 8))));
        assert_eq!(refused(&message(LIMIT, 9)), (None, ErrorCode::TooLarge));
        assert_eq!(refused(&message(LIMIT + 1, 1)), (None, ErrorCode::TooLarge));
        assert_eq!(
            refused(&format!("[{}]", message(LIMIT + 1, 1))),
            (Some(0), ErrorCode::TooLarge)
        );
        assert!(taken(&format!(
            "[{},{}]",
            message(LIMIT, 1),
            message(FAN_OUT_BYTES / 100, 100)
        )));
    }
}
