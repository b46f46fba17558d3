//! Which users are in which room on the whole node, who asked to be told of it, and which shards have members there.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use slab::Slab;
use wshub_protocol::{RoomId, UserId};

use crate::keys::Keys;
use crate::placement::ShardSet;

/// In a room of more users than this, nobody is told of each who comes and goes, but now and then how many they are.
pub(crate) const NAMED_USERS: usize = 1000;
/// So many users are remembered by number within the room itself. Most rooms have no more.
const FEW: usize = 3;
const NONE: u32 = u32::MAX;

/// 48 bytes, of which there may be millions.
struct Record {
    id: RoomId,
    shards: ShardSet,
    users: Users,
}

/// The many small rooms don't pay for what the few large ones need.
enum Users {
    Few(Listened, [u32; FEW]),
    Many(Box<Many>),
}

/// Whether somebody asked to be told who comes and goes.
type Listened = bool;

struct Many {
    users: BTreeSet<UserId>,
    listened_to: Listened,
}

/// The rooms of a node.
pub(crate) struct Roster {
    rooms: Slab<Record>,
    by_id: Keys,
    names: Names,
    hasher: FixedState,
    /// Rooms of which is to be told soon how many users they have.
    due: HashSet<RoomId, FixedState>,
    /// Shards where nobody asked any more, of rooms that others listen to: few, so that no record has to have them.
    deaf: HashMap<RoomId, ShardSet, FixedState>,
}

/// What a user finds who joins.
pub(crate) struct Entered {
    /// The room, as all of this node share it.
    pub(crate) room: RoomId,
    /// The room's users, this one included.
    pub(crate) members: u32,
    /// Whom to tell.
    pub(crate) news: News,
}

/// Which shards are to be told that a user came or left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News(pub(crate) ShardSet);

impl Roster {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rooms: Slab::new(),
            by_id: Keys::new(),
            names: Names {
                names: Slab::new(),
                by_id: Keys::new(),
                hasher: FixedState::with_seed(seed),
            },
            hasher: FixedState::with_seed(seed),
            due: HashSet::with_hasher(FixedState::with_seed(seed)),
            deaf: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    /// Rooms with a member.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Has a shard hear what is said in a room, and its user be in it.
    pub(crate) fn join(
        &mut self,
        shard: usize,
        id: &RoomId,
        user: &UserId,
        listens: bool,
    ) -> Entered {
        let key = self.find(id).unwrap_or_else(|| self.add(id));
        let record = &mut self.rooms[key as usize];
        let before = record.shards;
        record.shards.insert(shard);
        let is_new = self.names.enter(&mut record.users, user);
        let entered = Entered {
            room: record.id.clone(),
            members: record.users.len() as u32,
            news: if is_new {
                self.news(key, before)
            } else {
                News::default()
            },
        };
        if listens {
            *self.rooms[key as usize].users.listened_to() = true;
            if let Some(deaf) = self.deaf.get_mut(id) {
                deaf.remove(shard);
            }
        }
        entered
    }

    /// Has a user be in a room whose messages no further shard is to hear for that.
    pub(crate) fn enter(&mut self, id: &RoomId, user: &UserId) -> News {
        let key = self.find(id).unwrap_or_else(|| self.add(id));
        let record = &mut self.rooms[key as usize];
        let shards = record.shards;
        if self.names.enter(&mut record.users, user) {
            self.news(key, shards)
        } else {
            News::default()
        }
    }

    /// Has a user be in a room no more.
    pub(crate) fn leave(&mut self, id: &RoomId, user: &UserId) -> News {
        let Some(key) = self.find(id) else {
            return News::default();
        };
        let record = &mut self.rooms[key as usize];
        let shards = record.shards;
        let news = if self.names.leave(&mut record.users, user) {
            self.news(key, shards)
        } else {
            News::default()
        };
        self.forget_if_unused(key);
        news
    }

    /// Says that a shard has no member of the room any more and no join of it under way.
    pub(crate) fn forget(&mut self, shard: usize, id: &RoomId) {
        if let Some(key) = self.find(id) {
            self.rooms[key as usize].shards.remove(shard);
            self.forget_if_unused(key);
        }
    }

    /// Says that of a shard nobody asks any more who comes and goes in a room.
    pub(crate) fn unheard(&mut self, shard: usize, id: &RoomId) {
        let Some(key) = self.find(id) else { return };
        let deaf = self.deaf.entry_ref(id).or_default();
        deaf.insert(shard);
        let record = &mut self.rooms[key as usize];
        if record.shards.without(*deaf).is_empty() {
            *record.users.listened_to() = false;
            self.deaf.remove(id);
        }
    }

    /// The shards that have members of a room, and how many users are in it.
    pub(crate) fn reach(&self, id: &RoomId) -> (ShardSet, u32) {
        self.find(id).map_or_else(Default::default, |key| {
            let record = &self.rooms[key as usize];
            (record.shards, record.users.len() as u32)
        })
    }

    /// The users of a room in the order of their ids, those behind `after`, at most so many.
    pub(crate) fn users(&self, id: &RoomId, after: Option<&str>, most: usize) -> Vec<UserId> {
        let Some(key) = self.find(id) else {
            return Vec::new();
        };
        match &self.rooms[key as usize].users {
            Users::Many(many) => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let behind = many.users.range::<str, _>((from, Bound::Unbounded));
                behind.take(most).cloned().collect()
            }
            Users::Few(_, keys) => {
                let users = keys.iter().filter_map(|&key| self.names.get(key));
                let mut users: Vec<UserId> = users
                    .filter(|user| after.is_none_or(|after| user.as_str() > after))
                    .cloned()
                    .collect();
                users.sort_unstable();
                users.truncate(most);
                users
            }
        }
    }

    /// The rooms in which somebody came or left since this was last asked, without its having been told: how many users
    /// they have, for these shards.
    pub(crate) fn counts_due(&mut self) -> Vec<(RoomId, u64, ShardSet)> {
        let mut counts = Vec::new();
        for id in self.due.drain().collect::<Vec<_>>() {
            let Some(key) = self.find(&id) else { continue };
            let record = &self.rooms[key as usize];
            let shards = self.listening(&id, record.shards);
            counts.push((id, record.users.len() as u64, shards));
        }
        counts
    }

    /// Has the count told soon in place of a change that can't be told now.
    pub(crate) fn tell_count_later(&mut self, id: &RoomId) {
        self.due.insert(id.clone());
    }

    /// Whom to tell of a change at once. In a large room the count is told later instead.
    fn news(&mut self, key: u32, shards: ShardSet) -> News {
        let record = &mut self.rooms[key as usize];
        if !*record.users.listened_to() {
            return News::default();
        }
        match &mut record.users {
            Users::Many(many) if many.users.len() > NAMED_USERS => {
                self.due.insert(record.id.clone());
                News::default()
            }
            Users::Few(..) | Users::Many(_) => {
                let id = record.id.clone();
                News(self.listening(&id, shards))
            }
        }
    }

    /// Those of a room's shards in which somebody may have asked.
    fn listening(&self, id: &RoomId, shards: ShardSet) -> ShardSet {
        let deaf = self.deaf.get(id).copied();
        shards.without(deaf.unwrap_or_default())
    }

    fn find(&self, id: &RoomId) -> Option<u32> {
        let is_it = |&key: &u32| self.rooms[key as usize].id == *id;
        self.by_id
            .find(self.hasher.hash_one(id.as_str()), is_it)
            .copied()
    }

    /// The id is copied, so that what lives as long as its room lies together and pins nothing around it.
    fn add(&mut self, id: &RoomId) -> u32 {
        let key = self.rooms.insert(Record {
            id: id.copied(),
            shards: ShardSet::default(),
            users: Users::Few(false, [NONE; FEW]),
        }) as u32;
        let (rooms, hasher) = (&self.rooms, &self.hasher);
        let hash = |&key: &u32| hasher.hash_one(rooms[key as usize].id.as_str());
        self.by_id.insert_unique(hash(&key), key, hash);
        key
    }

    fn forget_if_unused(&mut self, key: u32) {
        let record = &self.rooms[key as usize];
        if !record.shards.is_empty() || record.users.len() > 0 {
            return;
        }
        let hash = self.hasher.hash_one(record.id.as_str());
        if let Ok(entry) = self.by_id.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
        let record = self.rooms.remove(key as usize);
        self.deaf.remove(&record.id);
    }
}

impl Users {
    fn len(&self) -> usize {
        match self {
            Self::Few(_, keys) => keys.iter().filter(|&&key| key != NONE).count(),
            Self::Many(many) => many.users.len(),
        }
    }

    fn listened_to(&mut self) -> &mut Listened {
        match self {
            Self::Few(listened_to, _) => listened_to,
            Self::Many(many) => &mut many.listened_to,
        }
    }
}

/// Users in small rooms, each named once however many rooms they are in.
struct Names {
    names: Slab<Name>,
    by_id: Keys,
    hasher: FixedState,
}

struct Name {
    user: UserId,
    uses: u32,
}

impl Names {
    fn get(&self, key: u32) -> Option<&UserId> {
        self.names.get(key as usize).map(|name| &name.user)
    }

    /// Adds a user to a room; whether it wasn't there.
    fn enter(&mut self, users: &mut Users, user: &UserId) -> bool {
        let (listened_to, keys) = match users {
            Users::Many(many) => return many.users.insert(user.clone()),
            Users::Few(listened_to, keys) => (*listened_to, keys),
        };
        let known = self.find(user);
        if known.is_some_and(|key| keys.contains(&key)) {
            return false;
        }
        if let Some(place) = keys.iter_mut().find(|key| **key == NONE) {
            *place = known.unwrap_or_else(|| self.add(user));
            self.names[*place as usize].uses += 1;
            return true;
        }
        let mut all = BTreeSet::from([user.clone()]);
        for key in *keys {
            all.extend(self.get(key).cloned());
            self.release(key);
        }
        let many = Many {
            users: all,
            listened_to,
        };
        *users = Users::Many(many.into());
        true
    }

    /// Takes a user out of a room; whether it was there.
    fn leave(&mut self, users: &mut Users, user: &UserId) -> bool {
        let keys = match users {
            Users::Many(many) => return many.users.remove(user),
            Users::Few(_, keys) => keys,
        };
        let known = self.find(user);
        let Some(place) = keys.iter_mut().find(|key| Some(**key) == known) else {
            return false;
        };
        let key = std::mem::replace(place, NONE);
        self.release(key);
        true
    }

    fn find(&self, user: &UserId) -> Option<u32> {
        let is_it = |&key: &u32| self.names[key as usize].user == *user;
        self.by_id
            .find(self.hasher.hash_one(user.as_str()), is_it)
            .copied()
    }

    fn add(&mut self, user: &UserId) -> u32 {
        let key = self.names.insert(Name {
            user: user.clone(),
            uses: 0,
        }) as u32;
        let (names, hasher) = (&self.names, &self.hasher);
        let hash = |&key: &u32| hasher.hash_one(names[key as usize].user.as_str());
        self.by_id.insert_unique(hash(&key), key, hash);
        key
    }

    fn release(&mut self, key: u32) {
        let name = &mut self.names[key as usize];
        name.uses -= 1;
        if name.uses > 0 {
            return;
        }
        let hash = self.hasher.hash_one(name.user.as_str());
        if let Ok(entry) = self.by_id.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
        self.names.remove(key as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: &str) -> RoomId {
        RoomId::parse(id).expect("an id")
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).expect("an id")
    }

    fn ids(users: &[UserId]) -> Vec<&str> {
        users.iter().map(UserId::as_str).collect()
    }

    fn shards(news: News) -> Vec<usize> {
        news.0.iter().collect()
    }

    #[test]
    fn records_are_small() {
        assert_eq!(size_of::<Record>(), 48);
    }

    #[test]
    fn users_are_listed_by_their_ids_page_by_page_in_small_rooms_and_large() {
        for count in [0, 1, FEW, FEW + 1, 50] {
            let mut roster = Roster::new(7);
            let mut names: Vec<String> = (0..count).map(|number| format!("u{number}")).collect();
            for name in &names {
                roster.join(0, &room("r"), &user(name), false);
                roster.join(1, &room("r"), &user(name), false);
            }
            names.sort();
            let first = roster.users(&room("r"), None, 2);
            let rest = roster.users(&room("r"), first.last().map(UserId::as_str), 100);
            assert_eq!([ids(&first), ids(&rest)].concat(), names);
            assert_eq!(roster.reach(&room("r")).1 as usize, count);
        }
    }

    #[test]
    fn nothing_is_left_of_rooms_that_all_have_left() {
        let mut roster = Roster::new(7);
        for number in 0..10 {
            roster.join(number % 2, &room("r"), &user(&format!("u{number}")), false);
            roster.join(
                number % 2,
                &room("s"),
                &user(&format!("u{}", number % 3)),
                false,
            );
        }
        for number in 0..10 {
            roster.leave(&room("r"), &user(&format!("u{number}")));
            roster.leave(&room("s"), &user(&format!("u{number}")));
        }
        assert_eq!(roster.len(), 2, "two shards still have interest");
        for (shard, id) in [(0, "r"), (1, "r"), (0, "s"), (1, "s")] {
            roster.forget(shard, &room(id));
        }
        assert_eq!(roster.len(), 0);
        assert!(roster.names.names.is_empty() && roster.names.by_id.is_empty());
    }

    #[test]
    fn who_comes_is_told_to_those_who_were_there_and_asked() {
        let mut roster = Roster::new(7);
        let quiet = roster.join(0, &room("r"), &user("ann"), false);
        assert_eq!((quiet.members, shards(quiet.news)), (1, vec![]));
        roster.join(1, &room("r"), &user("bob"), true);
        let cid = roster.join(2, &room("r"), &user("cid"), false);
        assert_eq!((cid.members, shards(cid.news)), (3, vec![0, 1]));
        let again = roster.join(2, &room("r"), &user("cid"), false);
        assert_eq!((again.members, shards(again.news)), (3, vec![]));
        assert_eq!(shards(roster.leave(&room("r"), &user("ann"))), [0, 1, 2]);
        assert_eq!(shards(roster.leave(&room("r"), &user("ann"))), [0; 0]);
    }

    #[test]
    fn of_a_large_room_only_the_count_is_told_once_for_many_changes() {
        let mut roster = Roster::new(7);
        let mut told = 0;
        for number in 0..NAMED_USERS + 5 {
            let entered = roster.join(0, &room("r"), &user(&format!("u{number}")), true);
            told += usize::from(entered.news != News::default());
        }
        // The first was told to nobody, since nobody was there.
        assert_eq!(told, NAMED_USERS - 1);
        let counts = roster.counts_due();
        assert_eq!(counts.len(), 1);
        assert_eq!(counts[0].1, NAMED_USERS as u64 + 5);
        assert_eq!(roster.counts_due().len(), 0);
    }

    #[test]
    fn a_large_room_that_is_left_by_all_and_filled_again_has_one_count() {
        let mut roster = Roster::new(7);
        let users: Vec<_> = (0..=NAMED_USERS).map(|n| user(&format!("u{n}"))).collect();
        for again in [true, false] {
            for user in &users {
                roster.join(0, &room("r"), user, true);
            }
            if again {
                users
                    .iter()
                    .for_each(|user| _ = roster.leave(&room("r"), user));
                roster.forget(0, &room("r"));
                assert_eq!(roster.len(), 0);
            }
        }
        assert_eq!(roster.counts_due().len(), 1);
    }
}
