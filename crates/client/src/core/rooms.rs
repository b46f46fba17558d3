//! The rooms that a client wants to be in, and how it gets back into them without missing anything.
//!
//! A room that stands in the query of the upgrade is caught up with by the resume itself. One that doesn't fit there, or
//! has a comma in its id, is joined by message with `after`: its messages then come from a place before the one that is
//! kept, so it has a place of its own until something newer than the kept place has come. Only then is everything of the
//! room before that given, since the server gives all in the order of the log.

use std::collections::BTreeMap;

use wshub_protocol::{Cursor, RoomId};

use super::places::Places;
use crate::address::write_query;
use crate::limits::ROOMS;
use crate::say;

/// What a join asks for beside the room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// So many of the room's last messages, up to 100, with the answer.
    pub history: Option<u8>,
    /// To be told who comes and goes.
    pub presence: bool,
    /// To catch up with the room from this place first.
    pub after: Option<Places>,
}

#[derive(Debug)]
struct Room {
    history: Option<u8>,
    presence: bool,
    /// What is said in it behind the kept place is owed to the application, for it was in there.
    known: bool,
    /// Its own place, while that is not the kept one.
    behind: Option<Places>,
    /// Where it was joined: what was said before is no news, and a kept place may lie before that.
    since: Option<Cursor>,
    /// It was answered on this connection, with a place in this partition.
    joined: Option<u16>,
    /// It stood in the query of this connection.
    in_query: bool,
    /// It was asked for on this connection and not answered.
    asked: bool,
    /// The server could not let the client in just now.
    later: bool,
}

impl Room {
    /// The join of it by message.
    fn join(&self, name: &str, history: Option<u8>) -> String {
        let after = self.behind.as_ref().map(Places::to_string);
        say::join(name, history, self.presence, after.as_deref())
    }
}

/// All rooms of a client.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: BTreeMap<String, Room>,
    /// Rooms that were left while a query that names them was on its way.
    left: Vec<String>,
    /// From where the rooms in the query go on; none where they don't.
    handed_in: Option<Places>,
    /// How many have a place of their own.
    behind: usize,
}

impl Rooms {
    /// Wants to be in a room; `known` where the client was in there before it came to this process. The text to send
    /// where there is a connection; none where there are as many rooms as there may be.
    pub(crate) fn join(&mut self, room: &RoomId, wish: Wish, known: bool) -> Option<String> {
        if self.rooms.len() == ROOMS && !self.rooms.contains_key(room.as_str()) {
            return None;
        }
        let Wish {
            history,
            presence,
            after,
        } = wish;
        let text = say::join(
            room.as_str(),
            history,
            presence,
            after.as_ref().map(Places::to_string).as_deref(),
        );
        let anew = after.is_some();
        let before = self.rooms.remove(room.as_str());
        // Another wish for a room that the client is in owes it no less of what is said there.
        let joined = Room {
            history,
            presence,
            known: known || before.as_ref().is_some_and(|room| room.known),
            in_query: before.as_ref().is_some_and(|room| room.in_query),
            joined: before
                .as_ref()
                .and_then(|room| room.joined.filter(|_| !anew)),
            since: before
                .as_ref()
                .and_then(|room| room.since.filter(|_| !anew)),
            behind: after.or(before.and_then(|room| room.behind)),
            asked: true,
            later: false,
        };
        self.rooms.insert(room.as_str().to_owned(), joined);
        self.count_behind();
        Some(text)
    }

    /// Doesn't want to be in it any more.
    pub(crate) fn leave(&mut self, room: &RoomId) {
        let before = self.rooms.remove(room.as_str());
        if before.is_some_and(|room| room.in_query) {
            self.left.push(room.as_str().to_owned());
        }
        self.count_behind();
    }

    /// The rooms for the query of a connection that hands in `places`, in at most `room` bytes.
    pub(crate) fn query(&mut self, places: &Places, room_for: usize) -> String {
        let mut query = String::new();
        self.left.clear();
        self.handed_in = (!places.is_empty()).then(|| places.clone());
        for (name, room) in &mut self.rooms {
            room.joined = None;
            (room.asked, room.later) = (true, false);
            let late = room.known && !places.is_empty();
            let fresh = room.known && room.history.is_none();
            let mut more = query.clone();
            if !more.is_empty() {
                more.push(',');
            }
            write_query(&mut more, name);
            let fits = !name.contains(',') && more.len() <= room_for;
            room.in_query = fits && room.behind.is_none() && (late || fresh);
            if room.in_query {
                query = more;
            } else if late && room.behind.is_none() {
                room.behind = Some(places.clone());
            }
        }
        self.count_behind();
        query
    }

    /// What is to be said now that the connection stands.
    pub(crate) fn entered(&mut self, resumed: bool) -> Vec<String> {
        let left = std::mem::take(&mut self.left).into_iter();
        let mut texts: Vec<_> = left.map(|room| say::leave(&room)).collect();
        for (name, room) in &self.rooms {
            // Whoever missed something, or was never there, wants the history anew.
            let history = room.history.filter(|_| !resumed && room.behind.is_none());
            if !room.in_query || room.presence || history.is_some() {
                texts.push(room.join(name, history));
            }
        }
        if !resumed {
            self.handed_in = None;
        }
        texts
    }

    /// The server says that the client is in it.
    pub(crate) fn joined(&mut self, room: &str, cursor: Option<&Cursor>, resumed: Option<bool>) {
        let Some(room) = self.rooms.get_mut(room) else {
            return;
        };
        room.asked = false;
        if !room.known {
            room.since = cursor.copied();
        }
        room.known = true;
        room.joined = cursor.map(|cursor| cursor.partition);
        if resumed == Some(false) {
            room.behind = None;
            self.count_behind();
        }
    }

    /// A request that named the room was refused. An unanswered join is said again later where the reason passes, which
    /// it then returns; else the client forgets the room: it would be refused again on each connection.
    pub(crate) fn refused(&mut self, name: &str, passes: bool) -> bool {
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.asked) else {
            return false;
        };
        if passes {
            (room.asked, room.later) = (false, true);
            if room.in_query && room.known && room.behind.is_none() {
                // The kept place moves on without it.
                room.behind = self.handed_in.clone();
            }
        } else {
            self.rooms.remove(name);
        }
        self.count_behind();
        passes
    }

    /// Asks again for the rooms that the server could not let the client into.
    pub(crate) fn ask_again(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        for (name, room) in self.rooms.iter_mut().filter(|(_, room)| room.later) {
            (room.asked, room.later) = (true, false);
            let history = room.history.filter(|_| room.behind.is_none());
            texts.push(room.join(name, history));
        }
        texts
    }

    /// A message of the room has come; returns whether it is no news: it was said before the room was joined, or was
    /// given before, while the room is being caught up with.
    pub(crate) fn heard_before(&mut self, room: &str, cursor: &Cursor) -> bool {
        let Some(room) = self.rooms.get_mut(room) else {
            return false;
        };
        let Some(behind) = room.behind.as_mut() else {
            return room
                .since
                .is_some_and(|since| is_at_or_before(cursor, &since));
        };
        let before = behind.covers(cursor);
        behind.advance(cursor);
        before
    }

    /// The kept place has moved on in this partition: its rooms that were answered are caught up with.
    pub(crate) fn moved_on(&mut self, partition: u16) {
        if self.behind == 0 {
            return;
        }
        for room in self.rooms.values_mut() {
            if room.joined == Some(partition) {
                room.behind = None;
            }
        }
        self.count_behind();
    }

    /// The place from which nothing of any room would be missed: the kept one, or that of a room that is further behind.
    pub(crate) fn place_for_all(&self, kept: &Places) -> Places {
        let mut all = kept.clone();
        if self.behind > 0 {
            let own = self.rooms.values().filter_map(|room| room.behind.as_ref());
            own.for_each(|behind| all.fall_back(behind));
        }
        all
    }

    /// What was before is lost, and told so.
    pub(crate) fn reset(&mut self) {
        for room in self.rooms.values_mut() {
            room.behind = None;
        }
        self.behind = 0;
    }

    fn count_behind(&mut self) {
        self.behind = self
            .rooms
            .values()
            .filter(|room| room.behind.is_some())
            .count();
    }
}

/// Messages of one room are all in one partition.
fn is_at_or_before(cursor: &Cursor, other: &Cursor) -> bool {
    (cursor.epoch, cursor.partition) == (other.epoch, other.partition)
        && cursor.offset <= other.offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(room: &str) -> RoomId {
        RoomId::parse(room).unwrap()
    }

    fn places(text: &str) -> Places {
        Places::read(text).unwrap()
    }

    fn cursor(text: &str) -> Cursor {
        Cursor::parse(text).unwrap()
    }

    fn in_rooms(names: &[&str]) -> Rooms {
        let mut rooms = Rooms::default();
        for name in names {
            rooms.join(&id(name), Wish::default(), true).unwrap();
        }
        rooms
    }

    #[test]
    fn rooms_stand_in_the_query_as_far_as_they_fit() {
        let mut rooms = in_rooms(&["a", "b b", "c,c", "d"]);
        assert_eq!(rooms.query(&places("1.a:0:5"), 7), "a,b%20b");
        let said = rooms.entered(true);
        assert_eq!(
            said,
            [
                r#"{"type":"join","room_id":"c,c","after":"1.a:0:5"}"#,
                r#"{"type":"join","room_id":"d","after":"1.a:0:5"}"#
            ]
        );
    }

    #[test]
    fn a_room_that_is_behind_keeps_its_own_place_over_a_broken_connection() {
        let mut rooms = in_rooms(&["c,c"]);
        rooms.query(&places("1.a:0:5"), 100);
        rooms.joined("c,c", Some(&cursor("1.a:0:20")), Some(true));
        assert!(!rooms.heard_before("c,c", &cursor("1.a:0:7")));
        assert_eq!(rooms.place_for_all(&places("1.a:0:15")), places("1.a:0:7"));
        rooms.query(&places("1.a:0:15"), 100);
        assert_eq!(
            rooms.entered(true),
            [r#"{"type":"join","room_id":"c,c","after":"1.a:0:7"}"#]
        );
        assert!(rooms.heard_before("c,c", &cursor("1.a:0:7")));
        assert!(!rooms.heard_before("c,c", &cursor("1.a:0:8")));
    }

    #[test]
    fn a_room_is_caught_up_with_when_something_newer_has_come() {
        let mut rooms = in_rooms(&["c,c"]);
        rooms.query(&places("1.a:0:5"), 100);
        rooms.moved_on(0);
        assert_eq!(
            rooms.behind, 1,
            "the room isn't joined yet, so nothing is said of it"
        );
        rooms.joined("c,c", Some(&cursor("1.a:0:20")), Some(true));
        rooms.moved_on(1);
        assert_eq!(rooms.behind, 1, "that partition isn't the room's");
        rooms.moved_on(0);
        assert_eq!(rooms.behind, 0);
    }

    #[test]
    fn history_is_asked_for_at_first_and_after_a_loss() {
        let mut rooms = Rooms::default();
        let wish = Wish {
            history: Some(5),
            presence: true,
            after: None,
        };
        let first = rooms.join(&id("a"), wish, true).unwrap();
        assert_eq!(
            first,
            r#"{"type":"join","room_id":"a","history":5,"presence":true}"#
        );
        assert_eq!(rooms.query(&Places::default(), 100), "");
        assert_eq!(rooms.entered(false), std::slice::from_ref(&first));
        rooms.joined("a", Some(&cursor("1.a:0:1")), None);
        assert_eq!(rooms.query(&places("1.a:0:5"), 100), "a");
        assert_eq!(
            rooms.entered(true),
            [r#"{"type":"join","room_id":"a","presence":true}"#]
        );
        assert_eq!(rooms.entered(false), [first]);
    }

    #[test]
    fn a_room_that_is_new_to_the_client_is_not_caught_up_with() {
        let mut rooms = Rooms::default();
        rooms.join(&id("a"), Wish::default(), false).unwrap();
        assert_eq!(rooms.query(&places("1.a:0:5"), 100), "");
        assert_eq!(rooms.entered(true), [r#"{"type":"join","room_id":"a"}"#]);
    }

    #[test]
    fn a_refused_join_is_forgotten_but_not_a_room_that_one_is_in() {
        let mut rooms = in_rooms(&["a", "b"]);
        rooms.joined("b", Some(&cursor("1.a:0:1")), None);
        rooms.refused("a", false);
        rooms.refused("b", false);
        assert_eq!(rooms.query(&Places::default(), 100), "b");
    }

    #[test]
    fn there_are_no_more_rooms_than_the_bound_says() {
        let mut rooms = Rooms::default();
        for number in 0..ROOMS {
            assert!(
                rooms
                    .join(&id(&number.to_string()), Wish::default(), false)
                    .is_some()
            );
        }
        assert!(
            rooms
                .join(&id("one more"), Wish::default(), false)
                .is_none()
        );
        assert!(rooms.join(&id("0"), Wish::default(), false).is_some());
    }
}
