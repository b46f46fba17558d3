//! What all clients of a run share: what is said, where it stands, the dice, the verdict, and what was counted besides.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::log::{Log, behind};
use super::script::{Message, Script};
use super::verdict::Verdict;
use crate::client::Client;

/// The shared state.
pub struct Hall {
    /// What is said.
    pub script: Script,
    /// The judge.
    pub verdict: Verdict,
    /// The dice of the churn.
    pub dice: fastrand::Rng,
    /// The time of this turn.
    pub now: Instant,
    /// How many messages may still be said for the first time.
    pub budget: u64,
    /// Whether connections end with a goodbye only.
    pub gentle: bool,
    /// Whether connections still come and go.
    pub churning: bool,
    /// Connections that nobody reads, and when they go.
    pub abandoned: Vec<(Client, Instant)>,
    /// What may have been given to connections that ended.
    pub ends: Vec<End>,
    /// For each user the sum of `missed`; none once a connection ended before it was told, since it is told once.
    pub missed: Vec<Option<u64>>,
    /// The newest place that anybody knows of.
    pub newest: u64,
    /// How many messages were acknowledged.
    pub accepted: u64,
    /// `broadcast` and `room` messages that came, each time one did.
    pub heard: u64,
    /// The messages that `gap` told of.
    pub gaps: u64,
    /// What happened, and how often.
    pub tally: BTreeMap<&'static str, u64>,
    /// The log's one epoch and partition, as the first cursor named them.
    log_name: String,
    /// The place of each speaker's messages, 0 where it isn't known yet.
    places: Vec<Vec<u64>>,
}

/// A connection has ended: the server went on until it noticed, and what it wrote meanwhile is lost in a kernel.
pub struct End {
    /// The rooms that it may have been in.
    pub rooms: Vec<u16>,
    /// The newest place that its client had.
    pub from: u64,
    /// When the server has surely noticed.
    pub noticed: Instant,
    /// The log's newest place by then.
    pub until: Option<u64>,
    /// Whether the client didn't read to the end.
    pub unread: bool,
}

impl Hall {
    /// Before anything has happened. There are as many as `speakers` who speak.
    pub fn new(script: Script, speakers: u16) -> Hall {
        Hall {
            verdict: Verdict::default(),
            dice: fastrand::Rng::with_seed(script.seed),
            now: Instant::now(),
            budget: 0,
            gentle: false,
            churning: true,
            abandoned: Vec::new(),
            ends: Vec::new(),
            missed: vec![Some(0); script.users.into()],
            newest: 0,
            accepted: 0,
            heard: 0,
            gaps: 0,
            tally: BTreeMap::new(),
            log_name: String::new(),
            places: vec![Vec::new(); speakers.into()],
            script,
        }
    }

    /// Counts something that happened.
    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// How often something happened.
    pub fn counted(&self, what: &str) -> u64 {
        self.tally.get(what).copied().unwrap_or_default()
    }

    /// A time up to `most` from now.
    pub fn within(&mut self, most: Duration) -> Instant {
        self.now + most.mul_f64(self.dice.f64())
    }

    /// Whether one in `many` comes up.
    pub fn one_in(&mut self, many: u64) -> bool {
        self.dice.u64(..many) == 0
    }

    /// The place that a cursor names; none if it is no cursor of this run's one log.
    pub fn place(&mut self, cursor: &str) -> Option<u64> {
        let (name, offset) = cursor.rsplit_once(':')?;
        if self.log_name.is_empty() {
            name.clone_into(&mut self.log_name);
        }
        let place = offset.parse().ok().filter(|_| name == self.log_name)?;
        self.newest = self.newest.max(place);
        Some(place)
    }

    /// The cursor of a place.
    pub fn cursor(&self, place: u64) -> String {
        format!("{}:{place}", self.log_name)
    }

    /// A message stands at this place, says an acknowledgement or a receiver. False if another one said otherwise, or if
    /// nobody has said the message.
    pub fn learn(&mut self, message: Message, place: u64) -> bool {
        let known = self.places.get_mut(usize::from(message.speaker));
        match known.and_then(|known| known.get_mut(message.number as usize)) {
            Some(known) => {
                let agrees = *known == 0 || *known == place;
                *known = place;
                agrees
            }
            None => false,
        }
    }

    /// The next message of a speaker is said.
    pub fn say(&mut self, speaker: u16) -> Message {
        let said = &mut self.places[usize::from(speaker)];
        said.push(0);
        Message {
            speaker,
            number: said.len() as u32 - 1,
        }
    }

    /// Where the last message of a speaker stands.
    pub fn last_place(&self, speaker: u16) -> Option<u64> {
        self.places[usize::from(speaker)].last().copied()
    }

    /// The log, once everything is acknowledged.
    pub fn log(&self) -> Log {
        let of = |(speaker, places): (usize, &Vec<u64>)| {
            let places = places.iter().enumerate();
            let message = move |(number, &place)| {
                let speaker = speaker as u16;
                let number = number as u32;
                (place, Message { speaker, number })
            };
            places.map(message).collect::<Vec<_>>()
        };
        Log::of(
            &self.script,
            self.places.iter().enumerate().flat_map(of).collect(),
        )
    }

    /// Notes how far the log was when the server had noticed an end.
    pub fn turn(&mut self) {
        let (now, newest) = (self.now, self.newest);
        self.abandoned.retain(|(_, until)| *until > now);
        for end in &mut self.ends {
            if end.until.is_none() && end.noticed <= now {
                end.until = Some(newest);
            }
        }
    }
}

impl End {
    /// Messages for everybody and for rooms that the connection may have been given after what its client saw.
    pub fn unseen(&self, log: &Log) -> u64 {
        let until = self.until.unwrap_or(u64::MAX);
        let between = |places: &[u64]| {
            let later =
                behind(places, self.from).len() - behind(places, until.max(self.from)).len();
            later as u64
        };
        let rooms = self.rooms.iter();
        between(&log.everybody)
            + rooms
                .map(|&room| between(&log.rooms[usize::from(room)]))
                .sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hall() -> Hall {
        let run = "t".to_owned();
        let script = Script {
            run,
            seed: 7,
            users: 9,
            rooms: 2,
        };
        Hall::new(script, 1)
    }

    #[test]
    fn a_message_has_one_place_whoever_tells_it_and_must_have_been_said() {
        let mut hall = hall();
        let message = hall.say(0);
        assert!(hall.learn(message, 5) && hall.learn(message, 5));
        assert!(!hall.learn(message, 6), "another place");
        let number = 1;
        assert!(!hall.learn(Message { number, ..message }, 7), "never said");
    }

    #[test]
    fn a_cursor_is_of_the_one_log_that_the_first_one_named() {
        let mut hall = hall();
        assert_eq!(hall.place("1.ab:0:7"), Some(7));
        assert_eq!(hall.cursor(9), "1.ab:0:9");
        assert_eq!(
            [
                hall.place("2.cd:0:8"),
                hall.place("1.ab:0:x"),
                hall.place("7")
            ],
            [None; 3]
        );
    }

    #[test]
    fn what_was_said_until_the_server_noticed_may_have_been_given_to_nobody() {
        let log = Log {
            everybody: vec![1, 4, 9],
            rooms: vec![vec![2, 6], vec![3]],
            ..Log::default()
        };
        let mut end = End {
            rooms: vec![0],
            from: 1,
            noticed: Instant::now(),
            until: Some(6),
            unread: true,
        };
        assert_eq!(end.unseen(&log), 3, "2, 4 and 6");
        end.until = None;
        assert_eq!(end.unseen(&log), 4, "and 9");
    }
}
