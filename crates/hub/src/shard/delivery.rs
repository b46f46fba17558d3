//! What clients are given: messages out of the log, and the answers to what they asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wshub_protocol::client_message::{Refusal, Target};
use wshub_protocol::{Cursor, ErrorCode, RoomId, server_message};

use super::{Effect, Shard, Token};
use crate::connection::{NONE, Phase};
use crate::frames::Shared;
use crate::message::{Asked, Kind, Message, Outcome};
use crate::rooms;
use crate::tail::Room;
use crate::time::Now;

impl<S> Shard<S> {
    /// Queues a message to each connection of this shard that it is for.
    pub(super) fn deliver(&mut self, now: Now, message: Arc<Message>) {
        let key = self.outgoing.hold(Shared::Message(Arc::clone(&message)));
        let mut receivers = 0;
        match &message.target {
            Target::Everybody => {
                for (index, connection) in &mut self.connections {
                    if connection.user != NONE {
                        let queued = self.outgoing.queue_message(
                            now,
                            index as u32,
                            connection,
                            key,
                            &message.frame,
                        );
                        receivers += u64::from(queued);
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
                        let queued = self.outgoing.queue_message(
                            now,
                            index,
                            connection,
                            key,
                            &message.frame,
                        );
                        receivers += u64::from(queued);
                        index = connection.next_of_user;
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
                    let queued =
                        self.outgoing
                            .queue_message(now, index, connection, key, &message.frame);
                    receivers += u64::from(queued);
                    at = next;
                }
            }
        }
        self.outgoing.release(key);
        self.counters
            .messages_out(Kind::of(&message.target), receivers);
        self.evict_slow(now);
    }

    /// A join has its place in the log: what comes behind it is for this connection too.
    pub(super) fn joined(&mut self, now: Now, token: Token, room: &Arc<Room>, cursor: Cursor) {
        self.join_came_back(&room.id);
        let index = token.index();
        let Some(user) = self
            .get_mut(token)
            .filter(|c| c.phase == Phase::Open)
            .map(|c| c.user)
        else {
            return self.forget_if_unused(&room.id);
        };
        let known = self.rooms.find(room.id.as_str());
        let inside = known.is_some_and(|room| self.rooms.contains(room, index));
        if !inside
            && self.connections[index as usize].rooms.rooms >= self.limits.rooms_per_connection
        {
            self.refuse_room(now, index, &room.id);
            return self.forget_if_unused(&room.id);
        }
        let memberships = &mut self.connections[index as usize].rooms;
        if self.rooms.join(room, user, index, memberships) {
            room.users.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.rooms.set(self.rooms.len() as u64);
        self.json.clear();
        let members = u64::from(room.users.load(Ordering::Relaxed));
        server_message::write_joined(&mut self.json, &room.id, &cursor, members, None);
        self.send_json(now, index);
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
        let index = token.index();
        if self
            .get_mut(token)
            .is_none_or(|connection| connection.phase != Phase::Open)
        {
            return;
        }
        if let Some(key) = self.rooms.find(id.as_str()) {
            let connection = &mut self.connections[index as usize];
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
        if self
            .get_mut(token)
            .is_none_or(|connection| connection.phase != Phase::Open)
        {
            return;
        }
        match outcome {
            Ok(published) => {
                self.json.clear();
                server_message::write_ack(
                    &mut self.json,
                    &published.id,
                    &[published.cursor],
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

    fn join_came_back(&mut self, room: &RoomId) {
        if let Some(joins) = self.joining.get_mut(room) {
            *joins -= 1;
            if *joins == 0 {
                self.joining.remove(room);
            }
        }
    }

    fn forget_if_unused(&mut self, room: &RoomId) {
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
