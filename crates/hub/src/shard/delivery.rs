//! What clients are given: messages out of the log, and the answers to what they asked for.

use std::sync::Arc;

use wshub_protocol::client_message::{Refusal, Target};
use wshub_protocol::server_message;

use super::writing::Outgoing;
use super::{Shard, Token};
use crate::connection::{Connection, NONE};
use crate::frames::{FrameKey, Shared};
use crate::message::{Asked, Kind, Message, Outcome};
use crate::rooms;
use crate::time::Now;

/// For how many connections a message was, and how many had room for it.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) receivers: u64,
    pub(super) queued: u64,
}

impl Outgoing {
    /// Queues a message to a connection that it may be for; whether it did. One that catches up finds it in the log,
    /// unless it only passes by: then it has missed it.
    fn offer<S>(
        &mut self,
        now: Now,
        index: u32,
        connection: &mut Connection<S>,
        key: FrameKey,
        message: &Message,
        tally: &mut Tally,
    ) -> bool {
        let misses = !connection.live && connection.greeted && message.is_ephemeral();
        let is_theirs =
            message.is_for(&connection.session) && message.is_new_to(connection.given_since);
        if !(connection.live || misses) || !is_theirs {
            return false;
        }
        let took = !misses && self.queue_message(now, index, connection, key, message);
        tally.receivers += 1;
        tally.queued += u64::from(took);
        took
    }
}

impl<S> Shard<S> {
    /// Queues a message to each connection of this shard that it is for.
    pub(super) fn deliver(&mut self, now: Now, message: Arc<Message>) {
        if let (Some(end), Some(offset)) = (&mut self.end, message.offset) {
            end.offset = offset;
        }
        let key = self.outgoing.hold(Shared::Message(Arc::clone(&message)));
        let mut tally = Tally::default();
        match &message.target {
            Target::Everybody => {
                for (index, connection) in &mut self.connections {
                    let index = index as u32;
                    self.outgoing
                        .offer(now, index, connection, key, &message, &mut tally);
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
                        let took = self
                            .outgoing
                            .offer(now, index, connection, key, &message, &mut tally);
                        if took && !message.is_ephemeral() {
                            self.note_given(index, message.place());
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
                while let Some((index, _, next)) = self.rooms.next_member(at) {
                    let connection = &mut self.connections[index as usize];
                    self.outgoing
                        .offer(now, index, connection, key, &message, &mut tally);
                    at = next;
                }
            }
        }
        self.outgoing.release(key);
        self.count_out(&message, &tally);
        self.evict_slow(now);
    }

    /// Counts a message for so many receivers, of which not all had room.
    pub(super) fn count_out(&mut self, message: &Message, tally: &Tally) {
        let Tally { receivers, queued } = *tally;
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
}
