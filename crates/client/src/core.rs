//! The rules of a client without its socket: what happens and `now` go in; what is to be done, what is to be sent, what
//! the application is told and the next deadline come out.

mod outbox;
mod places;
mod receipts;
mod repeats;
mod rooms;
mod state;

use std::collections::VecDeque;
use std::time::Duration;

use wshub_protocol::client_message::Publish;
use wshub_protocol::{Cursor, RoomId};

pub(crate) use outbox::Ticket;
pub use outbox::{Receipt, Unpublished};
pub(crate) use places::Places;
pub(crate) use rooms::Wish;

use crate::address::write_query;
use crate::backoff;
use crate::event::{Addressee, Connected, End, Event, Joined, Message, Refused};
use crate::limits::{PATH_BYTES, RETRY_AFTER, UNSAID};
use crate::options::{Identity, Options};
use crate::say;
use crate::server_message::{self, ServerMessage};
use outbox::{Outbox, Settled};
use receipts::Receipts;
use repeats::Repeats;
use rooms::Rooms;
use state::State;

/// Time, as what has gone by since the client was made.
pub(crate) type Now = Duration;

/// What is to be done with the socket, or told to a publisher.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Connect anew, by this path below the hub's address and with this token.
    Dial { path: String, token: Option<String> },
    /// Close the connection, or give up the dial, without waiting for the other side. These texts go out before.
    HangUp { last: Vec<String> },
    /// A publish was answered, or given up.
    Settle(Ticket, Result<Receipt, Unpublished>),
}

/// A command that is not followed: as much waits for the socket, or as many rooms are joined, as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// One client, across as many connections as it takes.
#[derive(Debug)]
pub(crate) struct Core {
    rng: fastrand::Rng,
    identity: Identity,
    acknowledges: bool,
    state: State,
    /// Attempts that failed since the last `connected`.
    failed: u32,
    /// When it last came back at once.
    hurried: Option<Now>,
    session: Option<String>,
    /// On a node whose log is away: `reset` comes once it is back, and is no sign of loss.
    degraded: bool,
    /// Such a node could not say what was missed since the place that was handed in.
    owed: bool,
    places: Places,
    rooms: Rooms,
    /// When rooms are asked for again that the server could not let the client into.
    rooms_again: Option<Now>,
    repeats: Repeats,
    receipts: Receipts,
    outbox: Outbox,
    frames: VecDeque<String>,
    actions: VecDeque<Action>,
    events: VecDeque<(Event, Places)>,
}

impl Core {
    /// A client that dials at once. The same seed draws the same waits and ids.
    pub(crate) fn new(options: Options, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rooms = Rooms::default();
        for (room, wish) in options.rooms {
            rooms.join(&room, wish, true);
        }
        let mut core = Self {
            outbox: Outbox::new(rng.u64(..), options.message_bytes),
            rng,
            identity: options.identity,
            acknowledges: options.acknowledges,
            state: State::Over,
            failed: 0,
            hurried: None,
            session: options.session.map(|session| session.text()),
            degraded: false,
            owed: false,
            places: options.after.unwrap_or_default(),
            rooms,
            rooms_again: None,
            repeats: Repeats::default(),
            receipts: Receipts::default(),
            frames: VecDeque::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
        };
        core.dial(Duration::ZERO);
        core
    }

    // What is to be done.

    /// The next thing to do.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to tell the application, and the place from which to go on behind it. While there is any, nothing
    /// more should be read.
    pub(crate) fn next_event(&mut self, now: Now) -> Option<(Event, Places)> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            // Nothing was read meanwhile, so the silence wasn't the server's.
            self.alive(now);
        }
        event
    }

    /// Whether something waits to be told.
    pub(crate) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next text to send, now that the socket takes one.
    pub(crate) fn next_frame(&mut self) -> Option<String> {
        if !self.state.is_connected() {
            return None;
        }
        let receipt = |core: &mut Self| core.receipts.next_due().map(|cursor| say::ack(&cursor));
        self.frames
            .pop_front()
            .or_else(|| receipt(self))
            .or_else(|| self.outbox.next_text())
    }

    /// Whether nothing will ever happen again.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    // What the application asks for.

    /// Publishes. What can't be taken in is told as the ticket's outcome at once.
    ///
    /// # Errors
    /// Where there is no ticket, for there is no room for it.
    pub(crate) fn publish(&mut self, now: Now, publish: Publish) -> Result<Ticket, Unpublished> {
        if self.is_over() {
            return Err(Unpublished::NotSent);
        }
        if publish.ephemeral && !self.state.is_connected() {
            return Err(Unpublished::NotConnected);
        }
        self.outbox.take(now, publish)
    }

    /// Is in a room from now on, on this connection and all that follow.
    ///
    /// # Errors
    /// Where there are as many rooms, or commands that wait, as may be.
    pub(crate) fn join(&mut self, room: &RoomId, wish: Wish) -> Result<(), Full> {
        let text = self.rooms.join(room, wish, false).ok_or(Full)?;
        self.say(text)
    }

    /// Is in a room no more.
    ///
    /// # Errors
    /// Where as many commands wait as may.
    pub(crate) fn leave(&mut self, room: &RoomId) -> Result<(), Full> {
        self.rooms.leave(room);
        self.say(say::leave(room.as_str()))
    }

    /// The application has received this message to its user, and all such that it was given before.
    pub(crate) fn acknowledge(&mut self, cursor: Cursor) {
        self.receipts.acknowledge(cursor);
    }

    /// Has a fresh token: for this connection, where there is one, and for those that follow.
    ///
    /// # Errors
    /// Where as many commands wait as may.
    pub(crate) fn set_token(&mut self, now: Now, token: String) -> Result<(), Full> {
        let text = say::auth(&token);
        self.identity = Identity::Token(token);
        if matches!(self.state, State::WithoutToken) {
            self.dial(now);
        }
        self.say(text)
    }

    /// Leaves for good.
    pub(crate) fn close(&mut self) {
        if self.is_over() {
            return;
        }
        // A receipt that stays behind would bring its message a second time.
        let receipts =
            std::iter::from_fn(|| self.receipts.next_due()).map(|cursor| say::ack(&cursor));
        let connected = self.state.is_connected();
        let last = receipts.filter(|_| connected).collect();
        self.actions.push_back(Action::HangUp { last });
        let reason = "closed by this client".to_owned();
        self.end(End {
            code: Some(1000),
            reason,
        });
    }

    // What happens on the connection.

    /// The server has said something.
    pub(crate) fn heard(&mut self, now: Now, text: &str) {
        if matches!(
            self.state,
            State::Over | State::Waiting { .. } | State::WithoutToken
        ) {
            return;
        }
        self.alive(now);
        match server_message::read(text) {
            Some(ServerMessage::Connected { connected, cursor }) => {
                self.enter(now, connected, cursor)
            }
            // Whatever else comes before `connected` says why there will be none.
            Some(ServerMessage::Error {
                refused,
                id,
                retry_after,
            }) => {
                if let Some(id) = id {
                    let settled = self.outbox.refused(now, &id, refused, retry_after);
                    self.settle(settled);
                } else {
                    self.hear_refused(now, refused, retry_after);
                }
            }
            Some(message) if self.state.is_connected() => self.hear(now, message),
            _ => {}
        }
    }

    fn hear(&mut self, now: Now, message: ServerMessage) {
        match message {
            ServerMessage::Message(message) => self.hear_message(message),
            ServerMessage::Ack {
                id,
                cursor,
                duplicate,
            } => {
                let settled = self.outbox.acked(Receipt {
                    id,
                    cursor,
                    duplicate,
                });
                self.settle(settled);
            }
            ServerMessage::Joined { joined, cursor } => self.hear_joined(joined, cursor.as_ref()),
            ServerMessage::Left { room, members } => self.tell(Event::Left { room, members }),
            ServerMessage::Presence { room, change } => self.tell(Event::Presence { room, change }),
            ServerMessage::Position { cursor } => {
                cursor.iter().for_each(|cursor| self.move_on(cursor));
                self.tell(Event::Position);
            }
            ServerMessage::Gap {
                dropped,
                cursor,
                room,
            } => {
                cursor.iter().for_each(|cursor| self.move_on(cursor));
                self.tell(Event::Gap { dropped, room });
            }
            // The log is back, and knows what this client has missed since its place.
            ServerMessage::Reset { .. } if self.owed => self.come_back(now),
            ServerMessage::Reset { reason, cursor } => {
                cursor.iter().for_each(|places| self.places.put(places));
                self.rooms.reset();
                if !std::mem::take(&mut self.degraded) {
                    self.tell(Event::Reset { reason });
                }
            }
            ServerMessage::Reconnect { delay } => {
                let delay = self.state.drain(now, delay);
                self.tell(Event::Draining { delay });
            }
            // The two that stand above, and answers that nobody waits for.
            ServerMessage::Connected { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Authenticated
            | ServerMessage::Pong => {}
        }
    }

    fn enter(&mut self, now: Now, mut connected: Connected, cursor: Option<Places>) {
        connected.came_back = !self.places.is_empty();
        self.state.connect(now);
        self.failed = 0;
        self.session = Some(connected.session.clone());
        self.degraded = connected.degraded;
        self.owed = connected.degraded && connected.came_back;
        if !connected.resumed
            && !self.owed
            && let Some(cursor) = cursor
        {
            self.places = cursor;
        }
        self.receipts.begin();
        self.outbox.begin();
        // Joins and leaves that waited are in the rooms already.
        self.frames = self.rooms.entered(connected.resumed).into();
        self.tell(Event::Connected(connected));
    }

    fn hear_refused(&mut self, now: Now, refused: Refused, retry_after: Option<Duration>) {
        let room = refused.room.as_deref();
        if room.is_some_and(|room| self.rooms.refused(room, backoff::passes(&refused.code)))
            && self.rooms_again.is_none()
        {
            let wait = backoff::wait(&mut self.rng, 0, retry_after.unwrap_or(RETRY_AFTER));
            self.rooms_again = Some(now + wait);
        }
        self.tell(Event::Refused(refused));
    }

    fn hear_message(&mut self, message: Message) {
        let mut repeated = false;
        if let Some(cursor) = message.cursor() {
            match message.addressee() {
                Addressee::Room(room) => repeated = self.rooms.heard_before(room, cursor),
                Addressee::User if self.acknowledges => self.receipts.given(*cursor),
                Addressee::User | Addressee::Everybody => {}
            }
            self.move_on(&cursor.clone());
        }
        repeated |= self.repeats.heard_before(&message);
        if !repeated {
            self.tell(Event::Message(message));
        }
    }

    fn hear_joined(&mut self, mut joined: Joined, cursor: Option<&Cursor>) {
        self.rooms.joined(&joined.room, cursor, joined.resumed);
        joined
            .history
            .retain(|message| !self.repeats.heard_before(message));
        self.tell(Event::Joined(joined));
    }

    fn move_on(&mut self, cursor: &Cursor) {
        if self.places.advance(cursor) {
            self.rooms.moved_on(cursor.partition);
        }
    }

    /// Says something where there is a connection; what is said while there is none stands in the state.
    fn say(&mut self, text: String) -> Result<(), Full> {
        if !self.state.is_connected() {
            return Ok(());
        }
        if self.frames.len() >= UNSAID {
            return Err(Full);
        }
        self.frames.push_back(text);
        Ok(())
    }

    fn tell(&mut self, event: Event) {
        self.events
            .push_back((event, self.rooms.place_for_all(&self.places)));
    }

    fn settle(&mut self, settled: impl IntoIterator<Item = Settled>) {
        let settled = settled
            .into_iter()
            .map(|(ticket, outcome)| Action::Settle(ticket, outcome));
        self.actions.extend(settled);
    }

    /// The path of the next upgrade.
    fn path(&mut self) -> String {
        let mut path = String::from("/ws");
        let mut put = |key: &str, write: &dyn Fn(&mut String)| {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(key);
            path.push('=');
            write(&mut path);
        };
        if let Identity::User(user) = &self.identity {
            put("user_id", &|path| write_query(path, user.as_str()));
        }
        if self.acknowledges {
            put("ack", &|path| path.push('1'));
        }
        if let Some(session) = &self.session {
            put("session_id", &|path| write_query(path, session));
        }
        if !self.places.is_empty() {
            put("after", &|path| path.push_str(&self.places.to_string()));
        }
        let room = PATH_BYTES.saturating_sub(path.len() + "&rooms=".len());
        let rooms = self.rooms.query(&self.places, room);
        if !rooms.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("rooms=");
            path.push_str(&rooms);
        }
        path
    }
}

#[cfg(test)]
mod tests;
