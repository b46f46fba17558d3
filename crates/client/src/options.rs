//! What an application asks for when it connects.

use std::fmt;

use wshub_protocol::ids::IdError;
use wshub_protocol::{RoomId, SessionId, UserId};

use crate::core::{Places, Wish};
use crate::limits::MESSAGE_BYTES;

/// Who connects, and with what it begins. Made by [`Options::user`] or [`Options::token`].
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) identity: Identity,
    pub(crate) rooms: Vec<(RoomId, Wish)>,
    pub(crate) acknowledges: bool,
    pub(crate) session: Option<SessionId>,
    pub(crate) after: Option<Places>,
    pub(crate) message_bytes: usize,
}

/// How the hub learns who this is.
#[derive(Clone)]
pub(crate) enum Identity {
    User(UserId),
    Token(String),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            // A token is a secret.
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

/// Why options are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsError {
    /// The user's or a room's id breaks the rules.
    Id(IdError),
    /// The token is empty or can't stand in a header.
    Token,
    /// The place isn't one that a server has named.
    Place,
    /// More of a room's history than the 100 messages that a server gives.
    History,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(error) => write!(f, "an id {error}"),
            Self::Token => f.write_str("a token is one or more visible characters of ASCII"),
            Self::Place => f.write_str(
                "a place is one or more cursors as a server has written them, comma-separated",
            ),
            Self::History => f.write_str("a room gives at most 100 messages of its history"),
        }
    }
}

impl std::error::Error for OptionsError {}

impl From<IdError> for OptionsError {
    fn from(error: IdError) -> Self {
        Self::Id(error)
    }
}

impl Options {
    /// Connects as this user, to a hub that trusts what it is told.
    ///
    /// # Errors
    /// Where the id breaks the rules.
    pub fn user(id: &str) -> Result<Self, OptionsError> {
        Ok(Self::of(Identity::User(UserId::parse(id)?)))
    }

    /// Connects with a token.
    ///
    /// # Errors
    /// Where it can't be one.
    pub fn token(token: &str) -> Result<Self, OptionsError> {
        Ok(Self::of(Identity::Token(check_token(token)?)))
    }

    fn of(identity: Identity) -> Self {
        Self {
            identity,
            rooms: Vec::new(),
            acknowledges: false,
            session: None,
            after: None,
            message_bytes: MESSAGE_BYTES,
        }
    }

    /// Is in this room from the beginning.
    ///
    /// # Errors
    /// Where the id breaks the rules.
    pub fn room(self, id: &str) -> Result<Self, OptionsError> {
        self.room_with(id, None, false)
    }

    /// Is in this room from the beginning, and is given so many of its last messages, and told who comes and goes.
    ///
    /// # Errors
    /// Where the id breaks the rules, or more than 100 messages are asked for.
    pub fn room_with(
        mut self,
        id: &str,
        history: Option<u8>,
        presence: bool,
    ) -> Result<Self, OptionsError> {
        let wish = Wish {
            history,
            presence,
            after: None,
        };
        check_history(&wish)?;
        self.rooms.push((RoomId::parse(id)?, wish));
        Ok(self)
    }

    /// Acknowledges messages to its user itself, by [`Client::acknowledge`](crate::Client::acknowledge): until then they
    /// wait in the user's queue. Without this the client answers the server's pings, which says no more than that the
    /// messages have reached this process.
    #[must_use]
    pub fn acknowledging(mut self) -> Self {
        self.acknowledges = true;
        self
    }

    /// Goes on from a place that an earlier process kept, see [`Events::place`](crate::Events::place).
    ///
    /// # Errors
    /// Where it isn't one.
    pub fn after(mut self, place: &str) -> Result<Self, OptionsError> {
        self.after = Some(read_place(place)?);
        Ok(self)
    }

    /// Goes on under the label of an earlier process's session; one that can't be read is passed over.
    #[must_use]
    pub fn session(mut self, label: &str) -> Self {
        self.session = SessionId::parse(label);
        self
    }

    /// How large a message may be where the hub's `limits.message_bytes` isn't at its default.
    #[must_use]
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        self.message_bytes = bytes;
        self
    }
}

pub(crate) fn check_history(wish: &Wish) -> Result<(), OptionsError> {
    let most = wshub_protocol::client_message::HISTORY_MESSAGES;
    match wish.history {
        Some(messages) if messages > most => Err(OptionsError::History),
        _ => Ok(()),
    }
}

pub(crate) fn check_token(token: &str) -> Result<String, OptionsError> {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~');
    match token {
        "" => Err(OptionsError::Token),
        _ if token.bytes().all(visible) => Ok(token.to_owned()),
        _ => Err(OptionsError::Token),
    }
}

pub(crate) fn read_place(text: &str) -> Result<Places, OptionsError> {
    Places::read(text).ok_or(OptionsError::Place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_right_or_there_are_none() {
        assert_eq!(
            Options::user("").unwrap_err(),
            OptionsError::Id(IdError::Empty)
        );
        assert_eq!(Options::token("a b").unwrap_err(), OptionsError::Token);
        let ann = Options::user("ann").unwrap();
        assert_eq!(
            ann.clone().after("yesterday").unwrap_err(),
            OptionsError::Place
        );
        assert_eq!(
            ann.clone().room("\n").unwrap_err(),
            OptionsError::Id(IdError::BadCharacter)
        );
        assert_eq!(
            ann.room_with("r", Some(101), false).unwrap_err(),
            OptionsError::History
        );
    }

    #[test]
    fn a_token_is_not_printed() {
        let options = Options::token("a.secret.token").unwrap();
        assert!(!format!("{options:?}").contains("secret"));
    }
}
