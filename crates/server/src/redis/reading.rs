//! Reading the log: what comes of it goes into the tail, entry by entry, and from there to the shards.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;
use wshub_engine::redis::Mine;
use wshub_engine::redis::entry::{self, Entry, What};
use wshub_engine::redis::following::{Found, Next, Reached, print_of};
use wshub_engine::redis::mine::Join;
use wshub_hub::question::Question;
use wshub_hub::tail::Stamp;
use wshub_hub::{Now, Post, Tail};
use wshub_protocol::server_message::ResetReason;
use wshub_protocol::{Epoch, Offset};

use super::cluster::{Cluster, lock};
use super::session::Broken;
use crate::driver::Socket;

/// How long a read waits for something to come.
pub(super) const BLOCK: Duration = Duration::from_secs(1);
/// Entries read at once.
const READ: usize = 512;
/// Entries put into the tail while it is locked: some 50 µs.
const AT_ONCE: usize = 64;
/// How long nodes may take in a new life of the log to say anew who is in their rooms: as long as a lease, and a little.
const SAID_ANEW: Duration = Duration::from_secs(11);
/// How long a node waits whose shards are behind, before it looks again.
const BEHIND: Duration = Duration::from_millis(1);

/// A node's reading of the log.
pub(super) struct Reader {
    /// How far it is.
    pub(super) reached: Reached,
    /// Nothing was read yet: the first entry says where the log begins.
    is_new: bool,
    /// It reads what was said before the node came.
    pub(super) is_loading: bool,
    /// A gap was asked for once more.
    again: bool,
    /// It read that its node is no more.
    pub(super) is_dead: bool,
    /// When it is to be looked again who is in rooms.
    pub(super) looks_again: Option<Instant>,
    /// The log has begun another life: who is in rooms of this node is to be said anew.
    pub(super) is_reborn: bool,
    /// It has missed a part of the log, and what that said of who is in rooms.
    pub(super) is_behind: bool,
    /// What somebody else has put into the log stands where its next entry is to come: this life of it is over.
    pub(super) is_spoilt: bool,
}

/// What stands where an entry is taken in.
struct Place<'a> {
    cluster: &'a Cluster,
    tail: &'a mut Tail,
    mine: &'a mut Mine,
    now: Now,
    /// What Redis' clock shows: this node's may be wrong.
    redis_ms: u64,
}

impl Reader {
    /// A reading that begins with the first entry of the log's life.
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            reached: Reached {
                epoch,
                place: epoch.offset(1).place() - 1,
                print: None,
            },
            is_new: true,
            is_loading: true,
            again: false,
            is_dead: false,
            looks_again: None,
            is_reborn: false,
            is_behind: false,
            is_spoilt: false,
        }
    }

    /// Reads what has come, or comes within `block`; whether more stands there. A log that others write to all the time
    /// never ends, so a part that isn't full is its end.
    pub(super) async fn read(
        &mut self,
        cluster: &Cluster,
        connection: &mut MultiplexedConnection,
        log: &str,
        block: Option<Duration>,
    ) -> Result<bool, Broken> {
        while !Post::<Socket>::has_room(&*cluster.inboxes) {
            tokio::time::sleep(BEHIND).await;
        }
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(READ);
        if let Some(block) = block {
            command.arg("BLOCK").arg(block.as_millis() as u64);
        }
        let from = stream_id(self.reached.place);
        command.arg("STREAMS").arg(log).arg(from);
        let answer: Value = command.query_async(connection).await?;
        let entries = entries_of(&answer);
        let mut more = entries.len() == READ;
        for some in entries.chunks(AT_ONCE) {
            let goes_on = self.take_all(cluster, some);
            cluster.let_in();
            if !goes_on {
                more = true;
                break;
            }
        }
        Ok(more && !self.is_spoilt)
    }

    /// Takes entries in; `false` if the rest is to be read again.
    fn take_all(&mut self, cluster: &Cluster, entries: &[Value]) -> bool {
        let now = cluster.clock.now();
        let redis_ms = lock(&cluster.turns).redis_ms(now);
        let mut mine = lock(&cluster.mine);
        let mut tail = lock(&cluster.tail);
        let mut place = Place {
            cluster,
            tail: &mut tail,
            mine: &mut mine,
            now,
            redis_ms,
        };
        for raw in entries {
            let (id, text) = raw_of(raw);
            let Some(entry) = entry::read(id, text) else {
                cluster.unreadable.fetch_add(1, Ordering::Relaxed);
                self.is_spoilt = true;
                continue;
            };
            if !self.take(&mut place, entry, print_of(text)) {
                return false;
            }
        }
        true
    }

    fn take(&mut self, place: &mut Place<'_>, entry: Entry, print: u64) -> bool {
        let post = &*place.cluster.inboxes;
        let before = entry.place - 1;
        if self.is_new && entry.epoch == self.reached.epoch {
            self.is_new = false;
            if self.reached.place < before {
                self.reached.place = before;
                place.tail.start_from(entry.epoch, before);
            }
        }
        match self.reached.judge(&entry) {
            Next::Known => return true,
            Next::Follows => {}
            Next::Gap if !self.again => {
                self.again = true;
                return false;
            }
            Next::Gap => {
                if let Some(more) = place.cluster.may_tell("behind") {
                    let more = more.count();
                    tracing::warn!(
                        more,
                        "entries of the log are gone that this node hadn't read: all its clients are told to reload"
                    );
                }
                let reason = ResetReason::NodeBehind;
                let from = (entry.epoch, before);
                place.tail.go_on_from(place.now, from, reason, post);
                self.is_behind = true;
            }
            Next::OtherLife => {
                if let Some(more) = place.cluster.may_tell("other_life") {
                    let (epoch, more) = (entry.epoch, more.count());
                    tracing::warn!(%epoch, more, "the log has begun another life: all clients are told to reload");
                }
                let reason = ResetReason::LogLost;
                let from = (entry.epoch, before);
                place.tail.go_on_from(place.now, from, reason, post);
                self.is_reborn = true;
                self.looks_again = Some(Instant::now() + SAID_ANEW);
                self.is_spoilt = false;
            }
        }
        self.again = false;
        self.reached = Reached {
            epoch: entry.epoch,
            place: entry.place,
            print: Some(print),
        };
        self.apply(place, entry);
        true
    }

    fn apply(&mut self, place: &mut Place<'_>, entry: Entry) {
        let Place {
            cluster,
            tail,
            mine,
            now,
            redis_ms,
        } = place;
        let post = &*cluster.inboxes;
        let is_mine = |node| node == cluster.incarnation();
        let stamp = self.stamp(*now, *redis_ms, entry.unix_ms);
        let Some(What::Message(id, publication)) = entry.what else {
            tail.pass_over(stamp);
            match entry.what {
                Some(What::Members(node, changes)) => {
                    tail.change_members(node, &changes, post);
                    for change in changes.iter().filter(|_| is_mine(node)) {
                        for Join {
                            shard,
                            token,
                            joining,
                        } in mine.read(change)
                        {
                            tail.answer(shard, Question::Join(token, joining), post);
                        }
                    }
                }
                Some(What::EndOfNode(node)) => {
                    tail.end_node(node, post);
                    self.is_dead |= is_mine(node);
                }
                Some(What::Disconnect(user)) => tail.disconnect(user, post),
                Some(What::Canary(node, number)) if is_mine(node) => cluster.canary_is_back(number),
                Some(What::Canary(..) | What::Opening | What::Message(..)) => {}
                None => _ = cluster.unreadable.fetch_add(1, Ordering::Relaxed),
            }
            return;
        };
        tail.read_message(stamp, &id, *publication, post);
    }

    /// What was said before the node came is as old as Redis' clock says.
    fn stamp(&self, now: Now, redis_ms: u64, unix_ms: u64) -> Stamp {
        let age = if self.is_loading {
            redis_ms.saturating_sub(unix_ms)
        } else {
            0
        };
        Stamp {
            unix_seconds: unix_ms / 1000,
            at: Now {
                elapsed_ms: now.elapsed_ms.saturating_sub(age),
                ..now
            },
        }
    }
}

/// Looks at what the log still holds of what a node has read, where its book says that it ends at `end`.
pub(super) async fn look_at_log(
    log: &str,
    reached: &Reached,
    end: Option<u64>,
    commands: &mut MultiplexedConnection,
) -> Result<Found, Broken> {
    let id = stream_id(reached.place);
    let own: Value = redis::cmd("XRANGE")
        .arg(log)
        .arg(&id)
        .arg(&id)
        .query_async(commands)
        .await?;
    let first: Value = redis::cmd("XRANGE")
        .arg(log)
        .arg("-")
        .arg("+")
        .arg("COUNT")
        .arg(1)
        .query_async(commands)
        .await?;
    Ok(Found {
        end: reached.epoch.offset(end.unwrap_or(0)).place(),
        print: list_of(&own).first().map(|own| print_of(raw_of(own).1)),
        first: list_of(&first)
            .first()
            .map(raw_of)
            .and_then(|(id, text)| entry::read(id, text))
            .map(|entry| entry.place),
    })
}

/// A place as the Stream names it.
pub(super) fn stream_id(place: u64) -> String {
    // One before the first of a life ends with 0, which an offset leaves out.
    let Offset { major, minor } = Offset::at(place + 1);
    format!("{major}-{}", minor - 1)
}

/// The entries of an answer to XREAD of one Stream.
fn entries_of(answer: &Value) -> &[Value] {
    let stream = list_of(answer).first().map_or(&[][..], list_of);
    stream.get(1).map_or(&[], list_of)
}

/// The id of an entry and its text, as they stand in the Stream; empty where it has others.
pub(super) fn raw_of(entry: &Value) -> (&[u8], &[u8]) {
    match list_of(entry) {
        [Value::BulkString(id), fields] => match list_of(fields) {
            // A later format may have further fields.
            [_, Value::BulkString(text), ..] => (id, text),
            _ => (id, &[]),
        },
        _ => (&[], &[]),
    }
}

/// The parts of an answer that is a list.
pub(super) fn list_of(answer: &Value) -> &[Value] {
    match answer {
        Value::Array(list) => list,
        _ => &[],
    }
}
