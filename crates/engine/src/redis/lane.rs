//! What a node wants of Redis and hasn't said yet. Anybody may put something in; one takes it out, a turn at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use wshub_hub::members::Incarnation;
use wshub_hub::message::OUTCOME_UNKNOWN;
use wshub_hub::resume::Wanted;
use wshub_hub::tail::Change;
use wshub_hub::{Now, Outcome, Publication, Receipts, Refused, Token};
use wshub_protocol::ErrorCode;
use wshub_protocol::client_message::Target;

use crate::{Tell, lock};

/// How long a publisher waits for an answer, in milliseconds.
pub const ANSWER_MS: u64 = 1_900;
/// A turn is full with this much in it: some milliseconds of Redis' time.
const TURN_WEIGHT: usize = 256;
/// And with this many bytes.
const TURN_BYTES: usize = 1 << 20;
/// Users who come and go in one turn.
const TURN_CHANGES: usize = 1_000;
/// Messages and receipts that may wait for Redis: some seconds of what it takes.
const MOST_WAITING: usize = 200_000;
/// Users who come into rooms and leave them while Redis is away: some 20 MB. Beyond it all are said anew at its return.
const MOST_CHANGES: usize = 100_000;
/// Questions and answers between nodes that may wait.
const MOST_SAID: usize = 1_000;
/// The bytes of what may wait for it.
const MOST_BYTES: usize = 64 << 20;

const FULL: Refused = Refused {
    code: ErrorCode::Overloaded,
    sentence: "too much waits for Redis on this node; it was not published, try again shortly",
};

/// The answer while Redis is away.
pub const AWAY: Refused = Refused {
    code: ErrorCode::Unavailable,
    sentence: "the log is away, so it was not published: try again when it is back, see /health",
};

const WAITED: Refused = Refused {
    code: ErrorCode::Unavailable,
    sentence: "it waited too long for Redis on this node, so it was not published: try again",
};

/// Those who wait for the outcomes of a batch.
struct Batch {
    outcomes: Vec<Option<Outcome>>,
    left: usize,
    tell: Option<Tell>,
}

/// One of a batch.
pub(crate) struct Ticket {
    batch: Arc<Mutex<Batch>>,
    at: usize,
}

impl Ticket {
    /// Tells the outcome; the first one counts.
    pub(crate) fn tell(&self, outcome: Outcome) {
        let mut batch = lock(&self.batch);
        if batch.tell.is_none() || batch.outcomes[self.at].is_some() {
            return;
        }
        batch.outcomes[self.at] = Some(outcome);
        batch.left -= 1;
        if batch.left > 0 {
            return;
        }
        let outcomes = std::mem::take(&mut batch.outcomes);
        let tell = batch.tell.take();
        drop(batch);
        if let Some(tell) = tell {
            tell(outcomes.into_iter().flatten().collect());
        }
    }
}

/// A message on its way.
pub(crate) struct Publish {
    pub(crate) publication: Publication,
    pub(crate) id: String,
    /// When whoever waits is told that nobody knows.
    pub(crate) deadline_ms: u64,
    pub(crate) ticket: Ticket,
}

impl Publish {
    fn bytes(&self) -> usize {
        self.publication.publish.data.len() + 256
    }

    fn weight(&self) -> usize {
        match &self.publication.publish.target {
            Target::Users(users) => 1 + users.len(),
            Target::Everybody | Target::Room(_) => 1,
        }
    }
}

/// A connection that wants in.
#[derive(Debug)]
pub struct Look {
    /// Its shard.
    pub shard: usize,
    /// Which it is.
    pub token: Token,
    /// What it wants.
    pub wanted: Wanted,
    /// It has the log give it all behind a place, so it doesn't go on from the end.
    pub resumes: bool,
    /// How many messages an earlier look found to be missed: Redis has told that once.
    pub missed: u64,
    /// When it asked, in milliseconds of the node's time.
    pub asked_ms: u64,
}

/// What is said in one turn.
#[derive(Default)]
pub struct Wishes {
    pub(crate) changes: Vec<Change>,
    pub(crate) ends: Vec<Incarnation>,
    pub(crate) controls: Vec<String>,
    pub(crate) said: Vec<Vec<u8>>,
    pub(crate) publishes: Vec<Publish>,
    pub(crate) receipts: Vec<(Box<str>, Vec<u64>)>,
    /// None in place of one that nobody waits for any more.
    pub(crate) looks: Vec<Option<Look>>,
}

impl Wishes {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.ends.is_empty()
            && self.controls.is_empty()
            && self.said.is_empty()
            && self.publishes.is_empty()
            && self.receipts.is_empty()
            && self.looks.is_empty()
    }
}

/// What waits to be said.
pub struct Lane {
    publishes: VecDeque<Publish>,
    bytes: usize,
    changes: VecDeque<Change>,
    ends: VecDeque<Incarnation>,
    controls: VecDeque<String>,
    /// What is said on the control channel.
    said: VecDeque<Vec<u8>>,
    /// Places by user.
    receipts: HashMap<Box<str>, Vec<u64>>,
    received: usize,
    looks: VecDeque<Look>,
    is_there: bool,
    random: fastrand::Rng,
    /// Receipts that had no room: their messages may come twice.
    pub forgotten_receipts: u64,
}

impl Lane {
    /// A lane to a Redis that is away still. `seed` is where the ids of messages without one come from.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            publishes: VecDeque::new(),
            bytes: 0,
            changes: VecDeque::new(),
            ends: VecDeque::new(),
            controls: VecDeque::new(),
            said: VecDeque::new(),
            receipts: HashMap::new(),
            received: 0,
            looks: VecDeque::new(),
            is_there: false,
            random: fastrand::Rng::with_seed(seed),
            forgotten_receipts: 0,
        }
    }

    /// Whether Redis is known to be there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Says that Redis is there, or that it is away: then what waits to be published surely wasn't.
    pub fn set_there(&mut self, is_there: bool) {
        self.is_there = is_there;
        if !is_there {
            for publish in self.publishes.drain(..) {
                publish.ticket.tell(Err(AWAY));
            }
            self.bytes = 0;
        }
    }

    /// Refuses messages that have waited too long to be said: they surely weren't published.
    pub fn give_up(&mut self, now: Now) {
        while let Some(publish) = self.publishes.front()
            && publish.deadline_ms <= now.elapsed_ms
        {
            publish.ticket.tell(Err(WAITED));
            self.bytes -= publish.bytes();
            self.publishes.pop_front();
        }
    }

    /// Has messages published, in their order.
    pub fn publish(&mut self, now: Now, batch: Vec<Publication>, tell: Tell) {
        let refused = match () {
            () if !self.is_there => Some(AWAY),
            () if self.publishes.len() >= MOST_WAITING || self.bytes >= MOST_BYTES => Some(FULL),
            () => None,
        };
        if let Some(refused) = refused {
            return tell(vec![Err(refused); batch.len()]);
        }
        let tickets = Arc::new(Mutex::new(Batch {
            outcomes: vec![None; batch.len()],
            left: batch.len(),
            tell: Some(tell),
        }));
        for (at, publication) in batch.into_iter().enumerate() {
            let id = publication.publish.id.as_ref();
            let id = id.map_or_else(|| self.fresh_id(now), |id| id.as_str().to_owned());
            let publish = Publish {
                publication,
                id,
                deadline_ms: now.elapsed_ms + ANSWER_MS,
                ticket: Ticket {
                    batch: Arc::clone(&tickets),
                    at,
                },
            };
            self.bytes += publish.bytes();
            self.publishes.push_back(publish);
        }
    }

    /// Has the log say that a user comes into a room of this node, or leaves it.
    pub fn change(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    /// Forgets what is to be said of who is in rooms, where that is too much to keep: all is to be said anew then.
    pub fn forget_changes(&mut self) -> bool {
        let are_many = !self.is_there && self.changes.len() > MOST_CHANGES;
        if are_many {
            self.changes = VecDeque::new();
        }
        are_many
    }

    /// Has the log say all of this of who is in this node's rooms, in place of what was to be said.
    pub fn say_anew(&mut self, changes: Vec<Change>) {
        self.changes = changes.into();
    }

    /// Has the log say something to the nodes.
    pub fn control(&mut self, head: String) {
        self.controls.push_back(head);
    }

    /// Says something to the nodes that are there now, if not too much is said already.
    pub fn say(&mut self, said: Vec<u8>) {
        if self.is_there && self.said.len() < MOST_SAID {
            self.said.push_back(said);
        }
    }

    /// Has the log say that a node is no more, if its lease is gone.
    pub fn end_node(&mut self, node: Incarnation) {
        if !self.ends.contains(&node) {
            self.ends.push_back(node);
        }
    }

    /// Has what was received taken out of the queues.
    pub fn receive(&mut self, receipts: &Receipts) {
        for (user, places) in receipts.iter() {
            self.received_by(user, places);
        }
    }

    /// Has what one user received taken out of their queue.
    pub fn received_by(&mut self, user: &str, places: &[u64]) {
        if self.received + places.len() > MOST_WAITING {
            self.forgotten_receipts += places.len() as u64;
            return;
        }
        self.received += places.len();
        match self.receipts.get_mut(user) {
            Some(known) => known.extend_from_slice(places),
            None => {
                self.receipts.insert(user.into(), places.to_vec());
            }
        }
    }

    /// Has a user's queue looked into, behind all receipts that came before.
    pub fn look(&mut self, look: Look) {
        self.looks.push_back(look);
    }

    /// Connections that wait to be looked up, for as long as `asked` says; they are given back.
    pub fn take_looks(&mut self, asked: impl Fn(&Look) -> bool) -> Vec<Look> {
        let (taken, rest): (Vec<_>, Vec<_>) = self.looks.drain(..).partition(asked);
        self.looks = rest.into();
        taken
    }

    /// Whether nothing waits to be said that is more than a question.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.publishes.is_empty() && self.receipts.is_empty() && self.changes.is_empty()
    }

    /// Takes out what is said in the next turn.
    pub fn take(&mut self) -> Wishes {
        let mut wishes = Wishes::default();
        let changes = self.changes.len().min(TURN_CHANGES);
        wishes.changes.extend(self.changes.drain(..changes));
        wishes.ends.extend(self.ends.drain(..));
        wishes.controls.extend(self.controls.drain(..));
        let said = self.said.len().min(TURN_WEIGHT);
        wishes.said.extend(self.said.drain(..said));
        let (mut weight, mut bytes) = (changes / 8, 0);
        while weight < TURN_WEIGHT
            && bytes < TURN_BYTES
            && let Some(publish) = self.publishes.pop_front()
        {
            weight += publish.weight();
            bytes += publish.bytes();
            wishes.publishes.push(publish);
        }
        self.bytes -= bytes;
        weight = weight.min(TURN_WEIGHT / 2);
        let users: Vec<_> = self
            .receipts
            .keys()
            .take(TURN_WEIGHT - weight)
            .cloned()
            .collect();
        for user in users {
            if let Some(places) = self.receipts.remove(&user) {
                self.received -= places.len();
                wishes.receipts.push((user, places));
            }
        }
        // A look must see all receipts of its user that came before it, so it waits until they are said.
        if self.receipts.is_empty() {
            let looks = self.looks.len().min(TURN_WEIGHT / 2);
            wishes.looks.extend(self.looks.drain(..looks).map(Some));
        }
        wishes
    }

    /// Puts back what was in a turn that Redis surely didn't do, but for messages, whose publishers were told.
    pub(crate) fn put_back(&mut self, wishes: Wishes) {
        let Wishes {
            changes,
            ends,
            controls,
            // Who asked has given up by then.
            said: _,
            publishes: _,
            receipts,
            looks,
        } = wishes;
        for change in changes.into_iter().rev() {
            self.changes.push_front(change);
        }
        for head in controls.into_iter().rev() {
            self.controls.push_front(head);
        }
        ends.into_iter().for_each(|node| self.end_node(node));
        for (user, places) in receipts {
            self.received_by(&user, &places);
        }
        for look in looks.into_iter().flatten().rev() {
            self.looks.push_front(look);
        }
    }

    fn fresh_id(&mut self, now: Now) -> String {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        wshub_hub::tail::fresh_id(now, &random)
    }
}

/// Tells those whose messages may or may not be in the log.
pub(crate) fn nobody_knows(publishes: &[Publish]) {
    for publish in publishes {
        publish.ticket.tell(Err(OUTCOME_UNKNOWN));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use wshub_protocol::client_message::parse_publish;

    use super::*;

    #[test]
    fn what_waited_too_long_to_be_said_is_surely_not_published() {
        let mut lane = Lane::new(1);
        lane.set_there(true);
        let (tell, told) = channel();
        let publication = Publication {
            publish: parse_publish(br#"{"type":"broadcast","data":1}"#).unwrap(),
            from: String::new(),
            except: None,
        };
        let at = |elapsed_ms| Now {
            elapsed_ms,
            unix_ms: 0,
        };
        let tell = Box::new(move |outcomes| tell.send(outcomes).unwrap());
        lane.publish(at(0), vec![publication], tell);
        lane.give_up(at(ANSWER_MS - 1));
        assert!(told.try_recv().is_err());
        lane.give_up(at(ANSWER_MS));
        assert_eq!(told.try_recv().unwrap(), [Err(WAITED)]);
        assert!(lane.is_settled());
        assert!(lane.take().is_empty());
    }
}
