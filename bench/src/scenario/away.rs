//! Users who were here, went, missed messages and come back with the place up to which they had all.

use std::time::{Duration, Instant};

use super::{Progress, SETTLING, Server};
use crate::client::Wish;
use crate::crowd::{Crowd, publisher_token};
use crate::dialect::{Audience, user};
use crate::frames::Frame;
use crate::histogram::Histogram;
use crate::payload::Payload;
use crate::publisher::Publisher;
use crate::request::Request;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// How many users one message is for.
const TARGETS: usize = 100;
/// How many publishes may wait for their answer.
const OPEN: u64 = 8;

/// Users who are away, a hundred to a room.
pub(super) struct Away {
    kind: &'static str,
    ids: Vec<String>,
    /// Where each connects to resume.
    paths: Vec<String>,
}

/// Users on their way back.
pub(super) struct Return<'a> {
    away: &'a Away,
    server: Server,
    crowd: Crowd,
    heard: Heard,
}

/// What came in on a return.
struct Heard {
    clock: Clock,
    begun: Vec<u64>,
    messages: Vec<usize>,
    each: usize,
    whole: usize,
    latencies: Histogram,
    trouble: Option<Trouble>,
}

impl Away {
    /// Lets users connect and join their rooms, keeps what they were greeted with, and lets them go again; or the server
    /// `dies` under them.
    pub(super) fn leave(
        server: Server,
        kind: &'static str,
        count: usize,
        dies: bool,
    ) -> Result<Away, Trouble> {
        let ids: Vec<String> = (0..count).map(|number| user(kind, number)).collect();
        let mut greetings: Vec<Option<String>> = vec![None; count];
        let mut crowd = Crowd::new()?;
        for (number, id) in ids.iter().enumerate() {
            let rooms = room_of(kind, number);
            crowd.add(
                server.address,
                wish(format!("/ws?user_id={id}&rooms={rooms}")),
            )?;
            let mut progress = Progress::of("greetings");
            while crowd.len() - crowd.ready() > 32 || number + 1 == count && crowd.ready() < count {
                crowd.turn(Duration::from_millis(20), |number, frame| {
                    if let Some(path) = path_back(&ids[number], &room_of(kind, number), frame.head)
                    {
                        greetings[number] = Some(path);
                    }
                })?;
                progress.check(crowd.ready() as u64)?;
            }
        }
        crowd.rest(SETTLING)?;
        if dies {
            server.process.kill()?;
        }
        drop(crowd);
        Crowd::new()?.rest(SETTLING)?;
        let paths: Option<Vec<String>> = greetings.into_iter().collect();
        let paths = paths.ok_or(Trouble::Garbled("a greeting has a session and a cursor"))?;
        Ok(Away { kind, ids, paths })
    }

    /// Publishes `each` messages for every one of them: of nine three to their rooms and six to them by their ids, as
    /// equally as it goes among `others` that are for nobody who comes back.
    pub(super) fn miss(
        &self,
        press: &mut Press,
        each: usize,
        others: usize,
    ) -> Result<(), Trouble> {
        let mut passed = 0;
        for number in 0..each {
            let due = others * (number + 1) / each;
            press.pass(due - passed)?;
            passed = due;
            for (room, users) in self.ids.chunks(TARGETS).enumerate() {
                if number % 3 == 0 {
                    press.print(Audience::Room(&room_of(self.kind, room * TARGETS)))?;
                } else {
                    press.print_to(users)?;
                }
            }
        }
        Ok(())
    }

    /// Begins to bring them back; each has missed `each` messages.
    pub(super) fn come_back(&self, server: Server, each: usize) -> Result<Return<'_>, Trouble> {
        Ok(Return {
            away: self,
            server,
            crowd: Crowd::new()?,
            heard: Heard {
                clock: Clock::default(),
                begun: Vec::with_capacity(self.paths.len()),
                messages: vec![0; self.paths.len()],
                each,
                whole: 0,
                latencies: Histogram::default(),
                trouble: None,
            },
        })
    }
}

impl Return<'_> {
    /// Brings the next `count` back, at most `at_once` of them on their way together, until each has all they missed.
    pub(super) fn bring(&mut self, count: usize, at_once: usize) -> Result<(), Trouble> {
        let mut progress = Progress::of("clients that have all they missed");
        let target = self.crowd.len() + count;
        while self.heard.whole < target {
            while self.crowd.len() < target && self.crowd.len() - self.heard.whole < at_once {
                self.heard.begun.push(self.heard.clock.now());
                let path = self.away.paths[self.crowd.len()].clone();
                self.crowd.add(self.server.address, wish(path))?;
            }
            self.turn()?;
            progress.check(self.heard.whole as u64)?;
        }
        Ok(())
    }

    /// Lets the last receipts come, and whatever must not: nobody is given more than they missed. How long each took,
    /// from its first packet to its last missed message.
    pub(super) fn settle(mut self) -> Result<Histogram, Trouble> {
        let end = Instant::now() + SETTLING;
        while Instant::now() < end {
            self.turn()?;
        }
        self.heard.trouble.map_or(Ok(self.heard.latencies), Err)
    }

    fn turn(&mut self) -> Result<(), Trouble> {
        let heard = &mut self.heard;
        self.crowd.turn(Duration::from_millis(20), |number, frame| {
            heard.take(number, frame)
        })
    }
}

impl Heard {
    fn take(&mut self, number: usize, frame: &Frame<'_>) {
        if self.clock.find(frame.head).is_some() {
            self.messages[number] += 1;
            if self.messages[number] == self.each {
                let took = self.clock.now().saturating_sub(self.begun[number]);
                self.latencies.record(took);
                self.whole += 1;
            } else if self.messages[number] > self.each {
                self.trouble = Some(Trouble::Garbled("what was missed comes once"));
            }
        } else if connected(frame.head).is_some_and(|greeting| greeting["resumed"] != true) {
            self.trouble = Some(Trouble::Garbled("who comes back in time is resumed"));
        }
    }
}

/// Publishes without waiting for each answer.
pub(super) struct Press {
    server: Server,
    crowd: Crowd,
    publisher: Publisher,
    payload: Payload,
    passed: usize,
}

impl Press {
    /// One that has published nothing yet.
    pub(super) fn new(server: Server) -> Result<Press, Trouble> {
        let crowd = Crowd::new()?;
        Ok(Press {
            publisher: Publisher::connect(server.address, crowd.registry(), publisher_token(0))?,
            server,
            crowd,
            payload: Payload::text(64),
            passed: 0,
        })
    }

    /// Publishes a message to everybody or to a room.
    pub(super) fn print(&mut self, audience: Audience<'_>) -> Result<(), Trouble> {
        let request = self.server.dialect.publish(audience, &self.payload, 1);
        self.ask(request)
    }

    /// Publishes one message to these users.
    fn print_to(&mut self, users: &[String]) -> Result<(), Trouble> {
        let audience = Audience::Users(users.len());
        let mut request = self.server.dialect.publish(audience, &self.payload, 1);
        for (index, user) in users.iter().enumerate() {
            request.address(index, user);
        }
        self.ask(request)
    }

    fn ask(&mut self, mut request: Request) -> Result<(), Trouble> {
        self.publisher.ask(request.stamped(0));
        self.wait(OPEN)
    }

    /// Publishes messages to strangers and to rooms of nobody, in turn.
    fn pass(&mut self, count: usize) -> Result<(), Trouble> {
        let mut left = count;
        while left > 0 {
            let some = left.min(ARRAY);
            let empty = format!("empty{}", self.passed / ARRAY % EMPTY_ROOMS);
            let to_users = (self.passed / ARRAY).is_multiple_of(2);
            let audience = if to_users {
                Audience::Users(1)
            } else {
                Audience::Room(&empty)
            };
            let dialect = self.server.dialect;
            let mut request = dialect.publish(audience, &self.payload, some);
            for index in (0..some).filter(|_| to_users) {
                request.address(index, &user("none", (self.passed + index) % STRANGERS));
            }
            self.ask(request)?;
            self.passed += some;
            left -= some;
        }
        Ok(())
    }

    /// Waits until all is published.
    pub(super) fn finish(mut self) -> Result<(), Trouble> {
        self.wait(0)?;
        self.crowd.rest(SETTLING)
    }

    fn wait(&mut self, open: u64) -> Result<(), Trouble> {
        let mut progress = Progress::of("publishes without an answer");
        loop {
            self.publisher.advance()?;
            if self.publisher.open() <= open {
                return Ok(());
            }
            self.crowd.turn(Duration::from_millis(20), |_, _| {})?;
            progress.check(self.publisher.open())?;
        }
    }
}

/// How many messages are in the array of one POST.
const ARRAY: usize = 500;
/// To how many users who never come messages are addressed.
const STRANGERS: usize = 10_000;
/// To how many rooms without members.
const EMPTY_ROOMS: usize = 100;

fn room_of(kind: &str, number: usize) -> String {
    format!("{kind}-{}", number / TARGETS)
}

fn wish(path: String) -> Wish {
    Wish {
        path,
        deflate: false,
        greeted: true,
        rooms: Vec::new(),
    }
}

/// The greeting, if this is one.
fn connected(text: &[u8]) -> Option<serde_json::Value> {
    let opening = br#"{"type":"connected""#;
    text.starts_with(opening)
        .then(|| serde_json::from_slice(text).ok())?
}

/// The path to come back by, from what the server greeted with.
fn path_back(id: &str, room: &str, text: &[u8]) -> Option<String> {
    let greeting = connected(text)?;
    let (session, cursor) = (
        greeting["session_id"].as_str()?,
        greeting["cursor"].as_str()?,
    );
    Some(format!(
        "/ws?user_id={id}&rooms={room}&session_id={session}&after={cursor}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_back_with_session_and_place_of_the_greeting() {
        let greeting = br#"{"type":"connected","session_id":"5e","cursor":"a.1:0:7"}"#;
        let path = path_back("user00000", "user-0", greeting);
        let expected = "/ws?user_id=user00000&rooms=user-0&session_id=5e&after=a.1:0:7";
        assert_eq!(path.as_deref(), Some(expected));
        assert_eq!(path_back("ann", "r", br#"{"type":"broadcast"}"#), None);
    }
}
