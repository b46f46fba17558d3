//! Ids that cannot be wrong: parsed once, at the door, and trusted from there on.

use std::borrow::Borrow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use triomphe::Arc;

/// The longest user or room id, in bytes.
pub const NAME_BYTES: usize = 128;
/// The longest message id, in characters.
pub const MESSAGE_ID_BYTES: usize = 64;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// It has no character at all.
    Empty,
    /// It has more bytes than its kind may have.
    TooLong,
    /// It holds a character that its kind may not hold.
    BadCharacter,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "is too long",
            Self::BadCharacter => "holds a character that is not allowed",
        })
    }
}

/// A user: 1 to 128 bytes of UTF-8 without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Box<str>);

/// A room: the same rules as a user id. Copies share the text, which is kept
/// without the count of weak references that the standard library's `Arc` has: there may be millions of rooms.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

/// A publisher's name for a message: 1 to 64 characters from `!` to `~` without `:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(Box<str>);

fn check_name(text: &str) -> Result<(), IdError> {
    match text.len() {
        0 => Err(IdError::Empty),
        n if n > NAME_BYTES => Err(IdError::TooLong),
        _ if text.bytes().any(|b| b < 0x20 || b == 0x7f) => Err(IdError::BadCharacter),
        _ => Ok(()),
    }
}

impl UserId {
    /// Checks the rules of a user id.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check_name(text).map(|()| Self(text.into()))
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomId {
    /// Checks the rules of a room id.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check_name(text).map(|()| Self(text.into()))
    }

    /// The same id in memory of its own.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self(Arc::from(&*self.0))
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl MessageId {
    /// Checks the rules of a message id.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.len() {
            0 => Err(IdError::Empty),
            n if n > MESSAGE_ID_BYTES => Err(IdError::TooLong),
            _ if text
                .bytes()
                .any(|b| !(b'!'..=b'~').contains(&b) || b == b':') =>
            {
                Err(IdError::BadCharacter)
            }
            _ => Ok(Self(text.into())),
        }
    }

    /// The id as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One session: 8 random bytes and their hash with the user, a label on the wire and no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// Reads the label by which a client knows its session. Only [`SessionId::text`] of some session is one: 22
    /// characters of URL-safe base64 that spell 16 bytes, without padding and without bits left over. Nothing needs to
    /// know what is wrong with another text, since a client whose label can't be read is just given a fresh one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The decoder wants room for all that 22 characters can hold, though the last bits of them mean nothing.
        let mut bytes = [0; 18];
        if text.len() != 22 || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(16) {
            return None;
        }
        bytes.first_chunk().copied().map(Self)
    }

    /// The 22 characters of URL-safe base64 by which clients know the session.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_128_bytes_and_no_control_characters() {
        assert_eq!(UserId::parse(""), Err(IdError::Empty));
        assert!(UserId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(UserId::parse(&"x".repeat(129)), Err(IdError::TooLong));
        assert_eq!(RoomId::parse(&"é".repeat(65)), Err(IdError::TooLong));
        for bad in ["a\u{0}", "\n", "a\u{1f}", "\u{7f}"] {
            assert_eq!(RoomId::parse(bad), Err(IdError::BadCharacter), "{bad:?}");
        }
        assert!(RoomId::parse("a,b c/ü\u{80}").is_ok());
    }

    #[test]
    fn a_message_id_is_visible_ascii_without_a_colon() {
        assert!(MessageId::parse("0190-abc_!~").is_ok());
        for bad in ["a:b", "a b", "ü", "\u{7f}"] {
            assert_eq!(MessageId::parse(bad), Err(IdError::BadCharacter), "{bad:?}");
        }
        assert_eq!(MessageId::parse(&"x".repeat(65)), Err(IdError::TooLong));
        assert_eq!(MessageId::parse(""), Err(IdError::Empty));
    }

    #[test]
    fn a_session_is_read_only_as_it_is_written() {
        for bytes in [
            [0; 16],
            [0xff; 16],
            *b"\x00\x10\x83\x10QGY\xfb\xef\xbe~\xb6\xdb\xaf\x3e\x7f",
        ] {
            let session = SessionId(bytes);
            assert_eq!(SessionId::parse(&session.text()), Some(session));
        }
        let good = "l2eTLj0KSzgVkjiRE6b6kg";
        assert_eq!(SessionId::parse(good).unwrap().text(), good);
        for bad in [
            "",
            "l2eTLj0KSzgVkjiRE6b6k",
            "l2eTLj0KSzgVkjiRE6b6kgA",
            "l2eTLj0KSzgVkjiRE6b6kg==",
            "l2eTLj0KSzgVkjiRE6b6kh",
            "l2eTLj0KSzgVkjiRE6b6==",
            "+2eTLj0KSzgVkjiRE6b6kg",
            "/2eTLj0KSzgVkjiRE6b6kg",
            " 2eTLj0KSzgVkjiRE6b6kg",
            "ééééééééééé",
        ] {
            assert_eq!(SessionId::parse(bad), None, "{bad:?}");
        }
    }
}
