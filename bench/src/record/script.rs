//! What is said in a run. Nothing of a message is stored: whom it is for and what it carries follow from the seed and its
//! number, so that a million of them take no memory and each receiver's copy can be checked byte for byte.

/// One message: who says it, and the how-manieth of theirs it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// The user who says it.
    pub speaker: u16,
    /// Counted from 0 for each speaker.
    pub number: u32,
}

/// Who is to hear a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Every connection.
    Everybody,
    /// These users, in the order in which they are named; one may be named twice.
    Users(Vec<u16>),
    /// Who is in this room.
    Room(u16),
}

/// Of so many messages of one speaker the first is for everybody.
pub const ROUND: u32 = 50;
/// Of a hundred other messages, how many are for a room; what is left is for users.
const TO_ROOMS: u64 = 44;

/// The cast and the dice.
#[derive(Clone, Debug)]
pub struct Script {
    /// What this run's users, rooms and ids begin with, so that two runs on one server don't meet.
    pub run: String,
    /// What all dice of the run come from.
    pub seed: u64,
    /// How many users there are.
    pub users: u16,
    /// How many rooms there are.
    pub rooms: u16,
}

impl Script {
    /// A small cast, for tests.
    #[cfg(test)]
    pub(crate) fn small() -> Self {
        Self {
            run: "t".to_owned(),
            seed: 1,
            users: 9,
            rooms: 2,
        }
    }

    /// Who is to hear a message. The lower of two throws decides, so that there are busy users and rooms and quiet ones.
    pub fn target(&self, message: Message) -> Target {
        if message.number.is_multiple_of(ROUND) {
            return Target::Everybody;
        }
        let once = u64::from(message.speaker) << 32 | u64::from(message.number);
        let mut dice = fastrand::Rng::with_seed(self.seed ^ once);
        let mut lower = |most: u16| dice.u16(..most).min(dice.u16(..most));
        let room = lower(self.rooms);
        let first = lower(self.users);
        if dice.u64(..100) < TO_ROOMS {
            return Target::Room(room);
        }
        let more = if dice.u8(..20) == 0 { 9 } else { dice.u16(..3) };
        let mut users = vec![first];
        users.extend((0..more).map(|_| dice.u16(..self.users).min(dice.u16(..self.users))));
        Target::Users(users)
    }

    /// The id of a user.
    pub fn user(&self, user: u16) -> String {
        format!("{}-u{user}", self.run)
    }

    /// The id of a room.
    pub fn room(&self, room: u16) -> String {
        format!("{}-r{room}", self.run)
    }

    /// The room with this id, if it is one of the run's.
    pub fn room_of(&self, id: &str) -> Option<u16> {
        id.strip_prefix(&self.run)?.strip_prefix("-r")?.parse().ok()
    }

    /// The message with this id, if it is one of the run's.
    pub fn message_of(&self, id: &str) -> Option<Message> {
        let (speaker, number) = id
            .strip_prefix(&self.run)?
            .strip_prefix('.')?
            .split_once('.')?;
        Some(Message {
            speaker: speaker.parse().ok()?,
            number: number.parse().ok()?,
        })
    }

    /// What a message carries: JSON that a parser which isn't careful would write anew in another form.
    pub fn data(&self, message: Message) -> String {
        let padding = (message.number % 61) as usize;
        format!(r#"[{}, 1.50e3,"\u00e9{:padding$}"]"#, message.number, "")
    }

    /// The message as its speaker says it.
    pub fn said(&self, message: Message) -> String {
        let Message { speaker, number } = message;
        let whom = match self.target(message) {
            Target::Everybody => r#""type":"broadcast""#.to_owned(),
            Target::Room(room) => format!(r#""type":"room","room_id":"{}""#, self.room(room)),
            Target::Users(users) => {
                let users = users
                    .iter()
                    .map(|&user| format!(r#""{}""#, self.user(user)));
                let users = users.collect::<Vec<_>>().join(",");
                format!(r#""type":"user","target_ids":[{users}]"#)
            }
        };
        let (run, data) = (&self.run, self.data(message));
        format!(r#"{{{whom},"id":"{run}.{speaker}.{number}","data":{data}}}"#)
    }
}

/// Each of the named users once.
pub fn distinct(mut users: Vec<u16>) -> Vec<u16> {
    users.sort_unstable();
    users.dedup();
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_json_for_all_kinds_of_audience_and_found_again_by_its_id() {
        let script = Script {
            run: "t".to_owned(),
            seed: 7,
            users: 20,
            rooms: 4,
        };
        let mut kinds = [0; 3];
        for number in 0..1_000 {
            let message = Message { speaker: 3, number };
            let said: serde_json::Value =
                serde_json::from_str(&script.said(message)).expect("what is said is JSON");
            let id = said["id"].as_str().expect("an id");
            assert_eq!(script.message_of(id), Some(message));
            kinds[match script.target(message) {
                Target::Everybody => 0,
                Target::Room(_) => 1,
                Target::Users(_) => 2,
            }] += 1;
        }
        assert!(
            kinds[0] == 20 && kinds[1] > 300 && kinds[2] > 400,
            "{kinds:?}"
        );
        assert_eq!(script.message_of("other.1.2"), None);
    }
}
