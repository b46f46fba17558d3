//! A node without sockets and threads: the production shards, tail and engine, each step of their driver by itself, so
//! that the world may order the steps as it likes.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use wshub_engine::{Engine, Memory};
use wshub_hub::dedupe::DedupeLimits;
use wshub_hub::limits::WRITE_BYTES_PER_TURN;
use wshub_hub::message::{Asked, Describe, Description, OUTCOME_UNKNOWN, Published};
use wshub_hub::question::Question;
use wshub_hub::queues::QueueLimits;
use wshub_hub::session::SessionKey;
use wshub_hub::shard::Wrote;
use wshub_hub::tail::{Stamp, TailConfig};
use wshub_hub::{
    Arrival, Counters, Effect, Item, Limits, Mode, Now, Outcome, Post, Publication, Shard, Tail,
    Token, shard_of,
};
use wshub_protocol::client_message::Target;
use wshub_protocol::{Epoch, UserId};

use super::inboxes::{Inboxes, Socket};
use super::link::{Link, piece};

/// How long the log keeps a message, in milliseconds.
pub(crate) const RETENTION_MS: u64 = 300_000;

/// What a world decides about its node.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) shards: usize,
    pub(crate) limits: Limits,
    pub(crate) mode: Mode,
    pub(crate) inbox_bytes: usize,
    pub(crate) log_bytes: usize,
    pub(crate) ids_bytes: usize,
    pub(crate) queues: QueueLimits,
}

/// A message that the log took: the ledger against which everything heard is held.
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) target: Target,
    pub(crate) from: String,
    pub(crate) id: String,
    pub(crate) data: String,
    /// The label of the session that is not to get it.
    pub(crate) except: Option<String>,
}

impl Entry {
    /// Whether this session is among those that are to get it.
    pub(crate) fn is_for(&self, session: Option<&str>) -> bool {
        self.except.is_none() || self.except.as_deref() != session
    }

    /// Whether it is a message to this user.
    pub(crate) fn is_to(&self, user: &str) -> bool {
        let Target::Users(users) = &self.target else {
            return false;
        };
        users.iter().any(|one| one.as_str() == user)
    }
}

pub(crate) struct Node {
    pub(crate) shards: Vec<Shard<Socket>>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) tail: Arc<Mutex<Tail>>,
    pub(crate) inboxes: Arc<Inboxes>,
    /// What the shards want done and isn't yet.
    pub(crate) effects: Vec<VecDeque<Effect<Socket>>>,
    pub(crate) log: Vec<Entry>,
    /// Messages that passed by, each behind the place that the log ended at.
    pub(crate) passed: Vec<Entry>,
    /// Links in the order in which they were written to.
    pub(crate) writes: Vec<usize>,
    /// Rooms that were named, each time, by those who caught up.
    pub(crate) rooms_named: usize,
    pub(crate) sessions: SessionKey,
    pub(crate) engine: Memory<Socket, Inboxes>,
    /// The log takes what is published, and nobody learns of it.
    pub(crate) answers_are_lost: bool,
    /// The log is away: nobody looks into queues.
    pub(crate) log_is_away: bool,
}

impl Node {
    pub(crate) fn new(plan: &Plan, seed: u64, now: Now) -> Self {
        let tail = Arc::new(Mutex::new(Tail::new(TailConfig {
            epoch: Epoch {
                ordinal: 1,
                random: seed,
            },
            origin: 0,
            shards: plan.shards,
            retention_ms: RETENTION_MS,
            bytes: plan.log_bytes,
            seed,
        })));
        let inboxes = Arc::new(Inboxes::new(plan.shards, plan.inbox_bytes));
        let counters: Vec<Arc<Counters>> = (0..plan.shards).map(|_| Arc::default()).collect();
        let shard = |counters: &Arc<Counters>| {
            Shard::new(
                plan.limits.clone(),
                plan.mode,
                "n1",
                Arc::clone(counters),
                seed,
                now,
            )
        };
        Self {
            shards: counters.iter().map(shard).collect(),
            effects: counters.iter().map(|_| VecDeque::new()).collect(),
            answers_are_lost: false,
            log_is_away: false,
            engine: Memory::new(
                Arc::clone(&tail),
                Arc::clone(&inboxes),
                DedupeLimits {
                    window_ms: 300_000,
                    bytes: plan.ids_bytes,
                },
                plan.queues,
                seed,
            ),
            sessions: SessionKey::new([seed as u8; 16]),
            counters,
            tail,
            inboxes,
            log: Vec::new(),
            passed: Vec::new(),
            writes: Vec::new(),
            rooms_named: 0,
        }
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admit(&self, arrival: Arrival<Socket>) {
        let user = arrival.user.as_ref();
        let shard = user.map_or(0, |user| shard_of(user.as_str(), self.shards.len()));
        self.inboxes.post(shard, Item::Connect(Box::new(arrival)));
    }

    /// Lets go of what is too old, as is done once a second.
    pub(crate) fn sweep(&self, now: Now) {
        self.lock().tick(now, &*self.inboxes);
        self.engine.sweep(now);
    }

    /// All connections that a user has now are to be closed.
    pub(crate) fn disconnect(&self, user: &str) {
        let user = UserId::parse(user).expect("a user");
        self.lock().disconnect(user, &*self.inboxes);
    }

    /// Asks which connections a user has; the answer comes into the slot.
    pub(crate) fn ask_about(&self, user: &str) -> Arc<Mutex<Option<Vec<Description>>>> {
        let user = UserId::parse(user).expect("a user");
        let (slot, shard) = (Arc::default(), shard_of(user.as_str(), self.shards.len()));
        let answer: Arc<Mutex<Option<_>>> = Arc::clone(&slot);
        let tell = move |told| {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        };
        self.inboxes
            .post(shard, Item::Describe(user, Describe(Box::new(tell))));
        slot
    }

    /// Every shard is told to stop, whatever waits in its inbox.
    pub(crate) fn stop(&mut self, now: Now) {
        for shard in 0..self.shards.len() {
            self.shards[shard].stop(now);
            self.collect(shard);
        }
    }

    /// Every shard is told to have its connections leave.
    pub(crate) fn drain(&mut self, now: Now, over_ms: u64) {
        for shard in 0..self.shards.len() {
            self.shards[shard].drain(now, over_ms);
            self.collect(shard);
        }
    }

    /// Takes what the shard wants done out of it; the order stays.
    pub(crate) fn collect(&mut self, shard: usize) {
        let wanted = std::iter::from_fn(|| self.shards[shard].pop_effect());
        self.effects[shard].extend(wanted);
    }

    /// Handles items of a shard's inbox, and after each writes to whoever reached a bound by it.
    pub(crate) fn take_items(
        &mut self,
        now: Now,
        shard: usize,
        links: &mut [Link],
        rng: &mut Rng,
        most: usize,
    ) {
        for _ in 0..most {
            let Some(item) = self.inboxes.take(shard) else {
                break;
            };
            self.take_item(now, shard, item, links, rng);
        }
        self.collect(shard);
    }

    fn take_item(
        &mut self,
        now: Now,
        shard: usize,
        item: Item<Socket>,
        links: &mut [Link],
        rng: &mut Rng,
    ) {
        let arriving = match &item {
            Item::Connect(arrival) => Some(arrival.socket.0),
            _ => None,
        };
        let token = self.shards[shard].take(now, item);
        if let Some(link) = arriving {
            (links[link].shard, links[link].token) = (shard, token);
        }
        self.write_urgent(now, shard, links, rng);
    }

    fn write_urgent(&mut self, now: Now, shard: usize, links: &mut [Link], rng: &mut Rng) {
        while let Some(token) = self.shards[shard].next_urgent() {
            self.write(now, shard, token, links, rng);
        }
    }

    /// Reads once from a link; its end, where nothing comes before it.
    pub(crate) fn read(
        &mut self,
        now: Now,
        at: usize,
        links: &mut [Link],
        most: usize,
        rng: &mut Rng,
    ) {
        let link = &mut links[at];
        let (Some(token), number) = (link.token, link.shard) else {
            return;
        };
        let shard = &mut self.shards[number];
        let mut bytes = link.up.read(now.elapsed_ms, most);
        if !bytes.is_empty() {
            shard.receive(now, token, &mut bytes);
        } else if link.up.is_at_end() {
            link.end_told = true;
            shard.broken(now, token);
        }
        self.write_urgent(now, number, links, rng);
        self.collect(number);
    }

    pub(crate) fn write_next(&mut self, now: Now, shard: usize, links: &mut [Link], rng: &mut Rng) {
        if let Some(token) = self.shards[shard].next_to_write(now) {
            self.write(now, shard, token, links, rng);
        }
        self.collect(shard);
    }

    fn write(&mut self, now: Now, shard: usize, token: Token, links: &mut [Link], rng: &mut Rng) {
        let rules = &mut self.shards[shard];
        let mut total = 0;
        while total < WRITE_BYTES_PER_TURN {
            let wrote = {
                let mut slices = [IoSlice::new(&[]); 16];
                let Some((socket, filled)) = rules.gather(token, &mut slices) else {
                    return;
                };
                self.writes.push(socket.0);
                write_slices(now, &mut links[socket.0], &slices[..filled], rng)
            };
            if let Wrote::Some(bytes) = wrote {
                total += bytes;
            }
            if !rules.wrote(now, token, wrote) {
                return;
            }
        }
        rules.yield_write(now, token);
    }

    /// Does at most `most` of the things a shard wants done. Publications that stand together travel together.
    pub(crate) fn act(&mut self, now: Now, shard: usize, links: &mut [Link], most: usize) {
        let (mut batch, mut publishers) = (Vec::new(), Vec::new());
        for _ in 0..most {
            let Some(effect) = self.effects[shard].pop_front() else {
                break;
            };
            if let Effect::Publish(token, publication) = effect {
                publishers.push((token, Asked::by(&publication.publish)));
                batch.push(publication);
                continue;
            }
            self.publish_for(now, shard, &mut batch, &mut publishers);
            self.act_on(now, shard, effect, links);
        }
        self.publish_for(now, shard, &mut batch, &mut publishers);
    }

    fn act_on(&mut self, now: Now, shard: usize, effect: Effect<Socket>, links: &mut [Link]) {
        match effect {
            Effect::Publish(..) => unreachable!("publications are gathered into batches"),
            Effect::Enter(token, wanted) if self.log_is_away => {
                let mut tail = self.lock();
                tail.enter_degraded(shard, token, *wanted, &*self.inboxes);
            }
            Effect::Enter(token, wanted) => self.engine.enter(now, shard, token, *wanted),
            Effect::Ask(question) => {
                if let Question::CatchUp(_, behind) = &question {
                    self.rooms_named += behind.rooms.len();
                }
                self.engine.ask(now, shard, question);
            }
            Effect::Receive(receipts) => self.engine.receive(&receipts),
            Effect::HalfClose(token) => {
                if let Some(socket) = self.shards[shard].socket_mut(token) {
                    links[socket.0].down.ended = true;
                }
            }
            Effect::Close(socket, ..) => {
                links[socket.0].close_by_server();
            }
        }
    }

    fn publish_for(
        &mut self,
        now: Now,
        shard: usize,
        batch: &mut Vec<Publication>,
        publishers: &mut Vec<(Token, Asked)>,
    ) {
        if batch.is_empty() {
            return;
        }
        let outcomes = self.publish(now, std::mem::take(batch));
        for ((token, asked), mut outcome) in publishers.drain(..).zip(outcomes) {
            if self.answers_are_lost {
                outcome = Err(OUTCOME_UNKNOWN);
            }
            if asked.id.is_some() || outcome.is_err() {
                self.inboxes
                    .post(shard, Item::Outcome(token, Box::new(asked), outcome));
            }
        }
    }

    /// Publishes through the engine, and enters into the ledger what the log took.
    pub(crate) fn publish(&mut self, now: Now, batch: Vec<Publication>) -> Vec<Outcome> {
        let again = |one: &Publication| Publication {
            publish: one.publish.clone(),
            from: one.from.clone(),
            except: one.except,
        };
        let said: Vec<_> = batch.iter().map(again).collect();
        let told = Arc::new(Mutex::new(Vec::new()));
        let slot = Arc::clone(&told);
        let tell = move |outcomes| *slot.lock().unwrap_or_else(PoisonError::into_inner) = outcomes;
        self.engine.publish(now, batch, Box::new(tell));
        let outcomes = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(
            outcomes.len(),
            said.len(),
            "each publication has exactly one outcome"
        );
        for (publication, outcome) in said.into_iter().zip(&outcomes) {
            if let Ok(published) = outcome
                && !published.duplicate
            {
                self.enter_into_ledger(publication, published);
            }
        }
        outcomes
    }

    /// Another node puts something into the log that says nothing to clients.
    pub(crate) fn another_node_says(&mut self, now: Now) {
        let stamp = Stamp {
            unix_seconds: now.unix_seconds(),
            at: now,
        };
        self.lock().pass_over(stamp);
        self.log.push(Entry {
            offset: self.log.len() as u64 + 1,
            target: Target::Users([].into()),
            from: String::new(),
            id: String::new(),
            data: String::new(),
            except: None,
        });
    }

    fn enter_into_ledger(&mut self, publication: Publication, published: &Published) {
        let Publication {
            publish,
            from,
            except,
        } = publication;
        let end = self.log.len() as u64;
        let mut entry = Entry {
            offset: end,
            target: publish.target,
            from,
            id: published.id.clone(),
            data: publish.data.into(),
            except: except.map(|session| session.text()),
        };
        match &published.cursor {
            None => self.passed.push(entry),
            Some(cursor) => {
                entry.offset = cursor.offset.major;
                assert_eq!(entry.offset, end + 1, "the log is dense");
                self.log.push(entry);
            }
        }
    }
}

fn write_slices(now: Now, link: &mut Link, slices: &[IoSlice<'_>], rng: &mut Rng) -> Wrote {
    if link.down.cut {
        return Wrote::Broken;
    }
    let room = link.down.room();
    if room == 0 {
        link.down.refuse();
        return Wrote::Blocked;
    }
    let offered: usize = slices.iter().map(|slice| slice.len()).sum();
    let taken = piece(rng, room.min(offered));
    let bytes = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .take(taken)
        .collect();
    link.down
        .write(now.elapsed_ms + link.latency_ms + rng.u64(0..3), bytes);
    Wrote::Some(taken)
}
