//! The users a message is for: an array of ids in which repeats count once.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::Text;
use crate::ids::{IdError, UserId};

/// The most users one message may be for.
pub(super) const TARGETS: usize = 100;

/// Why a value is no list of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetsError {
    NotAnArray,
    Empty,
    TooMany,
    /// The element at this place is not a string.
    NotAString(usize),
    /// The element at this place is a string, but no user id.
    NotAUser(usize, IdError),
}

/// Reads the JSON text of `target_ids`, which is known to be valid JSON: the distinct users in their order.
pub(super) fn parse_targets(raw: &str) -> Result<Box<[UserId]>, TargetsError> {
    if !raw.starts_with('[') {
        return Err(TargetsError::NotAnArray);
    }
    serde_json::from_str::<Targets>(raw).map_or(Err(TargetsError::NotAnArray), |targets| targets.0)
}

impl fmt::Display for TargetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArray => write!(f, "target_ids must be an array of 1 to {TARGETS} user ids"),
            Self::Empty => write!(
                f,
                "target_ids is empty: name 1 to {TARGETS} users, or use broadcast"
            ),
            Self::TooMany => write!(
                f,
                "target_ids has over {TARGETS} users: send several messages, or use a room"
            ),
            Self::NotAString(at) => write!(f, "target_ids[{at}] must be a string: a user id"),
            Self::NotAUser(at, error) => {
                write!(
                    f,
                    "target_ids[{at}] {error}: use 1 to 128 bytes without control characters"
                )
            }
        }
    }
}

struct Targets(Result<Box<[UserId]>, TargetsError>);

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TargetsVisitor)
    }
}

struct TargetsVisitor;

impl<'de> Visitor<'de> for TargetsVisitor {
    type Value = Targets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of user ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Targets, A::Error> {
        let mut users = DistinctUsers::new();
        let mut at = 0;
        while let Some(element) = array.next_element::<&RawValue>()? {
            if let Err(error) = users.add(at, element.get()) {
                // A visitor has to read to the end, or serde_json would see trailing characters.
                while array.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Targets(Err(error)));
            }
            at += 1;
        }
        Ok(Targets(if at == 0 {
            Err(TargetsError::Empty)
        } else {
            Ok(users.list.into_boxed_slice())
        }))
    }
}

/// Users in the order they were named, with an index sorted by id: a repeat is found in seven comparisons, so that
/// 100,000 repeats of 100 users cost next to nothing.
struct DistinctUsers {
    list: Vec<UserId>,
    sorted: [u8; TARGETS],
}

impl DistinctUsers {
    fn new() -> Self {
        // Most messages are for one user: a capacity of one makes the list its own exact allocation.
        Self {
            list: Vec::with_capacity(1),
            sorted: [0; TARGETS],
        }
    }

    fn add(&mut self, at: usize, raw: &str) -> Result<(), TargetsError> {
        let not_a_user = |error| TargetsError::NotAUser(at, error);
        let name = match Text::of(raw) {
            Text::Unicode(name) => name,
            Text::LoneSurrogate => return Err(not_a_user(IdError::BadCharacter)),
            Text::NotAString => return Err(TargetsError::NotAString(at)),
        };
        let count = self.list.len();
        let compare =
            |&place: &u8| -> Ordering { self.list[usize::from(place)].as_str().cmp(&name) };
        let Err(place) = self.sorted[..count].binary_search_by(compare) else {
            return Ok(());
        };
        let user = UserId::parse(&name).map_err(not_a_user)?;
        if count == TARGETS {
            return Err(TargetsError::TooMany);
        }
        self.sorted.copy_within(place..count, place + 1);
        self.sorted[place] = u8::try_from(count).expect("100 targets fit a byte");
        self.list.push(user);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &str) -> Result<Vec<String>, TargetsError> {
        parse_targets(raw).map(|users| users.iter().map(|user| user.as_str().to_owned()).collect())
    }

    fn numbered(count: usize) -> Vec<String> {
        // 7 and 100 share no factor: every number once, in an order that is not sorted.
        (0..count)
            .map(|n| format!("u{}", n * 7 % count.max(1)))
            .collect()
    }

    #[test]
    fn repeats_count_once_and_the_first_keeps_its_place() {
        assert_eq!(
            names(r#"["b","a","b","\u0061","c","a"]"#).unwrap(),
            ["b", "a", "c"]
        );
    }

    #[test]
    fn a_hundred_users_repeated_a_thousand_times_are_a_hundred_users() {
        let hundred = numbered(100);
        let all: Vec<String> = hundred.iter().cycle().take(100_000).cloned().collect();
        assert_eq!(
            names(&serde_json::to_string(&all).unwrap()).unwrap(),
            hundred
        );
        let one_more = serde_json::to_string(&numbered(101)).unwrap();
        assert_eq!(names(&one_more), Err(TargetsError::TooMany));
    }

    #[test]
    fn what_is_no_list_of_users_says_where_it_is_not() {
        assert_eq!(names("null"), Err(TargetsError::NotAnArray));
        assert_eq!(names(r#""ann""#), Err(TargetsError::NotAnArray));
        assert_eq!(names("[ ]"), Err(TargetsError::Empty));
        assert_eq!(names(r#"["a",7,8]"#), Err(TargetsError::NotAString(1)));
        assert_eq!(
            names(r#"["a",["b"],"c"]"#),
            Err(TargetsError::NotAString(1))
        );
        assert_eq!(
            names(r#"["a","","b"]"#),
            Err(TargetsError::NotAUser(1, IdError::Empty))
        );
        assert_eq!(
            names(r#"["\ud800"]"#),
            Err(TargetsError::NotAUser(0, IdError::BadCharacter))
        );
    }
}
