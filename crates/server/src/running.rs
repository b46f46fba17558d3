//! A node between its start and its end: its shards and the watch over them. Who brings its connections is another's
//! affair: the program's front, or the program that it is embedded in.

use std::future::Future;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::Poll;
use wshub_hub::limits::ABSENT_MEMBERSHIPS;
use wshub_hub::session::SessionKey;
use wshub_hub::slow::{Pattern, SlowPolicies, SlowPolicy};
use wshub_hub::{Counters, Limits, Mode, Shard};

use crate::clock::Clock;
use crate::config::{self, Config, Slow};
use crate::descriptors;
use crate::drain::{self, Farewell};
use crate::driver::Driver;
use crate::inbox::{Inboxes, Order};
use crate::ledger::Ledger;
use crate::log::Log;
use crate::node::{Node, Reached};
use crate::redis::session::Session;
use crate::watch as watching;

/// A connection that was given no cursor for this long is told where the log is, in milliseconds, or after a quarter of
/// the retention where that is less: so the place it knows doesn't age out of the log.
const POSITION_MS: u64 = 30_000;

/// How long the end of a node waits for Redis to take the last receipts.
const SETTLE: Duration = Duration::from_secs(2);

/// A node that was started.
pub struct Running {
    node: Arc<Node>,
    shards: Shards,
    watch: tokio::task::JoinHandle<()>,
    /// What is to deal with Redis.
    session: Option<Session>,
    /// What deals with it.
    dealings: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Starts a node on the current tokio runtime. `descriptors` is how many files the process may open.
    ///
    /// # Errors
    /// When the system refuses a thread or a poll.
    pub fn start(
        config: Config,
        mode: Mode,
        reached: Reached,
        descriptors: usize,
    ) -> io::Result<Self> {
        let clock = Clock::start();
        let polls = (0..config.shards)
            .map(|_| Poll::new())
            .collect::<io::Result<Vec<_>>>()?;
        let inbox_bytes = config.limits.inbox_bytes / config.shards;
        let counters: Vec<Arc<Counters>> = polls.iter().map(|_| Arc::default()).collect();
        let registries = polls.iter().map(Poll::registry);
        let shards = registries.zip(counters.iter().cloned());
        let inboxes = Arc::new(Inboxes::new(shards, inbox_bytes)?);
        let sessions = SessionKey::new(fastrand::u128(..).to_ne_bytes());
        let sessions = Arc::new(Mutex::new(sessions));
        let log = Log::of(&config, &inboxes, clock, &sessions);
        let most = descriptors::connections_below(descriptors);
        let node = Arc::new(Node {
            mode,
            reached,
            most_connections: config
                .limits
                .connections
                .map_or(most, |limit| limit.min(most)),
            shards: counters,
            front: Arc::default(),
            sockets: Arc::default(),
            inboxes,
            tail: log.tail,
            engine: log.engine,
            cluster: log.cluster,
            sessions,
            clock,
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            config,
        });
        let shards = Shards::start(&node, polls)?;
        let watch = tokio::spawn(watching::watch(Arc::clone(&node)));
        Ok(Self {
            node,
            shards,
            watch,
            session: log.session,
            dealings: None,
        })
    }

    /// Deals with Redis from now on, where the log is there: it is reached and the log is loaded before this ends,
    /// unless the node may do without.
    ///
    /// # Errors
    /// Redis is needed and can't be used.
    pub async fn meet_redis(&mut self) -> io::Result<()> {
        let Some(mut session) = self.session.take() else {
            return Ok(());
        };
        let connected = match session.start().await {
            Ok(connected) => Some(connected),
            Err(broken) if self.node.config.redis.required => {
                return Err(io::Error::other(broken.to_string()));
            }
            Err(broken) => {
                tracing::warn!("starting without Redis: {broken}");
                None
            }
        };
        self.dealings = Some(tokio::spawn(session.run(connected)));
        Ok(())
    }

    /// Deals with Redis from now on, where the log is there; until it is reached the log is away.
    pub fn look_for_redis(&mut self) {
        if let Some(session) = self.session.take() {
            self.dealings = Some(tokio::spawn(session.run(None)));
        }
    }

    /// What its parts share.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Has all clients leave, each at its own moment, and ends; at once when `hurry` is over. `door` ends what brings
    /// connections, once nobody is to come any more.
    ///
    /// # Errors
    /// When a part of the node, or the door, had failed.
    pub async fn end(
        self,
        hurry: impl Future<Output = ()>,
        door: impl Future<Output = io::Result<()>>,
    ) -> io::Result<Farewell> {
        let Self {
            node,
            shards,
            watch,
            dealings,
            session: _,
        } = self;
        let before = Ledger::of(&node);
        drain::drain(&node, hurry).await;
        let door = door.await;
        shards.join().await?;
        watch.abort();
        if let Some(dealings) = dealings {
            if let Some(cluster) = &node.cluster {
                cluster.settle(SETTLE).await;
            }
            dealings.abort();
        }
        watching::say(&node, &mut Default::default());
        door?;
        Ok(drain::farewell(&node, &before))
    }
}

/// The threads of a node's shards. They end with it: whoever lets go of it without an end to wait for has told them so.
struct Shards {
    threads: Vec<JoinHandle<io::Result<()>>>,
    inboxes: Arc<Inboxes>,
}

impl Shards {
    fn start(node: &Arc<Node>, polls: Vec<Poll>) -> io::Result<Self> {
        let limits = shard_limits(&node.config);
        let mut shards = Self {
            threads: Vec::with_capacity(polls.len()),
            inboxes: Arc::clone(&node.inboxes),
        };
        for (number, poll) in polls.into_iter().enumerate() {
            let counters = Arc::clone(&node.shards[number]);
            let name = &node.config.node;
            let driver = Driver {
                number,
                shard: Shard::new(
                    limits.clone(),
                    node.mode,
                    name,
                    counters,
                    fastrand::u64(..),
                    node.clock.now(),
                ),
                poll,
                inboxes: Arc::clone(&node.inboxes),
                engine: Arc::clone(&node.engine),
                sockets: Arc::clone(&node.sockets),
                clock: node.clock,
            };
            shards.threads.push(
                thread::Builder::new()
                    .name(format!("shard {number}"))
                    .spawn(|| driver.run())?,
            );
        }
        Ok(shards)
    }

    /// Waits until all have ended, which they were told to.
    async fn join(mut self) -> io::Result<()> {
        let threads = std::mem::take(&mut self.threads);
        let ends = tokio::task::spawn_blocking(|| {
            threads
                .into_iter()
                .map(JoinHandle::join)
                .collect::<Vec<_>>()
        });
        for ended in ends.await? {
            ended.map_err(|_| io::Error::other("a shard panicked"))??;
        }
        Ok(())
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.inboxes
            .give(Order::Stop(drain::AT_ONCE.as_millis() as u32));
    }
}

/// A shard's part of the node's limits.
fn shard_limits(config: &Config) -> Limits {
    Limits {
        message_bytes: config.limits.message_bytes,
        queue_messages: config.limits.queue_messages as u32,
        queue_bytes: config.limits.queue_bytes,
        slow: slow_policies(&config.slow),
        outbox_bytes: config.limits.outbox_total_bytes / config.shards,
        partial_bytes: config.limits.partial_bytes / config.shards,
        connections_per_user: config.limits.connections_per_user as u32,
        rooms_per_connection: config.limits.rooms_per_connection as u32,
        absent_memberships: ABSENT_MEMBERSHIPS,
        heartbeat_interval_ms: config.heartbeat.interval.as_millis() as u64,
        heartbeat_timeout_ms: config.heartbeat.timeout.as_millis() as u64,
        write_timeout_ms: config.limits.write_timeout.as_millis() as u64,
        position_after_ms: (config.log.retention.as_millis() as u64 / 4).min(POSITION_MS),
        unreceived_messages: config.offline.messages,
        compress_from_bytes: config.compression.threshold,
    }
}

fn slow_policies(slow: &Slow) -> SlowPolicies {
    let policy = |policy| match policy {
        config::SlowPolicy::Disconnect => SlowPolicy::Disconnect,
        config::SlowPolicy::Drop => SlowPolicy::Drop,
        config::SlowPolicy::Latest => SlowPolicy::Latest,
    };
    let rooms = slow.room.iter();
    SlowPolicies {
        general: policy(slow.policy),
        rooms: rooms
            .map(|room| (Pattern::new(&room.pattern), policy(room.policy)))
            .collect(),
    }
}
