//! Who is in which room on this shard. Each membership is linked both into its room and into whatever it is of: a
//! connection, or one that is gone without having left, whose rooms are kept for a while since its user may come back.
//!
//! A membership is looked for along both links at once, so that it costs what the shorter of them does: nearly nothing
//! in a room of two, however many rooms its connection is in, and in a room of ten thousand a look at its own few.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;
use std::hash::BuildHasher;
use wshub_protocol::RoomId;

use crate::keys::Keys;

pub(crate) const NONE: u32 = u32::MAX;
/// Marks a membership of a connection that is gone.
const GONE: u32 = 1 << 31;
/// Marks a membership whose connection wants to be told who comes and goes.
const LISTENS: u32 = 1 << 30;

/// Whose a membership is: a connection's or, among those that are gone, one's with such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Connection(u32),
    Gone(u32),
}

impl Owner {
    fn bits(self) -> u32 {
        match self {
            Self::Connection(index) => index,
            Self::Gone(key) => key | GONE,
        }
    }

    pub(crate) fn is_connection(self) -> bool {
        matches!(self, Self::Connection(_))
    }
}

struct Entry {
    id: RoomId,
    first: u32,
    members: u32,
}

/// 24 bytes, of which there may be millions.
#[derive(Clone, Copy)]
struct Membership {
    /// The owner's bits and [`LISTENS`].
    owner: u32,
    room: u32,
    previous_in_room: u32,
    /// Also the next unused one.
    next_in_room: u32,
    previous_of_owner: u32,
    next_of_owner: u32,
}

impl Membership {
    fn owner(&self) -> Owner {
        let number = self.owner & !(GONE | LISTENS);
        if self.owner & GONE == 0 {
            Owner::Connection(number)
        } else {
            Owner::Gone(number)
        }
    }
}

/// The memberships of one owner, kept with it.
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
    by_id: Keys,
    memberships: Vec<Membership>,
    unused: u32,
    /// By room and user: how many memberships they have there, where it is more than one.
    several: HashMap<(u32, u32), u32, FixedState>,
    hasher: FixedState,
}

/// What a leave did.
pub(crate) struct Left {
    pub(crate) room: RoomId,
    /// No other connection of the user is in the room, nor waited for there.
    pub(crate) last_of_user: bool,
    /// Nobody of this shard is in the room any more.
    pub(crate) emptied: bool,
}

impl Rooms {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rooms: Slab::new(),
            by_id: Keys::new(),
            memberships: Vec::new(),
            unused: NONE,
            several: HashMap::with_hasher(FixedState::with_seed(seed)),
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.by_id
            .find(self.hasher.hash_one(id), |&key| {
                self.rooms[key as usize].id.as_str() == id
            })
            .copied()
    }

    /// The id of a room with members.
    pub(crate) fn id(&self, key: u32) -> &RoomId {
        &self.rooms[key as usize].id
    }

    /// How many connections of this shard are in a room, those that are gone included.
    pub(crate) fn members(&self, id: &str) -> u32 {
        self.find(id)
            .map_or(0, |key| self.rooms[key as usize].members)
    }

    /// Whether this owner, whose memberships these are, is in a room.
    pub(crate) fn contains(&self, room: u32, owner: Owner, of: &Memberships) -> bool {
        self.membership(room, owner, of).is_some()
    }

    /// The rooms of an owner, with their keys.
    pub(crate) fn of(&self, memberships: &Memberships) -> impl Iterator<Item = (u32, &RoomId)> {
        let mut at = memberships.first;
        std::iter::from_fn(move || {
            let membership = self.memberships.get(at as usize)?;
            at = membership.next_of_owner;
            Some((membership.room, &self.rooms[membership.room as usize].id))
        })
    }

    /// The first membership in a room; each connection there is found by [`Rooms::next_member`].
    pub(crate) fn first_member(&self, room: u32) -> u32 {
        self.rooms[room as usize].first
    }

    /// The first connection from this membership on, whether it wants to be told who comes and goes, and the membership
    /// behind it in the room.
    pub(crate) fn next_member(&self, membership: u32) -> Option<(u32, bool, u32)> {
        let mut at = membership;
        loop {
            let membership = self.memberships.get(at as usize)?;
            at = membership.next_in_room;
            if membership.owner & GONE == 0 {
                let listens = membership.owner & LISTENS != 0;
                return Some((membership.owner & !LISTENS, listens, at));
            }
        }
    }

    /// The owners of all memberships in a room, the newest first.
    pub(crate) fn owners_in(&self, room: u32) -> impl Iterator<Item = Owner> {
        let mut at = self.rooms[room as usize].first;
        std::iter::from_fn(move || {
            let membership = self.memberships.get(at as usize)?;
            at = membership.next_in_room;
            Some(membership.owner())
        })
    }

    /// Whether a user is known to have more than one membership in a room.
    pub(crate) fn has_several(&self, room: u32, user: u32) -> bool {
        self.several.contains_key(&(room, user))
    }

    /// Puts a connection of a user into a room and answers the room's key. `another` says that the user has a
    /// membership there already.
    pub(crate) fn join(
        &mut self,
        id: &RoomId,
        user: u32,
        connection: u32,
        of: &mut Memberships,
        another: bool,
    ) -> u32 {
        let room = self.enter(id);
        let entry = &mut self.rooms[room as usize];
        let membership = Membership {
            owner: Owner::Connection(connection).bits(),
            room,
            previous_in_room: NONE,
            next_in_room: entry.first,
            previous_of_owner: NONE,
            next_of_owner: of.first,
        };
        entry.members += 1;
        of.rooms += 1;
        let at = self.insert(membership);
        if let Some(next) = self.memberships.get_mut(membership.next_in_room as usize) {
            next.previous_in_room = at;
        }
        if let Some(next) = self.memberships.get_mut(membership.next_of_owner as usize) {
            next.previous_of_owner = at;
        }
        (self.rooms[room as usize].first, of.first) = (at, at);
        if another {
            *self.several.entry((room, user)).or_insert(1) += 1;
        }
        room
    }

    /// Whether a connection in a room is to be told who comes and goes.
    pub(crate) fn set_listens(
        &mut self,
        room: u32,
        connection: u32,
        of: &Memberships,
        listens: bool,
    ) {
        if let Some(at) = self.membership(room, Owner::Connection(connection), of) {
            let owner = &mut self.memberships[at as usize].owner;
            *owner = *owner & !LISTENS | if listens { LISTENS } else { 0 };
        }
    }

    /// Makes the memberships of a connection those of one that is gone.
    pub(crate) fn hand_over(&mut self, of: &Memberships, gone: u32) {
        let mut at = of.first;
        while let Some(membership) = self.memberships.get_mut(at as usize) {
            membership.owner = Owner::Gone(gone).bits();
            at = membership.next_of_owner;
        }
    }

    /// Takes an owner out of a room it is in.
    pub(crate) fn leave(
        &mut self,
        room: u32,
        user: u32,
        owner: Owner,
        of: &mut Memberships,
    ) -> Option<Left> {
        self.membership(room, owner, of)
            .map(|at| self.unlink(at, user, of))
    }

    /// Takes an owner out of one of its rooms; `None` when it is in none.
    pub(crate) fn leave_any(&mut self, user: u32, of: &mut Memberships) -> Option<Left> {
        (of.first != NONE).then(|| self.unlink(of.first, user, of))
    }

    fn membership(&self, room: u32, owner: Owner, of: &Memberships) -> Option<u32> {
        let (mut of_owner, mut in_room) = (of.first, self.rooms[room as usize].first);
        loop {
            let theirs = self.memberships.get(of_owner as usize)?;
            if theirs.room == room {
                return Some(of_owner);
            }
            let member = self.memberships.get(in_room as usize)?;
            if member.owner & !LISTENS == owner.bits() {
                return Some(in_room);
            }
            (of_owner, in_room) = (theirs.next_of_owner, member.next_in_room);
        }
    }

    fn insert(&mut self, membership: Membership) -> u32 {
        match self.memberships.get_mut(self.unused as usize) {
            Some(place) => {
                let at = self.unused;
                self.unused = place.next_in_room;
                *place = membership;
                at
            }
            None => {
                self.memberships.push(membership);
                self.memberships.len() as u32 - 1
            }
        }
    }

    fn enter(&mut self, id: &RoomId) -> u32 {
        if let Some(key) = self.find(id.as_str()) {
            return key;
        }
        let key = self.rooms.insert(Entry {
            id: id.clone(),
            first: NONE,
            members: 0,
        }) as u32;
        let (rooms, hasher) = (&self.rooms, &self.hasher);
        let hash = |&key: &u32| hasher.hash_one(rooms[key as usize].id.as_str());
        self.by_id.insert_unique(hash(&key), key, hash);
        key
    }

    fn unlink(&mut self, at: u32, user: u32, of: &mut Memberships) -> Left {
        let gone = self.memberships[at as usize];
        if let Some(next) = self.memberships.get_mut(gone.next_in_room as usize) {
            next.previous_in_room = gone.previous_in_room;
        }
        if let Some(next) = self.memberships.get_mut(gone.next_of_owner as usize) {
            next.previous_of_owner = gone.previous_of_owner;
        }
        match self.memberships.get_mut(gone.previous_in_room as usize) {
            Some(previous) => previous.next_in_room = gone.next_in_room,
            None => self.rooms[gone.room as usize].first = gone.next_in_room,
        }
        match self.memberships.get_mut(gone.previous_of_owner as usize) {
            Some(previous) => previous.next_of_owner = gone.next_of_owner,
            None => of.first = gone.next_of_owner,
        }
        of.rooms -= 1;
        self.memberships[at as usize].next_in_room = std::mem::replace(&mut self.unused, at);
        let last_of_user = self.count_out(gone.room, user);
        let entry = &mut self.rooms[gone.room as usize];
        entry.members -= 1;
        let emptied = entry.members == 0;
        let room = if emptied {
            self.remove(gone.room)
        } else {
            entry.id.clone()
        };
        Left {
            room,
            last_of_user,
            emptied,
        }
    }

    fn remove(&mut self, key: u32) -> RoomId {
        let room = self.rooms.remove(key as usize);
        let hash = self.hasher.hash_one(room.id.as_str());
        if let Ok(found) = self.by_id.find_entry(hash, |&other| other == key) {
            found.remove();
        }
        room.id
    }

    fn count_out(&mut self, room: u32, user: u32) -> bool {
        let Some(theirs) = self.several.get_mut(&(room, user)) else {
            return true;
        };
        *theirs -= 1;
        if *theirs == 1 {
            self.several.remove(&(room, user));
        }
        false
    }
}
