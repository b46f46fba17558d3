//! The model: from the log and the places a client was told, what it must have heard, message by message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wshub_protocol::client_message::Target;

use crate::world::{Client, Entry, Said, Wish, World};
use passing::Passing;
use presence::Watched;

mod history;
mod passing;
mod presence;

/// One connection's account.
struct Account<'a> {
    log: &'a [Entry],
    /// Nothing has ever gone from the log.
    log_has_all: bool,
    user: String,
    session: Option<String>,
    /// It handed in this place.
    after: Option<u64>,
    /// Everything for everybody and for the user up to this place is settled.
    place: u64,
    /// Its rooms, and up to where what was said there is settled.
    rooms: BTreeMap<String, u64>,
    /// Who it knows to be in those rooms of which it asked that.
    watched: Watched,
    passing: Passing<'a>,
    /// Places that gaps told it are missing.
    excused: BTreeSet<u64>,
    /// It had something to catch up with. From then on answers may come before what stands before them: from outside
    /// nobody can see when it is live again.
    catching_up: bool,
    /// So many answers to joins are still due for the query, and the places it asked to catch up from by message.
    query: usize,
    joins: VecDeque<Wish>,
    /// How many waiting messages are still to come, and the last of those older than its place.
    pending: u64,
    /// It was reset: what still waits for it may follow without having been announced.
    was_reset: bool,
    last_waiting: u64,
}

impl<'a> Account<'a> {
    fn of(client: &Client, log: &'a [Entry], log_has_all: bool, passed: &'a [Entry]) -> Self {
        Self {
            log,
            log_has_all,
            user: client.user(),
            session: None,
            after: client.came_after(),
            place: 0,
            rooms: BTreeMap::new(),
            watched: Watched::default(),
            passing: Passing::of(passed),
            query: client.rooms_in_query(),
            joins: client.asked_to_join().into(),
            excused: BTreeSet::new(),
            catching_up: false,
            pending: 0,
            was_reset: false,
            last_waiting: 0,
        }
    }

    fn nothing_is_missing(&self, last: Option<&Said>) {
        let missed = self.next_due().map(|entry| entry.offset);
        assert!(
            missed.is_none(),
            "{} was not given {missed:?}: {last:?}",
            self.user,
        );
        assert_eq!(self.pending, 0, "{} was not given what waited", self.user);
    }

    fn is_due(&self, entry: &Entry) -> bool {
        if self.excused.contains(&entry.offset) || !entry.is_for(self.session.as_deref()) {
            return false;
        }
        match &entry.target {
            Target::Everybody => entry.offset > self.place,
            Target::Users(_) => entry.offset > self.place && entry.is_to(&self.user),
            Target::Room(room) => {
                let settled = self.rooms.get(room.as_str());
                settled.is_some_and(|&settled| entry.offset > settled)
            }
        }
    }

    /// The next message that is due to this client.
    fn next_due(&self) -> Option<&Entry> {
        let settled = self
            .rooms
            .values()
            .fold(self.place, |all, &own| all.min(own));
        let mut rest = self.log[settled as usize..].iter();
        rest.find(|entry| self.is_due(entry))
    }

    fn nothing_is_due_up_to(&self, place: u64, said: &Said) {
        let missed = self.next_due().filter(|entry| entry.offset <= place);
        let offset = missed.map(|entry| entry.offset);
        assert!(
            offset.is_none(),
            "{} was not given {offset:?} before {said:?}",
            self.user
        );
    }

    fn settle_up_to(&mut self, place: u64) {
        self.place = self.place.max(place);
        for own in self.rooms.values_mut() {
            *own = place.max(*own);
        }
    }

    fn settle(&mut self, said: &Said) {
        match said.kind.as_str() {
            "connected" => self.begin(said),
            "joined" => self.settle_joined(said),
            "left" => {
                self.settle_answer(said);
                let room = said.room_id.as_deref().expect("a room");
                self.rooms.remove(room);
                self.watched.forget(room);
            }
            "presence" => self.watched.see(said),
            "error" if said.code.as_deref() == Some("too_many_rooms") => {
                self.next_join();
            }
            "position" => {
                self.nothing_is_due_up_to(said.offset(), said);
                self.settle_up_to(said.offset());
            }
            "gap" => self.settle_gap(said),
            "reset" => {
                self.settle_up_to(said.offset());
                (self.pending, self.was_reset) = (0, true);
                self.last_waiting = 0;
            }
            _ if said.is_passing() => {
                let rooms = &self.rooms;
                self.passing.hear(said, |room| rooms.contains_key(room));
            }
            _ if said.is_message() => self.settle_message(said),
            _ => {}
        }
    }

    /// So many messages of one room, or of those for everybody, are missing from this place on; all before it was given.
    fn settle_gap(&mut self, said: &Said) {
        let (first, dropped) = (said.offset(), said.dropped.expect("how many") as usize);
        let is_missing = |entry: &&Entry| match (&entry.target, &said.room_id) {
            (Target::Everybody, None) => true,
            (Target::Room(of), Some(room)) => of.as_str() == room,
            _ => false,
        };
        let due = self.log.iter().filter(|entry| self.is_due(entry));
        let missing = due.filter(is_missing).map(|entry| entry.offset);
        let missing: Vec<u64> = missing.take(dropped).collect();
        if missing.first() == Some(&first) {
            assert_eq!(missing.len(), dropped, "{said:?} for {missing:?}");
            self.excused.extend(missing);
        } else {
            // Nothing that was said is missing there: it must be who came and went.
            self.watched.lose(said);
        }
        if first > self.place {
            self.nothing_is_due_up_to(first, said);
            self.settle_up_to(first);
        }
    }

    fn begin(&mut self, said: &Said) {
        let resumed = said.resumed == Some(true);
        self.session.clone_from(&said.session_id);
        self.passing.begin(&self.user, self.session.clone());
        self.place = self.after.filter(|_| resumed).unwrap_or(said.offset());
        self.pending = said.pending.expect("pending");
        self.catching_up = self.place < said.offset() || self.pending > 0;
        assert!(
            self.place <= said.offset(),
            "{said:?} resumes what isn't yet"
        );
    }

    /// From where a room that is joined now is given; the answers come in the order of the questions.
    fn next_join(&mut self) -> (Option<u64>, Wish) {
        if self.query > 0 {
            self.query -= 1;
            // The place of a connection that resumed is that of its rooms.
            return (Some(self.place), Wish::default());
        }
        let wish = self.joins.pop_front().expect("a join that is answered");
        (wish.place(), wish)
    }

    fn settle_joined(&mut self, said: &Said) {
        let (at, room) = (said.offset(), said.room_id.clone().expect("a room"));
        let of_query = self.query > 0;
        let (from, wish) = self.next_join();
        if !of_query {
            self.settle_answer(said);
        }
        self.watched.joined(said, &wish, &self.user);
        history::hold(self.log, self.log_has_all, said, &wish);
        match from.filter(|_| said.resumed != Some(false)) {
            Some(from) => {
                // What it was told is missing there it may be given now, or told of again.
                let log = self.log;
                let is_of_it = |place: u64| match &log[place as usize - 1].target {
                    Target::Room(of) => of.as_str() == room,
                    _ => false,
                };
                self.excused
                    .retain(|&place| place <= from || !is_of_it(place));
                self.rooms.insert(room, from);
                self.catching_up |= from < at;
            }
            None => _ = self.rooms.entry(room).or_insert(at),
        }
    }

    /// An answer has its place: all that stands before it was given, unless the connection is catching up.
    fn settle_answer(&mut self, said: &Said) {
        let at = said.offset();
        if !self.catching_up {
            self.nothing_is_due_up_to(at, said);
            assert!(self.place <= at, "{said:?} comes behind a later message");
            self.settle_up_to(at);
        }
    }

    fn settle_message(&mut self, said: &Said) {
        let offset = said.offset();
        let entry = &self.log[offset as usize - 1];
        assert_eq!(entry.offset, offset);
        if said.kind == "user" && offset <= self.place {
            self.settle_waiting(said, entry);
        } else if offset <= self.place {
            self.settle_in_room(said, entry);
        } else {
            let due = self.next_due();
            let due = due.unwrap_or_else(|| panic!("nothing was due, but {said:?}"));
            assert_eq!(offset, due.offset, "{} was given {said:?}", self.user);
            self.settle_up_to(offset);
        }
        if said.kind == "user" {
            self.pending = self.pending.saturating_sub(1);
        }
        is_as_published(said, entry);
    }

    /// A message of a room that was joined later than the rest: each such room comes in its own order.
    fn settle_in_room(&mut self, said: &Said, entry: &Entry) {
        let room = said.room_id.as_deref().unwrap_or_default();
        let settled = *self.rooms.get(room).unwrap_or(&self.place);
        let session = self.session.as_deref();
        let is_next = |one: &&Entry| {
            one.is_for(session)
                && !self.excused.contains(&one.offset)
                && matches!(&one.target, Target::Room(of) if of.as_str() == room)
        };
        let next = self.log[settled as usize..].iter().find(is_next);
        assert_eq!(
            next.map(|next| next.offset),
            Some(entry.offset),
            "{} was given {said:?}",
            self.user
        );
        self.rooms.insert(room.to_owned(), entry.offset);
    }

    /// A message from the queue that stands before the place from which on the log is given.
    fn settle_waiting(&mut self, said: &Said, entry: &Entry) {
        let (user, offset) = (&self.user, entry.offset);
        assert!(entry.is_to(user), "{user} was given {said:?}");
        let is_theirs = entry.is_for(self.session.as_deref());
        assert!(is_theirs, "{user} was given their own {said:?}");
        assert!(
            self.pending > 0 || self.was_reset,
            "{user} was given more than waited: {said:?}"
        );
        assert!(
            self.last_waiting < offset,
            "{user} was given {offset} behind {}",
            self.last_waiting
        );
        self.last_waiting = offset;
    }
}

pub(crate) fn is_as_published(said: &Said, entry: &Entry) {
    let (kind, room) = match &entry.target {
        Target::Everybody => ("broadcast", None),
        Target::Users(_) => ("user", None),
        Target::Room(room) => ("room", Some(room.as_str())),
    };
    assert_eq!((said.kind.as_str(), said.room_id.as_deref()), (kind, room));
    assert_eq!(said.data(), entry.data);
    assert_eq!(said.from.as_deref(), Some(entry.from.as_str()));
    assert_eq!(said.id.as_deref(), Some(entry.id.as_str()));
}

/// Where a client is at the end.
pub(crate) struct Standing {
    /// The rooms it is in.
    pub(crate) rooms: BTreeSet<String>,
    /// Whom it knows to be in those rooms of which it asked that.
    pub(crate) watched: BTreeMap<String, BTreeSet<String>>,
}

/// Holds what a client was told against what was said: each message that was due came once and in order, up to some
/// place; for one that is still there that place is the end. Whatever passed by came at most once and in order. Answers
/// where that leaves the client.
pub(crate) fn hold(world: &World, client: &Client) -> Standing {
    let log_has_all = world.log_has_all();
    world.with_log(|log| {
        world.with_passed(|passed| {
            client.with_all(|all| {
                let mut account = Account::of(client, log, log_has_all, passed);
                all.iter().for_each(|said| account.settle(said));
                if client.is_connected() && client.reads() {
                    account.nothing_is_missing(all.last());
                }
                Standing {
                    rooms: account.rooms.into_keys().collect(),
                    watched: account.watched.into_rooms(),
                }
            })
        })
    })
}

/// Holds the acks of a client against the log: each names the place of the message with its id.
pub(crate) fn hold_acks(log: &[Entry], client: &Client) {
    for (id, offset) in client.each("ack", |said| (said.id.clone(), said.offset())) {
        let entry = &log[offset as usize - 1];
        assert_eq!(
            (Some(&entry.id), &entry.from),
            (id.as_ref(), &client.user())
        );
    }
}
