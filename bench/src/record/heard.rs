//! What the server says, read without copying it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Any message of the server; which fields are there depends on `kind`.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub struct Heard<'a> {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The message's, or the request's.
    pub id: Option<&'a str>,
    /// A place in the log.
    pub cursor: Option<&'a str>,
    /// The sender.
    pub from: Option<&'a str>,
    /// The room.
    pub room_id: Option<&'a str>,
    /// What the publisher said, byte for byte.
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    /// In `connected`.
    pub session_id: Option<&'a str>,
    /// In `connected`.
    pub resumed: bool,
    /// In `connected`.
    pub missed: u64,
    /// In `ack`.
    pub duplicate: bool,
    /// In `gap`.
    pub dropped: u64,
    /// In `error`.
    pub code: Option<&'a str>,
    /// In `error`: the sentence.
    #[serde(borrow)]
    pub error: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_as_it_came() {
        let text =
            r#"{"type":"room","id":"a","cursor":"1.a:0:1","data":[1, 1.50e3,"\u00e9"],"new":{}}"#;
        let heard: Heard<'_> = serde_json::from_str(text).expect("a message");
        assert_eq!(heard.kind, "room");
        assert_eq!(heard.data.expect("data").get(), r#"[1, 1.50e3,"\u00e9"]"#);
    }
}
