//! Which entries of the log are for whom, so that a resume costs what it returns however much was said meanwhile.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use wshub_protocol::client_message::Target;
use wshub_protocol::{RoomId, UserId};

type Lists<K> = HashMap<K, VecDeque<u64>, FixedState>;

/// What one place in a list takes, in bytes: a deque is at worst half empty.
const PLACE_BYTES: usize = 2 * size_of::<u64>();
/// What a list takes beside its places and its key's text, in bytes: its slot in the table, the table's free share, and
/// the allocator's part for the key and the smallest deque.
const LIST_BYTES: usize = 160;

/// The places of the log's entries by target, oldest first.
pub(crate) struct Index {
    everybody: VecDeque<u64>,
    users: Lists<UserId>,
    rooms: Lists<RoomId>,
    bytes: usize,
}

impl Index {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            everybody: VecDeque::new(),
            users: HashMap::with_hasher(FixedState::with_seed(seed)),
            rooms: HashMap::with_hasher(FixedState::with_seed(seed)),
            bytes: 0,
        }
    }

    /// The memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the newest entry of the log.
    pub(crate) fn add(&mut self, target: &Target, place: u64) {
        self.bytes += match target {
            Target::Everybody => {
                self.everybody.push_back(place);
                PLACE_BYTES
            }
            Target::Users(users) => users
                .iter()
                .map(|user| add_to(&mut self.users, user, user.as_str(), place))
                .sum(),
            Target::Room(room) => add_to(&mut self.rooms, room, room.as_str(), place),
        };
    }

    /// Takes out the oldest entry of the log, whose target this is.
    pub(crate) fn drop_oldest(&mut self, target: &Target) {
        self.bytes -= match target {
            Target::Everybody => {
                self.everybody.pop_front();
                PLACE_BYTES
            }
            Target::Users(users) => users
                .iter()
                .map(|user| drop_first(&mut self.users, user, user.as_str()))
                .sum(),
            Target::Room(room) => drop_first(&mut self.rooms, room, room.as_str()),
        };
    }

    /// The newest entries of a room, newest first, at most so many; and how many there are in all.
    pub(crate) fn newest_of(
        &self,
        room: &RoomId,
        most: usize,
    ) -> (impl Iterator<Item = u64>, usize) {
        let list = self.rooms.get(room);
        let newest = list.into_iter().flat_map(|list| list.iter().rev()).copied();
        (newest.take(most), list.map_or(0, VecDeque::len))
    }

    /// The entries behind `after` for a user and for everybody, and those of each room behind a place of its own, in
    /// the order of the log.
    pub(crate) fn behind<'a>(
        &'a self,
        after: u64,
        user: &UserId,
        rooms: impl Iterator<Item = (&'a RoomId, u64)>,
    ) -> Merged<'a> {
        let own = [Some(&self.everybody), self.users.get(user)];
        let own = own.into_iter().flatten().map(|list| (list, after));
        let of_rooms = rooms.filter_map(|(room, after)| Some((self.rooms.get(room)?, after)));
        let first = |(list, after): (&'a VecDeque<u64>, u64)| {
            let at = list.partition_point(|&place| place <= after);
            let place = *list.get(at)?;
            Some(Reverse(Head { place, list, at }))
        };
        Merged {
            heads: own.chain(of_rooms).filter_map(first).collect(),
        }
    }
}

/// Entries of several lists in the order of the log.
pub(crate) struct Merged<'a> {
    heads: BinaryHeap<Reverse<Head<'a>>>,
}

#[derive(PartialEq, Eq)]
struct Head<'a> {
    place: u64,
    list: &'a VecDeque<u64>,
    at: usize,
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Iterator for Merged<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let Reverse(Head { place, list, at }) = self.heads.pop()?;
        if let Some(&place) = list.get(at + 1) {
            let at = at + 1;
            self.heads.push(Reverse(Head { place, list, at }));
        }
        Some(place)
    }
}

/// Says how many bytes that took.
fn add_to<K: Hash + Eq + Clone>(lists: &mut Lists<K>, key: &K, text: &str, place: u64) -> usize {
    if let Some(list) = lists.get_mut(key) {
        list.push_back(place);
        return PLACE_BYTES;
    }
    lists.insert(key.clone(), VecDeque::from([place]));
    PLACE_BYTES + LIST_BYTES + text.len()
}

/// Says how many bytes that gave back.
fn drop_first<K: Hash + Eq>(lists: &mut Lists<K>, key: &K, text: &str) -> usize {
    let Some(list) = lists.get_mut(key) else {
        return 0;
    };
    list.pop_front();
    if !list.is_empty() {
        return PLACE_BYTES;
    }
    lists.remove(key);
    PLACE_BYTES + LIST_BYTES + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).expect("an id")
    }

    fn room(id: &str) -> RoomId {
        RoomId::parse(id).expect("an id")
    }

    fn filled() -> (Index, Vec<Target>) {
        let targets = vec![
            Target::Everybody,
            Target::Users([user("ann"), user("bob")].into()),
            Target::Room(room("news")),
            Target::Users([user("bob")].into()),
            Target::Room(room("other")),
            Target::Everybody,
        ];
        let mut index = Index::new(7);
        for (at, target) in targets.iter().enumerate() {
            index.add(target, at as u64 + 1);
        }
        (index, targets)
    }

    fn behind(index: &Index, after: u64, who: &str, rooms: &[(&str, u64)]) -> Vec<u64> {
        let rooms: Vec<_> = rooms.iter().map(|&(id, after)| (room(id), after)).collect();
        let rooms = rooms.iter().map(|(room, after)| (room, *after));
        index.behind(after, &user(who), rooms).collect()
    }

    #[test]
    fn a_user_gets_their_own_what_is_for_everybody_and_for_their_rooms_in_log_order() {
        let (index, _) = filled();
        assert_eq!(behind(&index, 0, "ann", &[("news", 0)]), [1, 2, 3, 6]);
        assert_eq!(behind(&index, 1, "bob", &[]), [2, 4, 6]);
        let both = behind(&index, 1, "bob", &[("news", 1), ("other", 1)]);
        assert_eq!(both, [2, 3, 4, 5, 6]);
        assert_eq!(behind(&index, 6, "ann", &[("news", 6)]), [0; 0]);
    }

    #[test]
    fn a_room_may_be_behind_from_a_place_of_its_own() {
        let (index, _) = filled();
        assert_eq!(behind(&index, 5, "ann", &[("news", 0)]), [3, 6]);
        assert_eq!(behind(&index, 0, "ann", &[("news", 3)]), [1, 2, 6]);
    }

    #[test]
    fn what_left_the_log_leaves_nothing_behind() {
        let (mut index, targets) = filled();
        assert!(index.bytes() > 0);
        for target in &targets {
            index.drop_oldest(target);
        }
        assert!(index.everybody.is_empty() && index.users.is_empty() && index.rooms.is_empty());
        assert_eq!(index.bytes(), 0);
    }
}
