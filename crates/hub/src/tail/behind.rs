//! What stands in the log behind a place: for whoever comes back, catches up, or asks what was said in a room.

use std::sync::Arc;

use wshub_protocol::{After, Cursor, RoomId};

use super::Tail;
use crate::message::{Item, Message, Post};
use crate::question::{HISTORY_BYTES, History};
use crate::resume::{Behind, Names, PIECE_BYTES, PIECE_ENTRIES, PIECE_MESSAGES, Piece, PieceState};
use crate::shard::Token;

impl Tail {
    /// The place behind which all can be given to whoever hands in `after`: one that the log has reached, and from
    /// which on it has kept everything.
    #[must_use]
    pub fn resumable(&self, after: &After) -> Option<u64> {
        let After::Places(cursors) = after else {
            return None;
        };
        let is_ours = |cursor: &&Cursor| (cursor.epoch, cursor.partition) == (self.config.epoch, 0);
        let [cursor] = &**cursors else { return None };
        let place = Some(cursor).filter(is_ours)?.offset.place();
        (self.dropped()..=self.end)
            .contains(&place)
            .then_some(place)
    }

    /// The message at a place that the index names.
    fn at(&self, place: u64) -> &Arc<Message> {
        self.entry_at(place).expect("the index names messages")
    }

    /// What the entry at a place says to clients, if anything.
    fn entry_at(&self, place: u64) -> Option<&Arc<Message>> {
        let entry = &self.entries[(place - self.dropped() - 1) as usize];
        entry.message.as_ref()
    }

    /// Gives a connection of `shard` the next part of what it has to catch up with.
    pub(super) fn catch_up<S>(
        &self,
        shard: usize,
        token: Token,
        behind: &Behind,
        post: &impl Post<S>,
    ) {
        let rooms = behind.rooms.iter().map(|(room, place)| (room, *place));
        let first = rooms.clone().map(|(_, place)| place);
        let first = first.fold(behind.place, u64::min);
        let mut piece = Piece {
            messages: Vec::new(),
            place: behind.place,
            end: self.end(),
            state: PieceState::Lost,
        };
        if first >= self.dropped() {
            let (listed, last) = match behind.names {
                Names::All => (self.end, self.end),
                Names::Behind => (behind.place, self.end.min(behind.place + PIECE_ENTRIES)),
            };
            (piece.place, piece.state) = (last, PieceState::More);
            if last == self.end {
                piece.state = PieceState::End;
            }
            let mut bytes = 0;
            let places = self.index.behind(behind.place, &behind.user, rooms);
            // An entry that another node has put into the log may say nothing to clients.
            let is_for = |message: &Arc<Message>| message.may_be_for(&behind.user);
            let walked = (listed + 1..=last).filter(|&at| self.entry_at(at).is_some_and(is_for));
            for place in places.take_while(|&place| place <= listed).chain(walked) {
                if piece.messages.len() == PIECE_MESSAGES || bytes >= PIECE_BYTES {
                    // What was given so far is all that there is before this one.
                    (piece.place, piece.state) = (place - 1, PieceState::More);
                    break;
                }
                let message = Arc::clone(self.at(place));
                bytes += message.frame.plain().len();
                piece.messages.push(message);
            }
        }
        post.post(shard, Item::CaughtUp(token, Box::new(piece)));
    }

    /// The newest messages of a room, at most so many and [`HISTORY_BYTES`].
    pub(super) fn history(&self, room: &RoomId, most: usize) -> History {
        let (places, all) = self.index.newest_of(room, most);
        let mut history = History::default();
        let mut bytes = 0;
        for place in places {
            let message = self.at(place);
            bytes += message.frame.json().len();
            if bytes > HISTORY_BYTES {
                break;
            }
            history.messages.push(Arc::clone(message));
        }
        history.messages.reverse();
        history.complete = history.messages.len() == all && self.dropped() == self.config.origin;
        history
    }
}
