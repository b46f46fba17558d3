//! Coming into rooms and out of them.

use std::sync::Arc;

use wshub_protocol::client_message::{JoinWish, Refusal};
use wshub_protocol::server_message::{self, Joined};
use wshub_protocol::{Cursor, ErrorCode, RoomId, UserId};

use super::{Effect, Shard, Token};
use crate::absences::Absence;
use crate::connection::NONE;
use crate::frames::{Presence, Shared};
use crate::limits::GRACE_MS;
use crate::question::{Admission, Caught, History, Joining, Question};
use crate::rooms::{self, Memberships, Owner};
use crate::time::{Now, Tick};

/// Memberships that end at once because their connections stayed away: some 100 µs.
const ENDED_AT_ONCE: usize = 1024;

/// A connection in a room.
struct Inside {
    /// The room's key.
    room: u32,
    /// It wasn't in it before.
    is_new: bool,
}

impl<S> Shard<S> {
    /// Asks the tail to let a connection into a room; the answer comes through the inbox.
    pub(super) fn ask_to_join(&mut self, token: Token, room: RoomId, wish: JoinWish) {
        let connection = &self.connections[token.index() as usize];
        let user = self.users.get(connection.user).id.clone();
        self.joins.asked(&room, &user);
        let joining = Joining { room, user, wish };
        self.ask(Question::Join(token, Box::new(joining)));
    }

    pub(super) fn ask(&mut self, question: Question) {
        self.effects.push_back(Effect::Ask(question));
    }

    /// A join has its place in the log: what comes behind it is for this connection too.
    pub(super) fn joined(&mut self, now: Now, token: Token, admission: Admission) {
        self.joins.came_back(&admission.room, &admission.user);
        self.end = Some(admission.cursor);
        let index = token.index();
        let inside = if self.is_open(token) {
            self.join_room(now, index, &admission)
        } else {
            None
        };
        let Some(Inside { room, is_new }) = inside else {
            return self.was_not_let_in(&admission.room, &admission.user);
        };
        let end = admission.cursor.offset.place();
        match admission.caught {
            Caught::Behind(place) if place < end => {
                self.catch_up_with(now, index, room, place, admission.cursor);
            }
            _ => {
                let catching_up = &mut self.connections[index as usize].catching_up;
                if let Some(catching_up) = catching_up.as_mut().filter(|_| is_new) {
                    catching_up.set_room(room, end);
                }
            }
        }
    }

    /// Joins a room of the query.
    pub(super) fn join_at_once(&mut self, now: Now, token: Token, admission: &Admission) {
        // To say so much may have been too much for the connection.
        let is_in = self.is_open(token) && self.join_room(now, token.index(), admission).is_some();
        if !is_in {
            self.was_not_let_in(&admission.room, &admission.user);
        }
    }

    /// The tail counts on this user's being in the room; takes that back unless it is true.
    pub(super) fn was_not_let_in(&mut self, room: &RoomId, user: &UserId) {
        let theirs = self
            .users
            .find(user.as_str())
            .zip(self.rooms.find(room.as_str()));
        if !theirs.is_some_and(|(user, room)| self.is_in(user, room)) {
            self.user_left(room, user);
        }
        self.forget_if_unused(room);
    }

    /// Puts a connection into a room and tells it so; `None` where it is in too many, or too slow to be told.
    fn join_room(&mut self, now: Now, index: u32, admission: &Admission) -> Option<Inside> {
        let id = &admission.room;
        let owner = Owner::Connection(index);
        let known = self.rooms.find(id.as_str());
        let connection = &self.connections[index as usize];
        let (user, mut of) = (connection.user, connection.rooms);
        let inside = known.filter(|&room| self.rooms.contains(room, owner, &of));
        if inside.is_none() && of.rooms >= self.limits.rooms_per_connection {
            self.refuse_room(now, index, id);
            return None;
        }
        let room = inside.unwrap_or_else(|| {
            let another = known.is_some_and(|room| self.is_in(user, room));
            self.rooms.join(id, user, index, &mut of, another)
        });
        self.rooms.set_listens(room, index, &of, admission.listens);
        self.connections[index as usize].rooms = of;
        self.counters.rooms.set(self.rooms.len() as u64);
        self.say_joined(now, index, admission);
        // To say so may have been too much for the connection; then it has left again.
        let connection = &self.connections[index as usize];
        (connection.user != NONE).then_some(Inside {
            room,
            is_new: inside.is_none(),
        })
    }

    fn say_joined(&mut self, now: Now, index: u32, admission: &Admission) {
        let history = admission.history.as_ref().map(|history| {
            let messages = history.messages.iter();
            let texts = messages.map(|message| message.frame.json());
            (texts, history.complete)
        });
        self.work += admission.history.as_ref().map_or(0, History::bytes);
        self.json.clear();
        let joined = Joined {
            room: &admission.room,
            cursor: &admission.cursor,
            members: admission.members.into(),
            resumed: match admission.caught {
                Caught::NotAsked => None,
                Caught::Behind(_) => Some(true),
                Caught::Lost => Some(false),
            },
            users: admission
                .users
                .as_ref()
                .map(|users| users.iter().map(UserId::as_str)),
            history,
        };
        joined.write(&mut self.json);
        self.send_json(now, index);
    }

    /// A leave has its place in the log: nothing behind it is for this connection any more.
    pub(super) fn left(
        &mut self,
        now: Now,
        token: Token,
        id: &RoomId,
        mut members: u32,
        cursor: Cursor,
    ) {
        self.end = Some(cursor);
        let index = token.index();
        if !self.is_open(token) {
            return;
        }
        if let Some(key) = self.rooms.find(id.as_str()) {
            let connection = &mut self.connections[index as usize];
            if let Some(catching_up) = &mut connection.catching_up {
                catching_up.forget_room(key);
            }
            let (user, owner) = (connection.user, Owner::Connection(index));
            let left = self.rooms.leave(key, user, owner, &mut connection.rooms);
            if let Some(left) = left {
                let left = self.leave_for_those_who_are_gone(user, key, left);
                members = members.saturating_sub(u32::from(left.last_of_user));
                self.after_leaving(user, &left);
            }
        }
        self.json.clear();
        server_message::write_left(&mut self.json, id, &cursor, members.into());
        self.send_json(now, index);
    }

    /// Who says that they leave, and has no other connection in the room, leaves for those that ended before, too.
    fn leave_for_those_who_are_gone(
        &mut self,
        user: u32,
        room: u32,
        mut left: rooms::Left,
    ) -> rooms::Left {
        if left.last_of_user || self.find_in(user, room, Owner::is_connection).is_some() {
            return left;
        }
        while !left.last_of_user
            && let Some(Owner::Gone(key)) = self.find_in(user, room, |_| true)
            && let Some(of) = self.absences.leaves_one(key)
            && let Some(next) = self.rooms.leave(room, user, Owner::Gone(key), of)
        {
            left = next;
        }
        left
    }

    /// Keeps the rooms of a connection that is gone for a while: most come back.
    pub(super) fn keep_rooms(&mut self, now: Now, user: u32, rooms: Memberships) {
        let until = now.tick().plus_ms(GRACE_MS);
        let key = self.absences.add(
            until,
            Absence {
                user,
                rooms,
                next_of_user: NONE,
            },
        );
        self.rooms.hand_over(&rooms, key);
        let user = self.users.get_mut(user);
        match self
            .absences
            .get_mut(std::mem::replace(&mut user.last_absence, key))
        {
            Some(before) => before.next_of_user = key,
            None => user.first_absence = key,
        }
        while self.absences.memberships() > self.limits.absent_memberships {
            self.end_oldest_absence();
        }
    }

    /// Takes those who stayed away out of their rooms, a bounded part of them.
    pub(super) fn end_absences(&mut self, tick: Tick) {
        let before = self.absences.memberships();
        while self.absences.next().is_some_and(|until| until <= tick)
            && before - self.absences.memberships() < ENDED_AT_ONCE
        {
            self.end_oldest_absence();
        }
    }

    fn end_oldest_absence(&mut self) {
        let Some(mut absence) = self.absences.pop() else {
            return;
        };
        let user = self.users.get_mut(absence.user);
        // All wait equally long, so this is the user's oldest, too.
        user.first_absence = absence.next_of_user;
        if user.first_absence == NONE {
            user.last_absence = NONE;
        }
        while let Some(left) = self.rooms.leave_any(absence.user, &mut absence.rooms) {
            self.after_leaving(absence.user, &left);
        }
        self.users.remove_if_unused(absence.user);
    }

    /// Whether a user has a connection in a room, or one that is gone and may come back.
    fn is_in(&self, user: u32, room: u32) -> bool {
        self.rooms.has_several(room, user) || self.find_in(user, room, |_| true).is_some()
    }

    /// One of a user's connections that is in a room, among those that count. It is looked for among all that the user
    /// is in and all who are in the room at once: however many rooms on however many devices, a small room costs little.
    fn find_in(&self, user: u32, room: u32, counts: impl Fn(Owner) -> bool) -> Option<Owner> {
        let theirs = self.owners_of(user).filter(|(owner, _)| counts(*owner));
        let mut theirs =
            theirs.flat_map(|(owner, of)| self.rooms.of(of).map(move |at| (owner, at)));
        let mut members = self.rooms.owners_in(room);
        loop {
            let (owner, (their_room, _)) = theirs.next()?;
            if their_room == room {
                return Some(owner);
            }
            let member = members.next()?;
            if counts(member) && self.user_of(member) == Some(user) {
                return Some(member);
            }
        }
    }

    /// A user's connections, and those that are gone and may come back, each with its rooms.
    fn owners_of(&self, user: u32) -> impl Iterator<Item = (Owner, &Memberships)> {
        let user = self.users.get(user);
        let (mut here, mut gone) = (user.first, user.first_absence);
        let here = std::iter::from_fn(move || {
            let connection = self.connections.get(here as usize)?;
            let at = std::mem::replace(&mut here, connection.next_of_user);
            Some((Owner::Connection(at), &connection.rooms))
        });
        let gone = std::iter::from_fn(move || {
            let absence = self.absences.get(gone)?;
            let at = std::mem::replace(&mut gone, absence.next_of_user);
            Some((Owner::Gone(at), &absence.rooms))
        });
        here.chain(gone)
    }

    fn user_of(&self, owner: Owner) -> Option<u32> {
        match owner {
            Owner::Connection(index) => Some(self.connections.get(index as usize)?.user),
            Owner::Gone(key) => Some(self.absences.get(key)?.user),
        }
    }

    fn after_leaving(&mut self, user: u32, left: &rooms::Left) {
        if left.last_of_user {
            let user = self.users.get(user).id.clone();
            self.user_left(&left.room, &user);
        }
        if left.emptied {
            self.counters.rooms.set(self.rooms.len() as u64);
            self.forget_if_unused(&left.room);
        }
    }

    /// Has the tail count a user out of a room, unless another connection of theirs is on its way into it.
    fn user_left(&mut self, room: &RoomId, user: &UserId) {
        if !self.joins.has(room, user) {
            self.ask(Question::Left(room.clone(), user.clone()));
        }
    }

    fn forget_if_unused(&mut self, room: &RoomId) {
        if self.rooms.find(room.as_str()).is_none() && !self.joins.has_room(room) {
            self.ask(Question::Forget(room.clone()));
        }
    }

    pub(super) fn refuse_room(&mut self, now: Now, index: u32, room: &RoomId) {
        let refusal = Refusal {
            code: ErrorCode::TooManyRooms,
            sentence: format!(
                "a connection may be in {} rooms at most: leave one first",
                self.limits.rooms_per_connection
            ),
            id: None,
            room_id: Some(room.as_str().to_owned()),
        };
        self.tell_refusal(now, index, &refusal);
    }

    /// Tells those of a room who asked who comes and goes.
    pub(super) fn tell_presence(&mut self, now: Now, room: &RoomId, frame: &Arc<[u8]>) {
        let Some(key) = self.rooms.find(room.as_str()) else {
            return;
        };
        let presence = Presence {
            room: room.clone(),
            bytes: Arc::clone(frame),
        };
        let held = self.outgoing.hold(Shared::Presence(presence.into()));
        let mut at = self.rooms.first_member(key);
        let mut is_heard = self.joins.has_room(room);
        while let Some((index, listens, next)) = self.rooms.next_member(at) {
            let connection = &mut self.connections[index as usize];
            is_heard |= listens;
            if listens && connection.greeted {
                self.outgoing
                    .queue(now, index, connection, held, frame.len());
            }
            at = next;
        }
        self.outgoing.release(held);
        if !is_heard {
            self.ask(Question::Unheard(room.clone()));
        }
        self.evict_slow(now);
    }
}
