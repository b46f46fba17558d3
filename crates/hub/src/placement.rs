//! Which shard a user's connections live on.

use xxhash_rust::xxh3::xxh3_64;

/// The shard of a user: a hash of the whole id, the same in every process and version.
#[must_use]
pub fn shard_of(user: &str, shards: usize) -> usize {
    (xxh3_64(user.as_bytes()) % shards as u64) as usize
}

/// The most shards of a node: one bit each in a [`ShardSet`].
pub const SHARDS: usize = 128;

/// A set of shards: a bit for each, in two halves since 128 bits in one would be aligned wider than rooms can afford.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet([u64; 2]);

impl ShardSet {
    /// The shards from 0 to `shards` - 1.
    #[must_use]
    pub fn all(shards: usize) -> Self {
        Self::from_bits(u128::MAX >> (SHARDS - shards))
    }

    /// Adds a shard.
    pub fn insert(&mut self, shard: usize) {
        *self = Self::from_bits(self.bits() | 1 << shard);
    }

    /// Takes a shard out.
    pub fn remove(&mut self, shard: usize) {
        *self = Self::from_bits(self.bits() & !(1 << shard));
    }

    /// Those of its shards that are not in another set.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self::from_bits(self.bits() & !other.bits())
    }

    /// Whether no shard is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bits() == 0
    }

    fn from_bits(bits: u128) -> Self {
        Self([bits as u64, (bits >> 64) as u64])
    }

    fn bits(self) -> u128 {
        let [low, high] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }

    /// The shards, lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.bits();
        std::iter::from_fn(move || {
            let shard = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (shard < SHARDS).then_some(shard)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_user_is_frozen() {
        // Another value here would move users between shards on an upgrade and break clients that compute it.
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
        let placed: Vec<usize> = ["alice", "bob", "carol", "user17", "ü"]
            .map(|user| shard_of(user, 8))
            .to_vec();
        assert_eq!(placed, [0, 5, 4, 1, 6]);
    }

    #[test]
    fn users_who_share_a_first_letter_spread_over_the_shards() {
        let mut crowd = [0; 8];
        (0..8000).for_each(|i| crowd[shard_of(&format!("user{i}"), 8)] += 1);
        assert!(crowd.iter().all(|&n| (800..1200).contains(&n)), "{crowd:?}");
    }

    #[test]
    fn a_set_lists_its_shards_lowest_first() {
        let mut set = ShardSet::all(128);
        assert_eq!(set.iter().count(), 128);
        set = ShardSet::all(3);
        set.remove(1);
        set.insert(127);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 2, 127]);
        assert!(ShardSet::default().is_empty());
    }
}
