//! Repeats of a publish: which ids were seen lately, of whom, with which content.
//!
//! An id is remembered for the whole window; when the memory for ids is full no new one is taken, and none is forgotten
//! early. So "no second effect within the window" holds whatever anybody publishes.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use wshub_protocol::client_message::{Publish, Target};
use xxhash_rust::xxh3::Xxh3;

/// What an id is remembered for.
#[derive(Clone, Copy, Debug)]
pub struct DedupeLimits {
    /// How long, in milliseconds.
    pub window_ms: u64,
    /// How much memory all ids together may take, in bytes.
    pub bytes: usize,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it may be published.
    Never,
    /// The same was published at this place of the log.
    Before(u64),
    /// Something else was published under it.
    WithOtherContent,
    /// Nothing, but no further id can be remembered now.
    NoRoom,
}

/// A publish by its id: whose it is, what it is, and what it says.
#[derive(Debug)]
pub struct Fingerprint {
    /// Publisher and id; neither can hold the byte between them.
    name: Box<[u8]>,
    content: u128,
}

impl Fingerprint {
    /// The fingerprint of a publish that has an id. `from` is empty for the API's publishers, who share a namespace.
    #[must_use]
    pub fn of(from: &str, publish: &Publish) -> Option<Self> {
        let id = publish.id.as_ref()?.as_str();
        let mut name = Vec::with_capacity(from.len() + 1 + id.len());
        name.extend_from_slice(from.as_bytes());
        name.push(0);
        name.extend_from_slice(id.as_bytes());
        Some(Self {
            name: name.into(),
            content: content_of(publish),
        })
    }

    /// A hash of what it says.
    #[must_use]
    pub fn content(&self) -> u128 {
        self.content
    }
}

/// A hash of type, distinct targets in their order or the room, and the bytes of `data`.
fn content_of(publish: &Publish) -> u128 {
    let mut hash = Xxh3::new();
    match &publish.target {
        Target::Everybody => hash.update(&[0]),
        Target::Room(room) => {
            hash.update(&[1]);
            hash.update(room.as_str().as_bytes());
        }
        Target::Users(users) => {
            hash.update(&[2]);
            for user in users {
                hash.update(user.as_str().as_bytes());
                hash.update(&[0]);
            }
        }
    }
    hash.update(&[0]);
    hash.update(publish.data.as_bytes());
    hash.digest128()
}

struct Entry {
    fingerprint: Fingerprint,
    offset: u64,
    until_ms: u64,
}

/// What an id takes beside its name, in bytes: its entry, its place in the table and the allocator's share.
const ENTRY_BYTES: usize = 96;

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.fingerprint.name.len()
    }
}

/// The ids of a log.
pub struct Dedupe {
    limits: DedupeLimits,
    /// Oldest first; all live equally long, so the oldest is the first to go.
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    base: u64,
    by_name: HashTable<u64>,
    hasher: FixedState,
    bytes: usize,
}

impl Dedupe {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(limits: DedupeLimits, seed: u64) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            base: 0,
            by_name: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            bytes: 0,
        }
    }

    /// Ids remembered, and the bytes they take.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// What is known of an id at this moment.
    pub fn look_up(&mut self, now_ms: u64, fingerprint: &Fingerprint) -> Seen {
        self.forget(now_ms);
        let hash = self.hasher.hash_one(&fingerprint.name);
        let found = self.by_name.find(hash, |&number| {
            self.at(number).fingerprint.name == fingerprint.name
        });
        match found.map(|&number| self.at(number)) {
            Some(entry) if entry.fingerprint.content == fingerprint.content => {
                Seen::Before(entry.offset)
            }
            Some(_) => Seen::WithOtherContent,
            None if self.bytes >= self.limits.bytes => Seen::NoRoom,
            None => Seen::Never,
        }
    }

    /// Remembers a publish that is now in the log at `offset`.
    pub fn remember(&mut self, now_ms: u64, fingerprint: Fingerprint, offset: u64) {
        let hash = self.hasher.hash_one(&fingerprint.name);
        let entry = Entry {
            fingerprint,
            offset,
            until_ms: now_ms + self.limits.window_ms,
        };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        let number = self.base + self.entries.len() as u64 - 1;
        let (entries, base, hasher) = (&self.entries, self.base, &self.hasher);
        let hash_at =
            |&number: &u64| hasher.hash_one(&entries[(number - base) as usize].fingerprint.name);
        self.by_name.insert_unique(hash, number, hash_at);
    }

    /// Forgets what is older than the window.
    pub fn forget(&mut self, now_ms: u64) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.until_ms <= now_ms)
        {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            let (hash, number) = (self.hasher.hash_one(&entry.fingerprint.name), self.base);
            if let Ok(found) = self.by_name.find_entry(hash, |&other| other == number) {
                found.remove();
            }
            self.base += 1;
            self.bytes -= entry.bytes();
        }
    }

    fn at(&self, number: u64) -> &Entry {
        &self.entries[(number - self.base) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wshub_protocol::client_message::parse_publish;

    fn publish(json: &str) -> Publish {
        parse_publish(json.as_bytes()).expect("a publish in the contract's form")
    }

    fn said(from: &str, json: &str) -> Fingerprint {
        Fingerprint::of(from, &publish(json)).expect("it has an id")
    }

    fn dedupe(bytes: usize) -> Dedupe {
        Dedupe::new(
            DedupeLimits {
                window_ms: 1000,
                bytes,
            },
            7,
        )
    }

    const HELLO: &str = r#"{"type":"broadcast","id":"a","data":"hello"}"#;

    #[test]
    fn a_repeat_within_the_window_is_known_by_its_place_and_later_it_is_new() {
        let mut ids = dedupe(10_000);
        assert_eq!(ids.look_up(0, &said("ann", HELLO)), Seen::Never);
        ids.remember(0, said("ann", HELLO), 5);
        assert_eq!(ids.look_up(999, &said("ann", HELLO)), Seen::Before(5));
        assert_eq!(ids.look_up(1000, &said("ann", HELLO)), Seen::Never);
        assert_eq!(ids.depth(), (0, 0));
    }

    #[test]
    fn each_publisher_has_ids_of_their_own() {
        let mut ids = dedupe(10_000);
        ids.remember(0, said("ann", HELLO), 5);
        assert_eq!(ids.look_up(1, &said("bob", HELLO)), Seen::Never);
        assert_eq!(ids.look_up(1, &said("", HELLO)), Seen::Never);
    }

    #[test]
    fn another_type_target_order_or_spelling_of_data_is_other_content() {
        let mut ids = dedupe(10_000);
        ids.remember(
            0,
            said(
                "ann",
                r#"{"type":"user","target_ids":["x","y"],"id":"a","data":[1]}"#,
            ),
            5,
        );
        let others = [
            HELLO,
            r#"{"type":"room","room_id":"x","id":"a","data":[1]}"#,
            r#"{"type":"user","target_ids":["y","x"],"id":"a","data":[1]}"#,
            r#"{"type":"user","target_ids":["x","y"],"id":"a","data":[ 1]}"#,
        ];
        for other in others {
            assert_eq!(
                ids.look_up(1, &said("ann", other)),
                Seen::WithOtherContent,
                "{other}"
            );
        }
        let same = r#"{"id":"a","data":[1],"target_ids":["x","x","y"],"type":"user"}"#;
        assert_eq!(ids.look_up(1, &said("ann", same)), Seen::Before(5));
    }

    #[test]
    fn a_full_memory_takes_no_new_id_and_forgets_none() {
        let mut ids = dedupe(1000);
        let mut taken = 0;
        let json = |n: u64| format!(r#"{{"type":"broadcast","id":"id{n}","data":1}}"#);
        while ids.look_up(0, &said("ann", &json(taken))) == Seen::Never {
            ids.remember(0, said("ann", &json(taken)), taken);
            taken += 1;
        }
        assert!(
            (5..20).contains(&taken),
            "{taken} ids of about 100 bytes fit into 1000"
        );
        assert_eq!(ids.look_up(999, &said("ann", &json(taken))), Seen::NoRoom);
        assert_eq!(ids.look_up(999, &said("ann", &json(0))), Seen::Before(0));
        assert_eq!(ids.look_up(1000, &said("ann", &json(taken))), Seen::Never);
    }
}
