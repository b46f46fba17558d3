//! This node's tail of the log: what was said lately, and which shards are to hear what comes.
//!
//! All that must have a place in the log goes through here, one after the other: messages, and the moments at which a
//! connection begins to listen, joins a room or leaves it. Each shard is posted its part in that order, so "after this
//! cursor" means the same to everybody.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use wshub_protocol::client_message::{Publish, Target};
use wshub_protocol::{Cursor, Epoch, ErrorCode, Offset, RoomId, server_message};

use crate::dedupe::{Dedupe, DedupeLimits, Fingerprint, Seen};
use crate::message::{
    Arrival, Frame, Item, Kind, Message, Outcome, Post, Publication, Published, Refused,
};
use crate::placement::{ShardSet, shard_of};
use crate::shard::Token;
use crate::time::Now;

/// What the log keeps, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct TailConfig {
    /// This life of the log.
    pub epoch: Epoch,
    /// How many shards listen.
    pub shards: usize,
    /// Entries older than this are let go, in milliseconds.
    pub retention_ms: u64,
    /// Entries beyond this are let go, oldest first, in bytes of memory.
    pub bytes: usize,
    /// What the ids of publishers are remembered for.
    pub dedupe: DedupeLimits,
    /// Where the ids of messages without one, and the order within tables, come from.
    pub seed: u64,
}

/// A room as the whole node knows it.
#[derive(Debug)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Distinct users in it.
    pub users: AtomicU32,
}

/// The tail of the log.
pub struct Tail {
    config: TailConfig,
    end: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    interest: HashTable<Interest>,
    hasher: FixedState,
    random: fastrand::Rng,
    dedupe: Dedupe,
    json: Vec<u8>,
    /// Publishes that were there before.
    duplicates: u64,
    /// Messages taken, by [`Kind`].
    accepted: [u64; 3],
    /// A connection with deflate has come, so that messages may have a compressed copy.
    compresses: bool,
}

struct Entry {
    elapsed_ms: u64,
    message: Arc<Message>,
    /// A compressed copy was counted.
    compressed: bool,
}

/// The shards that have members of a room.
struct Interest {
    room: Arc<Room>,
    shards: ShardSet,
}

/// What an entry takes beside its message, in bytes.
const ENTRY_BYTES: usize = size_of::<Entry>();

const REUSED: Refused = Refused {
    code: ErrorCode::IdReused,
    sentence: "this id was used for another message lately: give each message an id of its own",
};

const NO_ROOM_FOR_IDS: Refused = Refused {
    code: ErrorCode::Overloaded,
    sentence: "as many ids are remembered as may be; it was not published, try again later or without an id",
};

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.message.bytes(self.compressed)
    }
}

impl Tail {
    /// An empty log.
    #[must_use]
    pub fn new(config: TailConfig) -> Self {
        Self {
            config,
            end: 0,
            entries: VecDeque::new(),
            bytes: 0,
            interest: HashTable::new(),
            hasher: FixedState::with_seed(config.seed),
            random: fastrand::Rng::with_seed(config.seed),
            dedupe: Dedupe::new(config.dedupe, config.seed),
            json: Vec::new(),
            duplicates: 0,
            accepted: [0; 3],
            compresses: false,
        }
    }

    /// The place of the newest entry, there on an empty log too.
    #[must_use]
    pub fn end(&self) -> Cursor {
        self.cursor(self.end)
    }

    fn cursor(&self, offset: u64) -> Cursor {
        Cursor {
            epoch: self.config.epoch,
            partition: 0,
            offset: Offset::counter(offset),
        }
    }

    /// Entries and bytes that the log holds.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// How far back the log reaches at this moment, in milliseconds.
    #[must_use]
    pub fn window_ms(&self, now: Now) -> u64 {
        let oldest = self.entries.front();
        oldest.map_or(0, |oldest| now.elapsed_ms.saturating_sub(oldest.elapsed_ms))
    }

    /// Messages that were ever put into the log, by [`Kind`].
    #[must_use]
    pub fn accepted(&self) -> [u64; 3] {
        self.accepted
    }

    /// Publishes whose id was known: they had no effect.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Ids that are remembered, and the bytes they take.
    #[must_use]
    pub fn ids(&self) -> (usize, usize) {
        self.dedupe.depth()
    }

    /// Rooms with a member on some shard.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.interest.len()
    }

    /// Publishes: puts the message at the end of the log, unless its id says that it is there already.
    ///
    /// # Errors
    /// When the id was used for something else, or can't be remembered now.
    pub fn publish<S>(
        &mut self,
        now: Now,
        publication: Publication,
        post: &impl Post<S>,
    ) -> Outcome {
        let Some(fingerprint) = Fingerprint::of(&publication.from, &publication.publish) else {
            return Ok(self.append(now, publication, post));
        };
        match self.dedupe.look_up(now.elapsed_ms, &fingerprint) {
            Seen::Never => {
                let published = self.append(now, publication, post);
                self.dedupe.remember(now.elapsed_ms, fingerprint, self.end);
                Ok(published)
            }
            Seen::Before(offset) => {
                self.duplicates += 1;
                let id = publication
                    .publish
                    .id
                    .map_or_else(String::new, |id| id.as_str().to_owned());
                Ok(Published {
                    id,
                    cursor: self.cursor(offset),
                    duplicate: true,
                })
            }
            Seen::WithOtherContent => Err(REUSED),
            Seen::NoRoom => Err(NO_ROOM_FOR_IDS),
        }
    }

    /// Puts a message at the end of the log and posts it to the shards concerned.
    fn append<S>(&mut self, now: Now, publication: Publication, post: &impl Post<S>) -> Published {
        let Publication {
            publish: Publish { target, id, data },
            from,
        } = publication;
        let id = id.map_or_else(|| self.fresh_id(now), |id| id.as_str().to_owned());
        self.end += 1;
        let cursor = self.end();
        let kind = match &target {
            Target::Everybody => server_message::Kind::Broadcast,
            Target::Users(_) => server_message::Kind::User,
            Target::Room(room) => server_message::Kind::Room(room),
        };
        self.json.clear();
        server_message::write_message(
            &mut self.json,
            kind,
            &id,
            &cursor,
            &from,
            now.unix_seconds(),
            &data,
        );
        let frame = Frame::text(&self.json);
        self.accepted[Kind::of(&target).index()] += 1;
        let (shards, reach) = self.reach_of(&target);
        let offset = cursor.offset;
        let message = Arc::new(Message {
            target,
            offset,
            reach,
            frame,
        });
        for shard in shards.iter() {
            post.post(shard, Item::Message(Arc::clone(&message)));
        }
        let compressed = self.compresses;
        let entry = Entry {
            elapsed_ms: now.elapsed_ms,
            message,
            compressed,
        };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        self.trim(now);
        Published {
            id,
            cursor,
            duplicate: false,
        }
    }

    /// Lets go of what is older or more than the log keeps.
    pub fn trim(&mut self, now: Now) {
        self.dedupe.forget(now.elapsed_ms);
        while let Some(oldest) = self.entries.front() {
            let kept = self.bytes <= self.config.bytes
                && now.elapsed_ms.saturating_sub(oldest.elapsed_ms) <= self.config.retention_ms;
            if kept {
                return;
            }
            self.bytes -= oldest.bytes();
            self.entries.pop_front();
        }
    }

    /// Brings a connection to its shard: it hears what comes behind this place.
    pub fn connect<S>(&mut self, arrival: Box<Arrival<S>>, post: &impl Post<S>) {
        let shard = arrival
            .user
            .as_ref()
            .map_or(0, |user| shard_of(user.as_str(), self.config.shards));
        self.compresses |= arrival.deflate.is_some();
        post.post(shard, Item::Connect(arrival, self.end()));
    }

    /// Lets a connection of `shard` into a room at this place in the log.
    pub fn join<S>(&mut self, shard: usize, token: Token, id: RoomId, post: &impl Post<S>) {
        let hash = self.hasher.hash_one(id.as_str());
        let hasher = &self.hasher;
        let entry = self.interest.entry(
            hash,
            |interest| interest.room.id == id,
            |interest| hasher.hash_one(interest.room.id.as_str()),
        );
        let interest = match entry {
            Slot::Occupied(entry) => entry.into_mut(),
            Slot::Vacant(slot) => {
                let room = Arc::new(Room {
                    id,
                    users: AtomicU32::new(0),
                });
                slot.insert(Interest {
                    room,
                    shards: ShardSet::default(),
                })
                .into_mut()
            }
        };
        interest.shards.insert(shard);
        let room = Arc::clone(&interest.room);
        post.post(shard, Item::Join(token, room, self.end()));
    }

    /// Takes a connection of `shard` out of a room at this place in the log.
    pub fn leave<S>(&self, shard: usize, token: Token, room: RoomId, post: &impl Post<S>) {
        let known = self
            .interest_in(&room)
            .map(|interest| Arc::clone(&interest.room));
        post.post(shard, Item::Leave(token, room, known, self.end()));
    }

    /// Distinct users in a room.
    #[must_use]
    pub fn users_in(&self, room: &RoomId) -> u32 {
        self.interest_in(room)
            .map_or(0, |interest| interest.room.users.load(Ordering::Relaxed))
    }

    /// Says that `shard` has no member of the room any more and no join of it under way.
    pub fn forget(&mut self, shard: usize, room: &RoomId) {
        let hash = self.hasher.hash_one(room.as_str());
        if let Ok(mut entry) = self
            .interest
            .find_entry(hash, |interest| interest.room.id == *room)
        {
            entry.get_mut().shards.remove(shard);
            if entry.get().shards.is_empty() {
                entry.remove();
            }
        }
    }

    fn interest_in(&self, room: &RoomId) -> Option<&Interest> {
        self.interest
            .find(self.hasher.hash_one(room.as_str()), |interest| {
                interest.room.id == *room
            })
    }

    /// The shards that a message concerns, and about how many connections; `None` is all.
    fn reach_of(&self, target: &Target) -> (ShardSet, Option<u32>) {
        match target {
            Target::Everybody => (ShardSet::all(self.config.shards), None),
            Target::Users(users) => {
                let mut shards = ShardSet::default();
                for user in users {
                    shards.insert(shard_of(user.as_str(), self.config.shards));
                }
                (shards, Some(users.len() as u32))
            }
            Target::Room(room) => match self.interest_in(room) {
                Some(interest) => (
                    interest.shards,
                    Some(interest.room.users.load(Ordering::Relaxed)),
                ),
                None => (ShardSet::default(), Some(0)),
            },
        }
    }

    fn fresh_id(&mut self, now: Now) -> String {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(now.unix_ms, &random)
            .into_uuid()
            .to_string()
    }
}
