//! Makes messages of lines, each with an id of its own; what is wrong with a line is told in the server's words.

use std::borrow::Cow;

use serde_json::value::RawValue;
use wshub_client::say;
use wshub_protocol::MessageId;
use wshub_protocol::client_message::{Publish, Refusal, parse_publish};

use super::{Form, Letter, Line};

/// Why a line becomes no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spoiled {
    /// What a server would say of it.
    Refused(Refusal),
    /// It is longer than any message may be.
    TooLong,
    /// It was to be a text.
    NoText,
}

impl std::fmt::Display for Spoiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(Refusal { code, sentence, .. }) => {
                write!(f, "{sentence} ({})", code.name())
            }
            Self::TooLong => f.write_str("longer than any message may be (too_large)"),
            Self::NoText => {
                f.write_str("this is not UTF-8, and all texts are: encode it so (invalid_json)")
            }
        }
    }
}

/// Makes messages in one form.
pub(super) struct Letters {
    form: Form,
    /// What the ids of this run begin with.
    mark: u64,
}

impl Letters {
    pub(super) fn new(form: Form) -> Self {
        let mark = fastrand::u64(..);
        Self { form, mark }
    }

    /// The message that a line makes.
    pub(super) fn letter(&self, number: u64, line: Line) -> Result<Letter, Spoiled> {
        let Line::Whole(line) = line else {
            return Err(Spoiled::TooLong);
        };
        let mut publish = match &self.form.target {
            None => parse_publish(&line).map_err(Spoiled::Refused)?,
            Some(target) => Publish {
                target: target.clone(),
                id: None,
                ephemeral: false,
                to_others: false,
                data: self.data(&line)?.into(),
            },
        };
        publish.ephemeral |= self.form.ephemeral;
        publish.to_others |= self.form.to_others;
        // An id of the line's own is its publisher's business.
        publish.id.get_or_insert_with(|| self.id(number));
        if self.form.target.is_some() {
            // Depth, and size times users, are a matter of the whole message.
            parse_publish(say::publish(&publish).as_bytes()).map_err(Spoiled::Refused)?;
        }
        Ok(Letter {
            line: number,
            publish,
        })
    }

    fn data<'a>(&self, line: &'a [u8]) -> Result<Cow<'a, str>, Spoiled> {
        if self.form.text {
            let text = std::str::from_utf8(line).map_err(|_| Spoiled::NoText)?;
            let text = text.strip_suffix('\r').unwrap_or(text);
            return Ok(Cow::Owned(serde_json::Value::from(text).to_string()));
        }
        match serde_json::from_slice::<&RawValue>(line) {
            Ok(value) => Ok(Cow::Borrowed(value.get())),
            // The same parser says of the same bytes why they are no message either.
            Err(_) => Err(parse_publish(line).map_or_else(Spoiled::Refused, |_| Spoiled::NoText)),
        }
    }

    fn id(&self, number: u64) -> MessageId {
        MessageId::parse(&format!("{:016x}-{number}", self.mark)).expect("digits and a dash")
    }
}

#[cfg(test)]
mod tests {
    use wshub_protocol::RoomId;
    use wshub_protocol::client_message::Target;

    use super::*;

    fn form(target: Option<Target>, text: bool) -> Form {
        Form {
            target,
            text,
            ephemeral: false,
            to_others: false,
        }
    }

    fn made(form: Form, line: &str) -> Result<String, String> {
        let letters = Letters { form, mark: 0xa };
        let letter = letters.letter(7, Line::Whole(line.into()));
        letter
            .map(|letter| say::publish(&letter.publish))
            .map_err(|spoiled| spoiled.to_string())
    }

    fn in_room(text: bool) -> Form {
        form(Some(Target::Room(RoomId::parse("r").unwrap())), text)
    }

    #[test]
    fn a_line_is_a_whole_message_and_is_given_an_id_unless_it_has_one() {
        let whole = form(None, false);
        assert_eq!(
            made(
                whole.clone(),
                r#" {"data": [1, 2] ,"type":"broadcast","id":null} "#
            )
            .unwrap(),
            r#"{"type":"broadcast","id":"000000000000000a-7","data":[1, 2]}"#
        );
        assert_eq!(
            made(
                whole,
                r#"{"type":"user","target_ids":["a"],"data":1e999,"id":"m","to":"others"}"#
            )
            .unwrap(),
            r#"{"type":"user","target_ids":["a"],"id":"m","to":"others","data":1e999}"#
        );
    }

    #[test]
    fn a_line_is_the_data_where_it_is_said_for_whom() {
        let message = r#"{"type":"room","room_id":"r","id":"000000000000000a-7","data":"#;
        assert_eq!(
            made(in_room(false), " {\"a\":\"\\ud800\"}\r").unwrap(),
            format!("{message}{{\"a\":\"\\ud800\"}}}}")
        );
        assert_eq!(
            made(in_room(true), "say \"hi\"\r").unwrap(),
            format!("{message}\"say \\\"hi\\\"\"}}")
        );
    }

    #[test]
    fn a_line_can_t_say_more_than_its_data() {
        for line in [
            r#"1,"type":"broadcast""#,
            r#"1},{"type":"broadcast","data":1"#,
            "hello",
            "",
        ] {
            assert!(
                made(in_room(false), line)
                    .unwrap_err()
                    .ends_with("(invalid_json)"),
                "{line}"
            );
        }
        let deep = "[".repeat(128) + &"]".repeat(128);
        assert!(
            made(in_room(false), &deep)
                .unwrap_err()
                .ends_with("(too_deep)")
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_in_the_server_s_words() {
        let whole = || form(None, false);
        let missing = made(whole(), r#"{"type":"broadcast"}"#).unwrap_err();
        assert_eq!(
            missing,
            "data is missing: send any JSON value, null included (invalid_message)"
        );
        assert!(
            made(whole(), "[1]")
                .unwrap_err()
                .ends_with("(invalid_message)")
        );
        assert!(
            made(whole(), r#"{"type":"ping"}"#)
                .unwrap_err()
                .ends_with("(unknown_type)")
        );
        let letters = Letters::new(in_room(true));
        assert_eq!(
            letters.letter(1, Line::Whole(vec![0xff])).err(),
            Some(Spoiled::NoText)
        );
        assert_eq!(
            letters.letter(1, Line::TooLong).err(),
            Some(Spoiled::TooLong)
        );
    }
}
