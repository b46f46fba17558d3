//! One session's account. While the run goes on it only writes down what its client was told, in the order in which it
//! came; once the log is known, what was told is held against what was due.

use std::collections::BTreeSet;

use super::log::{Log, behind};
use super::verdict::{Offence, Verdict};

/// What a client was told, apart from messages.
#[derive(Clone, Debug)]
pub enum Turn {
    /// `connected` with `resumed:false`: the account begins at this place.
    Began(u64),
    /// `connected` with `resumed:true`: it goes on where it was, in these rooms.
    Resumed(Vec<u16>),
    /// `joined`: what of the room is behind this place is given.
    Joined(u16, u64),
    /// `left`: what of the room is behind this place is not given.
    Left(u16, u64),
    /// `position`: nothing up to here is still to come.
    Position(u64),
    /// `gap`: so many messages are missing from this place on, for everybody or of a room.
    Gap(u64, u64, Option<u16>),
}

/// What was written down.
#[derive(Default)]
pub struct Account {
    /// The places of the messages that came.
    messages: Vec<u64>,
    /// What came before the message of this number.
    turns: Vec<(usize, Turn)>,
}

/// What the accounts of all sessions add up to.
#[derive(Default)]
pub struct Seen {
    /// First sightings.
    pub first: u64,
    /// `user` messages from the queue which the client had got, and not acknowledged in time: it drops them.
    pub again: u64,
    /// For each user the places of their messages that a device of theirs has got.
    pub reached: Vec<BTreeSet<u64>>,
}

impl Account {
    /// A message came.
    pub fn message(&mut self, place: u64) {
        self.messages.push(place);
    }

    /// The client was told something else.
    pub fn turn(&mut self, turn: Turn) {
        self.turns.push((self.messages.len(), turn));
    }

    /// Holds it against the log. The client was connected to the end, so what is due and didn't come is lost.
    pub fn judge(&self, user: u16, label: &str, log: &Log, seen: &mut Seen, verdict: &mut Verdict) {
        let mut walk = Walk {
            user: usize::from(user),
            label,
            log,
            seen,
            verdict,
            start: 0,
            place: 0,
            base: 0,
            last: 0,
            resumed: false,
            lists: Vec::new(),
            missing: BTreeSet::new(),
        };
        let mut turns = self.turns.iter().peekable();
        for number in 0..=self.messages.len() {
            while let Some((_, turn)) = turns.next_if(|(before, _)| *before == number) {
                walk.turn(turn);
            }
            if let Some(&place) = self.messages.get(number) {
                walk.message(place);
            }
        }
        walk.pass_over(u64::MAX);
        walk.lose_missing();
    }
}

/// Messages that are due, in their order: for everybody, for the user, or for a room.
struct List<'a> {
    room: Option<u16>,
    left: &'a [u64],
    /// What is behind this place is not given.
    end: u64,
    /// What is behind this place need not come.
    needed: u64,
}

/// A way through the log, along what one client was told.
struct Walk<'a> {
    user: usize,
    label: &'a str,
    log: &'a Log,
    seen: &'a mut Seen,
    verdict: &'a mut Verdict,
    /// What stands at or before this place was never promised.
    start: u64,
    /// Everything up to here is accounted for.
    place: u64,
    /// The place that the client had when its present connection began.
    base: u64,
    /// What came last on the present connection.
    last: u64,
    /// Whether the present connection resumed.
    resumed: bool,
    lists: Vec<List<'a>>,
    /// What was due and passed over.
    missing: BTreeSet<u64>,
}

impl<'a> Walk<'a> {
    fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Began(place) => {
                self.lose_missing();
                (self.start, self.place, self.resumed) = (*place, *place, false);
                self.connect(&[]);
            }
            Turn::Resumed(rooms) => {
                self.resumed = true;
                self.connect(rooms);
            }
            &Turn::Joined(room, place) => {
                let is_in = |list: &List<'_>| list.room == Some(room) && list.end == u64::MAX;
                if !self.lists.iter().any(is_in) {
                    self.follow(Some(room), &self.log.rooms[usize::from(room)], place);
                }
            }
            &Turn::Left(room, place) => {
                for list in &mut self.lists {
                    if list.room == Some(room) && list.end == u64::MAX {
                        list.end = place;
                        // A client that catches up may leave a room whose messages it hasn't been given yet.
                        list.needed = if self.resumed { self.place } else { place };
                    }
                }
            }
            &Turn::Position(place) => {
                self.pass_over(place);
                self.reach(place);
            }
            &Turn::Gap(place, dropped, room) => self.gap(place, dropped, room),
        }
    }

    /// All that is behind the client's place is due, in rooms too, whenever they were joined.
    fn connect(&mut self, rooms: &[u16]) {
        (self.base, self.last) = (self.place, 0);
        self.lists.clear();
        self.follow(None, &self.log.everybody, self.place);
        self.follow(None, &self.log.users[self.user], self.place);
        for &room in rooms {
            self.follow(Some(room), &self.log.rooms[usize::from(room)], self.place);
        }
    }

    fn follow(&mut self, room: Option<u16>, places: &'a [u64], place: u64) {
        self.lists.push(List {
            room,
            left: behind(places, place),
            end: u64::MAX,
            needed: u64::MAX,
        });
    }

    fn message(&mut self, place: u64) {
        let is_mine = self.log.users[self.user].binary_search(&place).is_ok();
        if is_mine {
            self.seen.reached[self.user].insert(place);
        }
        let was_missing = self.missing.remove(&place);
        if place <= self.last {
            let never_came = was_missing || (place <= self.start && place < self.last);
            let offence = [Offence::Doubled, Offence::OutOfOrder][usize::from(never_came)];
            return self.accuse(offence, place);
        }
        if place > self.base {
            self.pass_over(place - 1);
            match self.next_due(place) {
                Some(due) => {
                    self.take(due);
                    self.seen.first += 1;
                }
                None => self.accuse(Offence::Uninvited, place),
            }
            return self.reach(place);
        }
        // Up to where the client was before, only the queue may bring something.
        self.last = place;
        match (was_missing, is_mine, place > self.start) {
            (true, ..) => self.accuse(Offence::OutOfOrder, place),
            (_, true, true) => self.seen.again += 1,
            (_, true, false) => self.seen.first += 1,
            (_, false, true) => self.accuse(Offence::Doubled, place),
            (_, false, false) => self.accuse(Offence::Uninvited, place),
        }
    }

    /// The list with the earliest message that is due and stands at or before `until`.
    fn next_due(&self, until: u64) -> Option<usize> {
        let due = self.lists.iter().enumerate().filter_map(|(number, list)| {
            let &first = list.left.first()?;
            (first <= list.end.min(until)).then_some((first, number))
        });
        due.min().map(|(_, number)| number)
    }

    fn take(&mut self, list: usize) -> u64 {
        let list = &mut self.lists[list];
        let first = list.left[0];
        list.left = &list.left[1..];
        first
    }

    /// What is due up to here and didn't come is missing.
    fn pass_over(&mut self, until: u64) {
        while let Some(list) = self.next_due(until) {
            let place = self.take(list);
            if place <= self.lists[list].needed {
                self.missing.insert(place);
            }
        }
    }

    /// Everything up to here is accounted for; rooms that were left before have no further messages.
    fn reach(&mut self, place: u64) {
        self.place = self.place.max(place);
        self.last = self.last.max(place);
        let place = self.place;
        self.lists.retain(|list| list.end > place);
    }

    /// As many messages for everybody, or of the room, are missing from this place on. Who comes back gets them after all.
    fn gap(&mut self, place: u64, dropped: u64, room: Option<u16>) {
        self.pass_over(place - 1);
        let (label, dropped) = (self.label, dropped as usize);
        // The list for everybody is the first one.
        let mut lists = self.lists.iter_mut().filter(|list| list.room == room);
        match lists.find(|list| list.left.first() == Some(&place)) {
            Some(list)
                if list
                    .left
                    .get(dropped - 1)
                    .is_some_and(|&last| last <= list.end) =>
            {
                list.left = &list.left[dropped..];
            }
            _ => self.verdict.accuse(Offence::Gap, || {
                format!(
                    "{label}: a gap of {dropped} of room {room:?} at {place}, where fewer are due"
                )
            }),
        }
        self.reach(place);
    }

    fn lose_missing(&mut self) {
        for place in std::mem::take(&mut self.missing) {
            self.accuse(Offence::Lost, place);
        }
    }

    fn accuse(&mut self, offence: Offence, message: u64) {
        let Walk {
            label,
            start,
            base,
            last,
            place,
            ..
        } = self;
        self.verdict.accuse(offence, || {
            format!(
                "{label}: {message}; the account began at {start}, this connection at {base}, it had {last}, in all {place}"
            )
        });
    }
}

#[cfg(test)]
mod tests;
