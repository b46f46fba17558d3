//! Which node says that a user is in a room, where several nodes share the log. A user is in a room as long as one does.

use std::collections::HashMap;
use std::collections::HashSet;

use wshub_protocol::{RoomId, UserId};

/// One life of a node: a random number that is never used twice.
pub type Incarnation = u64;

/// The members of all rooms, node by node.
#[derive(Default)]
pub(crate) struct Members {
    nodes: HashMap<Incarnation, HashSet<(RoomId, UserId)>>,
}

impl Members {
    /// Takes in that a node has this user in a room; whether no node had before.
    pub(crate) fn enter(&mut self, node: Incarnation, room: &RoomId, user: &UserId) -> bool {
        let member = (room.clone(), user.clone());
        let is_new = !self.has(&member);
        self.nodes.entry(node).or_default().insert(member);
        is_new
    }

    /// Takes in that a node has this user in a room no more; whether no node has, also where this one had never said so:
    /// the user may have been let into it here while nothing could be said.
    pub(crate) fn leave(&mut self, node: Incarnation, room: &RoomId, user: &UserId) -> bool {
        let member = (room.clone(), user.clone());
        let theirs = self.nodes.get_mut(&node);
        if let Some(theirs) = theirs {
            theirs.remove(&member);
        }
        !self.has(&member)
    }

    /// Takes in that a node is no more: the members that were on no other node.
    pub(crate) fn end(&mut self, node: Incarnation) -> Vec<(RoomId, UserId)> {
        let theirs = self.nodes.remove(&node).unwrap_or_default();
        let alone = theirs.into_iter().filter(|member| !self.has(member));
        let mut alone: Vec<_> = alone.collect();
        // In an order that is the same on every node.
        alone.sort_unstable_by(|one, other| {
            (one.0.as_str(), &one.1).cmp(&(other.0.as_str(), &other.1))
        });
        alone
    }

    /// The members that a node has.
    pub(crate) fn of(&self, node: Incarnation) -> impl Iterator<Item = &(RoomId, UserId)> {
        self.nodes.get(&node).into_iter().flatten()
    }

    /// The nodes that have members.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Incarnation> {
        self.nodes.keys().copied()
    }

    fn has(&self, member: &(RoomId, UserId)) -> bool {
        self.nodes.values().any(|theirs| theirs.contains(member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(room: &str, user: &str) -> (RoomId, UserId) {
        let (room, user) = (RoomId::parse(room), UserId::parse(user));
        (room.expect("a room"), user.expect("a user"))
    }

    #[test]
    fn a_user_is_in_a_room_until_the_last_node_says_no() {
        let mut members = Members::default();
        let (room, user) = member("r", "ann");
        assert!(members.enter(1, &room, &user));
        assert!(!members.enter(1, &room, &user));
        assert!(!members.enter(2, &room, &user));
        assert!(!members.leave(1, &room, &user));
        assert!(!members.leave(1, &room, &user), "it had said so");
        assert!(members.leave(2, &room, &user));
        assert!(members.leave(2, &room, &user), "nobody has");
    }

    #[test]
    fn with_a_node_go_those_who_were_on_no_other() {
        let mut members = Members::default();
        for (node, room, user) in [
            (1, "s", "bob"),
            (1, "r", "bob"),
            (1, "r", "ann"),
            (2, "r", "ann"),
        ] {
            let (room, user) = member(room, user);
            members.enter(node, &room, &user);
        }
        assert_eq!(members.end(1), [member("r", "bob"), member("s", "bob")]);
        assert_eq!(members.end(1), []);
        assert_eq!(members.nodes().collect::<Vec<_>>(), [2]);
    }
}
