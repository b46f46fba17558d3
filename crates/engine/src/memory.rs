//! The log of a single node: it is that node's tail and nothing else, and ends with the process.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use wshub_hub::{Now, Outcome, Post, Publication, Refused, Tail};
use wshub_protocol::ErrorCode;

use crate::{Engine, Tell};

/// How many messages are appended before others may have the log: some 20 µs.
const APPENDED_AT_ONCE: usize = 64;
/// How many bytes of them, where they are large.
const BYTES_AT_ONCE: usize = 64 * 1024;

/// An engine without a second node. `S` is the socket type of the inboxes.
pub struct Memory<S, P> {
    tail: Arc<Mutex<Tail>>,
    inboxes: Arc<P>,
    socket: PhantomData<fn(S)>,
}

impl<S, P: Post<S>> Memory<S, P> {
    /// An engine whose log is `tail`.
    pub fn new(tail: Arc<Mutex<Tail>>, inboxes: Arc<P>) -> Self {
        Self {
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
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            let mut bytes = 0;
            for publication in batch.by_ref().take(APPENDED_AT_ONCE) {
                bytes += publication.publish.data.len();
                outcomes.push(if has_room {
                    tail.publish(now, publication, &*self.inboxes)
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

const FULL: Refused = Refused {
    code: ErrorCode::Overloaded,
    sentence: "too much waits to be delivered on this node; it was not published, try again shortly",
};

impl<S, P: Post<S> + Send + Sync> Engine for Memory<S, P> {
    fn publish(&self, now: Now, batch: Vec<Publication>, tell: Tell) {
        tell(self.append(now, batch));
    }
}
