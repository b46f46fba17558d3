//! What becomes of messages that a connection is too slow for: by default it is closed; for everybody's messages and
//! for rooms of a pattern the oldest, or all but the newest, may give way instead.

use wshub_protocol::RoomId;
use wshub_protocol::client_message::Target;

/// What is done for a connection whose socket takes no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowPolicy {
    /// Beyond the limits of its outbox it is closed.
    #[default]
    Disconnect,
    /// The oldest messages give way to newer ones.
    Drop,
    /// Only the newest message of a room waits.
    Latest,
}

/// Which policy is for which messages.
#[derive(Clone, Debug, Default)]
pub struct SlowPolicies {
    /// For messages to everybody, and for rooms that no pattern matches.
    pub general: SlowPolicy,
    /// For rooms: the first pattern that matches counts.
    pub rooms: Vec<(Pattern, SlowPolicy)>,
}

/// A pattern of room ids: `*` stands for any characters or none, all else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl SlowPolicies {
    /// Whether any policy lets messages go.
    #[must_use]
    pub fn may_drop(&self) -> bool {
        let mut all = self.rooms.iter().map(|(_, policy)| *policy);
        self.general != SlowPolicy::Disconnect || all.any(|one| one != SlowPolicy::Disconnect)
    }

    /// The policy for messages of a target. Those to users are never dropped.
    #[must_use]
    pub fn of(&self, target: &Target) -> SlowPolicy {
        match target {
            Target::Users(_) => SlowPolicy::Disconnect,
            Target::Everybody => self.general,
            Target::Room(room) => self.of_room(room),
        }
    }

    /// The policy for messages of a room, and for who comes and goes there.
    #[must_use]
    pub fn of_room(&self, room: &RoomId) -> SlowPolicy {
        let mut rooms = self.rooms.iter();
        let own = rooms.find(|(pattern, _)| pattern.matches(room.as_str()));
        own.map_or(self.general, |(_, policy)| *policy)
    }
}

impl Pattern {
    /// A pattern as it is written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether a room's id is one of those meant.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = id.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        // Each part as early as may be: what is left for the later ones is then as long as it can be.
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_all_else_for_itself() {
        let pairs = [
            ("ticks:*", "ticks:", true),
            ("ticks:*", "ticks:eur", true),
            ("ticks:*", "tick", false),
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "abcb", false),
            ("*aa", "aaa", true),
            ("a*a", "a", false),
            ("**", "x", true),
            ("ü*", "über", true),
        ];
        for (pattern, id, matches) in pairs {
            let said = Pattern::new(pattern).matches(id);
            assert_eq!(said, matches, "{pattern} and {id}");
        }
    }
}
