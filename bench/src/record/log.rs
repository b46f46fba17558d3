//! The truth, once the run is over: what was acknowledged, at which place, for whom.

use super::script::{Message, Script, Target, distinct};

/// The places of all messages, by audience and in their order.
#[derive(Default)]
pub struct Log {
    /// For everybody.
    pub everybody: Vec<u64>,
    /// For each user.
    pub users: Vec<Vec<u64>>,
    /// For each room.
    pub rooms: Vec<Vec<u64>>,
    /// Two messages have one place; the first such place.
    pub shared: Option<u64>,
}

impl Log {
    /// The log of these messages.
    pub fn of(script: &Script, mut messages: Vec<(u64, Message)>) -> Log {
        messages.sort_unstable_by_key(|&(place, _)| place);
        let same = messages.windows(2).find(|two| two[0].0 == two[1].0);
        let mut log = Log {
            shared: same.map(|two| two[0].0),
            users: vec![Vec::new(); script.users.into()],
            rooms: vec![Vec::new(); script.rooms.into()],
            ..Log::default()
        };
        for (place, message) in messages {
            match script.target(message) {
                Target::Everybody => log.everybody.push(place),
                Target::Room(room) => log.rooms[usize::from(room)].push(place),
                Target::Users(users) => distinct(users)
                    .into_iter()
                    .for_each(|user| log.users[usize::from(user)].push(place)),
            }
        }
        log
    }

    /// How many (message, user) there are.
    pub fn user_units(&self) -> u64 {
        self.users.iter().map(|places| places.len() as u64).sum()
    }
}

/// What of a list is behind a place.
pub fn behind(places: &[u64], place: u64) -> &[u64] {
    &places[places.partition_point(|&other| other <= place)..]
}
