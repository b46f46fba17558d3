//! The one pass over a message: where the value of each of our keys stands, as the text it was sent in.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::refusal::{Refusal, echo};
use crate::codes::ErrorCode;
use crate::json::nests_deeper_than;

/// The deepest nesting a message may have; its own object is the first level.
const DEEPEST: usize = 128;

/// The keys that mean something in some message. Each may be there once, whatever the message's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Type,
    Data,
    Id,
    TargetIds,
    RoomId,
    To,
    Ephemeral,
    History,
    Presence,
    After,
    Cursor,
    Token,
}

/// The values of our keys, each as its JSON text.
#[derive(Default)]
pub(super) struct Fields<'a> {
    values: [Option<&'a str>; Key::COUNT],
    /// The first key found a second time, as it was spelled.
    twice: Option<&'a str>,
}

/// A JSON value where a string is wanted.
pub(super) enum Text<'a> {
    /// A string, its escapes resolved.
    Unicode(Cow<'a, str>),
    /// A string with a lone surrogate, which no UTF-8 can spell.
    LoneSurrogate,
    /// Some other value.
    NotAString,
}

impl<'a> Fields<'a> {
    /// Reads one message: `text` must be one JSON object with none of our keys twice and no deeper than 128.
    pub(super) fn of_message(text: &'a str) -> Result<Self, Refusal> {
        if nests_deeper_than(text, DEEPEST) {
            return Err(too_deep(text));
        }
        let fields = Self::of_object(text)?;
        match fields.twice {
            None => Ok(fields),
            Some(name) => {
                let sentence = format!("{name} is there twice: send each field once");
                Err(fields.refuse(ErrorCode::InvalidMessage, sentence))
            }
        }
    }

    /// The JSON text of a key's value, without the blanks around it.
    pub(super) fn raw(&self, key: Key) -> Option<&'a str> {
        self.values[key as usize]
    }

    /// A key's value as a string.
    pub(super) fn text(&self, key: Key) -> Option<Text<'a>> {
        self.raw(key).map(Text::of)
    }

    /// A refusal that lets the sender know the message again by its `id` and `room_id`.
    pub(super) fn refuse(&self, code: ErrorCode, sentence: impl Into<String>) -> Refusal {
        let as_sent = |key| match self.text(key) {
            Some(Text::Unicode(text)) => Some(echo(&text)),
            _ => None,
        };
        Refusal {
            id: as_sent(Key::Id),
            room_id: as_sent(Key::RoomId),
            ..Refusal::new(code, sentence)
        }
    }

    fn of_object(text: &'a str) -> Result<Self, Refusal> {
        let what = match text.trim_start_matches(BLANKS).as_bytes().first() {
            Some(b'{') | None => None,
            Some(b'[') => Some("an array"),
            Some(b'"') => Some("a string"),
            Some(_) => Some("a bare value"),
        };
        if let Some(what) = what {
            serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
            let sentence = format!("a message is one JSON object, this is {what}");
            return Err(Refusal::new(ErrorCode::InvalidMessage, sentence));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = json
            .deserialize_map(FieldsVisitor)
            .map_err(|error| not_json(&error))?;
        json.end().map_err(|error| not_json(&error))?;
        Ok(fields)
    }

    fn put(&mut self, key: Key, name: &'a str, value: &'a str) {
        let place = &mut self.values[key as usize];
        if place.is_none() {
            *place = Some(value);
        } else {
            // Only noted: that the rest is JSON at all is the first question.
            self.twice = self.twice.or(Some(name));
        }
    }
}

impl<'a> Text<'a> {
    /// Reads the text of a JSON value that is known to be valid.
    pub(super) fn of(raw: &'a str) -> Self {
        match raw
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            None => Self::NotAString,
            Some(plain) if !plain.contains('\\') => Self::Unicode(Cow::Borrowed(plain)),
            // The text is valid JSON, so the only fault left in a string is half a surrogate pair.
            Some(_) => serde_json::from_str::<String>(raw)
                .map_or(Self::LoneSurrogate, |text| Self::Unicode(Cow::Owned(text))),
        }
    }
}

impl Key {
    const COUNT: usize = Self::Token as usize + 1;

    /// The key that a JSON string spells, with or without escapes.
    fn of(raw: &str) -> Option<Self> {
        let Text::Unicode(name) = Text::of(raw) else {
            return None;
        };
        Some(match &*name {
            "type" => Self::Type,
            "data" => Self::Data,
            "id" => Self::Id,
            "target_ids" => Self::TargetIds,
            "room_id" => Self::RoomId,
            "to" => Self::To,
            "ephemeral" => Self::Ephemeral,
            "history" => Self::History,
            "presence" => Self::Presence,
            "after" => Self::After,
            "cursor" => Self::Cursor,
            "token" => Self::Token,
            _ => return None,
        })
    }
}

/// JSON's white space.
pub(super) const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// The refusal of a text that is no JSON; `serde_json`'s words name the place and quote nothing of the text.
pub(super) fn not_json(error: &serde_json::Error) -> Refusal {
    Refusal::new(ErrorCode::InvalidJson, format!("this is not JSON: {error}"))
}

fn too_deep(text: &str) -> Refusal {
    let sentence = format!(
        "this nests deeper than {DEEPEST} levels: flatten data, or send the inner part as a string"
    );
    // Looking for the id is safe at any depth: serde_json steps over values without recursion,
    // and a test with a small stack holds it to that.
    match Fields::of_object(text) {
        Ok(fields) => fields.refuse(ErrorCode::TooDeep, sentence),
        Err(_) => Refusal::new(ErrorCode::TooDeep, sentence),
    }
}

struct FieldsVisitor;

impl<'a> Visitor<'a> for FieldsVisitor {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields<'a>, A::Error> {
        let mut fields = Fields::default();
        // Keys too are taken as raw text, since one that is not ours may hold a lone surrogate.
        while let Some(name) = map.next_key::<&RawValue>()? {
            match Key::of(name.get()) {
                Some(key) => fields.put(key, name.get(), map.next_value::<&RawValue>()?.get()),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(fields)
    }
}
