//! What a node says of itself once a second, so that the others know that it lives; and what one of them does for all: it
//! has the log say which nodes are no more.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};
use tokio::time::{Instant, MissedTickBehavior, interval};
use wshub_engine::redis::turn::Terms;
use wshub_engine::redis::{Keys, SWEEP, entry, node_name};
use wshub_hub::members::Incarnation;

use super::asking;
use super::cluster::{Cluster, lock};
use super::members::node_named;
use super::session::Broken;

/// How long a node counts as alive that says nothing.
const LEASE: Duration = Duration::from_secs(10);
/// How often it says something.
const RENEW: Duration = Duration::from_secs(1);
/// How long it is known who was in its rooms.
const FACTS: Duration = Duration::from_secs(600);
/// A canary is sent each so many renewals.
const CANARY: u32 = 2;
/// Queues swept at once.
const SWEPT: usize = 200;
/// What an id takes in Redis, in bytes: its key, a small Hash, and what expires it.
const ID_BYTES: usize = 256;
const MINUTE_MS: u64 = 60_000;
/// A canary that takes longer than this will not come back.
const CANARY_MS: u64 = 3_000;

/// A node's leases.
pub(super) struct Leases {
    keys: Keys,
    /// The node stands in the book of nodes.
    is_registered: bool,
    canaries: u64,
}

impl Leases {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            is_registered: false,
            canaries: 0,
        }
    }

    /// The node is another one, which nobody knows yet.
    pub(super) fn forget(&mut self) {
        self.is_registered = false;
    }

    /// Takes out of the book what this node was before: it isn't to be counted twice.
    pub(super) async fn retire(
        &self,
        node: Incarnation,
        commands: &mut MultiplexedConnection,
    ) -> Result<(), Broken> {
        let name = node_name(node);
        let mut retiring = redis::pipe();
        retiring.cmd("HDEL").arg(self.keys.nodes()).arg(&name);
        retiring.cmd("UNLINK").arg(self.keys.lease(&name));
        Ok(retiring.ignore().query_async(commands).await?)
    }

    /// Says that the node lives; whether the others think so, too.
    pub(super) async fn renew(
        &mut self,
        cluster: &Cluster,
        commands: &mut MultiplexedConnection,
    ) -> Result<bool, Broken> {
        let node = node_name(cluster.incarnation());
        let report = cluster.own_report();
        let report_text = serde_json::to_string(&report).unwrap_or_default();
        let (lease, lease_ms) = (self.keys.lease(&node), LEASE.as_millis() as u64);
        let mut renewing = redis::pipe();
        let registering = renewing.cmd("HSET").arg(self.keys.nodes());
        registering.arg(&node).arg(&report.name);
        // Takes no memory, so that a node whose Redis is full lives on.
        renewing.cmd("PEXPIRE").arg(&lease).arg(lease_ms);
        let telling = renewing.cmd("SET").arg(&lease).arg(&report_text);
        telling.arg("PX").arg(lease_ms);
        let knowing = renewing.cmd("PEXPIRE").arg(self.keys.members(&node));
        knowing.arg(FACTS.as_millis() as u64);
        let answers = ask_for_all(&renewing, commands).await?;
        let Some(registered) = answers.into_iter().next().flatten() else {
            // Nobody is told of a death by a log that takes nothing.
            return Ok(true);
        };
        let was_registered = std::mem::replace(&mut self.is_registered, true);
        Ok(registered != Value::Int(1) || !was_registered)
    }

    /// Goes on saying so until something breaks.
    pub(super) async fn keep(
        &mut self,
        cluster: &Cluster,
        mut commands: MultiplexedConnection,
    ) -> Broken {
        let mut ticks = interval(RENEW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Only who has watched leases for as long as one lasts takes one that is gone for a death: when Redis was away, or
        // this node slept, others may only not have come to renew theirs.
        let (mut watches_since, mut looked) = (Instant::now(), Instant::now());
        // The canary of an earlier connection will not come back.
        *lock(&cluster.canary) = (0, 0);
        let mut tick = 0;
        loop {
            ticks.tick().await;
            if looked.elapsed() > LEASE / 2 {
                watches_since = Instant::now();
            }
            looked = Instant::now();
            let kept = async {
                if !self.renew(cluster, &mut commands).await? {
                    return Err(Broken("the other nodes took this one for dead".to_owned()));
                }
                let dead = self.look_around(cluster, &mut commands).await?;
                let reaps = self.is_reaper(cluster, &mut commands).await?;
                self.look_into_book(cluster, &mut commands, reaps).await?;
                if reaps && watches_since.elapsed() > LEASE {
                    // The script looks at each lease once more.
                    tell_dead(&dead);
                    dead.into_iter()
                        .for_each(|node| lock(&cluster.lane).end_node(node));
                    self.sweep(cluster, &mut commands).await?;
                }
                lock(&cluster.lane).say(asking::here(cluster));
                cluster.wake.notify_one();
                Ok(())
            };
            if let Err(broken) = kept.await {
                return broken;
            }
            if let Err(broken) = self.send_canary(cluster, tick) {
                return broken;
            }
            tick += 1;
        }
    }

    /// Counts what has expired in queues, and empties some if all together are too large.
    async fn sweep(
        &self,
        cluster: &Cluster,
        commands: &mut MultiplexedConnection,
    ) -> Result<(), Broken> {
        let (terms, now_ms) = terms_now(cluster);
        let index = self.keys.queues();
        let is_full = lock(&cluster.held).1 > terms.queues.total_bytes;
        let users: Vec<String> = if is_full {
            let mut oldest = redis::cmd("ZRANGE");
            oldest.arg(&index).arg(0).arg(SWEPT - 1);
            oldest.query_async(commands).await?
        } else {
            let until = now_ms.saturating_sub(terms.queues.ttl_ms);
            let mut old = redis::cmd("ZRANGEBYSCORE");
            old.arg(&index)
                .arg("-inf")
                .arg(until)
                .arg("LIMIT")
                .arg(0)
                .arg(SWEPT);
            old.query_async(commands).await?
        };
        if users.is_empty() {
            return Ok(());
        }
        let mut sweep = redis::cmd("EVAL");
        sweep
            .arg(SWEEP)
            .arg(2 + 2 * users.len())
            .arg(&index)
            .arg(self.keys.meta());
        for user in &users {
            sweep
                .arg(self.keys.queue(user))
                .arg(self.keys.account(user));
        }
        sweep
            .arg(terms.queues.ttl_ms)
            .arg(if is_full { "full" } else { "expired" });
        sweep.arg(&users);
        let (expired, emptied) = sweep.query_async(commands).await?;
        lock(&cluster.turns).swept(expired, emptied);
        Ok(())
    }

    /// Finds out what Redis holds for all; whoever reaps says whether further ids have room.
    async fn look_into_book(
        &self,
        cluster: &Cluster,
        commands: &mut MultiplexedConnection,
        reaps: bool,
    ) -> Result<(), Broken> {
        let book: Vec<(Vec<u8>, Vec<u8>)> = redis::cmd("HGETALL")
            .arg(self.keys.meta())
            .query_async(commands)
            .await?;
        let text = |bytes| String::from_utf8(bytes).ok();
        let book = book.into_iter();
        let book: HashMap<_, _> = book
            .filter_map(|(name, said)| Some((text(name)?, text(said)?)))
            .collect();
        let number = |name: &str| book.get(name).and_then(|text| text.parse::<i64>().ok());
        let (terms, now_ms) = terms_now(cluster);
        let first = now_ms.saturating_sub(terms.id_ms) / MINUTE_MS;
        let minutes = book.keys().filter_map(|name| {
            let minute = name.strip_prefix("ids:")?.parse::<u64>().ok()?;
            Some((name, minute))
        });
        let (known, past): (Vec<_>, Vec<_>) = minutes.partition(|(_, minute)| *minute >= first);
        let ids = known.iter().filter_map(|(name, _)| number(name));
        let ids = ids.fold(0, i64::saturating_add);
        let ids = usize::try_from(ids).unwrap_or(0);
        let id_bytes = ids.saturating_mul(ID_BYTES);
        let queued_bytes = usize::try_from(number("queued").unwrap_or(0)).unwrap_or(0);
        *lock(&cluster.held) = ((ids, id_bytes), queued_bytes);
        if reaps {
            let is_full = id_bytes >= terms.id_bytes;
            let mut telling = redis::pipe();
            for (name, _) in past {
                telling.cmd("HDEL").arg(self.keys.meta()).arg(name);
            }
            let meta = telling.cmd("HSET").arg(self.keys.meta());
            meta.arg("ids_full").arg(u8::from(is_full));
            ask_for_all(&telling, commands).await?;
        }
        Ok(())
    }

    /// Has the log take something that is to come back.
    fn send_canary(&mut self, cluster: &Cluster, tick: u32) -> Result<(), Broken> {
        let now_ms = cluster.clock.now().elapsed_ms;
        let mut canary = lock(&cluster.canary);
        let (number, sent_ms) = *canary;
        if number != 0 {
            if now_ms.saturating_sub(sent_ms) > CANARY_MS {
                return Err(Broken("what its log takes does not come back".to_owned()));
            }
            return Ok(());
        }
        if tick.is_multiple_of(CANARY) {
            self.canaries += 1;
            *canary = (self.canaries, now_ms);
            drop(canary);
            let head = entry::canary_head(cluster.incarnation(), self.canaries);
            lock(&cluster.lane).control(head);
            cluster.wake.notify_one();
        }
        Ok(())
    }

    /// Whether it falls to this node to look for the dead.
    async fn is_reaper(
        &self,
        cluster: &Cluster,
        commands: &mut MultiplexedConnection,
    ) -> Result<bool, Broken> {
        let (key, node) = (self.keys.reaper(), node_name(cluster.incarnation()));
        let lease = LEASE.as_millis() as u64;
        let mut taking = redis::pipe();
        let claim = taking.cmd("SET").arg(&key).arg(&node);
        claim.arg("NX").arg("PX").arg(lease);
        taking.cmd("GET").arg(&key);
        let holder = ask_for_all(&taking, commands).await?.pop().flatten();
        let is_reaper = holder == Some(Value::BulkString(node.into_bytes()));
        if is_reaper {
            let () = redis::cmd("PEXPIRE")
                .arg(&key)
                .arg(lease)
                .query_async(commands)
                .await?;
        }
        Ok(is_reaper)
    }

    /// Finds out which nodes live, and which are known but don't.
    async fn look_around(
        &self,
        cluster: &Cluster,
        commands: &mut MultiplexedConnection,
    ) -> Result<Vec<Incarnation>, Broken> {
        let known: Vec<Vec<u8>> = redis::cmd("HKEYS")
            .arg(self.keys.nodes())
            .query_async(commands)
            .await?;
        let mut nodes: Vec<_> = known.iter().filter_map(|name| node_named(name)).collect();
        nodes.extend(lock(&cluster.tail).nodes_with_members());
        nodes.sort_unstable();
        nodes.dedup();
        let mut asking = redis::cmd("MGET");
        // There is always one to ask for, also where no node stands in the book.
        asking.arg(self.keys.lease(&node_name(cluster.incarnation())));
        for &node in &nodes {
            asking.arg(self.keys.lease(&node_name(node)));
        }
        let leases: Vec<Option<Vec<u8>>> = asking.query_async(commands).await?;
        let (mut peers, mut dead) = (HashMap::new(), Vec::new());
        for (node, lease) in nodes.into_iter().zip(leases.into_iter().skip(1)) {
            match lease {
                Some(report) => {
                    _ = peers.insert(node, serde_json::from_slice(&report).unwrap_or_default())
                }
                None => dead.push(node),
            }
        }
        *lock(&cluster.peers) = peers;
        Ok(dead)
    }
}

/// What is the same in all turns, and what Redis' clock shows.
fn terms_now(cluster: &Cluster) -> (Terms, u64) {
    let turns = lock(&cluster.turns);
    (turns.terms().clone(), turns.redis_ms(cluster.clock.now()))
}

/// Asks all of it; there is none in place of what a Redis without memory refuses.
async fn ask_for_all(
    questions: &Pipeline,
    commands: &mut MultiplexedConnection,
) -> Result<Vec<Option<Value>>, Broken> {
    let mut questions = questions.clone();
    let asking = questions.ignore_errors().query_async(commands);
    let answers: Vec<RedisResult<Value>> = asking.await?;
    let taken = answers.into_iter().map(|answer| match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Some("OOM") => Ok(None),
        Err(error) => Err(error.into()),
    });
    taken.collect()
}

/// One line for all: anybody who writes to Redis can name thousands.
fn tell_dead(nodes: &[Incarnation]) {
    if let Some((&first, others)) = nodes.split_first() {
        let more = Some(others.len()).filter(|&more| more > 0);
        tracing::warn!(
            node = node_name(first),
            more,
            "a node of the cluster is no more"
        );
    }
}
