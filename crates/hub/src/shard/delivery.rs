//! What clients are given: messages out of the log, and the answers to what they asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wshub_protocol::client_message::{Refusal, Target};
use wshub_protocol::{Cursor, ErrorCode, RoomId, server_message};

use super::{Effect, Shard, Token};
use crate::connection::NONE;
use crate::frames::Shared;
use crate::message::{Asked, Caught, Kind, Message, Outcome};
use crate::rooms;
use crate::tail::Room;
use crate::time::Now;

/// A connection in a room.
pub(super) struct Joined {
    /// The room's key.
    room: u32,
    /// It wasn't in it before.
    is_new: bool,
}

impl<S> Shard<S> {
    /// Queues a message to each connection of this shard that it is for.
    pub(super) fn deliver(&mut self, now: Now, message: Arc<Message>) {
        if let (Some(end), Some(offset)) = (&mut self.end, message.offset) {
            end.offset = offset;
        }
        let key = self.outgoing.hold(Shared::Message(Arc::clone(&message)));
        let (mut receivers, mut queued) = (0, 0);
        match &message.target {
            Target::Everybody => {
                for (index, connection) in &mut self.connections {
                    if connection.live && message.is_for(&connection.session) {
                        let index = index as u32;
                        let took = self
                            .outgoing
                            .queue_message(now, index, connection, key, &message);
                        receivers += 1;
                        queued += u64::from(took);
                    }
                }
            }
            Target::Users(users) => {
                for user in users {
                    let Some(key_of_user) = self.users.find(user.as_str()) else {
                        continue;
                    };
                    let mut index = self.users.get(key_of_user).first;
                    while index != NONE {
                        let connection = &mut self.connections[index as usize];
                        let next = connection.next_of_user;
                        if connection.live && message.is_for(&connection.session) {
                            receivers += 1;
                            let took = self
                                .outgoing
                                .queue_message(now, index, connection, key, &message);
                            queued += u64::from(took);
                            if took && !message.is_ephemeral() {
                                self.note_given(index, message.place());
                            }
                        }
                        index = next;
                    }
                }
            }
            Target::Room(room) => {
                let mut at = self
                    .rooms
                    .find(room.as_str())
                    .map_or(rooms::NONE, |room| self.rooms.first_member(room));
                while at != rooms::NONE {
                    let (index, next) = self.rooms.next_member(at);
                    let connection = &mut self.connections[index as usize];
                    if connection.live && message.is_for(&connection.session) {
                        let took = self
                            .outgoing
                            .queue_message(now, index, connection, key, &message);
                        receivers += 1;
                        queued += u64::from(took);
                    }
                    at = next;
                }
            }
        }
        self.outgoing.release(key);
        self.count_out(&message, receivers, queued);
        self.evict_slow(now);
    }

    /// Counts a message for so many receivers, of which not all had room.
    pub(super) fn count_out(&mut self, message: &Message, receivers: u64, queued: u64) {
        let ledger = &self.counters.ledger;
        self.counters
            .messages_out(Kind::of(&message.target), queued);
        if !message.is_counted_by_connection() {
            return;
        }
        ledger.accepted.add(receivers);
        if message.is_ephemeral() {
            ledger.ephemeral.add(receivers - queued);
        } else {
            ledger.too_slow.add(receivers - queued);
        }
    }

    /// A join has its place in the log: what comes behind it is for this connection too.
    pub(super) fn joined(
        &mut self,
        now: Now,
        token: Token,
        room: &Arc<Room>,
        cursor: Cursor,
        caught: Caught,
    ) {
        self.join_came_back(&room.id);
        self.end = Some(cursor);
        let index = token.index();
        if !self.is_open(token) {
            return self.forget_if_unused(&room.id);
        }
        let resumed = match caught {
            Caught::NotAsked => None,
            Caught::Behind(_) => Some(true),
            Caught::Lost => Some(false),
        };
        let end = cursor.offset.major;
        let Some(joined) = self.join_room(now, index, room, cursor, resumed) else {
            return;
        };
        let key = joined.room;
        match caught {
            Caught::Behind(place) if place < end => {
                self.catch_up_with(now, index, key, place, cursor);
            }
            _ => {
                let catching_up = &mut self.connections[index as usize].catching_up;
                if let Some(catching_up) = catching_up.as_mut().filter(|_| joined.is_new) {
                    catching_up.set_room(key, end);
                }
            }
        }
    }

    /// Puts a connection into a room and tells it so; `None` where it is in too many, or too slow to be told.
    pub(super) fn join_room(
        &mut self,
        now: Now,
        index: u32,
        room: &Arc<Room>,
        cursor: Cursor,
        resumed: Option<bool>,
    ) -> Option<Joined> {
        let known = self.rooms.find(room.id.as_str());
        let inside = known.is_some_and(|room| self.rooms.contains(room, index));
        let connection = &mut self.connections[index as usize];
        if !inside && connection.rooms.rooms >= self.limits.rooms_per_connection {
            self.refuse_room(now, index, &room.id);
            self.forget_if_unused(&room.id);
            return None;
        }
        let user = connection.user;
        if self.rooms.join(room, user, index, &mut connection.rooms) {
            room.users.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.rooms.set(self.rooms.len() as u64);
        self.json.clear();
        let members = u64::from(room.users.load(Ordering::Relaxed));
        server_message::write_joined(&mut self.json, &room.id, &cursor, members, resumed);
        self.send_json(now, index);
        // To say so may have been too much for the connection; then it has left again.
        let key = self.rooms.find(room.id.as_str())?;
        self.rooms.contains(key, index).then_some(Joined {
            room: key,
            is_new: !inside,
        })
    }

    /// A leave has its place in the log: nothing behind it is for this connection any more.
    pub(super) fn left(
        &mut self,
        now: Now,
        token: Token,
        id: &RoomId,
        room: Option<&Room>,
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
            let left = self
                .rooms
                .leave(key, connection.user, index, &mut connection.rooms);
            if let Some(left) = left {
                self.after_leaving(&left);
            }
        }
        let members = room.map_or(0, |room| room.users.load(Ordering::Relaxed));
        self.json.clear();
        server_message::write_left(&mut self.json, id, &cursor, u64::from(members));
        self.send_json(now, index);
    }

    /// Counts the user out of a room that their last connection left, and lets the tail forget an empty one.
    pub(super) fn after_leaving(&mut self, left: &rooms::Left) {
        if left.last_of_user {
            left.room.users.fetch_sub(1, Ordering::Relaxed);
        }
        if left.emptied {
            self.counters.rooms.set(self.rooms.len() as u64);
            self.forget_if_unused(&left.room.id);
        }
    }

    /// Tells a publisher what became of a message, where it asked or must know.
    pub(super) fn tell_outcome(&mut self, now: Now, token: Token, asked: Asked, outcome: Outcome) {
        let index = token.index();
        if !self.is_open(token) {
            return;
        }
        match outcome {
            Ok(published) => {
                self.json.clear();
                server_message::write_ack(
                    &mut self.json,
                    &published.id,
                    published.cursor.as_slice(),
                    published.duplicate,
                );
                self.send_json(now, index);
            }
            Err(refused) => {
                let refusal = Refusal {
                    code: refused.code,
                    sentence: refused.sentence.to_owned(),
                    id: asked.id.map(|id| id.as_str().to_owned()),
                    room_id: asked.room.map(|room| room.as_str().to_owned()),
                };
                self.tell_refusal(now, index, &refusal);
            }
        }
    }

    pub(super) fn join_came_back(&mut self, room: &RoomId) {
        if let Some(joins) = self.joining.get_mut(room) {
            *joins -= 1;
            if *joins == 0 {
                self.joining.remove(room);
            }
        }
    }

    pub(super) fn forget_if_unused(&mut self, room: &RoomId) {
        if self.rooms.find(room.as_str()).is_none() && !self.joining.contains_key(room) {
            self.effects.push_back(Effect::Forget(room.clone()));
        }
    }

    fn refuse_room(&mut self, now: Now, index: u32, room: &RoomId) {
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
}
