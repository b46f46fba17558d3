//! What one speaker has said, until its fate is known. Each message has one fate: after a broken connection it is said
//! again with the same id until it is acknowledged.

use std::collections::{BTreeSet, VecDeque};

use super::hall::Hall;
use super::heard::Heard;
use super::script::{Message, ROUND};
use super::verdict::Offence;

/// One in so many acknowledged messages is said again at once, to be told that it is known.
const REPEATED: u64 = 200;
/// How many messages are on their way at once.
const WINDOW: usize = 64;

/// The messages of one speaker that have no fate yet.
pub struct Sayings {
    speaker: u16,
    on_their_way: BTreeSet<u32>,
    /// To be said again.
    again: VecDeque<u32>,
    /// Acknowledged ones that were said again on purpose.
    repeated: BTreeSet<u32>,
    /// How many more it says whatever the run's budget lets it.
    extra: u32,
    said: u32,
}

impl Sayings {
    /// A speaker who has said nothing.
    pub fn of(speaker: u16) -> Sayings {
        Sayings {
            speaker,
            on_their_way: BTreeSet::new(),
            again: VecDeque::new(),
            repeated: BTreeSet::new(),
            extra: 0,
            said: 0,
        }
    }

    /// Whether everything that was said has its fate, and nothing is left to say.
    pub fn is_done(&self) -> bool {
        self.on_their_way.is_empty() && self.again.is_empty() && self.extra == 0
    }

    /// Has it speak until it says something to everybody, which tells all where the end is.
    pub fn conclude(&mut self) {
        self.extra = ROUND - (self.said + ROUND - 1) % ROUND;
    }

    /// What to say next, if there is anything.
    pub fn next(&mut self, hall: &mut Hall) -> Option<Message> {
        if self.on_their_way.len() >= WINDOW {
            return None;
        }
        let number = if let Some(number) = self.again.pop_front() {
            hall.count(AGAIN);
            number
        } else {
            if self.extra > 0 {
                self.extra -= 1;
            } else {
                hall.budget = hall.budget.checked_sub(1)?;
            }
            self.said += 1;
            hall.say(self.speaker).number
        };
        self.on_their_way.insert(number);
        Some(self.message(number))
    }

    /// The connection broke: what was on its way has no known fate.
    pub fn broken(&mut self) {
        self.again.extend(std::mem::take(&mut self.on_their_way));
        self.repeated.clear();
    }

    /// The server acknowledged. Answers the message if it is to be said again, now that it is known.
    pub fn acknowledged(&mut self, heard: &Heard<'_>, hall: &mut Hall) -> Option<Message> {
        let place = heard.cursor.and_then(|cursor| hall.place(cursor));
        let (Some(message), Some(place)) = (self.mine(heard, hall), place) else {
            self.accuse(hall, "an acknowledgement of nothing that was said", heard);
            return None;
        };
        if heard.duplicate {
            hall.count(DUPLICATES);
        }
        if !hall.learn(message, place) {
            self.accuse(hall, "another place than somebody else", heard);
        }
        let number = message.number;
        if self.on_their_way.remove(&number) {
            hall.accepted += 1;
            if hall.one_in(REPEATED) {
                hall.count(REPEATS);
                self.repeated.insert(number);
                return Some(message);
            }
        } else if !(self.repeated.remove(&number) && heard.duplicate) {
            self.accuse(
                hall,
                "an acknowledgement too many, or a repeat as new",
                heard,
            );
        }
        None
    }

    /// The server refused a message.
    pub fn refused(&mut self, heard: &Heard<'_>, hall: &mut Hall) {
        let for_now = matches!(
            heard.code,
            Some("overloaded" | "unavailable" | "outcome_unknown")
        );
        match self.mine(heard, hall) {
            Some(message) if for_now => {
                hall.count("messages refused for now");
                if self.on_their_way.remove(&message.number) {
                    self.again.push_back(message.number);
                }
                self.repeated.remove(&message.number);
            }
            _ => self.accuse(hall, "a refusal", heard),
        }
    }

    fn mine(&self, heard: &Heard<'_>, hall: &Hall) -> Option<Message> {
        let message = heard.id.and_then(|id| hall.script.message_of(id))?;
        (message.speaker == self.speaker).then_some(message)
    }

    fn accuse(&self, hall: &mut Hall, what: &str, heard: &Heard<'_>) {
        let speaker = self.speaker;
        hall.verdict.accuse(Offence::Answer, || {
            format!("speaker {speaker} got {what}: {heard:?}")
        });
    }

    fn message(&self, number: u32) -> Message {
        Message {
            speaker: self.speaker,
            number,
        }
    }
}

/// What [`Hall::counted`] knows the answers with `duplicate: true` by.
pub const DUPLICATES: &str = "answers with `duplicate`";
/// What it knows messages without a fate by that were said again.
pub const AGAIN: &str = "messages said again after a broken connection or a refusal";
/// What it knows repeats on purpose by.
pub const REPEATS: &str = "acknowledged messages said again on purpose";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::script::{Script, Target};

    fn acknowledged(sayings: &mut Sayings, hall: &mut Hall, number: u32, duplicate: bool) {
        let (id, cursor) = (format!("t.0.{number}"), format!("1.a:0:{}", number + 1));
        let heard = Heard {
            id: Some(&id),
            cursor: Some(&cursor),
            duplicate,
            ..Heard::default()
        };
        sayings.acknowledged(&heard, hall);
    }

    #[test]
    fn a_message_is_said_until_it_is_acknowledged_once_and_the_last_one_is_for_everybody() {
        let (mut hall, mut sayings) = (Hall::new(Script::small(), 1), Sayings::of(0));
        hall.budget = 2;
        while sayings.next(&mut hall).is_some() {}
        acknowledged(&mut sayings, &mut hall, 1, false);
        sayings.broken();
        assert!(!sayings.is_done());
        assert_eq!(sayings.next(&mut hall).map(|said| said.number), Some(0));
        acknowledged(&mut sayings, &mut hall, 0, true);
        assert!(sayings.is_done() && hall.verdict.offences() == 0 && hall.accepted == 2);
        acknowledged(&mut sayings, &mut hall, 0, false);
        assert_eq!(hall.verdict.count(Offence::Answer), 1, "twice");
        sayings.conclude();
        let said = std::iter::from_fn(|| sayings.next(&mut hall));
        let last = said.last().expect("a last message");
        assert_eq!(hall.script.target(last), Target::Everybody);
        assert_eq!(last.number, ROUND);
    }
}
