//! The log of a single node: it is that node's tail and nothing else, and ends with the process. So do its queues and
//! the ids it remembers.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use wshub_hub::dedupe::{Dedupe, DedupeLimits, Fingerprint, Seen};
use wshub_hub::message::Published;
use wshub_hub::question::Question;
use wshub_hub::queues::{QueueLimits, Queues};
use wshub_hub::resume::Wanted;
use wshub_hub::{Now, Outcome, Post, Publication, Receipts, Refused, Tail, Token};
use wshub_protocol::client_message::Target;
use wshub_protocol::{ErrorCode, UserId};

use crate::{Engine, EngineState, NO_ROOM_FOR_IDS, REUSED, Tell, lock};

/// How many messages are appended before others may have the log: some 20 µs.
const APPENDED_AT_ONCE: usize = 64;
/// How many bytes of them, where they are large.
const BYTES_AT_ONCE: usize = 64 * 1024;
/// How many queues of each sort are looked through in one sweep: some milliseconds.
const SWEPT_AT_ONCE: usize = 10_000;

const FULL: Refused = Refused {
    code: ErrorCode::Overloaded,
    sentence: "too much waits to be delivered on this node; it was not published, try again shortly",
};

/// An engine without a second node. `S` is the socket type of the inboxes.
pub struct Memory<S, P> {
    /// Locked before the tail by whoever needs both.
    store: Mutex<Store>,
    tail: Arc<Mutex<Tail>>,
    inboxes: Arc<P>,
    socket: PhantomData<fn(S)>,
}

/// What the engine keeps beside the log.
struct Store {
    dedupe: Dedupe,
    queues: Queues,
    duplicates: u64,
}

impl<S, P: Post<S>> Memory<S, P> {
    /// An engine whose log is `tail`. `seed` only moves entries within hash tables.
    pub fn new(
        tail: Arc<Mutex<Tail>>,
        inboxes: Arc<P>,
        ids: DedupeLimits,
        queues: QueueLimits,
        seed: u64,
    ) -> Self {
        let store = Store {
            dedupe: Dedupe::new(ids, seed),
            queues: Queues::new(queues, seed),
            duplicates: 0,
        };
        Self {
            store: Mutex::new(store),
            tail,
            inboxes,
            socket: PhantomData,
        }
    }

    fn append(&self, now: Now, batch: Vec<Publication>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut batch = batch.into_iter();
        while batch.len() > 0 {
            let has_room = self.inboxes.has_room();
            let mut store = lock(&self.store);
            let mut tail = lock(&self.tail);
            store.dedupe.forget(now.elapsed_ms);
            let mut bytes = 0;
            for publication in batch.by_ref().take(APPENDED_AT_ONCE) {
                bytes += publication.publish.data.len();
                outcomes.push(if has_room {
                    store.publish(now, publication, &mut tail, &*self.inboxes)
                } else {
                    Err(FULL)
                });
                if bytes > BYTES_AT_ONCE {
                    break;
                }
            }
        }
        outcomes
    }
}

impl Store {
    /// Puts the message at the end of the log, unless its id says that it is there already, or it only passes by.
    fn publish<S>(
        &mut self,
        now: Now,
        publication: Publication,
        tail: &mut Tail,
        post: &impl Post<S>,
    ) -> Outcome {
        if publication.publish.ephemeral {
            return Ok(tail.pass_on(now, publication, post));
        }
        let Some(fingerprint) = Fingerprint::of(&publication.from, &publication.publish) else {
            return Ok(self.append(now, publication, tail, post));
        };
        match self.dedupe.look_up(now.elapsed_ms, &fingerprint) {
            Seen::Never => {
                let published = self.append(now, publication, tail, post);
                if let Some(cursor) = published.cursor {
                    let place = cursor.offset.place();
                    self.dedupe.remember(now.elapsed_ms, fingerprint, place);
                }
                Ok(published)
            }
            Seen::Before(place) => {
                self.duplicates += 1;
                let id = publication.publish.id;
                Ok(Published {
                    id: id.map_or_else(String::new, |id| id.as_str().to_owned()),
                    cursor: Some(tail.cursor(place)),
                    duplicate: true,
                })
            }
            Seen::WithOtherContent => Err(REUSED),
            Seen::NoRoom => Err(NO_ROOM_FOR_IDS),
        }
    }

    fn append<S>(
        &mut self,
        now: Now,
        publication: Publication,
        tail: &mut Tail,
        post: &impl Post<S>,
    ) -> Published {
        let (published, message) = tail.append(now, publication, post);
        if let Target::Users(users) = &message.target {
            for user in users {
                self.queues.push(now.elapsed_ms, user, &message);
            }
        }
        published
    }
}

impl<S, P: Post<S> + Send + Sync> Engine for Memory<S, P> {
    fn publish(&self, now: Now, batch: Vec<Publication>, tell: Tell) {
        tell(self.append(now, batch));
    }

    fn enter(&self, now: Now, shard: usize, token: Token, wanted: Wanted) {
        let mut store = lock(&self.store);
        let mut tail = lock(&self.tail);
        let after = wanted.after.as_ref();
        let place = after.and_then(|after| tail.resumable(after));
        let end = tail.end().offset.place();
        let found = store.queues.find_for(now.elapsed_ms, &wanted, place, end);
        drop(store);
        tail.enter(shard, token, wanted, found, end, &*self.inboxes);
    }

    fn ask(&self, _: Now, shard: usize, question: Question) {
        lock(&self.tail).answer(shard, question, &*self.inboxes);
    }

    fn disconnect(&self, _: Now, user: UserId) {
        lock(&self.tail).disconnect(user, &*self.inboxes);
    }

    fn receive(&self, receipts: &Receipts) {
        let mut store = lock(&self.store);
        for (user, places) in receipts.iter() {
            store.queues.receipt(user, places);
        }
    }

    fn sweep(&self, now: Now) {
        let mut store = lock(&self.store);
        store.dedupe.forget(now.elapsed_ms);
        store.queues.sweep(now.elapsed_ms, SWEPT_AT_ONCE);
    }

    fn state(&self) -> EngineState {
        let store = lock(&self.store);
        EngineState {
            ids: store.dedupe.depth(),
            duplicates: store.duplicates,
            queued: (store.queues.depth().0 as i64, store.queues.depth().1),
            fates: store.queues.fates(),
        }
    }
}
