//! One device of a user: it connects, hears, acknowledges, says what it has to say, and comes back with its cursor,
//! whatever became of its connection.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};

use super::account::{Account, Turn};
use super::hall::{End, Hall};
use super::heard::Heard;
use super::road::Road;
use super::sayings::Sayings;
use super::script::Target;
use super::verdict::Offence;
use crate::client::{Client, Phase, Wish};
use crate::frames::Frame;
use crate::trouble::{Trouble, while_doing};

/// How long a connection may take to be greeted, and to be closed once it said goodbye.
const PATIENCE: Duration = Duration::from_secs(10);
/// When the server has noticed that a connection is over: 0.5 s, says the contract, or 1 s for a slow one.
pub const NOTICED: Duration = Duration::from_secs(1);
/// How long messages stay without an acknowledgement, and how many.
const DELAY: Duration = Duration::from_millis(50);
const UNACKNOWLEDGED: u64 = 10;

/// Who a session is.
pub struct Who {
    /// Its number.
    pub number: usize,
    /// The user.
    pub user: u16,
    /// Whether it acknowledges `user` messages itself.
    pub acks: bool,
    /// Whether its kernel takes little, so that it is slow as soon as it doesn't read.
    pub narrow: bool,
    /// Whether it lives in the other network namespace.
    pub far: bool,
    /// Whether it comes only when everybody else has come home.
    pub late: bool,
}

/// What a session is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Comes back then.
    Away(Instant),
    /// Connects, since then.
    Arriving(Instant),
    /// Hears.
    Here,
    /// Doesn't read until then.
    Stalled(Instant),
    /// Has said goodbye, at that time.
    Leaving(Instant),
}

/// The session.
pub struct Session {
    /// Who it is.
    pub who: Who,
    /// What it is doing.
    pub state: State,
    /// The rooms it is in.
    pub rooms: BTreeSet<u16>,
    /// When something happens to it: at so many acknowledged messages.
    pub next_incident: u64,
    /// Whether it comes back in other rooms: one more, or one fewer.
    pub moves: bool,
    /// How often it was told `connected`.
    pub connections: u64,
    /// What it was told.
    pub account: Account,
    /// What it says, if it speaks.
    pub sayings: Option<Sayings>,
    /// The newest place that it keeps.
    pub newest: Option<u64>,
    client: Option<Client>,
    session_id: Option<String>,
    /// The rooms that this connection was asked for.
    asked: BTreeSet<u16>,
    /// The log's newest place when it set out, for a connection that began nowhere.
    set_out: u64,
    /// The newest `user` message without an acknowledgement, how many there are, and when it is due.
    unacknowledged: Option<(u64, u64, Instant)>,
}

impl Session {
    /// A session that connects at `first`, in these rooms.
    pub fn new(who: Who, speaks: bool, rooms: BTreeSet<u16>, first: Instant) -> Session {
        Session {
            sayings: speaks.then(|| Sayings::of(who.user)),
            state: State::Away(first),
            rooms,
            next_incident: u64::MAX,
            moves: false,
            connections: 0,
            account: Account::default(),
            newest: None,
            client: None,
            session_id: None,
            asked: BTreeSet::new(),
            set_out: 0,
            unacknowledged: None,
            who,
        }
    }

    /// Connects, with all that it remembers.
    pub fn arrive(
        &mut self,
        hall: &mut Hall,
        road: &Road,
        registry: &Registry,
    ) -> Result<(), Trouble> {
        if std::mem::take(&mut self.moves) {
            let room = hall.dice.u16(..hall.script.rooms);
            if !self.rooms.remove(&room) {
                self.rooms.insert(room);
            }
        }
        let rooms = self.rooms.iter().map(|&room| hall.script.room(room));
        let rooms = rooms.collect::<Vec<_>>().join(",");
        let mut path = format!(
            "/ws?user_id={}&rooms={rooms}",
            hall.script.user(self.who.user)
        );
        if let Some(session_id) = &self.session_id {
            path += &format!("&session_id={session_id}");
        }
        if let Some(newest) = self.newest {
            path += &format!("&after={}", hall.cursor(newest));
        }
        if self.who.acks {
            path += "&ack=1";
        }
        self.asked.clone_from(&self.rooms);
        self.set_out = hall.newest;
        let Ok(mut socket) = road.connect(self.who.far, self.who.number, self.who.narrow) else {
            self.state = State::Away(hall.within(Duration::from_millis(400)));
            return Ok(());
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        registry
            .register(&mut socket, Token(self.who.number), both)
            .map_err(while_doing("watching a client"))?;
        let wish = Wish {
            path,
            deflate: false,
            greeted: false,
            rooms: Vec::new(),
        };
        self.client = Some(Client::new(socket, wish));
        self.state = State::Arriving(hall.now);
        Ok(())
    }

    /// Its socket may have something, or take something.
    pub fn advance(&mut self, buffer: &mut [u8], hall: &mut Hall) {
        let Some(mut client) = self.client.take() else {
            return;
        };
        let mut answers = Vec::new();
        let mut came = client.writable();
        // Twice, since a client is content with less than it asked for: an end that came while nobody read is behind it.
        for _ in 0..2 {
            if came.is_ok() && !matches!(self.state, State::Stalled(_)) {
                came = client.readable(buffer, &mut |frame| self.hear(frame, &mut answers, hall));
            }
        }
        if let Err(Trouble::Garbled(rule)) = came {
            self.accuse(Offence::Garbled, rule, &Heard::default(), hall);
        }
        if came.is_ok() && client.phase() != Phase::Gone {
            answers.iter().for_each(|answer| client.say(answer));
            client.flush();
            self.client = Some(client);
            return;
        }
        let is_goodbye = matches!(self.state, State::Leaving(_));
        if !is_goodbye {
            hall.count("connections ended by the server or the network");
        }
        self.ended(hall.now + NOTICED, !is_goodbye, hall);
    }

    /// The connection is over, in whichever way. The server knows at `noticed`.
    fn ended(&mut self, noticed: Instant, unread: bool, hall: &mut Hall) {
        hall.ends.push(End {
            rooms: self.rooms.union(&self.asked).copied().collect(),
            from: self.newest.unwrap_or(self.set_out),
            noticed,
            until: None,
            unread,
        });
        if matches!(self.state, State::Arriving(_)) {
            hall.missed[usize::from(self.who.user)] = None;
        }
        if let Some(sayings) = &mut self.sayings {
            sayings.broken();
        }
        self.unacknowledged = None;
        let most = match hall.dice.u32(..100) {
            _ if !hall.churning => 100,
            0..40 => 0,
            40..90 => 300,
            // All others would wait for a speaker who stays away.
            _ if self.sayings.is_some() => 300,
            _ => 4_000,
        };
        self.state = State::Away(hall.within(Duration::from_millis(most)));
    }

    /// Gives its connection away without a word to it. What the server knows of it, it knows by then.
    pub fn let_go(&mut self, noticed: Instant, hall: &mut Hall) -> Option<Client> {
        let client = self.client.take();
        self.ended(noticed, true, hall);
        client
    }

    /// Whether it has a connection on which it hears.
    pub fn is_here(&self) -> bool {
        self.state == State::Here && self.client.is_some()
    }

    /// Whether nothing of what it said is without its fate.
    pub fn has_spoken(&self) -> bool {
        self.sayings.as_ref().is_none_or(Sayings::is_done)
    }

    /// Asks for a room, or asks to be let out of it.
    pub fn ask(&mut self, what: &str, room: u16, hall: &Hall) {
        self.asked.insert(room);
        let room = hall.script.room(room);
        if let Some(client) = &mut self.client {
            client.say(&format!(r#"{{"type":"{what}","room_id":"{room}"}}"#));
        }
    }

    /// Says something, so that its kernel learns whether the server is still there.
    pub fn ping(&mut self) {
        if let Some(client) = &mut self.client {
            client.say(r#"{"type":"ping"}"#);
            client.flush();
        }
    }

    /// Says goodbye, and hears what still comes.
    pub fn say_goodbye(&mut self, now: Instant) {
        if let Some(client) = &mut self.client {
            client.say_goodbye();
            client.flush();
            self.state = State::Leaving(now);
        }
    }

    /// Begins anew when it comes back: the next connection names no cursor.
    pub fn forget(&mut self) {
        self.newest = None;
        self.session_id = None;
    }

    /// Says what it may, and gives the acknowledgements that are due.
    pub fn speak(&mut self, hall: &mut Hall) {
        let (State::Here, Some(client)) = (self.state, &mut self.client) else {
            return;
        };
        if let Some((newest, count, due)) = self.unacknowledged
            && (count >= UNACKNOWLEDGED || due <= hall.now)
        {
            self.unacknowledged = None;
            let cursor = hall.cursor(newest);
            client.say(&format!(r#"{{"type":"ack","cursor":"{cursor}"}}"#));
        }
        if let Some(sayings) = &mut self.sayings {
            while let Some(message) = sayings.next(hall) {
                client.say(&hall.script.said(message));
            }
        }
        client.flush();
    }

    /// Whether what it waits for takes too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.state, State::Arriving(since) | State::Leaving(since) if now > since + PATIENCE)
    }

    fn hear(&mut self, frame: &Frame<'_>, answers: &mut Vec<String>, hall: &mut Hall) {
        let Ok(heard) = serde_json::from_slice::<Heard<'_>>(frame.head) else {
            return self.accuse(Offence::Garbled, "no message", &Heard::default(), hall);
        };
        let place = heard.cursor.and_then(|cursor| hall.place(cursor));
        match (heard.kind, place) {
            ("broadcast" | "user" | "room", Some(place)) => self.hear_message(&heard, place, hall),
            ("ack", _) => {
                if let Some(sayings) = &mut self.sayings
                    && let Some(message) = sayings.acknowledged(&heard, hall)
                {
                    answers.push(hall.script.said(message));
                }
            }
            ("connected", Some(place)) => self.hear_connected(&heard, place, hall),
            ("joined" | "left", Some(place)) => self.hear_room(&heard, place, hall),
            ("pong", _) => {}
            ("position", Some(place)) => {
                self.newest = self.newest.max(Some(place));
                self.account.turn(Turn::Position(place));
            }
            ("gap", Some(place)) => {
                let room = heard.room_id.and_then(|id| hall.script.room_of(id));
                self.newest = self.newest.max(Some(place));
                hall.gaps += heard.dropped;
                self.account.turn(Turn::Gap(place, heard.dropped, room));
            }
            ("error", _) if self.sayings.is_some() && heard.id.is_some() => {
                if let Some(sayings) = &mut self.sayings {
                    sayings.refused(&heard, hall);
                }
            }
            _ => self.accuse(Offence::Answer, "what nobody asked for", &heard, hall),
        }
    }

    fn hear_message(&mut self, heard: &Heard<'_>, place: u64, hall: &mut Hall) {
        let Some(message) = heard.id.and_then(|id| hall.script.message_of(id)) else {
            return self.accuse(Offence::Garbled, "an unknown id", heard, hall);
        };
        if !hall.learn(message, place) {
            return self.accuse(
                Offence::Doubled,
                "what stands elsewhere, or nobody said",
                heard,
                hall,
            );
        }
        let script = &hall.script;
        let room = heard.room_id.and_then(|id| script.room_of(id));
        let is_as_said = match script.target(message) {
            Target::Everybody => heard.kind == "broadcast",
            Target::Users(_) => heard.kind == "user",
            Target::Room(target) => heard.kind == "room" && room == Some(target),
        };
        if !is_as_said
            || heard.from != Some(&script.user(message.speaker))
            || heard.data.map(|data| data.get()) != Some(&script.data(message))
        {
            return self.accuse(Offence::Garbled, "other words than were said", heard, hall);
        }
        self.newest = self.newest.max(Some(place));
        self.account.message(place);
        if heard.kind != "user" {
            hall.heard += 1;
        } else if self.who.acks {
            let (newest, count, due) = self.unacknowledged.unwrap_or((0, 0, hall.now + DELAY));
            self.unacknowledged = Some((newest.max(place), count + 1, due));
        }
    }

    fn hear_connected(&mut self, heard: &Heard<'_>, place: u64, hall: &mut Hall) {
        self.state = State::Here;
        self.connections += 1;
        hall.count("connections");
        if let Some(missed) = &mut hall.missed[usize::from(self.who.user)] {
            *missed += heard.missed;
        }
        self.session_id = heard.session_id.map(str::to_owned);
        if heard.resumed {
            hall.count("connections that resumed");
            let rooms = self.rooms.iter().copied().collect();
            self.account.turn(Turn::Resumed(rooms));
            return;
        }
        if self.newest.is_some() {
            self.accuse(Offence::Answer, "no resume", heard, hall);
        }
        self.newest = Some(place);
        // `joined` answers for each room that was named.
        self.rooms.clear();
        self.account.turn(Turn::Began(place));
    }

    fn hear_room(&mut self, heard: &Heard<'_>, place: u64, hall: &mut Hall) {
        let Some(room) = heard.room_id.and_then(|id| hall.script.room_of(id)) else {
            return self.accuse(Offence::Garbled, "an unknown room", heard, hall);
        };
        if heard.kind == "left" {
            self.rooms.remove(&room);
            self.account.turn(Turn::Left(room, place));
        } else if self.rooms.insert(room) {
            self.account.turn(Turn::Joined(room, place));
        }
    }

    fn accuse(&self, offence: Offence, what: &str, heard: &Heard<'_>, hall: &mut Hall) {
        let label = self.label();
        hall.verdict
            .accuse(offence, || format!("{label} got {what}: {heard:?}"));
    }

    /// Who it is, in an offence.
    pub fn label(&self) -> String {
        format!("session {} of user {}", self.who.number, self.who.user)
    }
}
