//! Who is here: each user with the first of their connections, found by id.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;
use std::hash::BuildHasher;
use wshub_protocol::UserId;

/// A user with at least one connection on this shard, and so with all of them on it.
pub(crate) struct User {
    pub(crate) id: UserId,
    /// The newest connection; each knows the next.
    pub(crate) first: u32,
    pub(crate) connections: u32,
}

/// The users of one shard.
pub(crate) struct Users {
    users: Slab<User>,
    by_id: HashTable<u32>,
    hasher: FixedState,
}

impl Users {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            users: Slab::new(),
            by_id: HashTable::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.users.len()
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
            first: u32::MAX,
            connections: 0,
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

    /// Forgets a user whose last connection is gone.
    pub(crate) fn remove(&mut self, key: u32) {
        let user = self.users.remove(key as usize);
        let hash = self.hasher.hash_one(user.id.as_str());
        if let Ok(entry) = self.by_id.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
    }
}
