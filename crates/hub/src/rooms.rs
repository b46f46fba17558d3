//! Who is in which room on this shard. Joining and leaving cost the same in a room of ten and of ten thousand: each
//! membership is linked both into its room and into its connection, and found by the pair of them.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use slab::Slab;
use std::hash::BuildHasher;

use crate::tail::Room;

pub(crate) const NONE: u32 = u32::MAX;

struct Entry {
    room: Arc<Room>,
    first: u32,
    members: u32,
}

#[derive(Clone, Copy)]
struct Membership {
    connection: u32,
    room: u32,
    previous_in_room: u32,
    next_in_room: u32,
    previous_of_connection: u32,
    next_of_connection: u32,
}

/// The memberships of a connection, kept in the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memberships {
    first: u32,
    pub(crate) rooms: u32,
}

impl Default for Memberships {
    fn default() -> Self {
        Self {
            first: NONE,
            rooms: 0,
        }
    }
}

/// The rooms of one shard.
pub(crate) struct Rooms {
    rooms: Slab<Entry>,
    by_id: HashTable<u32>,
    memberships: Slab<Membership>,
    by_pair: HashTable<u32>,
    /// Connections of a user in a room, by room and user: a user comes with the first and leaves with the last.
    of_user: HashMap<(u32, u32), u32, FixedState>,
    hasher: FixedState,
}

/// What a leave did.
pub(crate) struct Left {
    pub(crate) room: Arc<Room>,
    /// No other connection of the user is in the room.
    pub(crate) last_of_user: bool,
    /// No connection of this shard is in the room any more.
    pub(crate) emptied: bool,
}

impl Rooms {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rooms: Slab::new(),
            by_id: HashTable::new(),
            memberships: Slab::new(),
            by_pair: HashTable::new(),
            of_user: HashMap::with_hasher(FixedState::with_seed(seed)),
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.by_id
            .find(self.hasher.hash_one(id), |&key| {
                self.rooms[key as usize].room.id.as_str() == id
            })
            .copied()
    }

    /// How many connections of this shard are in a room.
    pub(crate) fn members(&self, id: &str) -> u32 {
        self.find(id)
            .map_or(0, |key| self.rooms[key as usize].members)
    }

    pub(crate) fn contains(&self, room: u32, connection: u32) -> bool {
        self.membership(room, connection).is_some()
    }

    /// The rooms that a connection is in, with their keys.
    pub(crate) fn of(&self, memberships: &Memberships) -> impl Iterator<Item = (u32, &Arc<Room>)> {
        let mut at = memberships.first;
        std::iter::from_fn(move || {
            let membership = self.memberships.get(at as usize)?;
            at = membership.next_of_connection;
            Some((membership.room, &self.rooms[membership.room as usize].room))
        })
    }

    /// The connections in a room: the first, then each one's next by [`Rooms::next_member`].
    pub(crate) fn first_member(&self, room: u32) -> u32 {
        self.rooms[room as usize].first
    }

    /// The connection of a membership, and the membership behind it in the room.
    pub(crate) fn next_member(&self, membership: u32) -> (u32, u32) {
        let membership = &self.memberships[membership as usize];
        (membership.connection, membership.next_in_room)
    }

    /// Puts a connection of a user into a room; says whether it is the user's first there.
    pub(crate) fn join(
        &mut self,
        room: &Arc<Room>,
        user: u32,
        connection: u32,
        of: &mut Memberships,
    ) -> bool {
        let key = self.enter(room);
        if self.contains(key, connection) {
            return false;
        }
        let entry = &mut self.rooms[key as usize];
        let membership = Membership {
            connection,
            room: key,
            previous_in_room: NONE,
            next_in_room: entry.first,
            previous_of_connection: NONE,
            next_of_connection: of.first,
        };
        let at = self.memberships.insert(membership) as u32;
        if membership.next_in_room != NONE {
            self.memberships[membership.next_in_room as usize].previous_in_room = at;
        }
        if membership.next_of_connection != NONE {
            self.memberships[membership.next_of_connection as usize].previous_of_connection = at;
        }
        (entry.first, of.first) = (at, at);
        entry.members += 1;
        of.rooms += 1;
        let (memberships, hasher) = (&self.memberships, &self.hasher);
        let pair = |&at: &u32| {
            hasher.hash_one((
                memberships[at as usize].room,
                memberships[at as usize].connection,
            ))
        };
        self.by_pair.insert_unique(pair(&at), at, pair);
        let theirs = self.of_user.entry((key, user)).or_insert(0);
        *theirs += 1;
        *theirs == 1
    }

    /// Takes a connection of a user out of a room it is in.
    pub(crate) fn leave(
        &mut self,
        room: u32,
        user: u32,
        connection: u32,
        of: &mut Memberships,
    ) -> Option<Left> {
        self.membership(room, connection)
            .map(|at| self.unlink(at, user, of))
    }

    /// Takes a connection of a user out of one of its rooms; `None` when it is in none.
    pub(crate) fn leave_any(&mut self, user: u32, of: &mut Memberships) -> Option<Left> {
        (of.first != NONE).then(|| self.unlink(of.first, user, of))
    }

    fn membership(&self, room: u32, connection: u32) -> Option<u32> {
        let is_it = |&at: &u32| {
            let membership = &self.memberships[at as usize];
            (membership.room, membership.connection) == (room, connection)
        };
        self.by_pair
            .find(self.hasher.hash_one((room, connection)), is_it)
            .copied()
    }

    fn enter(&mut self, room: &Arc<Room>) -> u32 {
        if let Some(key) = self.find(room.id.as_str()) {
            return key;
        }
        let key = self.rooms.insert(Entry {
            room: Arc::clone(room),
            first: NONE,
            members: 0,
        }) as u32;
        let (rooms, hasher) = (&self.rooms, &self.hasher);
        let hash = |&key: &u32| hasher.hash_one(rooms[key as usize].room.id.as_str());
        self.by_id.insert_unique(hash(&key), key, hash);
        key
    }

    fn unlink(&mut self, at: u32, user: u32, of: &mut Memberships) -> Left {
        let gone = self.memberships[at as usize];
        let hash = self.hasher.hash_one((gone.room, gone.connection));
        if let Ok(entry) = self.by_pair.find_entry(hash, |&other| other == at) {
            entry.remove();
        }
        self.memberships.remove(at as usize);
        if let Some(next) = self.memberships.get_mut(gone.next_in_room as usize) {
            next.previous_in_room = gone.previous_in_room;
        }
        if let Some(next) = self.memberships.get_mut(gone.next_of_connection as usize) {
            next.previous_of_connection = gone.previous_of_connection;
        }
        match self.memberships.get_mut(gone.previous_in_room as usize) {
            Some(previous) => previous.next_in_room = gone.next_in_room,
            None => self.rooms[gone.room as usize].first = gone.next_in_room,
        }
        match self
            .memberships
            .get_mut(gone.previous_of_connection as usize)
        {
            Some(previous) => previous.next_of_connection = gone.next_of_connection,
            None => of.first = gone.next_of_connection,
        }
        of.rooms -= 1;
        let last_of_user = self.count_out(gone.room, user);
        let entry = &mut self.rooms[gone.room as usize];
        entry.members -= 1;
        let emptied = entry.members == 0;
        let left = Left {
            room: Arc::clone(&entry.room),
            last_of_user,
            emptied,
        };
        if left.emptied {
            let hash = self.hasher.hash_one(left.room.id.as_str());
            if let Ok(found) = self.by_id.find_entry(hash, |&key| key == gone.room) {
                found.remove();
            }
            self.rooms.remove(gone.room as usize);
        }
        left
    }

    fn count_out(&mut self, room: u32, user: u32) -> bool {
        let Some(theirs) = self.of_user.get_mut(&(room, user)) else {
            return true;
        };
        *theirs -= 1;
        let last = *theirs == 0;
        if last {
            self.of_user.remove(&(room, user));
        }
        last
    }
}
