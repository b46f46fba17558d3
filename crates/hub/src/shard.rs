//! A shard: the connections of its users, what they said, what waits for them.
//!
//! The driver brings bytes, items of the inbox and the time, and takes out effects, connections to write to and the next
//! deadline. How connections come and catch up stands in `entering`, rooms in `membership`, reading in `reading`, sending
//! in `delivery` and `writing`, proof of receipt in `receiving`, what is done for the slow in `slowness`, ends in
//! `closing`, waiting in `timing`.

mod closing;
mod delivery;
mod entering;
mod membership;
mod reading;
mod receiving;
mod slowness;
mod timing;
mod writing;

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;
use wshub_protocol::client_message::Target;
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::reader::{Inflation, Rules};
use wshub_protocol::{CloseCode, Cursor, ErrorCode, SessionId, server_message};

use crate::absences::Absences;
use crate::connection::{Connection, Phase};
use crate::counters::Counters;
use crate::joins::Joins;
use crate::limits::Limits;
use crate::message::{Item, Publication};
use crate::question::{History, Question};
use crate::receipts::{Accounts, Receipts};
use crate::resume::Wanted;
use crate::rooms::Rooms;
use crate::time::Now;
use crate::timers::Timers;
use crate::users::Users;
use writing::Outgoing;

pub use writing::Wrote;

/// Bytes of an answer that cost about as much to write down as one more frame does to queue.
const BYTES_PER_FRAME: usize = 64;

/// Names a connection of a shard, and no later one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    /// The token as a number, for a poll.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The token of [`Token::number`].
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    fn index(self) -> u32 {
        self.0 as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What a shard wants done.
#[derive(Debug)]
pub enum Effect<S> {
    /// Put this into the log; the token's connection is told the outcome.
    Publish(Token, Publication),
    /// Find what waits for this connection and let it in.
    Enter(Token, Box<Wanted>),
    /// Ask the tail this.
    Ask(Question),
    /// Take out of the queues what was received.
    Receive(Receipts),
    /// Nothing more will be written: close our half, so that the peer sees the end behind our close frame.
    HalfClose(Token),
    /// The connection is over: drop its socket. The code is ours; there is none where the peer left.
    Close(S, SessionId, Option<CloseCode>),
}

/// What a shard is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The hub.
    Hub,
    /// Each message is answered with its own opcode and payload, for conformance suites.
    Echo,
}

/// The rules of one shard. `S` is what the driver has for a socket.
pub struct Shard<S> {
    limits: Limits,
    mode: Mode,
    node: Box<str>,
    counters: Arc<Counters>,
    connections: Slab<Connection<S>>,
    generation: u32,
    users: Users,
    rooms: Rooms,
    joins: Joins,
    absences: Absences,
    outgoing: Outgoing,
    accounts: Accounts,
    /// What was received and isn't told yet.
    received: Receipts,
    /// The newest place in the log that this shard knows of: all its connections were given what stands up to there.
    end: Option<Cursor>,
    /// Connections that are to be told where the log ends.
    to_position: Vec<Token>,
    inflation: Inflation,
    timers: Timers,
    effects: VecDeque<Effect<S>>,
    partial_bytes: usize,
    work: usize,
    ping: Arc<[u8]>,
    drains: bool,
    stopped: bool,
    json: Vec<u8>,
}

impl<S> Shard<S> {
    /// An empty shard. `seed` only moves entries within hash tables, so that nobody outside can foresee their places.
    #[must_use]
    pub fn new(
        limits: Limits,
        mode: Mode,
        node: &str,
        counters: Arc<Counters>,
        seed: u64,
        now: Now,
    ) -> Self {
        Self {
            mode,
            node: node.into(),
            counters,
            connections: Slab::new(),
            generation: 0,
            users: Users::new(seed),
            rooms: Rooms::new(seed),
            joins: Joins::new(seed),
            absences: Absences::default(),
            outgoing: Outgoing::new(&limits),
            accounts: Accounts::new(limits.unreceived_messages),
            received: Receipts::default(),
            end: None,
            to_position: Vec::new(),
            inflation: Inflation::default(),
            timers: Timers::new(now.tick()),
            effects: VecDeque::new(),
            partial_bytes: 0,
            work: 0,
            ping: frame::encode(Opcode::Ping, false, b"").into(),
            drains: false,
            stopped: false,
            json: Vec::new(),
            limits,
        }
    }

    /// Takes one item of the inbox; a connection that arrives gets a token.
    pub fn take(&mut self, now: Now, item: Item<S>) -> Option<Token> {
        match item {
            Item::Connect(arrival) => return Some(self.connect(now, *arrival)),
            Item::Enter(token, entrance) => self.entered(now, token, *entrance),
            Item::Anew(reason, end) => self.all_enter_anew(reason, end),
            Item::NotInTime(token, wanted) => self.not_in_time(now, token, &wanted),
            Item::CaughtUp(token, piece) => self.caught_up(now, token, *piece),
            Item::Message(message) => self.deliver(now, message),
            Item::Join(token, admission) => self.joined(now, token, *admission),
            Item::Leave(token, id, members, cursor) => self.left(now, token, &id, members, cursor),
            Item::Presence(room, frame, _) => self.tell_presence(now, &room, &frame),
            Item::Describe(user, tell) => (tell.0)(self.describe(now, &user)),
            Item::Disconnect(user) => self.disconnect(now, &user),
            Item::End(cursor) => self.tell_positions(now, cursor),
            Item::Outcome(token, asked, outcome) => self.tell_outcome(now, token, *asked, outcome),
        }
        None
    }

    /// About how many frames taking this item will queue.
    #[must_use]
    pub fn cost(&self, item: &Item<S>) -> usize {
        let message = match item {
            Item::Message(message) => message,
            Item::Presence(room, ..) => return 1 + self.rooms.members(room.as_str()) as usize,
            Item::Join(_, admission) => {
                let history = admission.history.as_ref().map_or(0, History::bytes);
                return 1 + history / BYTES_PER_FRAME;
            }
            _ => return 1,
        };
        match &message.target {
            Target::Everybody => 1 + self.connections.len(),
            Target::Users(users) => 1 + users.len(),
            Target::Room(room) => 1 + self.rooms.members(room.as_str()) as usize,
        }
    }

    /// The next thing to be done outside.
    pub fn pop_effect(&mut self) -> Option<Effect<S>> {
        let next = self.effects.pop_front();
        if next.is_some() || self.received.is_empty() {
            return next;
        }
        Some(Effect::Receive(std::mem::take(&mut self.received)))
    }

    /// The socket of a connection that is still there.
    pub fn socket_mut(&mut self, token: Token) -> Option<&mut S> {
        self.get_mut(token).map(|connection| &mut connection.socket)
    }

    /// Whether any socket is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    fn get_mut(&mut self, token: Token) -> Option<&mut Connection<S>> {
        let connection = self.connections.get_mut(token.index() as usize)?;
        (connection.generation == token.generation()).then_some(connection)
    }

    /// Whether messages still go both ways.
    fn is_open(&mut self, token: Token) -> bool {
        let connection = self.get_mut(token);
        connection.is_some_and(|connection| connection.phase == Phase::Open)
    }

    fn refuse_stranger(&mut self, now: Now, index: u32) {
        self.json.clear();
        server_message::write_error(
            &mut self.json,
            ErrorCode::UserIdRequired,
            "user_id required",
            None,
            None,
        );
        self.send_json(now, index);
        self.close(now, index, CloseCode::NotAuthenticated);
    }

    fn rules(&self, deflate: bool) -> Rules {
        Rules {
            message_bytes: self.limits.message_bytes,
            deflate,
        }
    }

    /// Sends the text in `self.json` to one connection.
    fn send_json(&mut self, now: Now, index: u32) {
        let frame = frame::encode(Opcode::Text, false, &self.json);
        self.send(now, index, frame.into());
    }

    /// Sends a frame to one connection.
    fn send(&mut self, now: Now, index: u32, frame: Arc<[u8]>) {
        self.outgoing
            .queue_one(now, index, &mut self.connections[index as usize], frame);
        self.evict_slow(now);
    }
}
