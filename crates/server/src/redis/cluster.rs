//! The engine of a node in a cluster: takes what shards and API want, and hands it to whoever speaks to Redis. Nothing
//! here waits for Redis.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wshub_engine::redis::lane::Look;
use wshub_engine::redis::looking::Looked;
use wshub_engine::redis::mine::Join;
use wshub_engine::redis::turn::Terms;
use wshub_engine::redis::{Lane, Mine, Turns, entry};
use wshub_engine::{Engine, EngineState, Standing, Tell};
use wshub_hub::members::Incarnation;
use wshub_hub::question::Question;
use wshub_hub::resume::Wanted;
use wshub_hub::{Item, Now, Post, Publication, Receipts, Tail, Token};
use wshub_protocol::UserId;

use super::asking::Asking;
use crate::clock::Clock;
use crate::inbox::Inboxes;
use crate::logs::Troubles;

/// How long a connection waits to be let in, in milliseconds; then it is told to come back later.
const ENTER_MS: u64 = 2_000;

/// How often it is looked whether all is said.
const SETTLING: Duration = Duration::from_millis(5);

/// A queue was looked into, and its connection waits until the node has read as much of the log as there was then.
struct Entering {
    look: Look,
    looked: Box<Looked>,
    /// Where the log ended.
    place: u64,
}

/// What the shards and the tasks that speak to Redis share.
pub struct Cluster {
    /// What is to be said to Redis. Locked behind the others.
    pub(super) lane: Mutex<Lane>,
    /// There is something in the lane.
    pub(super) wake: Notify,
    /// Who is in rooms of this node. Locked before the tail.
    pub(super) mine: Mutex<Mine>,
    entering: Mutex<Vec<Entering>>,
    /// This node's tail of the log.
    pub(super) tail: Arc<Mutex<Tail>>,
    /// The shards' inboxes.
    pub(super) inboxes: Arc<Inboxes>,
    /// The time.
    pub(super) clock: Clock,
    /// This life of the node.
    pub(super) node: AtomicU64,
    /// How the node stands to Redis.
    pub(super) standing: Mutex<Standing>,
    /// What is being said to Redis. Locked before the lane.
    pub(super) turns: Mutex<Turns>,
    /// What this node has asked the others.
    pub(super) asking: Mutex<Asking>,
    /// The nodes that live, by what they say of themselves.
    pub(super) peers: Mutex<HashMap<Incarnation, Peer>>,
    /// What this node says of itself.
    report: Mutex<Peer>,
    /// How the node goes by for people.
    pub(super) name: String,
    /// How many shards it has.
    pub(super) shards: usize,
    /// The canary under way: its number, and when it was sent in milliseconds.
    pub(super) canary: Mutex<(u64, u64)>,
    /// What Redis holds for the whole cluster: ids with their bytes, and the bytes of the queues.
    pub(super) held: Mutex<((usize, usize), usize)>,
    /// Too much came to be said of who is in rooms: all is to be said anew.
    pub(super) owes_members: AtomicBool,
    /// What nobody could read: entries, queues' entries, messages on channels.
    pub(super) unreadable: AtomicU64,
    /// Messages on channels that the shards had no room for.
    pub(super) overheard: AtomicU64,
    /// What was told lately of Redis.
    pub(super) troubles: Mutex<Troubles>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node of the cluster, as it tells of itself once a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// How it goes by.
    pub name: String,
    /// Connections that were told `connected` and aren't closing.
    pub clients: u64,
    /// Users with at least one of them.
    pub users: u64,
    /// Messages that were queued to connections.
    pub messages_out: u64,
}

impl Cluster {
    /// An engine whose Redis is away still.
    pub fn new(
        tail: Arc<Mutex<Tail>>,
        inboxes: Arc<Inboxes>,
        clock: Clock,
        terms: Terms,
        (name, shards): (&str, usize),
        node: Incarnation,
        seed: u64,
    ) -> Self {
        Self {
            lane: Mutex::new(Lane::new(seed)),
            wake: Notify::new(),
            mine: Mutex::default(),
            entering: Mutex::default(),
            tail,
            inboxes,
            clock,
            node: AtomicU64::new(node),
            standing: Mutex::new(Standing::Away("it was not reached yet".to_owned())),
            turns: Mutex::new(Turns::new(terms, node)),
            canary: Mutex::default(),
            asking: Mutex::default(),
            peers: Mutex::default(),
            report: Mutex::new(Peer {
                name: name.to_owned(),
                ..Peer::default()
            }),
            name: name.to_owned(),
            shards,
            held: Mutex::default(),
            owes_members: AtomicBool::new(false),
            unreadable: AtomicU64::new(0),
            overheard: AtomicU64::new(0),
            troubles: Mutex::default(),
        }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.node.load(Ordering::Relaxed)
    }

    /// Messages that this node has put into the log or had pass by, by [`Kind`](wshub_hub::message::Kind).
    #[must_use]
    pub fn accepted(&self) -> [u64; 3] {
        lock(&self.turns).counts().accepted
    }

    /// What nobody could read in the log, in queues and on channels; messages on channels that the shards had no room
    /// for; receipts that had no room to wait in.
    #[must_use]
    pub fn trouble(&self) -> [u64; 3] {
        [
            self.unreadable.load(Ordering::Relaxed),
            self.overheard.load(Ordering::Relaxed),
            lock(&self.lane).forgotten_receipts,
        ]
    }

    /// What is to be said of this node.
    pub fn report(&self, clients: u64, users: u64, messages_out: u64) {
        let mut report = lock(&self.report);
        (report.clients, report.users, report.messages_out) = (clients, users, messages_out);
    }

    /// What this node says of itself.
    pub(super) fn own_report(&self) -> Peer {
        lock(&self.report).clone()
    }

    /// The nodes that live, this one included.
    #[must_use]
    pub fn nodes(&self) -> Vec<Peer> {
        let mut peers = lock(&self.peers).clone();
        peers.insert(self.incarnation(), self.own_report());
        let mut nodes: Vec<_> = peers.into_values().collect();
        nodes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        nodes
    }

    /// Goes on under another number.
    pub(super) fn become_node(&self, node: Incarnation) {
        self.node.store(node, Ordering::Relaxed);
        lock(&self.turns).become_node(node);
    }

    /// A canary came back.
    pub(super) fn canary_is_back(&self, number: u64) {
        let (last, sent_ms) = *lock(&self.canary);
        let standing = &mut *lock(&self.standing);
        if last == number && !matches!(standing, Standing::Away(_)) {
            let round_trip_ms = self.clock.now().elapsed_ms.saturating_sub(sent_ms);
            *standing = Standing::There {
                round_trip_ms: Some(round_trip_ms),
            };
            *lock(&self.canary) = (0, 0);
        }
    }

    /// Redis is there, and the tail is where the log is.
    pub(super) fn is_back(&self) {
        *lock(&self.standing) = Standing::There {
            round_trip_ms: None,
        };
        lock(&self.lane).set_there(true);
        lock(&self.tail).have_enter_anew(None, &*self.inboxes);
        self.wake.notify_one();
    }

    /// Redis has no memory left: nothing new is taken, everything else works.
    pub(super) fn is_full(&self) {
        let reason = "Redis has reached its maxmemory: nothing is published until it has room";
        *lock(&self.standing) = Standing::Full(reason.to_owned());
        // What was refused will not come back.
        *lock(&self.canary) = (0, 0);
        self.answer_joins();
    }

    /// Answers the joins that wait for the log, since it says nothing for now; the others are told later.
    fn answer_joins(&self) {
        let joins = lock(&self.mine).take_joins();
        let mut tail = lock(&self.tail);
        for Join {
            shard,
            token,
            joining,
        } in joins
        {
            tail.answer(shard, Question::Join(token, joining), &*self.inboxes);
        }
    }

    /// Redis is away, for this reason: who waits for it needn't any longer.
    pub(super) fn is_away(&self, reason: String) {
        *lock(&self.standing) = Standing::Away(reason);
        let mut looks = lock(&self.turns).take_looks(|_| true);
        {
            let mut lane = lock(&self.lane);
            lane.set_there(false);
            looks.extend(lane.take_looks(|_| true));
        }
        let entering = std::mem::take(&mut *lock(&self.entering));
        looks.extend(entering.into_iter().map(|entering| entering.look));
        self.answer_joins();
        let mut tail = lock(&self.tail);
        for look in looks {
            tail.enter_degraded(look.shard, look.token, look.wanted, &*self.inboxes);
        }
    }

    /// A queue was looked into.
    pub(super) fn looked(&self, look: Look, looked: Box<Looked>, place: u64) {
        self.unreadable
            .fetch_add(looked.unreadable as u64, Ordering::Relaxed);
        lock(&self.entering).push(Entering {
            look,
            looked,
            place,
        });
    }

    /// Lets in whoever the tail has caught up for.
    pub(super) fn let_in(&self) {
        let mut entering = lock(&self.entering);
        if entering.is_empty() {
            return;
        }
        let mut tail = lock(&self.tail);
        let end = tail.end().offset.place();
        let (ready, rest) = std::mem::take(&mut *entering)
            .into_iter()
            .partition(|entering| entering.place <= end);
        *entering = rest;
        drop(entering);
        let ready: Vec<Entering> = ready;
        for Entering {
            mut look,
            mut looked,
            place,
        } in ready
        {
            let after = look.wanted.after.as_ref();
            let resumes_at = after.and_then(|after| tail.resumable(after));
            if place < tail.dropped() || (look.resumes && resumes_at.is_none()) {
                // The log has moved on beyond what was found, or beyond the place from which it was to be given: it is
                // to be found again, and who goes on from behind it is to be remembered there.
                look.resumes = resumes_at.is_some();
                look.missed += looked.found.missed;
                lock(&self.lane).look(look);
                self.wake.notify_one();
                continue;
            }
            let Look {
                shard,
                token,
                wanted,
                missed,
                ..
            } = look;
            looked.found.missed += missed;
            if let Some(seen) = resumes_at {
                let places = looked.take_received(&wanted, seen);
                if !places.is_empty() {
                    lock(&self.lane).received_by(wanted.user.as_str(), &places);
                    self.wake.notify_one();
                }
            }
            tail.enter(shard, token, wanted, looked.found, place, &*self.inboxes);
        }
    }

    /// Turns away connections that have waited too long to be let in.
    pub(super) fn turn_away(&self, now: Now) {
        let is_late = |look: &Look| now.elapsed_ms.saturating_sub(look.asked_ms) > ENTER_MS;
        let mut late = lock(&self.turns).take_looks(is_late);
        late.extend(lock(&self.lane).take_looks(is_late));
        let mut entering = lock(&self.entering);
        let (gone, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut *entering)
            .into_iter()
            .partition(|entering| is_late(&entering.look));
        *entering = rest;
        drop(entering);
        late.extend(gone.into_iter().map(|entering| entering.look));
        for look in late {
            let wanted = Box::new(look.wanted);
            self.inboxes
                .post(look.shard, Item::NotInTime(look.token, wanted));
        }
    }

    /// Waits until all that this node had to say is said, for at most so long.
    pub async fn settle(&self, most: Duration) {
        let settling = async {
            loop {
                let is_settled = !lock(&self.turns).is_under_way() && lock(&self.lane).is_settled();
                if is_settled {
                    return;
                }
                tokio::time::sleep(SETTLING).await;
            }
        };
        if tokio::time::timeout(most, settling).await.is_err() {
            tracing::warn!("not all receipts could be given to Redis: those messages come again");
        }
    }

    /// All who are in rooms of this node are to be said anew.
    pub(super) fn say_members_anew(&self) {
        let mut mine = lock(&self.mine);
        let told = lock(&self.tail).members_of(self.incarnation());
        let changes = mine.say_anew(told);
        // What is said meanwhile comes behind it.
        lock(&self.lane).say_anew(changes);
        self.wake.notify_one();
    }

    fn is_there(&self) -> bool {
        lock(&self.lane).is_there()
    }

    fn join(&self, shard: usize, token: Token, joining: Box<wshub_hub::question::Joining>) {
        let mut mine = lock(&self.mine);
        let (change, stands) = mine.come(&joining.room, &joining.user);
        let is_there = match change {
            Some(change) => {
                let mut lane = lock(&self.lane);
                lane.change(change);
                lane.is_there()
            }
            None => self.is_there(),
        };
        if stands || !is_there {
            let question = Question::Join(token, joining);
            lock(&self.tail).answer(shard, question, &*self.inboxes);
        } else {
            mine.wait(Join {
                shard,
                token,
                joining,
            });
            self.wake.notify_one();
        }
    }
}

impl Engine for Cluster {
    fn publish(&self, now: Now, batch: Vec<Publication>, tell: Tell) {
        lock(&self.lane).publish(now, batch, tell);
        self.wake.notify_one();
    }

    fn enter(&self, now: Now, shard: usize, token: Token, wanted: Wanted) {
        let mut mine = lock(&self.mine);
        let mut tail = lock(&self.tail);
        let mut lane = lock(&self.lane);
        for room in wanted.rooms.iter().flatten() {
            mine.come(room, &wanted.user)
                .0
                .into_iter()
                .for_each(|change| lane.change(change));
        }
        drop(mine);
        if lane.is_there() {
            let after = wanted.after.as_ref();
            let resumes = after.is_some_and(|after| tail.resumable(after).is_some());
            lane.look(Look {
                shard,
                token,
                wanted,
                resumes,
                missed: 0,
                asked_ms: now.elapsed_ms,
            });
            drop(lane);
            self.wake.notify_one();
        } else {
            // The tail stays locked: who is let in now hears that the log is back, even if that is right now.
            drop(lane);
            tail.enter_degraded(shard, token, wanted, &*self.inboxes);
        }
    }

    fn ask(&self, _: Now, shard: usize, question: Question) {
        match question {
            Question::Join(token, joining) => self.join(shard, token, joining),
            Question::Left(room, user) => {
                let mut mine = lock(&self.mine);
                if let Some(change) = mine.leave(&room, &user) {
                    lock(&self.lane).change(change);
                    self.wake.notify_one();
                }
            }
            question => lock(&self.tail).answer(shard, question, &*self.inboxes),
        }
    }

    fn disconnect(&self, _: Now, user: UserId) {
        let mut lane = lock(&self.lane);
        if lane.is_there() {
            lane.control(entry::disconnect_head(&user));
            drop(lane);
            self.wake.notify_one();
        } else {
            drop(lane);
            lock(&self.tail).disconnect(user, &*self.inboxes);
        }
    }

    fn receive(&self, receipts: &Receipts) {
        lock(&self.lane).receive(receipts);
        self.wake.notify_one();
    }

    fn sweep(&self, now: Now) {
        self.turn_away(now);
        let mut mine = lock(&self.mine);
        if lock(&self.lane).forget_changes() {
            mine.forget_left();
            self.owes_members.store(true, Ordering::Relaxed);
        }
    }

    fn state(&self) -> EngineState {
        let done = lock(&self.turns).counts();
        let fates = done.fates;
        let taken = fates.received + fates.expired + fates.pushed_out + fates.total_full;
        let (ids, queued_bytes) = *lock(&self.held);
        EngineState {
            ids,
            duplicates: done.duplicates,
            queued: (fates.pushed as i64 - taken as i64, queued_bytes),
            fates,
        }
    }

    fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }
}

#[cfg(test)]
mod tests;
