//! What was heard before the log lost it: a publisher that tries again puts the same message into the log's next life,
//! and whoever had it already is spared the second one.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::message::Message;
use crate::time::Now;

/// How long a publisher may try again, in milliseconds: as long as ids are remembered where nobody says otherwise.
const REMEMBERED_MS: u64 = 5 * 60 * 1000;

/// Messages of a life of the log that is over, by publisher and id.
#[derive(Default)]
pub(super) struct Heard {
    /// When each was given to those who were there then, in milliseconds.
    at_ms: HashMap<u64, u64>,
    until_ms: u64,
}

impl Heard {
    /// Remembers what was given while the log lived the life that is over now.
    pub(super) fn remember<'a>(
        &mut self,
        now: Now,
        given: impl Iterator<Item = (u64, &'a Message)>,
    ) {
        self.forget(now);
        self.until_ms = now.elapsed_ms + REMEMBERED_MS;
        for (at_ms, message) in given {
            if let Some(name) = name_of(message.frame.json()) {
                self.at_ms.entry(name).or_insert(at_ms);
            }
        }
    }

    /// Forgets what nobody will say again.
    pub(super) fn forget(&mut self, now: Now) {
        if self.until_ms <= now.elapsed_ms && !self.at_ms.is_empty() {
            *self = Self::default();
        }
    }

    /// When a message was given before, as its text names it.
    pub(super) fn when(&self, json: &[u8]) -> Option<u64> {
        if self.at_ms.is_empty() {
            return None;
        }
        self.at_ms.get(&name_of(json)?).copied()
    }
}

/// A hash of a message's publisher and id, read from its text, in which `cursor` may stand between them.
fn name_of(json: &[u8]) -> Option<u64> {
    let id = string_behind(json, br#""id":"#)?;
    let rest = &json[id.1..];
    let rest = match string_behind(rest, br#","cursor":"#) {
        Some((_, end)) => &rest[end..],
        None => rest,
    };
    let from = string_behind(rest, br#","from":"#)?;
    Some(FixedState::with_seed(0).hash_one((id.0, from.0)))
}

/// The JSON string behind a key within the first bytes of a text, and where it ends.
fn string_behind<'a>(json: &'a [u8], key: &[u8]) -> Option<(&'a [u8], usize)> {
    /// The key stands behind the type at the latest.
    const TYPE_BYTES: usize = 24;
    let first = json.len().min(TYPE_BYTES + key.len());
    let start = json[..first]
        .windows(key.len())
        .position(|some| some == key)?
        + key.len();
    let mut end = start + 1;
    while *json.get(end)? != b'"' {
        end += if json[end] == b'\\' { 2 } else { 1 };
    }
    Some((&json[start..=end], end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_again_by_publisher_and_id_wherever_it_stands() {
        let said = |id: &str, cursor: &str, from: &str| {
            let json = format!(
                r#"{{"type":"room","id":{id}{cursor},"from":{from},"timestamp":1,"data":1}}"#
            );
            name_of(json.as_bytes()).expect("a name")
        };
        let first = said(r#""a""#, r#","cursor":"1.beef:0:1-7""#, r#""ann""#);
        assert_eq!(
            said(r#""a""#, r#","cursor":"2.cafe:0:2-3""#, r#""ann""#),
            first
        );
        assert_eq!(said(r#""a""#, "", r#""ann""#), first);
        assert_ne!(said(r#""b""#, "", r#""ann""#), first);
        assert_ne!(said(r#""a""#, "", r#""bob""#), first);
        assert_ne!(
            said(r#""a\"""#, "", r#""ann""#),
            said(r#""a\\""#, "", r#""ann""#)
        );
    }

    #[test]
    fn a_text_of_another_form_has_no_name() {
        for json in [
            "",
            "{}",
            r#"{"type":"room","id":"a"#,
            r#"{"type":"room","id":"a\"#,
        ] {
            assert_eq!(name_of(json.as_bytes()), None, "{json}");
        }
    }
}
