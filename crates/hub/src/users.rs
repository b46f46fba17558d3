//! Who is here: each user with the first of their connections, found by id.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;
use std::hash::BuildHasher;
use wshub_protocol::UserId;

const NONE: u32 = u32::MAX;

/// A user with at least one connection on this shard, and so with all of them on it, or with one that is gone and may
/// come back.
pub(crate) struct User {
    pub(crate) id: UserId,
    /// The newest connection; each knows the next.
    pub(crate) first: u32,
    pub(crate) connections: u32,
    /// The oldest and the newest of those connections that are gone; each knows the next.
    pub(crate) first_absence: u32,
    pub(crate) last_absence: u32,
}

/// The users of one shard.
pub(crate) struct Users {
    users: Slab<User>,
    connected: usize,
    by_id: HashTable<u32>,
    hasher: FixedState,
}

impl Users {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            users: Slab::new(),
            connected: 0,
            by_id: HashTable::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Makes a connection one of a user's; those that the user has had so far come behind it.
    pub(crate) fn attach(&mut self, key: u32, connection: u32) -> u32 {
        let user = &mut self.users[key as usize];
        self.connected += usize::from(user.connections == 0);
        user.connections += 1;
        std::mem::replace(&mut user.first, connection)
    }

    /// Counts a connection out of its user's.
    pub(crate) fn detach(&mut self, key: u32) -> &mut User {
        let user = &mut self.users[key as usize];
        user.connections -= 1;
        self.connected -= usize::from(user.connections == 0);
        user
    }

    /// Users with a connection.
    pub(crate) fn connected(&self) -> usize {
        self.connected
    }

    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.by_id
            .find(hash, |&key| self.users[key as usize].id.as_str() == id)
            .copied()
    }

    /// The user's key, a new one without connections if need be. The id is copied, so that what lives as long as its
    /// user lies together: kept as it came, it would pin the memory of the handshake around it (75 bytes a connection).
    pub(crate) fn enter(&mut self, id: &UserId) -> u32 {
        if let Some(key) = self.find(id.as_str()) {
            return key;
        }
        let hash = self.hasher.hash_one(id.as_str());
        let key = self.users.insert(User {
            id: id.clone(),
            first: NONE,
            connections: 0,
            first_absence: NONE,
            last_absence: NONE,
        }) as u32;
        let (users, hasher) = (&self.users, &self.hasher);
        self.by_id.insert_unique(hash, key, |&key| {
            hasher.hash_one(users[key as usize].id.as_str())
        });
        key
    }

    pub(crate) fn get(&self, key: u32) -> &User {
        &self.users[key as usize]
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> &mut User {
        &mut self.users[key as usize]
    }

    /// Forgets a user who has no connection and isn't waited for.
    pub(crate) fn remove_if_unused(&mut self, key: u32) {
        let user = &self.users[key as usize];
        if user.connections > 0 || user.first_absence != NONE {
            return;
        }
        let user = self.users.remove(key as usize);
        let hash = self.hasher.hash_one(user.id.as_str());
        if let Ok(entry) = self.by_id.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
    }
}
