//! Why a client's message was refused, in words that its author can act on.

use std::fmt;

use crate::codes::ErrorCode;
use crate::ids::NAME_BYTES;

/// A message that was not taken: what the `error` message says, as far as the message itself is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code that programs act on.
    pub code: ErrorCode,
    /// What is wrong and what to do, for people.
    pub sentence: String,
    /// The message's `id` as it was sent, its first 128 bytes, where it is a string.
    pub id: Option<String>,
    /// The message's `room_id`, likewise.
    pub room_id: Option<String>,
}

impl Refusal {
    /// A refusal of something that names no id and no room.
    #[must_use]
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
            id: None,
            room_id: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.sentence)
    }
}

impl std::error::Error for Refusal {}

/// As much of a peer's text as is sent back so that the peer knows its own request again.
pub(super) fn echo(text: &str) -> String {
    start(text, NAME_BYTES).to_owned()
}

/// As much of a peer's text as a sentence shows, in quotes and with control characters escaped.
pub(super) fn excerpt(text: &str) -> String {
    const EXCERPT_BYTES: usize = 32;
    let shown = start(text, EXCERPT_BYTES);
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}

/// At most `bytes` bytes of `text`, ending between two characters.
fn start(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_ends_between_two_characters() {
        assert_eq!(echo("a"), "a");
        assert_eq!(echo(&"é".repeat(100)), "é".repeat(64));
        assert_eq!(echo(&("x".to_owned() + &"é".repeat(100))).len(), 127);
    }

    #[test]
    fn an_excerpt_is_short_and_forges_nothing() {
        assert_eq!(excerpt("news\n\""), r#""news\n\"""#);
        assert_eq!(
            excerpt(&"x".repeat(1000)),
            format!("\"{}\"…", "x".repeat(32))
        );
    }
}
