//! The simulated world: one node's production code, clients at the far ends of simulated links, and time that passes
//! only when told. Everything in it follows from its seed.

mod client;
mod inboxes;
mod link;
mod node;
mod peer;
mod turns;
pub(crate) mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::PoisonError;

use wshub_engine::{Engine, EngineState};
use wshub_hub::counters::LedgerCounts;
use wshub_hub::message::Description;
use wshub_hub::queues::QueueLimits;
use wshub_hub::tail::Stamp;
use wshub_hub::{Counters, Limits, Mode, Outcome, Publication};
use wshub_protocol::Epoch;
use wshub_protocol::client_message::{Publish, Target, parse_publish};
use wshub_protocol::extensions::accept_deflate;
use wshub_protocol::server_message::ResetReason;
use wshub_protocol::{CloseCode, MessageId, RoomId, UserId};

pub(crate) use client::Client;
use link::Link;
use node::Plan;
pub(crate) use node::{Entry, RETENTION_MS};
use peer::Peer;
pub(crate) use peer::{Said, Wish};
use turns::Turns;

/// Seconds, in the milliseconds that worlds count in.
pub(crate) fn secs(seconds: u64) -> u64 {
    seconds * 1000
}

/// Numbers as they are heard.
pub(crate) fn numbers(all: impl Iterator<Item = u64>) -> Vec<String> {
    all.map(|n| n.to_string()).collect()
}

/// The buffer of a link, about that of a Linux socket.
const BUFFER_BYTES: usize = 128 * 1024;

/// A world. What is done to it takes effect before the next thing is done, except within [`World::at_once`].
#[derive(Clone)]
pub(crate) struct World {
    turns: Rc<RefCell<Turns>>,
    at_once: Rc<Cell<bool>>,
}

impl World {
    pub(crate) fn with_seed(seed: u64) -> Self {
        let plan = Plan {
            shards: 1,
            limits: Limits::default(),
            mode: Mode::Hub,
            inbox_bytes: 256 * 1024 * 1024,
            log_bytes: 64 * 1024 * 1024,
            ids_bytes: 64 * 1024 * 1024,
            queues: QueueLimits {
                messages: 100,
                ttl_ms: secs(30 * 60),
                user_bytes: 1024 * 1024,
                total_bytes: 64 * 1024 * 1024,
            },
        };
        Self {
            turns: Rc::new(RefCell::new(Turns::new(seed, plan))),
            at_once: Rc::default(),
        }
    }

    pub(crate) fn shards(self, shards: usize) -> Self {
        self.planned(|plan| plan.shards = shards)
    }

    pub(crate) fn limits(self, change: impl FnOnce(&mut Limits)) -> Self {
        self.planned(|plan| change(&mut plan.limits))
    }

    pub(crate) fn inboxes_of(self, bytes: usize) -> Self {
        self.planned(|plan| plan.inbox_bytes = bytes)
    }

    pub(crate) fn log_of(self, bytes: usize) -> Self {
        self.planned(|plan| plan.log_bytes = bytes)
    }

    /// So many bytes are there for the ids of publishes.
    pub(crate) fn ids_of(self, bytes: usize) -> Self {
        self.planned(|plan| plan.ids_bytes = bytes)
    }

    pub(crate) fn queues(self, change: impl FnOnce(&mut QueueLimits)) -> Self {
        self.planned(|plan| change(&mut plan.queues))
    }

    pub(crate) fn that_echoes(self) -> Self {
        self.planned(|plan| plan.mode = Mode::Echo)
    }

    fn planned(self, change: impl FnOnce(&mut Plan)) -> Self {
        {
            let mut turns = self.turns.borrow_mut();
            assert!(
                turns.links.is_empty(),
                "plan the world before somebody lives in it"
            );
            let mut plan = turns.plan.clone();
            change(&mut plan);
            *turns = Turns::new(turns.seed, plan);
        }
        self
    }

    pub(crate) fn connect(&self, user: &str) -> Client {
        self.visitor(user).comes()
    }

    pub(crate) fn connect_all<const N: usize>(&self, users: [&str; N]) -> [Client; N] {
        users.map(|user| self.connect(user))
    }

    /// Somebody who is about to connect.
    pub(crate) fn visitor(&self, user: &str) -> Visitor {
        let peer = Peer::new(Some(user.to_owned()));
        Visitor {
            world: self.clone(),
            peer,
            buffer: BUFFER_BYTES,
        }
    }

    /// Somebody without identity, about to connect.
    pub(crate) fn stranger(&self) -> Visitor {
        Visitor {
            world: self.clone(),
            peer: Peer::new(None),
            buffer: BUFFER_BYTES,
        }
    }

    /// Does several things before any of them takes effect; in which order they do is left to the seed.
    pub(crate) fn at_once(&self, things: impl FnOnce()) {
        self.hurry(things);
        self.settled();
    }

    /// Like [`World::at_once`], and leaves things under way.
    pub(crate) fn hurry(&self, things: impl FnOnce()) {
        let before = self.at_once.replace(true);
        things();
        self.at_once.set(before);
    }

    /// Everybody who can do something does one thing.
    pub(crate) fn turn(&self) {
        self.turns.borrow_mut().round();
    }

    /// Where nobody can do anything, lets a millisecond pass.
    pub(crate) fn advance_if_idle(&self) {
        let mut turns = self.turns.borrow_mut();
        if turns.is_idle() {
            turns.now_ms += 1;
        }
    }

    fn settled(&self) {
        if !self.at_once.get() {
            self.turns.borrow_mut().settle();
        }
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.turns.borrow_mut().advance(ms);
    }

    /// From now on the log's answers get lost on their way, or again none.
    pub(crate) fn answers_are_lost(&self, lost: bool) {
        self.turns.borrow_mut().node.answers_are_lost = lost;
    }

    /// Somebody sets the clock on the wall, forward or back.
    pub(crate) fn clock_jumps(&self, ms: i64) {
        self.turns.borrow_mut().wall_ms += ms;
    }

    /// The name of a place in the log.
    pub(crate) fn cursor(&self, offset: u64) -> String {
        self.turns.borrow().node.lock().cursor(offset).to_string()
    }

    /// Publishes into a room, as by HTTP.
    pub(crate) fn publish(&self, room: &str, text: &str) {
        self.publish_to(Target::Room(RoomId::parse(room).expect("a room")), text);
    }

    /// Publishes to everybody, as by HTTP.
    pub(crate) fn broadcast(&self, text: &str) {
        self.publish_to(Target::Everybody, text);
    }

    /// Publishes to users, as by HTTP.
    pub(crate) fn tell(&self, users: &[&str], text: &str) {
        let users = users
            .iter()
            .map(|user| UserId::parse(user).expect("a user"))
            .collect();
        self.publish_to(Target::Users(users), text);
    }

    /// Somebody posts this message by HTTP.
    pub(crate) fn posts(&self, json: &str) {
        let publish = parse_publish(json.as_bytes()).expect("a publish in the contract's form");
        self.turns.borrow_mut().http.push_back(Publication {
            publish,
            from: String::new(),
            except: None,
        });
        self.settled();
    }

    /// What became of all that was published by HTTP, in the order it came to the engine.
    pub(crate) fn http_outcomes(&self) -> Vec<Outcome> {
        self.turns.borrow().http_outcomes.clone()
    }

    fn publish_to(&self, target: Target, text: &str) {
        let publish = Publish {
            target,
            id: None::<MessageId>,
            ephemeral: false,
            to_others: false,
            data: quoted(text).into(),
        };
        let publication = Publication {
            publish,
            from: String::new(),
            except: None,
        };
        self.turns.borrow_mut().http.push_back(publication);
        self.settled();
    }

    /// The node is told to stop.
    pub(crate) fn stop(&self) {
        self.turns.borrow_mut().stop();
        self.settled();
    }

    /// What the engine holds and has counted.
    pub(crate) fn engine(&self) -> EngineState {
        self.turns.borrow().node.engine.state()
    }

    /// What the ledgers of all shards say together.
    pub(crate) fn ledger(&self) -> LedgerCounts {
        let turns = self.turns.borrow();
        let shards = turns.node.counters.iter().map(|shard| shard.ledger.read());
        shards.fold(LedgerCounts::default(), LedgerCounts::and)
    }

    /// The node is told to drain, over so many milliseconds.
    pub(crate) fn drain(&self, over_ms: u64) {
        {
            let mut turns = self.turns.borrow_mut();
            let now = turns.now();
            turns.node.drain(now, over_ms);
        }
        self.settled();
    }

    /// Messages that the log says it took.
    pub(crate) fn accepted(&self) -> u64 {
        self.turns.borrow().node.lock().accepted().iter().sum()
    }

    pub(crate) fn sum(&self, counter: impl Fn(&Counters) -> u64) -> u64 {
        self.turns
            .borrow()
            .node
            .counters
            .iter()
            .map(|shard| counter(shard))
            .sum()
    }

    pub(crate) fn clients(&self) -> u64 {
        self.sum(|shard| shard.clients.get())
    }

    pub(crate) fn closed_with(&self, code: CloseCode) -> u64 {
        self.sum(|shard| shard.closed_with(code))
    }

    /// Distinct users in a room, as the tail knows it.
    pub(crate) fn users_in(&self, room: &str) -> u32 {
        self.turns
            .borrow()
            .node
            .lock()
            .users_in(&RoomId::parse(room).expect("a room"))
    }

    /// How many messages were posted to shards, one for each shard that had to hear it.
    pub(crate) fn messages_posted(&self) -> usize {
        self.turns.borrow().node.inboxes.messages_posted()
    }

    /// How many times a shard was told who comes or goes.
    pub(crate) fn presence_posted(&self) -> usize {
        self.turns.borrow().node.inboxes.presence_posted()
    }

    /// How many messages are still in memory once the log has let go of them.
    pub(crate) fn messages_alive(&self) -> usize {
        let turns = self.turns.borrow();
        turns.node.lock().trim(wshub_hub::Now {
            elapsed_ms: turns.now_ms + RETENTION_MS + 1,
            unix_ms: 0,
        });
        turns.node.inboxes.messages_alive()
    }

    /// Whether shards have taken all that was posted to them.
    pub(crate) fn all_is_taken(&self) -> bool {
        let turns = self.turns.borrow();
        let mut shards = 0..turns.node.shards.len();
        turns.http.is_empty() && shards.all(|shard| turns.node.inboxes.is_empty(shard))
    }

    /// Whether no shard holds a socket.
    pub(crate) fn is_empty(&self) -> bool {
        self.turns
            .borrow()
            .node
            .shards
            .iter()
            .all(|shard| shard.is_empty())
    }

    /// Another node puts something into the log that says nothing to clients.
    pub(crate) fn another_node_says(&self) {
        let turns = &mut *self.turns.borrow_mut();
        let now = turns.now();
        turns.node.another_node_says(now);
    }

    /// The node reads a message in the log that another node put there.
    pub(crate) fn is_read(&self, id: &str, json: &str) {
        let publish = parse_publish(json.as_bytes()).expect("a publish in the contract's form");
        let publication = Publication {
            publish,
            from: String::new(),
            except: None,
        };
        {
            let turns = &mut *self.turns.borrow_mut();
            let at = turns.now();
            let stamp = Stamp {
                unix_seconds: at.unix_seconds(),
                at,
            };
            let node = &turns.node;
            node.lock()
                .read_message(stamp, id, publication, &*node.inboxes);
        }
        self.settled();
    }

    /// Redis has lost what the log held, and another life of it begins.
    pub(crate) fn begins_another_life(&self) {
        {
            let turns = &mut *self.turns.borrow_mut();
            let now = turns.now();
            let node = &turns.node;
            let mut tail = node.lock();
            let end = tail.end();
            let epoch = Epoch {
                ordinal: end.epoch.ordinal + 1,
                random: 7,
            };
            let from = (epoch, end.offset.place());
            tail.go_on_from(now, from, ResetReason::LogLost, &*node.inboxes);
        }
        self.settled();
    }

    /// The node has fallen behind the log: every connection is to enter anew.
    pub(crate) fn falls_behind(&self) {
        let node = &self.turns.borrow().node;
        let reason = Some(ResetReason::NodeBehind);
        node.lock().have_enter_anew(reason, &*node.inboxes);
    }

    /// The log goes away: whoever comes is let in, and is given nothing.
    pub(crate) fn log_goes_away(&self) {
        self.turns.borrow_mut().node.log_is_away = true;
    }

    /// The log is there again.
    pub(crate) fn log_comes_back(&self) {
        {
            let node = &mut self.turns.borrow_mut().node;
            node.log_is_away = false;
            node.lock().have_enter_anew(None, &*node.inboxes);
        }
        self.settled();
    }

    /// The messages that the log took, oldest first.
    pub(crate) fn with_log<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.turns.borrow().node.log)
    }

    /// The messages that passed by, oldest first.
    pub(crate) fn with_passed<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.turns.borrow().node.passed)
    }

    /// How many rooms those who caught up have named to the log, each time they asked.
    pub(crate) fn rooms_named(&self) -> usize {
        self.turns.borrow().node.rooms_named
    }

    /// Whether the log has never let go of anything.
    pub(crate) fn log_has_all(&self) -> bool {
        let turns = self.turns.borrow();
        turns.node.lock().depth().0 == turns.node.log.len()
    }

    /// An operator has all connections of a user closed.
    pub(crate) fn disconnects(&self, user: &str) {
        self.turns.borrow().node.disconnect(user);
        self.settled();
    }

    /// What an operator is told of a user's connections.
    pub(crate) fn description_of(&self, user: &str) -> Vec<Description> {
        let slot = self.turns.borrow().node.ask_about(user);
        self.settled();
        let mut told = slot.lock().unwrap_or_else(PoisonError::into_inner);
        told.take().expect("an answer")
    }

    /// The users of a room behind `after`, at most so many, as the tail names them.
    pub(crate) fn names_in(&self, room: &str, after: Option<&str>, most: usize) -> Vec<String> {
        let turns = self.turns.borrow();
        let room = RoomId::parse(room).expect("a room");
        let (users, _) = turns.node.lock().users_of(&room, after, most);
        users.iter().map(|user| user.as_str().to_owned()).collect()
    }

    /// Starts a new list of whom was written to.
    pub(crate) fn forget_writes(&self) {
        self.turns.borrow_mut().node.writes.clear();
    }

    /// The place of a client's first write in that list.
    pub(crate) fn place_of_write(&self, client: &Client) -> Option<usize> {
        let turns = self.turns.borrow();
        turns
            .node
            .writes
            .iter()
            .position(|&link| link == client.number())
    }

    /// A number below `end` that the seed chooses.
    pub(crate) fn chance(&self, end: usize) -> usize {
        self.turns.borrow_mut().rng.usize(..end)
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

/// Somebody who is about to connect.
pub(crate) struct Visitor {
    world: World,
    peer: Peer,
    buffer: usize,
}

impl Visitor {
    /// Offers permessage-deflate in the words of `Sec-WebSocket-Extensions`.
    pub(crate) fn offering(mut self, extensions: &str) -> Self {
        self.peer.deflate = accept_deflate([extensions].into_iter());
        self
    }

    /// Names rooms in the query.
    pub(crate) fn in_rooms(mut self, rooms: &str) -> Self {
        rooms.clone_into(&mut self.peer.rooms);
        self
    }

    /// Hands in a session's label and the places it has seen.
    pub(crate) fn handing_in(mut self, session: &str, after: &str) -> Self {
        session.clone_into(&mut self.peer.session);
        after.clone_into(&mut self.peer.after);
        // Should its link break before it is told anything, it still has the place it came with.
        self.peer.place = Some(after.to_owned()).filter(|after| !after.is_empty());
        self
    }

    /// Goes on where another connection was.
    pub(crate) fn resuming(self, client: &Client) -> Self {
        let (session, after) = (client.session(), client.place());
        self.handing_in(&session, &after)
    }

    /// Acknowledges `user` messages itself.
    pub(crate) fn that_acknowledges(mut self) -> Self {
        self.peer.acks = true;
        self
    }

    /// Never answers a ping.
    pub(crate) fn that_ignores_pings(mut self) -> Self {
        self.peer.answers_pings = false;
        self
    }

    /// Reads nothing until it is told to.
    pub(crate) fn that_reads_nothing(mut self) -> Self {
        self.peer.reads = false;
        self
    }

    /// Each direction of the link holds so many bytes.
    pub(crate) fn with_buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// Sends a message in the same packet as the upgrade.
    pub(crate) fn saying_at_once(mut self, json: &str) -> Self {
        self.peer.early = wire::frame(wire::TEXT | wire::FIN, json.as_bytes(), [1, 2, 3, 4]);
        self
    }

    /// Sends in pieces of at most so many bytes.
    pub(crate) fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.peer.most_at_once = bytes;
        self
    }

    /// Keeps the messages as they come, whatever they are.
    pub(crate) fn keeping_texts(mut self) -> Self {
        self.peer.keeps_texts = true;
        self
    }

    /// Keeps every byte it is given.
    pub(crate) fn recording(mut self) -> Self {
        self.peer.recording = Some(Vec::new());
        self
    }

    /// Comes, and leaves that under way.
    pub(crate) fn comes_at_once(self) -> Client {
        let before = self.world.at_once.replace(true);
        let world = self.world.clone();
        let client = self.comes();
        world.at_once.set(before);
        client
    }

    pub(crate) fn comes(self) -> Client {
        let Self {
            world,
            peer,
            buffer,
        } = self;
        let number = {
            let mut turns = world.turns.borrow_mut();
            let number = turns.links.len();
            let latency_ms = turns.rng.u64(0..20);
            turns.links.push(Link::new(buffer, latency_ms));
            turns.peers.push(peer);
            turns.door.push_back(number);
            number
        };
        world.settled();
        Client::new(world, number)
    }
}
