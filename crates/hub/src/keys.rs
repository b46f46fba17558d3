//! Keys by a hash, of which there may be millions: one table of them all would stand still for a tenth of a second when
//! it grows, with everybody waiting. So they are in many tables, each of which grows by itself.

use hashbrown::HashTable;
use hashbrown::hash_table::{AbsentEntry, OccupiedEntry};

const TABLES: usize = 64;

/// Speaks like one [`HashTable`].
pub(crate) struct Keys {
    tables: Box<[HashTable<u32>; TABLES]>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            tables: Box::new([const { HashTable::new() }; TABLES]),
        }
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&u32) -> bool) -> Option<&u32> {
        self.tables[table_of(hash)].find(hash, is_it)
    }

    pub(crate) fn find_entry(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&u32) -> bool,
    ) -> Result<OccupiedEntry<'_, u32>, AbsentEntry<'_, u32>> {
        self.tables[table_of(hash)].find_entry(hash, is_it)
    }

    /// Puts in a key that isn't there; `hash_of` is asked for the hashes of those that are moved to make room.
    pub(crate) fn insert_unique(&mut self, hash: u64, key: u32, hash_of: impl Fn(&u32) -> u64) {
        self.tables[table_of(hash)].insert_unique(hash, key, hash_of);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.iter().all(HashTable::is_empty)
    }
}

/// By bits in the middle: a table takes the lowest and the highest ones.
fn table_of(hash: u64) -> usize {
    (hash >> 32) as usize % TABLES
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::BuildHasher;

    use foldhash::fast::FixedState;

    use super::*;

    fn hash_of(key: &u32) -> u64 {
        FixedState::with_seed(7).hash_one(format!("room{key}").as_str())
    }

    #[test]
    fn to_make_room_for_one_key_few_of_the_others_are_moved() {
        let mut keys = Keys::new();
        let all = 100_000;
        for key in 0..all {
            let moved = Cell::new(0);
            keys.insert_unique(hash_of(&key), key, |other| {
                moved.set(moved.get() + 1);
                hash_of(other)
            });
            assert!(
                moved.get() < all / 32,
                "{} moved for the {key}th",
                moved.get()
            );
        }
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let mut keys = Keys::new();
        for key in 0..1000 {
            keys.insert_unique(hash_of(&key), key, hash_of);
        }
        for key in 0..1000 {
            assert_eq!(keys.find(hash_of(&key), |&other| other == key), Some(&key));
            let found = keys.find_entry(hash_of(&key), |&other| other == key);
            found.map(|found| found.remove()).expect("it is there");
            assert_eq!(keys.find(hash_of(&key), |&other| other == key), None);
        }
        assert!(keys.is_empty());
    }
}
