//! A tail that follows a log which several nodes share: what another has put into it is read here, entry by entry, and
//! each takes the place behind the one before.

use wshub_protocol::server_message::{PresenceEvent, ResetReason};
use wshub_protocol::{After, Epoch, RoomId, UserId};

use super::Tail;
use crate::members::Incarnation;
use crate::message::{Item, Post, Publication};
use crate::resume::{Entrance, Wanted};
use crate::shard::Token;
use crate::time::Now;

/// When an entry was appended.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// By the log's clock, in Unix seconds: the same on every node.
    pub unix_seconds: u64,
    /// By this node's clock.
    pub at: Now,
}

/// A user comes into a room on some node, or leaves it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: UserId,
    /// Whether it is in it now.
    pub is_in: bool,
}

impl Tail {
    /// The next entry of the log is a message.
    pub fn read_message<S>(
        &mut self,
        stamp: Stamp,
        id: &str,
        publication: Publication,
        post: &impl Post<S>,
    ) {
        self.keep_message(stamp.at, stamp.unix_seconds, id, publication, post);
    }

    /// The next entry of the log says nothing to clients.
    pub fn pass_over(&mut self, stamp: Stamp) {
        self.keep(stamp.at, None);
    }

    /// A node has users in rooms, or has them no more.
    pub fn change_members<S>(
        &mut self,
        node: Incarnation,
        changes: &[Change],
        post: &impl Post<S>,
    ) {
        for Change { room, user, is_in } in changes {
            let event = if *is_in {
                let is_new = self.members.enter(node, room, user);
                is_new.then_some(PresenceEvent::Join(user))
            } else {
                let was_last = self.members.leave(node, room, user);
                was_last.then_some(PresenceEvent::Leave(user))
            };
            if let Some(event) = event {
                self.move_member(room, user, event, post);
            }
        }
    }

    /// A node is no more, and with it all that it said of rooms.
    pub fn end_node<S>(&mut self, node: Incarnation, post: &impl Post<S>) {
        for (room, user) in self.members.end(node) {
            self.move_member(&room, &user, PresenceEvent::Leave(&user), post);
        }
    }

    /// Who is in rooms of a node.
    #[must_use]
    pub fn members_of(&self, node: Incarnation) -> Vec<(RoomId, UserId)> {
        self.members.of(node).cloned().collect()
    }

    /// The nodes that have members in rooms.
    #[must_use]
    pub fn nodes_with_members(&self) -> Vec<Incarnation> {
        self.members.nodes().collect()
    }

    fn move_member<S>(
        &mut self,
        room: &RoomId,
        user: &UserId,
        event: PresenceEvent<'_>,
        post: &impl Post<S>,
    ) {
        let news = match event {
            PresenceEvent::Leave(_) => self.roster.leave(room, user),
            _ => self.roster.enter(room, user),
        };
        self.tell_news(room, event, news, post);
    }

    /// Goes on at another place, since the log has begun a new life or this node fell behind what it still holds: what is
    /// here is forgotten, and every connection enters once more.
    pub fn go_on_from<S>(
        &mut self,
        now: Now,
        (epoch, place): (Epoch, u64),
        reason: ResetReason,
        post: &impl Post<S>,
    ) {
        if reason == ResetReason::LogLost {
            let given = self.entries.iter().filter_map(|entry| {
                let message = entry.message.as_deref()?;
                Some((entry.elapsed_ms, message))
            });
            self.heard.remember(now, given);
        }
        self.start_from(epoch, place);
        self.have_enter_anew(Some(reason), post);
    }

    /// Begins to read at another place; what is here is forgotten.
    pub fn start_from(&mut self, epoch: Epoch, place: u64) {
        while let Some(oldest) = self.entries.pop_front() {
            self.bytes -= oldest.bytes();
            if let Some(message) = &oldest.message {
                self.index.drop_oldest(&message.target);
            }
        }
        self.config.epoch = epoch;
        self.end = place;
    }

    /// Has connections enter once more: all, or where there is no reason those that came while the log was away.
    pub fn have_enter_anew<S>(&self, reason: Option<ResetReason>, post: &impl Post<S>) {
        for shard in 0..self.config.shards {
            post.post(shard, Item::Anew(reason, self.end()));
        }
    }

    /// Lets a connection of `shard` in while the log is away: it is in its rooms and is given nothing until that is back.
    /// Nobody has looked into its user's queue, so the place that it is told must not prove that it has seen what is in
    /// there: it is the one that it came with, or the one before all.
    pub fn enter_degraded<S>(
        &mut self,
        shard: usize,
        token: Token,
        wanted: Wanted,
        post: &impl Post<S>,
    ) {
        let cursor = match wanted.after {
            Some(After::Places(cursors)) if cursors.len() == 1 => cursors[0],
            _ => self.cursor(0),
        };
        let entrance = Entrance {
            rooms: self.enter_rooms(shard, wanted.rooms, &wanted.user, post),
            user: wanted.user,
            end: self.end(),
            cursor,
            degraded: true,
            again: wanted.again,
            resumed: false,
            place: 0,
            waiting: Vec::new(),
            pending: 0,
            missed: 0,
        };
        post.post(shard, Item::Enter(token, Box::new(entrance)));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use wshub_protocol::client_message::{Publish, Target};

    use super::*;
    use crate::question::Question;
    use crate::resume::{Behind, Names};
    use crate::tail::TailConfig;

    #[derive(Default)]
    struct Posted(RefCell<Vec<Item<()>>>);

    impl Post<()> for Posted {
        fn post(&self, _: usize, item: Item<()>) {
            self.0.borrow_mut().push(item);
        }

        fn has_room(&self) -> bool {
            true
        }
    }

    fn tail() -> Tail {
        Tail::new(TailConfig {
            epoch: Epoch {
                ordinal: 1,
                random: 7,
            },
            origin: 0,
            shards: 1,
            retention_ms: 60_000,
            bytes: 1 << 20,
            seed: 7,
        })
    }

    #[test]
    fn who_catches_up_is_led_past_entries_that_say_nothing_to_clients() {
        let (mut tail, posted) = (tail(), Posted::default());
        let stamp = Stamp {
            unix_seconds: 0,
            at: Now {
                elapsed_ms: 0,
                unix_ms: 0,
            },
        };
        let to_all = || Publication {
            publish: Publish {
                target: Target::Everybody,
                id: None,
                ephemeral: false,
                to_others: false,
                data: "1".into(),
            },
            from: String::new(),
            except: None,
        };
        tail.pass_over(stamp);
        tail.read_message(stamp, "one", to_all(), &posted);
        tail.pass_over(stamp);
        for names in [Names::All, Names::Behind] {
            let behind = Behind {
                user: UserId::parse("ann").expect("an id"),
                place: 0,
                rooms: Vec::new(),
                names,
            };
            tail.answer(
                0,
                Question::CatchUp(Token::from_number(0), Box::new(behind)),
                &posted,
            );
            let Some(Item::CaughtUp(_, piece)) = posted.0.borrow_mut().pop() else {
                panic!("a piece is posted");
            };
            assert_eq!((piece.messages.len(), piece.place), (1, 3));
        }
    }
}
