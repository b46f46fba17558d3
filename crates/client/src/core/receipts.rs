//! Receipts by the application: which `user` messages it has acknowledged, and what of that the server is still to be
//! told on this connection.
//!
//! An acknowledgement counts for the message, not for the connection it came on. Where the connection ended before the
//! server was told, the message comes again on the next one; it is then acknowledged there by itself. A cursor is only
//! ever named on a connection that was given it, since the server refuses any other.

use std::collections::VecDeque;

use wshub_protocol::Cursor;

use crate::limits::OWED;

/// The most lives and partitions of the log of which acknowledged places are remembered.
const PLACES: usize = wshub_protocol::cursor::CURSORS;

/// What was given and acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Given on this connection and not acknowledged on it, in the order they were given.
    given: VecDeque<Cursor>,
    /// The newest place that the application has acknowledged, for each life and partition of the log.
    acknowledged: VecDeque<Cursor>,
    /// Places that the server is to be told.
    due: Vec<Cursor>,
}

impl Receipts {
    /// A new connection was given nothing yet.
    pub(crate) fn begin(&mut self) {
        self.given.clear();
        self.due.clear();
    }

    /// A `user` message was given on this connection, for the first time or again.
    pub(crate) fn given(&mut self, cursor: Cursor) {
        if self
            .acknowledged
            .iter()
            .any(|known| same_log(known, &cursor) && cursor.offset <= known.offset)
        {
            return self.owe(cursor);
        }
        if self.given.len() == OWED {
            // The server's queues keep far fewer; what is this old is theirs no more.
            self.given.pop_front();
        }
        self.given.push_back(cursor);
    }

    /// The application has received the message at this place, and all `user` messages that it was given before.
    pub(crate) fn acknowledge(&mut self, cursor: Cursor) {
        match self
            .acknowledged
            .iter_mut()
            .find(|known| same_log(known, &cursor))
        {
            Some(known) => known.offset = known.offset.max(cursor.offset),
            None => {
                if self.acknowledged.len() == PLACES {
                    self.acknowledged.pop_front();
                }
                self.acknowledged.push_back(cursor);
            }
        }
        if self.given.contains(&cursor) {
            self.given
                .retain(|given| !(same_log(given, &cursor) && given.offset <= cursor.offset));
            self.owe(cursor);
        }
    }

    /// The next place that the server is to be told.
    pub(crate) fn next_due(&mut self) -> Option<Cursor> {
        self.due.pop()
    }

    fn owe(&mut self, cursor: Cursor) {
        match self.due.iter_mut().find(|due| same_log(due, &cursor)) {
            Some(due) => due.offset = due.offset.max(cursor.offset),
            None => self.due.push(cursor),
        }
    }
}

fn same_log(one: &Cursor, other: &Cursor) -> bool {
    one.epoch == other.epoch && one.partition == other.partition
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor {
        Cursor::parse(text).unwrap()
    }

    #[test]
    fn a_place_that_was_given_here_is_told_once() {
        let mut receipts = Receipts::default();
        receipts.given(cursor("1.a:0:1"));
        receipts.given(cursor("1.a:0:2"));
        assert_eq!(receipts.next_due(), None);
        receipts.acknowledge(cursor("1.a:0:1"));
        receipts.acknowledge(cursor("1.a:0:2"));
        assert_eq!(receipts.next_due(), Some(cursor("1.a:0:2")));
        assert_eq!(receipts.next_due(), None);
    }

    #[test]
    fn what_was_acknowledged_after_the_connection_ended_is_told_when_it_comes_again() {
        let mut receipts = Receipts::default();
        receipts.given(cursor("1.a:0:1"));
        receipts.given(cursor("1.a:0:2"));
        receipts.begin();
        receipts.acknowledge(cursor("1.a:0:1"));
        assert_eq!(
            receipts.next_due(),
            None,
            "the server would refuse what it hasn't given"
        );
        receipts.given(cursor("1.a:0:1"));
        receipts.given(cursor("1.a:0:2"));
        assert_eq!(receipts.next_due(), Some(cursor("1.a:0:1")));
        assert_eq!(receipts.next_due(), None);
    }

    #[test]
    fn places_of_a_lost_log_don_t_cover_those_of_the_next() {
        let mut receipts = Receipts::default();
        receipts.given(cursor("1.a:0:900"));
        receipts.acknowledge(cursor("1.a:0:900"));
        receipts.next_due();
        receipts.given(cursor("2.b:0:1"));
        assert_eq!(receipts.next_due(), None);
    }
}
