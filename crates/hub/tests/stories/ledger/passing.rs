//! What a client may have heard of messages that only pass by.

use wshub_protocol::client_message::Target;

use super::is_as_published;
use crate::world::{Entry, Said};

/// What has passed by a client.
#[derive(Default)]
pub(super) struct Passing<'a> {
    passed: &'a [Entry],
    /// How many of them were settled.
    settled: usize,
    user: String,
    session: Option<String>,
}

impl<'a> Passing<'a> {
    pub(super) fn of(passed: &'a [Entry]) -> Self {
        Self {
            passed,
            ..Self::default()
        }
    }

    pub(super) fn begin(&mut self, user: &str, session: Option<String>) {
        (self.user, self.session) = (user.to_owned(), session);
    }

    /// Takes one that was heard: it was for this client, and comes once, behind all heard before.
    pub(super) fn hear(&mut self, said: &Said, is_in: impl Fn(&str) -> bool) {
        let rest = self.passed.iter().enumerate().skip(self.settled);
        let found = rest
            .into_iter()
            .find(|(_, entry)| entry.data == said.data());
        let (at, entry) = found.unwrap_or_else(|| panic!("{} heard {said:?}", self.user));
        self.settled = at + 1;
        is_as_published(said, entry);
        let is_theirs = match &entry.target {
            Target::Everybody => true,
            Target::Users(_) => entry.is_to(&self.user),
            Target::Room(room) => is_in(room.as_str()),
        };
        assert!(
            is_theirs && entry.is_for(self.session.as_deref()),
            "{} heard {said:?}",
            self.user
        );
    }
}
