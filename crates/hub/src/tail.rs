//! This node's tail of the log: what was said lately, and which shards are to hear what comes.
//!
//! All that must have a place in the log goes through here, one after the other: messages, and the moments at which a
//! connection begins to listen, joins a room or leaves it. Each shard is posted its part in that order, so "after this
//! cursor" means the same to everybody.

use std::collections::VecDeque;
use std::sync::Arc;

use wshub_protocol::client_message::{Publish, Target};
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::server_message::PresenceEvent;
use wshub_protocol::{Cursor, Epoch, Offset, RoomId, UserId, server_message};

use crate::index::Index;
use crate::members::Members;
use crate::message::{Frame, Item, Kind, Message, Post, Publication, Published};
use crate::placement::{ShardSet, shard_of};
use crate::question::{Admission, Caught, Joining, Question, USERS_TOLD};
use crate::queues::Found;
use crate::resume::{Barred, Entrance, Wanted};
use crate::roster::{Entered, News, Roster};
use crate::shard::Token;
use crate::time::Now;
use heard::Heard;

mod behind;
mod following;
mod heard;

pub use following::{Change, Stamp};

/// What the log keeps, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct TailConfig {
    /// This life of the log.
    pub epoch: Epoch,
    /// The place before the first entry of all.
    pub origin: u64,
    /// How many shards listen.
    pub shards: usize,
    /// Entries older than this are let go, in milliseconds.
    pub retention_ms: u64,
    /// Entries beyond this are let go, oldest first, in bytes of memory.
    pub bytes: usize,
    /// Where the ids of messages without one, and the order within tables, come from.
    pub seed: u64,
}

/// The tail of the log.
pub struct Tail {
    config: TailConfig,
    end: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    roster: Roster,
    /// Which node says that a user is in a room, where the log is followed.
    members: Members,
    /// What was given in a life of the log that is over.
    heard: Heard,
    random: fastrand::Rng,
    index: Index,
    json: Vec<u8>,
    /// Messages taken, by [`Kind`].
    accepted: [u64; 3],
    /// A connection with deflate has come, so that messages may have a compressed copy.
    compresses: bool,
}

struct Entry {
    elapsed_ms: u64,
    /// What it says to clients, if anything.
    message: Option<Arc<Message>>,
    /// A compressed copy was counted.
    compressed: bool,
}

/// What an entry takes beside its message, in bytes.
const ENTRY_BYTES: usize = size_of::<Entry>();

impl Entry {
    fn bytes(&self) -> usize {
        let message = self.message.as_ref();
        ENTRY_BYTES + message.map_or(0, |message| message.bytes(self.compressed))
    }
}

impl Tail {
    /// An empty log.
    #[must_use]
    pub fn new(config: TailConfig) -> Self {
        Self {
            config,
            end: config.origin,
            entries: VecDeque::new(),
            bytes: 0,
            roster: Roster::new(config.seed),
            members: Members::default(),
            heard: Heard::default(),
            random: fastrand::Rng::with_seed(config.seed),
            index: Index::new(config.seed),
            json: Vec::new(),
            accepted: [0; 3],
            compresses: false,
        }
    }

    /// The place of the newest entry, there on an empty log too.
    #[must_use]
    pub fn end(&self) -> Cursor {
        self.cursor(self.end)
    }

    /// The name of a place.
    #[must_use]
    pub fn cursor(&self, place: u64) -> Cursor {
        Cursor {
            epoch: self.config.epoch,
            partition: 0,
            offset: Offset::at(place),
        }
    }

    /// Entries and bytes that the log holds.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes())
    }

    fn bytes(&self) -> usize {
        self.bytes + self.index.bytes()
    }

    /// How far back the log reaches at this moment, in milliseconds.
    #[must_use]
    pub fn window_ms(&self, now: Now) -> u64 {
        let oldest = self.entries.front();
        oldest.map_or(0, |oldest| now.elapsed_ms.saturating_sub(oldest.elapsed_ms))
    }

    /// Messages that were ever taken, those that passed by included, by [`Kind`].
    #[must_use]
    pub fn accepted(&self) -> [u64; 3] {
        self.accepted
    }

    /// Rooms with a member on some shard.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.roster.len()
    }

    /// Puts a message at the end of the log and posts it to the shards concerned.
    pub fn append<S>(
        &mut self,
        now: Now,
        publication: Publication,
        post: &impl Post<S>,
    ) -> (Published, Arc<Message>) {
        let id = self.id_of(now, &publication);
        let message = self.keep_message(now, now.unix_seconds(), &id, publication, post);
        let published = Published {
            id,
            cursor: Some(self.end()),
            duplicate: false,
        };
        (published, message)
    }

    fn keep_message<S>(
        &mut self,
        now: Now,
        unix_seconds: u64,
        id: &str,
        publication: Publication,
        post: &impl Post<S>,
    ) -> Arc<Message> {
        let cursor = self.cursor(self.end + 1);
        let message = self.post_message(unix_seconds, id, publication, Some(cursor), post);
        self.keep(now, Some(Arc::clone(&message)));
        message
    }

    fn keep(&mut self, now: Now, message: Option<Arc<Message>>) {
        self.end += 1;
        if let Some(message) = &message {
            self.index.add(&message.target, self.end);
        }
        let entry = Entry {
            elapsed_ms: now.elapsed_ms,
            message,
            compressed: self.compresses,
        };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        self.trim(now);
    }

    /// Posts a message to the shards concerned that nobody gets who isn't there now.
    pub fn pass_on<S>(
        &mut self,
        now: Now,
        publication: Publication,
        post: &impl Post<S>,
    ) -> Published {
        let id = self.id_of(now, &publication);
        self.post_message(now.unix_seconds(), &id, publication, None, post);
        Published {
            id,
            cursor: None,
            duplicate: false,
        }
    }

    fn post_message<S>(
        &mut self,
        unix_seconds: u64,
        id: &str,
        publication: Publication,
        cursor: Option<Cursor>,
        post: &impl Post<S>,
    ) -> Arc<Message> {
        let Publication {
            publish,
            from,
            except,
        } = publication;
        let Publish { target, data, .. } = publish;
        let kind = match &target {
            Target::Everybody => server_message::Kind::Broadcast,
            Target::Users(_) => server_message::Kind::User,
            Target::Room(room) => server_message::Kind::Room(room),
        };
        self.json.clear();
        server_message::write_message(
            &mut self.json,
            kind,
            id,
            cursor.as_ref(),
            &from,
            unix_seconds,
            &data,
        );
        self.accepted[Kind::of(&target).index()] += 1;
        let (shards, reach) = self.reach_of(&target);
        // Who is in a room now may not have been in it then.
        let heard_at_ms = match target {
            Target::Room(_) => None,
            Target::Everybody | Target::Users(_) => self.heard.when(&self.json),
        };
        let message = Arc::new(Message {
            target,
            offset: cursor.map(|cursor| cursor.offset),
            except,
            heard_at_ms,
            reach,
            frame: Frame::text(&self.json),
        });
        for shard in shards.iter() {
            post.post(shard, Item::Message(Arc::clone(&message)));
        }
        message
    }

    /// Does what is due once a second: lets go of what is too old, and tells of large rooms how many are in them.
    pub fn tick<S>(&mut self, now: Now, post: &impl Post<S>) {
        self.trim(now);
        self.heard.forget(now);
        for (room, members, shards) in self.roster.counts_due() {
            self.tell_presence(&room, PresenceEvent::Count(members), shards, post);
        }
    }

    /// Lets go of what is older or more than the log keeps.
    pub fn trim(&mut self, now: Now) {
        while let Some(oldest) = self.entries.front() {
            let kept = self.bytes() <= self.config.bytes
                && now.elapsed_ms.saturating_sub(oldest.elapsed_ms) <= self.config.retention_ms;
            if kept {
                return;
            }
            self.bytes -= oldest.bytes();
            if let Some(message) = &oldest.message {
                self.index.drop_oldest(&message.target);
            }
            self.entries.pop_front();
        }
    }

    /// The place of the newest entry that the log has let go of.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.end - self.entries.len() as u64
    }

    /// Lets a connection of `shard` in at this place in the log, with what was found in its user's queue when the log
    /// ended at `looked`, a place that is still there.
    pub fn enter<S>(
        &mut self,
        shard: usize,
        token: Token,
        wanted: Wanted,
        found: Found,
        looked: u64,
        post: &impl Post<S>,
    ) {
        self.compresses |= wanted.deflates;
        let resumes_at = wanted
            .after
            .as_ref()
            .and_then(|after| self.resumable(after));
        let place = resumes_at.unwrap_or(looked);
        let mut waiting = found.waiting;
        waiting.retain(|message| message.is_for(&wanted.session));
        // What was looked up in Redis is nobody else's yet.
        for message in waiting.iter_mut().filter_map(Arc::get_mut) {
            message.heard_at_ms = self.heard.when(message.frame.json());
        }
        let pending = waiting.len();
        waiting.truncate(waiting.partition_point(|message| message.place() <= place));
        let rooms = self.enter_rooms(shard, wanted.rooms, &wanted.user, post);
        let entrance = Entrance {
            user: wanted.user,
            end: self.end(),
            cursor: self.cursor(looked),
            degraded: false,
            again: wanted.again,
            resumed: resumes_at.is_some(),
            place,
            waiting,
            pending,
            missed: found.missed,
            rooms,
        };
        post.post(shard, Item::Enter(token, Box::new(entrance)));
    }

    /// Answers a shard's question through its inbox, or takes note of what it says.
    pub fn answer<S>(&mut self, shard: usize, question: Question, post: &impl Post<S>) {
        match question {
            Question::CatchUp(token, behind) => self.catch_up(shard, token, &behind, post),
            Question::End => post.post(shard, Item::End(self.end())),
            Question::Join(token, joining) => self.join(shard, token, *joining, post),
            Question::Leave(token, room) => {
                let (_, members) = self.roster.reach(&room);
                post.post(shard, Item::Leave(token, room, members, self.end()));
            }
            Question::Left(room, user) => {
                let news = self.roster.leave(&room, &user);
                self.tell_news(&room, PresenceEvent::Leave(&user), news, post);
            }
            Question::Forget(room) => self.roster.forget(shard, &room),
            Question::Unheard(room) => self.roster.unheard(shard, &room),
        }
    }

    /// Lets a connection of `shard` into a room at this place in the log.
    fn join<S>(&mut self, shard: usize, token: Token, joining: Joining, post: &impl Post<S>) {
        let Joining { room, user, wish } = joining;
        let (room, members) = self.enter_room(shard, &room, &user, wish.presence, post);
        let caught = wish.after.map_or(Caught::NotAsked, |after| {
            self.resumable(&after).map_or(Caught::Lost, Caught::Behind)
        });
        let users = wish
            .presence
            .then(|| self.roster.users(&room, None, USERS_TOLD));
        let history = wish.history.map(|most| self.history(&room, most.into()));
        let admission = Admission {
            caught,
            listens: wish.presence,
            users,
            history,
            ..Admission::plain(room, user, self.end(), members)
        };
        post.post(shard, Item::Join(token, Box::new(admission)));
    }

    /// Has a user of a shard be in the rooms that a connection wanted as it came.
    fn enter_rooms<S>(
        &mut self,
        shard: usize,
        rooms: Vec<Result<RoomId, Barred>>,
        user: &UserId,
        post: &impl Post<S>,
    ) -> Vec<Result<(RoomId, u32), Barred>> {
        let enter =
            |room: Result<RoomId, _>| room.map(|id| self.enter_room(shard, &id, user, false, post));
        rooms.into_iter().map(enter).collect()
    }

    /// Has a user of a shard be in a room, and tells those who asked if they weren't; how many are in it now.
    fn enter_room<S>(
        &mut self,
        shard: usize,
        id: &RoomId,
        user: &UserId,
        listens: bool,
        post: &impl Post<S>,
    ) -> (RoomId, u32) {
        let Entered {
            room,
            members,
            news,
        } = self.roster.join(shard, id, user, listens);
        self.tell_news(&room, PresenceEvent::Join(user), news, post);
        (room, members)
    }

    /// Tells those who asked that a user came or left. Where the inboxes have no room for more, how many users there are
    /// is told later: whoever comes and goes without pause must not fill them.
    fn tell_news<S>(
        &mut self,
        room: &RoomId,
        event: PresenceEvent<'_>,
        news: News,
        post: &impl Post<S>,
    ) {
        if news == News::default() {
            return;
        }
        if post.has_room() {
            self.tell_presence(room, event, news.0, post);
        } else {
            self.roster.tell_count_later(room);
        }
    }

    fn tell_presence<S>(
        &self,
        room: &RoomId,
        event: PresenceEvent<'_>,
        shards: ShardSet,
        post: &impl Post<S>,
    ) {
        let mut json = Vec::new();
        server_message::write_presence(&mut json, room, event);
        let frame: Arc<[u8]> = frame::encode(Opcode::Text, false, &json).into();
        let reach = self.users_in(room);
        for shard in shards.iter() {
            let frame = Arc::clone(&frame);
            post.post(shard, Item::Presence(room.clone(), frame, reach));
        }
    }

    /// Has all connections closed that a user has at this place in the log, of which they are told before.
    pub fn disconnect<S>(&self, user: UserId, post: &impl Post<S>) {
        let shard = shard_of(user.as_str(), self.config.shards);
        post.post(shard, Item::End(self.end()));
        post.post(shard, Item::Disconnect(user));
    }

    /// The users of a room behind `after` in the order of their ids, at most so many, and how many there are in all.
    #[must_use]
    pub fn users_of(&self, room: &RoomId, after: Option<&str>, most: usize) -> (Vec<UserId>, u32) {
        (self.roster.users(room, after, most), self.users_in(room))
    }

    /// Distinct users in a room.
    #[must_use]
    pub fn users_in(&self, room: &RoomId) -> u32 {
        self.roster.reach(room).1
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
            Target::Room(room) => {
                let (shards, members) = self.roster.reach(room);
                (shards, Some(members))
            }
        }
    }

    /// The publisher's id, or one that is given.
    fn id_of(&mut self, now: Now, publication: &Publication) -> String {
        if let Some(id) = &publication.publish.id {
            return id.as_str().to_owned();
        }
        let mut random = [0; 10];
        self.random.fill(&mut random);
        fresh_id(now, &random)
    }
}

/// The id of a message that was given none: a UUIDv7 of these random bytes.
#[must_use]
pub fn fresh_id(now: Now, random: &[u8; 10]) -> String {
    uuid::Builder::from_unix_timestamp_millis(now.unix_ms, random)
        .into_uuid()
        .to_string()
}
