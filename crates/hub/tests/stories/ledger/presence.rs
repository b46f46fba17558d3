//! Who a client must know to be in its rooms, where it asked for that.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Said, Wish};

/// The rooms that a client watches, and the users it knows to be there, unless it was too slow to be told of all who
/// came and went. Only of rooms in which all are named.
#[derive(Default)]
pub(super) struct Watched(BTreeMap<String, Option<BTreeSet<String>>>);

impl Watched {
    /// Takes the answer to a join. Whoever watched the room before knew already who is in it.
    pub(super) fn joined(&mut self, said: &Said, wish: &Wish, user: &str) {
        let room = said.room_id.clone().expect("a room");
        assert_eq!(said.users.is_some(), wish.presence, "{said:?}");
        let known = self.0.remove(&room).flatten();
        let Some(users) = &said.users else { return };
        assert!(users.is_sorted(), "{said:?}");
        assert_eq!(Some(users.len() as u64), said.members);
        let users: BTreeSet<String> = users.iter().cloned().collect();
        assert_eq!(Some(users.len() as u64), said.members, "named twice");
        assert!(users.contains(user), "{user} is not in {said:?}");
        if let Some(known) = known {
            assert_eq!(known, users, "{user} knew otherwise: {said:?}");
        }
        self.0.insert(room, Some(users));
    }

    /// Takes that it was not told of some who came and went.
    pub(super) fn lose(&mut self, said: &Said) {
        let room = said.room_id.as_deref().expect("a room");
        let users = self.0.get_mut(room);
        *users.unwrap_or_else(|| panic!("nobody asked for {said:?}")) = None;
    }

    /// Takes who came or went: nobody comes who is there, nor goes who isn't.
    pub(super) fn see(&mut self, said: &Said) {
        let room = said.room_id.as_deref().expect("a room");
        let users = self.0.get_mut(room);
        let users = users.unwrap_or_else(|| panic!("nobody asked for {said:?}"));
        let Some(users) = users else { return };
        let user = said.user_id.clone().expect("a user");
        let is_news = match said.event.as_deref() {
            Some("join") => users.insert(user),
            Some("leave") => users.remove(&user),
            _ => panic!("{said:?} in a small room"),
        };
        assert!(is_news, "{said:?} is no news");
    }

    pub(super) fn forget(&mut self, room: &str) {
        self.0.remove(room);
    }

    pub(super) fn into_rooms(self) -> BTreeMap<String, BTreeSet<String>> {
        let known = self.0.into_iter();
        known
            .filter_map(|(room, users)| Some((room, users?)))
            .collect()
    }
}
