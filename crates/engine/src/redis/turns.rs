//! The turns of a node: one at a time, each with its number, sent again as it is until it is answered.

use std::collections::HashMap;
use std::sync::Mutex;

use wshub_hub::members::Incarnation;
use wshub_hub::message::{Kind, Published};
use wshub_hub::queues::QueueCounts;
use wshub_hub::{Now, Outcome, Refused};
use wshub_protocol::{Cursor, Epoch, ErrorCode};

use super::entry::{self, read_epoch};
use super::lane::{AWAY, Lane, Look, Publish, Wishes, nobody_knows};
use super::looking::Looked;
use super::reply::Reply;
use super::turn::{Call, Opening, Terms};
use crate::{NO_ROOM_FOR_IDS, REUSED, lock};

const LATE: Refused = Refused {
    code: ErrorCode::Unavailable,
    sentence: "it came to Redis too late, so it was not published: try again",
};

const NO_MEMORY: Refused = Refused {
    code: ErrorCode::Unavailable,
    sentence: "Redis takes nothing more, so it was not published: its operator is to look at maxmemory",
};

const TAKES_NOTHING: Refused = Refused {
    code: ErrorCode::Unavailable,
    sentence: "Redis takes nothing now, so it was not published: /health says why",
};

const IN_THE_WAY: Refused = Refused {
    code: ErrorCode::Internal,
    sentence: "a key of another type is in the way in Redis, so it was not published: its operator is to remove it",
};

/// Users whose plain messages are remembered until the next receipt.
const MOST_PLAIN: usize = 10_000;

/// What an answer means for others.
#[derive(Debug)]
pub enum Heard {
    /// A queue was looked into when the log ended at this place.
    Looked(Look, Box<Looked>, u64),
    /// Redis took something not, in these words: it is full, or it takes nothing at all.
    Refused(String),
    /// The log lives another life than this node thought, or none.
    OtherLife(Option<Epoch>),
    /// Another connection of this node has said something later: its numbers are of no use any more.
    Stale,
}

struct UnderWay {
    call: Call,
    wishes: Wishes,
    sent: u32,
}

/// What was done by all turns.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnCounts {
    /// Publishes whose id was known.
    pub duplicates: u64,
    /// Messages that this node has put into the log or had pass by, by [`Kind`].
    pub accepted: [u64; 3],
    /// What this node has put into queues and taken out of them.
    pub fates: QueueCounts,
}

/// The turns of one incarnation of a node.
pub struct Turns {
    terms: Terms,
    node: Incarnation,
    name: String,
    number: u64,
    under_way: Option<UnderWay>,
    /// Redis' time less this node's, in milliseconds.
    ahead_ms: i64,
    plain: HashMap<Box<str>, Vec<Vec<u8>>>,
    counts: TurnCounts,
}

impl Turns {
    /// No turn yet.
    #[must_use]
    pub fn new(terms: Terms, node: Incarnation) -> Self {
        Self {
            terms,
            node,
            name: super::node_name(node),
            number: 0,
            under_way: None,
            ahead_ms: 0,
            plain: HashMap::new(),
            counts: TurnCounts::default(),
        }
    }

    /// What is the same in all turns.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What Redis' clock shows, in milliseconds since 1970.
    #[must_use]
    pub fn redis_ms(&self, now: Now) -> u64 {
        (now.elapsed_ms as i64 + self.ahead_ms).max(0) as u64
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> TurnCounts {
        self.counts
    }

    /// Takes in what Redis' clock shows.
    pub fn set_clock(&mut self, now: Now, redis_ms: u64) {
        self.ahead_ms = redis_ms as i64 - now.elapsed_ms as i64;
    }

    /// Goes on as another node.
    pub fn become_node(&mut self, node: Incarnation) {
        self.node = node;
        self.name = super::node_name(node);
        self.number = 0;
    }

    /// The call to send: the one that has no answer yet, or else the next; none where nothing is to be said.
    pub fn next(&mut self, epoch: Epoch, dropped: u64, lane: &Mutex<Lane>) -> Option<&Call> {
        if self.under_way.is_none() {
            let wishes = lock(lane).take();
            if wishes.is_empty() {
                return None;
            }
            self.number += 1;
            let call = self.call(epoch, dropped, &wishes);
            self.under_way = Some(UnderWay {
                call,
                wishes,
                sent: 0,
            });
        }
        let under_way = self.under_way.as_mut()?;
        under_way.sent += 1;
        Some(&under_way.call)
    }

    fn call(&mut self, epoch: Epoch, dropped: u64, wishes: &Wishes) -> Call {
        let terms = &self.terms;
        let mut call = Call::open(
            terms,
            &Opening {
                node: &self.name,
                number: self.number,
                epoch,
                dropped,
            },
        );
        if !wishes.changes.is_empty() {
            call.members(self.node, &wishes.changes);
        }
        for &node in &wishes.ends {
            call.end_node(terms, node);
        }
        for head in &wishes.controls {
            call.control(head);
        }
        for said in &wishes.said {
            call.passes_by(&terms.keys.control(), said);
        }
        for publish in &wishes.publishes {
            if publish.publication.publish.ephemeral {
                let passing = entry::passing(&publish.id, &publish.publication);
                call.passes_by(&terms.keys.ephemeral(), &passing);
            } else {
                let deadline = self.ahead_ms + publish.deadline_ms as i64;
                call.publish(
                    terms,
                    deadline.max(0) as u64,
                    &publish.id,
                    &publish.publication,
                );
            }
        }
        for (user, places) in &wishes.receipts {
            let plain = self.plain.remove(user).unwrap_or_default();
            call.receipt(terms, user, &plain, places);
        }
        for look in wishes.looks.iter().flatten() {
            let goes_on = (!look.resumes).then_some(look.wanted.session);
            call.look(terms, &look.wanted, goes_on);
        }
        call
    }

    /// Takes Redis' answer to the turn under way.
    pub fn answered(&mut self, now: Now, reply: &Reply, lane: &Mutex<Lane>) -> Vec<Heard> {
        let Some(under_way) = self.under_way.take() else {
            return Vec::new();
        };
        let [word, redis_ms, end, answers, counts @ ..] = reply.list() else {
            self.under_way = Some(under_way);
            return Vec::new();
        };
        self.set_clock(now, redis_ms.number());
        let wishes = under_way.wishes;
        match word.text() {
            "done" => {
                if let Some(counts) = counts.first() {
                    self.count(counts.list());
                }
                let at = (end.number(), redis_ms.number());
                self.done(wishes, at, answers.list(), &under_way.call, lane)
            }
            word => {
                let first = under_way.sent == 1;
                undone(wishes, first, lane);
                vec![if word == "epoch" {
                    Heard::OtherLife(read_epoch(answers.text()))
                } else {
                    Heard::Stale
                }]
            }
        }
    }

    fn done(
        &mut self,
        wishes: Wishes,
        (end, redis_ms): (u64, u64),
        answers: &[Reply],
        call: &Call,
        lane: &Mutex<Lane>,
    ) -> Vec<Heard> {
        debug_assert_eq!(answers.len(), call.parts());
        let epoch = std::str::from_utf8(&call.args[1]).ok().and_then(read_epoch);
        let Some(epoch) = epoch else {
            return Vec::new();
        };
        let mut answers = answers.iter().map(Reply::list);
        let mut back = Wishes::default();
        let mut refused = None;
        if !wishes.changes.is_empty() && is_refused(answers.next(), &mut refused) {
            back.changes = wishes.changes;
        }
        for node in wishes.ends {
            if is_refused(answers.next(), &mut refused) {
                back.ends.push(node);
            }
        }
        for head in wishes.controls {
            // A canary that was refused has told what it could.
            if is_refused(answers.next(), &mut refused) && !entry::is_canary(&head) {
                back.controls.push(head);
            }
        }
        wishes.said.iter().for_each(|_| _ = answers.next());
        for publish in &wishes.publishes {
            let answer = answers.next().unwrap_or_default();
            is_refused(Some(answer), &mut refused);
            let outcome = self.outcome(publish, answer, epoch);
            publish.ticket.tell(outcome);
        }
        wishes.receipts.iter().for_each(|_| _ = answers.next());
        let place = epoch.offset(end).place();
        let mut heard = Vec::with_capacity(wishes.looks.len());
        for look in wishes.looks {
            let Some(look) = look else {
                answers.next();
                continue;
            };
            let answer = answers.next().unwrap_or_default();
            let looked = Looked::read(&look.wanted.user, redis_ms, answer);
            if !looked.plain.is_empty() && self.plain.len() < MOST_PLAIN {
                let user = look.wanted.user.as_str().into();
                self.plain.insert(user, looked.plain.clone());
            }
            heard.push(Heard::Looked(look, looked.into(), place));
        }
        // It comes last: whoever hears it may go no further, and a look that nobody hears of is never answered.
        heard.extend(refused.map(Heard::Refused));
        if !back.is_empty() {
            lock(lane).put_back(back);
        }
        heard
    }

    fn count(&mut self, counts: &[Reply]) {
        if let [pushed, received, expired, pushed_out] = counts {
            let fates = &mut self.counts.fates;
            fates.pushed += pushed.number();
            fates.received += received.number();
            fates.expired += expired.number();
            fates.pushed_out += pushed_out.number();
        }
    }

    /// Takes in what a sweep of the queues has found.
    pub fn swept(&mut self, expired: u64, emptied: u64) {
        self.counts.fates.expired += expired;
        self.counts.fates.total_full += emptied;
    }

    fn outcome(&mut self, publish: &Publish, answer: &[Reply], epoch: Epoch) -> Outcome {
        let published = |cursor, duplicate| {
            Ok(Published {
                id: publish.id.clone(),
                cursor,
                duplicate,
            })
        };
        let (word, with) = match answer {
            [word, with, ..] => (word.text(), Some(with)),
            [word] => (word.text(), None),
            [] => ("", None),
        };
        if let "new" | "passed" = word {
            let kind = Kind::of(&publish.publication.publish.target);
            self.counts.accepted[kind.index()] += 1;
        }
        match word {
            "new" => {
                let cursor = Cursor {
                    epoch,
                    partition: 0,
                    offset: epoch.offset(with.map_or(0, Reply::number)),
                };
                published(Some(cursor), false)
            }
            "known" => {
                self.counts.duplicates += 1;
                published(Cursor::parse(with.map_or("", Reply::text)).ok(), true)
            }
            "passed" => published(None, false),
            "late" => Err(LATE),
            "reused" => Err(REUSED),
            "no_room" => Err(NO_ROOM_FOR_IDS),
            "refused" if with.is_some_and(|words| words.text().starts_with("OOM")) => {
                Err(NO_MEMORY)
            }
            "refused" => Err(TAKES_NOTHING),
            _ => Err(IN_THE_WAY),
        }
    }

    /// Redis answered the turn with an error. `surely` says that it is one that comes before anything is done; whether
    /// the turn was done when it was sent before nobody knows even then.
    pub fn refused(&mut self, surely: bool, lane: &Mutex<Lane>) {
        if let Some(under_way) = self.under_way.take() {
            undone(under_way.wishes, surely && under_way.sent == 1, lane);
        }
    }

    /// The connections that wait in the turn under way and are to wait no longer, by what `asked` says.
    pub fn take_looks(&mut self, asked: impl Fn(&Look) -> bool) -> Vec<Look> {
        let Some(under_way) = &mut self.under_way else {
            return Vec::new();
        };
        let looks = under_way.wishes.looks.iter_mut();
        looks
            .filter_map(|look| look.take_if(|look| asked(look)))
            .collect()
    }

    /// Redis didn't know the script, so it is as if the call had not been sent.
    pub fn unknown_script(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            under_way.sent -= 1;
        }
    }

    /// Whether a turn has no answer yet.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Tells those whose time is over that nobody knows.
    pub fn give_up(&mut self, now: Now) {
        if let Some(under_way) = &self.under_way {
            let publishes = &under_way.wishes.publishes;
            if publishes
                .iter()
                .any(|one| one.deadline_ms <= now.elapsed_ms)
            {
                nobody_knows(publishes);
            }
        }
    }
}

/// Whether Redis refused a part, and in which words.
fn is_refused(answer: Option<&[Reply]>, words: &mut Option<String>) -> bool {
    let is_refused = answer
        .and_then(<[Reply]>::first)
        .is_none_or(|word| word.text() == "refused");
    if is_refused {
        let said = answer.and_then(|answer| answer.get(1));
        *words = Some(said.map_or("", Reply::text).to_owned());
    }
    is_refused
}

/// A turn wasn't done, or nobody knows whether it was: its messages are told so, the rest is harmless to say again.
fn undone(wishes: Wishes, surely: bool, lane: &Mutex<Lane>) {
    if surely {
        for publish in &wishes.publishes {
            publish.ticket.tell(Err(AWAY));
        }
    } else {
        nobody_knows(&wishes.publishes);
    }
    lock(lane).put_back(wishes);
}
