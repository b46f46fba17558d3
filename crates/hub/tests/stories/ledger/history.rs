//! What a join must have been given as history.

use wshub_protocol::client_message::Target;

use super::is_as_published;
use crate::world::{Entry, Said, Wish};

/// Holds the history of a `joined` against the log: the newest messages of the room that stand at or before its cursor,
/// oldest first. Where the log still has all it is as long as was asked for, and says whether there are older ones.
pub(super) fn hold(log: &[Entry], log_has_all: bool, said: &Said, wish: &Wish) {
    let Some(most) = wish.history else {
        assert!(said.history.is_none() && said.history_complete.is_none());
        return;
    };
    let room = said.room_id.as_deref().expect("a room");
    let is_of_it =
        |entry: &&Entry| matches!(&entry.target, Target::Room(of) if of.as_str() == room);
    let before = log[..said.offset() as usize].iter();
    let all: Vec<_> = before.filter(is_of_it).collect();
    let given = said.history.as_ref().expect("a history");
    assert!(given.len() <= most.min(all.len()), "{said:?}");
    let newest = &all[all.len() - given.len()..];
    for (one, entry) in given.iter().zip(newest) {
        assert_eq!(one.offset(), entry.offset, "{said:?}");
        is_as_published(one, entry);
    }
    let is_all = given.len() == all.len();
    let complete = said.history_complete.expect("whether it is all");
    assert!(is_all || !complete, "there is more than {said:?}");
    if log_has_all {
        assert_eq!((given.len(), complete), (most.min(all.len()), is_all));
    }
}
