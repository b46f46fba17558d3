//! A shard: the connections of its users, what they said, what waits for them.
//!
//! The driver brings bytes, items of the inbox and the time, and takes out effects, connections to write to and the next
//! deadline. Reading stands in `reading`, sending in `delivery` and `writing`, ends in `closing`, waiting in `timing`.

mod closing;
mod delivery;
mod reading;
mod timing;
mod writing;

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;
use wshub_protocol::client_message::{Refusal, Target};
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::ids::NAME_BYTES;
use wshub_protocol::reader::{Inflation, Reader, Rules};
use wshub_protocol::{CloseCode, Cursor, ErrorCode, RoomId, SessionId, server_message};

use crate::connection::{Connection, NONE, Phase};
use crate::counters::Counters;
use crate::limits::Limits;
use crate::message::{Arrival, Item, Publication};
use crate::rooms::{Memberships, Rooms};
use crate::time::Now;
use crate::timers::Timers;
use crate::users::Users;
use writing::Outgoing;

pub use writing::Wrote;

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
    /// Have the tail let this connection into the room.
    Join(Token, RoomId),
    /// Have the tail take this connection out of the room.
    Leave(Token, RoomId),
    /// Tell the tail that nobody here is in the room any more.
    Forget(RoomId),
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
    /// Joins that the tail has been asked for and that haven't come back, by room.
    joining: HashMap<RoomId, u32, FixedState>,
    outgoing: Outgoing,
    inflation: Inflation,
    timers: Timers,
    effects: VecDeque<Effect<S>>,
    partial_bytes: usize,
    work: usize,
    ping: Arc<[u8]>,
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
            joining: HashMap::with_hasher(FixedState::with_seed(seed)),
            outgoing: Outgoing::new(&limits),
            inflation: Inflation::default(),
            timers: Timers::new(now.tick()),
            effects: VecDeque::new(),
            partial_bytes: 0,
            work: 0,
            ping: frame::encode(Opcode::Ping, false, b"").into(),
            stopped: false,
            json: Vec::new(),
            limits,
        }
    }

    /// Takes one item of the inbox; a connection that arrives gets a token.
    pub fn take(&mut self, now: Now, item: Item<S>) -> Option<Token> {
        match item {
            Item::Connect(arrival, cursor) => return Some(self.connect(now, *arrival, cursor)),
            Item::Message(message) => self.deliver(now, message),
            Item::Join(token, room, cursor) => self.joined(now, token, &room, cursor),
            Item::Leave(token, id, room, cursor) => {
                self.left(now, token, &id, room.as_deref(), cursor);
            }
            Item::Outcome(token, asked, outcome) => self.tell_outcome(now, token, *asked, outcome),
        }
        None
    }

    /// About how many frames taking this item will queue.
    #[must_use]
    pub fn cost(&self, item: &Item<S>) -> usize {
        let Item::Message(message) = item else {
            return 1;
        };
        match &message.target {
            Target::Everybody => 1 + self.connections.len(),
            Target::Users(users) => 1 + users.len(),
            Target::Room(room) => 1 + self.rooms.members(room.as_str()) as usize,
        }
    }

    /// The next thing to be done outside.
    pub fn pop_effect(&mut self) -> Option<Effect<S>> {
        self.effects.pop_front()
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

    fn connect(&mut self, now: Now, arrival: Arrival<S>, cursor: Cursor) -> Token {
        let Arrival {
            socket,
            user,
            session,
            deflate,
            rooms,
            answer,
            mut early,
        } = arrival;
        self.generation = self.generation.wrapping_add(1);
        let index = self.connections.insert(Connection {
            socket,
            generation: self.generation,
            user: NONE,
            next_of_user: NONE,
            session,
            deflate,
            phase: Phase::Open,
            closed_with: None,
            blocked: false,
            ping_owed: false,
            queued: false,
            half_closed: false,
            reader: Reader::default(),
            held_bytes: 0,
            outbox: Default::default(),
            rooms: Memberships::default(),
            heard: now.tick(),
            pinged: now.tick(),
            progress: now.tick(),
            until: now.tick(),
            written_ms: (now.elapsed_ms as u32).wrapping_sub(u32::MAX / 2),
        }) as u32;
        let token = Token::new(index, self.generation);
        self.counters.opened.add(1);
        self.counters.sockets.set(self.connections.len() as u64);
        self.send(now, index, answer.into());
        match user {
            _ if self.stopped => self.close(now, index, CloseCode::GoingAway),
            _ if self.mode == Mode::Echo => {}
            None => self.refuse_stranger(now, index),
            Some(user) => {
                let key = self.users.enter(&user);
                if self.users.get(key).connections >= self.limits.connections_per_user {
                    self.close(now, index, CloseCode::TooManyConnections);
                } else {
                    self.enter(now, index, key, cursor);
                    self.join_at_once(now, token, rooms);
                }
            }
        }
        self.arm(index);
        if !early.is_empty() {
            self.receive(now, token, &mut early);
        }
        token
    }

    /// Makes the connection one of its user's and says `connected`.
    fn enter(&mut self, now: Now, index: u32, key: u32, cursor: Cursor) {
        let connection = &mut self.connections[index as usize];
        let user = self.users.get_mut(key);
        connection.user = key;
        connection.next_of_user = std::mem::replace(&mut user.first, index);
        user.connections += 1;
        self.json.clear();
        let connected = server_message::Connected {
            session_id: &connection.session.text(),
            user_id: user.id.as_str(),
            timestamp: now.unix_seconds(),
            node: &self.node,
            cursor: &cursor.to_string(),
            resumed: false,
            pending: 0,
            missed: 0,
        };
        connected.write(&mut self.json);
        self.counters.clients.add(1);
        self.counters.users.set(self.users.len() as u64);
        self.send_json(now, index);
    }

    /// Joins the rooms that the query named, each as if asked for by a message.
    fn join_at_once(&mut self, now: Now, token: Token, rooms: Vec<Result<RoomId, String>>) {
        for room in rooms {
            match room {
                Ok(room) => self.ask_to_join(token, room),
                Err(mut text) => {
                    text.truncate(text.floor_char_boundary(NAME_BYTES));
                    let sentence =
                        "a room in the query has 1 to 128 bytes and no control characters";
                    let mut refusal = Refusal::new(ErrorCode::InvalidMessage, sentence.to_owned());
                    refusal.room_id = Some(text);
                    self.tell_refusal(now, token.index(), &refusal);
                }
            }
        }
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
