//! Who is in a room on this node, by what it has said and is about to say in the log. A join is answered where the node
//! reads its own word of it.

use std::collections::HashMap;

use wshub_hub::Token;
use wshub_hub::question::Joining;
use wshub_hub::tail::Change;
use wshub_protocol::{RoomId, UserId};

/// A user in a room.
pub type Member = (RoomId, UserId);

/// What this node says of a user in a room.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// By its last word the user is in.
    is_in: bool,
    /// So many words of it are on their way into the log.
    under_way: u32,
}

/// A connection that waits to be let into a room.
#[derive(Debug)]
pub struct Join {
    /// Its shard.
    pub shard: usize,
    /// Which it is.
    pub token: Token,
    /// What it asked.
    pub joining: Box<Joining>,
}

/// This node's members.
#[derive(Default)]
pub struct Mine {
    said: HashMap<Member, Said>,
    joins: HashMap<Member, Vec<Join>>,
}

impl Mine {
    /// A user of this node comes into a room: what is to be said of it in the log, if anything, and whether that stands
    /// there already.
    pub fn come(&mut self, room: &RoomId, user: &UserId) -> (Option<Change>, bool) {
        let said = self.said.entry((room.clone(), user.clone())).or_default();
        if said.is_in {
            return (None, said.under_way == 0);
        }
        said.is_in = true;
        said.under_way += 1;
        (Some(change(room, user, true)), false)
    }

    /// A user of this node is in a room no more: what is to be said of it in the log.
    pub fn leave(&mut self, room: &RoomId, user: &UserId) -> Option<Change> {
        let said = self.said.get_mut(&(room.clone(), user.clone()))?;
        if !std::mem::replace(&mut said.is_in, false) {
            return None;
        }
        said.under_way += 1;
        Some(change(room, user, false))
    }

    /// Forgets the last words of who has left. What the log has of them is known by it.
    pub fn forget_left(&mut self) {
        self.said.retain(|_, said| said.is_in);
    }

    /// Keeps a join until the log says that the user has come.
    pub fn wait(&mut self, join: Join) {
        let member = (join.joining.room.clone(), join.joining.user.clone());
        self.joins.entry(member).or_default().push(join);
    }

    /// A word of this node was read: the joins that waited for it.
    pub fn read(&mut self, read: &Change) -> Vec<Join> {
        let member = (read.room.clone(), read.user.clone());
        if let Some(said) = self.said.get_mut(&member) {
            said.under_way = said.under_way.saturating_sub(1);
            if !said.is_in && said.under_way == 0 {
                self.said.remove(&member);
            }
        }
        if read.is_in {
            self.joins.remove(&member).unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    /// The joins that wait: nobody will say anything for now.
    pub fn take_joins(&mut self) -> Vec<Join> {
        let joins = std::mem::take(&mut self.joins);
        joins.into_values().flatten().collect()
    }

    /// All that is to be said anew, since what was said is lost or was said by a node that is no more. `told` are those
    /// whom the log has in rooms of this node. Of each there is a last word: one that was under way may come yet, and
    /// whoever has left since then would be in for ever.
    pub fn say_anew(&mut self, told: Vec<Member>) -> Vec<Change> {
        for member in told {
            self.said.entry(member).or_default();
        }
        let mut changes = Vec::with_capacity(self.said.len());
        for ((room, user), said) in &mut self.said {
            said.under_way = 1;
            changes.push(change(room, user, said.is_in));
        }
        changes
    }
}

fn change(room: &RoomId, user: &UserId, is_in: bool) -> Change {
    Change {
        room: room.clone(),
        user: user.clone(),
        is_in,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        let (room, user) = (RoomId::parse("r"), UserId::parse("ann"));
        (room.expect("a room"), user.expect("a user"))
    }

    #[test]
    fn the_log_is_told_of_a_user_once_however_many_devices_come() {
        let (room, user) = member();
        let mut mine = Mine::default();
        let (told, stands) = mine.come(&room, &user);
        assert!(told.is_some() && !stands);
        assert_eq!(mine.come(&room, &user), (None, false), "it is on its way");
        mine.read(&told.unwrap());
        assert_eq!(mine.come(&room, &user), (None, true));
    }

    #[test]
    fn of_who_came_and_left_while_nobody_listened_nothing_is_kept() {
        let (room, user) = member();
        let mut mine = Mine::default();
        mine.come(&room, &user);
        mine.leave(&room, &user);
        mine.forget_left();
        assert!(mine.said.is_empty());
        assert_eq!(
            mine.say_anew(vec![member()]).len(),
            1,
            "the log has them still"
        );
    }

    #[test]
    fn whoever_comes_back_while_the_leave_is_on_its_way_is_told_of_again() {
        let (room, user) = member();
        let mut mine = Mine::default();
        let came = mine.come(&room, &user).0.unwrap();
        mine.read(&came);
        let left = mine.leave(&room, &user).unwrap();
        assert_eq!(mine.leave(&room, &user), None);
        let again = mine.come(&room, &user);
        assert!(again.0.is_some() && !again.1);
        mine.read(&left);
        assert_eq!(mine.come(&room, &user), (None, false));
        mine.read(&again.0.unwrap());
        assert_eq!(mine.come(&room, &user), (None, true));
    }

    #[test]
    fn what_is_said_anew_is_the_last_word_of_each() {
        let (room, user) = member();
        let (gone, lost) = (UserId::parse("bob").unwrap(), UserId::parse("cid").unwrap());
        let mut mine = Mine::default();
        mine.come(&room, &user);
        let under_way = mine.come(&room, &gone).0.unwrap();
        mine.leave(&room, &gone);
        let mut anew = mine.say_anew(vec![(room.clone(), lost.clone())]);
        anew.sort_by(|one, other| one.user.cmp(&other.user));
        let words: Vec<_> = anew.iter().map(|word| (&word.user, word.is_in)).collect();
        assert_eq!(words, [(&user, true), (&gone, false), (&lost, false)]);
        anew.insert(0, under_way);
        anew.iter().for_each(|word| _ = mine.read(word));
        assert_eq!(mine.come(&room, &user), (None, true));
        assert_eq!(mine.leave(&room, &gone), None);
        assert!(mine.say_anew(Vec::new()).len() == 1, "nothing stays behind");
    }
}
