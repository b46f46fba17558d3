//! Entries of the log as they stand in the Stream: where they stand, when they came, and what they say.
//!
//! An entry has one field, `e`, since each more would cost a node as much again to read. In it stand, parted by spaces,
//! format, epoch, the number before and Redis' time, which link it to the one before; then what it is, as JSON, up to the
//! end of the line; then a message's data, byte for byte. An entry of a later format keeps the first three words, so that
//! a node which can't read it can step over it.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use wshub_hub::Publication;
use wshub_hub::members::Incarnation;
use wshub_hub::tail::Change;
use wshub_protocol::client_message::{Publish, Target};
use wshub_protocol::{Epoch, MessageId, Offset, RoomId, SessionId, UserId};

/// The format that this node writes.
const FORMAT: &str = "1";

/// An entry of the log.
#[derive(Debug)]
pub struct Entry {
    /// Its place.
    pub place: u64,
    /// Its life of the log.
    pub epoch: Epoch,
    /// When it was appended by Redis' clock, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What it says; none where this node can't read it.
    pub what: Option<What>,
}

/// What an entry says.
#[derive(Debug)]
pub enum What {
    /// A message, and its id.
    Message(String, Box<Publication>),
    /// Users come into rooms of a node, or leave them.
    Members(Incarnation, Vec<Change>),
    /// A node is no more.
    EndOfNode(Incarnation),
    /// A user's connections are to be closed.
    Disconnect(UserId),
    /// A node wants to see that the log takes something and gives it back: its number.
    Canary(Incarnation, u64),
    /// A life of the log begins.
    Opening,
}

/// What an entry is, as it stands in `h`.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Head<'a> {
    #[serde(borrow)]
    k: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    i: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    f: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    r: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    u: Vec<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    x: Cow<'a, str>,
    #[serde(skip_serializing_if = "is_zero")]
    n: u64,
    #[serde(skip_serializing_if = "is_zero")]
    c: u64,
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    m: Vec<(bool, Cow<'a, str>, Cow<'a, str>)>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn written(head: &Head<'_>) -> String {
    serde_json::to_string(head).expect("a head is plain JSON")
}

/// The head of a message that goes by `id`.
#[must_use]
pub fn message_head(id: &str, publication: &Publication) -> String {
    let mut head = Head {
        i: id.into(),
        f: publication.from.as_str().into(),
        ..Head::default()
    };
    head.k = match &publication.publish.target {
        Target::Everybody => "b".into(),
        Target::Users(users) => {
            head.u = users.iter().map(|user| user.as_str().into()).collect();
            "u".into()
        }
        Target::Room(room) => {
            head.r = room.as_str().into();
            "r".into()
        }
    };
    if let Some(except) = &publication.except {
        head.x = except.text().into();
    }
    written(&head)
}

/// The head of an entry that says who comes into rooms and leaves them.
#[must_use]
pub fn members_head(node: Incarnation, changes: &[Change]) -> String {
    let changes = changes.iter().map(|change| {
        let (room, user) = (change.room.as_str(), change.user.as_str());
        (change.is_in, room.into(), user.into())
    });
    written(&Head {
        k: "m".into(),
        n: node,
        m: changes.collect(),
        ..Head::default()
    })
}

/// The head of the entry that ends a node.
#[must_use]
pub fn end_of_node_head(node: Incarnation) -> String {
    written(&Head {
        k: "g".into(),
        n: node,
        ..Head::default()
    })
}

/// The head of an entry that has a user's connections closed.
#[must_use]
pub fn disconnect_head(user: &UserId) -> String {
    written(&Head {
        k: "x".into(),
        u: vec![user.as_str().into()],
        ..Head::default()
    })
}

/// The head of a canary.
#[must_use]
pub fn canary_head(node: Incarnation, number: u64) -> String {
    written(&Head {
        k: "c".into(),
        n: node,
        c: number,
        ..Head::default()
    })
}

/// Whether it is the head of a canary.
pub(crate) fn is_canary(head: &str) -> bool {
    matches!(read_what(head, ""), Some(What::Canary(..)))
}

/// What passes by, for the channel: a line with its head, then its data.
#[must_use]
pub fn passing(id: &str, publication: &Publication) -> Vec<u8> {
    let mut text = message_head(id, publication);
    text.push('\n');
    text.push_str(&publication.publish.data);
    text.into_bytes()
}

/// Reads what passed by on the channel.
#[must_use]
pub fn read_passing(bytes: &[u8]) -> Option<Publication> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, data) = text.split_once('\n')?;
    // Anybody may say something there, and what is no JSON would be none to clients, either.
    serde_json::from_str::<IgnoredAny>(data).ok()?;
    match read_what(head, data)? {
        What::Message(id, mut publication) => {
            publication.publish.id = MessageId::parse(&id).ok();
            Some(*publication)
        }
        _ => None,
    }
}

/// Reads an entry, by its id and its text; none where it isn't one.
#[must_use]
pub fn read(id: &[u8], text: &[u8]) -> Option<Entry> {
    let id = std::str::from_utf8(id).ok()?;
    let (ordinal, number) = id.split_once('-')?;
    let offset = Offset {
        major: ordinal.parse().ok()?,
        minor: number.parse().ok()?,
    };
    let mut words = std::str::from_utf8(text).ok()?.splitn(5, ' ');
    let format = words.next()?;
    let epoch = read_epoch(words.next()?)?;
    // The number before is for people, and for nodes of a version that numbers otherwise.
    words.next()?;
    let unix_ms = words.next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
    let what = words.next().and_then(|said| said.split_once('\n'));
    let place = Some(offset.place()).filter(|&place| place != u64::MAX && offset.minor > 0)?;
    Some(Entry {
        place,
        epoch,
        unix_ms,
        what: what
            .filter(|_| format == FORMAT)
            .and_then(|(head, data)| read_what(head, data)),
    })
}

/// Reads an epoch as its `Display` writes it.
#[must_use]
pub fn read_epoch(text: &str) -> Option<Epoch> {
    let (ordinal, random) = text.split_once('.')?;
    Some(Epoch {
        ordinal: ordinal.parse().ok()?,
        random: u64::from_str_radix(random, 16).ok()?,
    })
}

fn read_what(head: &str, data: &str) -> Option<What> {
    let head: Head<'_> = serde_json::from_str(head).ok()?;
    let user = |text: &str| UserId::parse(text).ok();
    let target = match &*head.k {
        "b" => Target::Everybody,
        "r" => Target::Room(RoomId::parse(&head.r).ok()?),
        "u" => {
            let users: Option<Box<[_]>> = head.u.iter().map(|text| user(text)).collect();
            Target::Users(users.filter(|users| !users.is_empty())?)
        }
        "m" => {
            let changes = head.m.iter().map(|(is_in, room, user)| {
                Some(Change {
                    room: RoomId::parse(room).ok()?,
                    user: UserId::parse(user).ok()?,
                    is_in: *is_in,
                })
            });
            return Some(What::Members(head.n, changes.collect::<Option<_>>()?));
        }
        "g" => return Some(What::EndOfNode(head.n)),
        "x" => return Some(What::Disconnect(user(head.u.first()?)?)),
        "c" => return Some(What::Canary(head.n, head.c)),
        "o" => return Some(What::Opening),
        _ => return None,
    };
    let publication = Publication {
        publish: Publish {
            target,
            // It stands beside the message.
            id: None,
            ephemeral: false,
            to_others: !head.x.is_empty(),
            data: data.into(),
        },
        from: head.f.into_owned(),
        except: SessionId::parse(&head.x),
    };
    Some(What::Message(head.i.into_owned(), Box::new(publication)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_is_taken_only_with_data_that_clients_can_read() {
        let said =
            |data: &str| read_passing(format!("{{\"k\":\"b\",\"i\":\"x\"}}\n{data}").as_bytes());
        let deep = format!("{}1{}", "[".repeat(127), "]".repeat(127));
        for data in ["1e999", r#""\ud800""#, "{\"a\": [1,\n 2]}", &deep] {
            let heard = said(data).unwrap_or_else(|| panic!("{data} is passed over"));
            assert_eq!(&*heard.publish.data, data);
        }
        for data in ["", "hi", "1 2", "{", "1}"] {
            assert!(said(data).is_none(), "{data} is passed on");
        }
    }
}
