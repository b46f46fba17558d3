//! Connections that ended without having left their rooms. For a while their users count as there, since most come back.

use std::collections::VecDeque;

use slab::Slab;

use crate::rooms::Memberships;
use crate::time::Tick;

/// A connection that is gone, and the rooms it was in.
pub(crate) struct Absence {
    pub(crate) user: u32,
    pub(crate) rooms: Memberships,
    /// The next one of the same user, which ended later.
    pub(crate) next_of_user: u32,
}

/// All of a shard.
#[derive(Default)]
pub(crate) struct Absences {
    absences: Slab<Absence>,
    /// All wait equally long, so the oldest is over first.
    in_order: VecDeque<(Tick, u32)>,
    memberships: usize,
}

impl Absences {
    /// Memberships of connections that are gone.
    pub(crate) fn memberships(&self) -> usize {
        self.memberships
    }

    pub(crate) fn get(&self, key: u32) -> Option<&Absence> {
        self.absences.get(key as usize)
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut Absence> {
        self.absences.get_mut(key as usize)
    }

    /// Keeps what a connection leaves behind until `until`, the latest of all.
    pub(crate) fn add(&mut self, until: Tick, absence: Absence) -> u32 {
        self.memberships += absence.rooms.rooms as usize;
        let key = self.absences.insert(absence) as u32;
        self.in_order.push_back((until, key));
        key
    }

    /// The rooms of one, which is taken out of one of them now.
    pub(crate) fn leaves_one(&mut self, key: u32) -> Option<&mut Memberships> {
        let absence = self.absences.get_mut(key as usize)?;
        self.memberships -= 1;
        Some(&mut absence.rooms)
    }

    /// When the oldest is over.
    pub(crate) fn next(&self) -> Option<Tick> {
        self.in_order.front().map(|(until, _)| *until)
    }

    /// Takes out the oldest.
    pub(crate) fn pop(&mut self) -> Option<Absence> {
        let (_, key) = self.in_order.pop_front()?;
        let absence = self.absences.remove(key as usize);
        self.memberships -= absence.rooms.rooms as usize;
        Some(absence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::NONE;

    fn absence(user: u32, rooms: u32) -> Absence {
        let mut memberships = Memberships::default();
        memberships.rooms = rooms;
        Absence {
            user,
            rooms: memberships,
            next_of_user: NONE,
        }
    }

    #[test]
    fn what_is_kept_is_counted_until_it_is_over_or_left() {
        let mut absences = Absences::default();
        let first = absences.add(Tick(1), absence(7, 3));
        absences.add(Tick(2), absence(8, 2));
        assert_eq!(
            (absences.memberships(), absences.next()),
            (5, Some(Tick(1)))
        );
        absences.leaves_one(first).expect("rooms").rooms -= 1;
        assert_eq!(absences.memberships(), 4);
        assert_eq!(absences.pop().map(|one| one.user), Some(7));
        assert_eq!(
            (absences.memberships(), absences.next()),
            (2, Some(Tick(2)))
        );
        assert_eq!(absences.pop().map(|one| one.user), Some(8));
        assert_eq!(
            (absences.memberships(), absences.pop().is_none()),
            (0, true)
        );
    }
}
