//! Joins that the tail has been asked for and that haven't come back, by room and by user.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use wshub_protocol::{RoomId, UserId};

pub(crate) struct Joins {
    by_room: HashMap<RoomId, u32, FixedState>,
    by_user: HashMap<(RoomId, u64), u32, FixedState>,
    hasher: FixedState,
}

impl Joins {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            by_room: HashMap::with_hasher(FixedState::with_seed(seed)),
            by_user: HashMap::with_hasher(FixedState::with_seed(seed)),
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn asked(&mut self, room: &RoomId, user: &UserId) {
        *self.by_room.entry_ref(room).or_insert(0) += 1;
        let key = self.key(room, user);
        *self.by_user.entry(key).or_insert(0) += 1;
    }

    pub(crate) fn came_back(&mut self, room: &RoomId, user: &UserId) {
        if let Some(joins) = self.by_room.get_mut(room) {
            *joins -= 1;
            if *joins == 0 {
                self.by_room.remove(room);
            }
        }
        let key = self.key(room, user);
        if let Some(joins) = self.by_user.get_mut(&key) {
            *joins -= 1;
            if *joins == 0 {
                self.by_user.remove(&key);
            }
        }
    }

    /// Whether some join of this room is under way.
    pub(crate) fn has_room(&self, room: &RoomId) -> bool {
        self.by_room.contains_key(room)
    }

    /// Whether a join of this room by this user is under way.
    pub(crate) fn has(&self, room: &RoomId, user: &UserId) -> bool {
        !self.by_user.is_empty() && self.by_user.contains_key(&self.key(room, user))
    }

    fn key(&self, room: &RoomId, user: &UserId) -> (RoomId, u64) {
        (room.clone(), self.hasher.hash_one(user))
    }
}
