//! A node from start to end: its shards, its front, and the signals that stop it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use mio::Poll;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use wshub_engine::{Engine, Memory};
use wshub_hub::dedupe::DedupeLimits;
use wshub_hub::queues::QueueLimits;
use wshub_hub::session::SessionKey;
use wshub_hub::slow::{Pattern, SlowPolicies, SlowPolicy};
use wshub_hub::tail::TailConfig;
use wshub_hub::{Counters, Limits, Mode, Shard, Tail};
use wshub_protocol::Epoch;

use crate::clock::Clock;
use crate::config::{self, Config, ListenAddress, Slow};
use crate::descriptors;
use crate::drain::{self, Farewell};
use crate::driver::Driver;
use crate::front::{self, FrontLimits};
use crate::inbox::Inboxes;
use crate::ledger::Ledger;
use crate::node::Node;
use crate::watch as watching;

/// Connections that the kernel may hold ready for us between two looks, in a storm of them.
const BACKLOG: u32 = 4096;
/// Threads of the front. It only reads heads and small bodies; the shards do the work.
const FRONT_THREADS: usize = 2;

/// A connection that was given no cursor for this long is told where the log is, in milliseconds, or after a quarter of
/// the retention where that is less: so the place it knows doesn't age out of the log.
const POSITION_MS: u64 = 30_000;

/// Runs a node in the foreground until SIGTERM or SIGINT, and drains it then. `descriptors` is how many files the process may open.
///
/// # Errors
/// When an address can't be listened on, or the system refuses a thread or a poll.
pub fn until_told(config: Config, mode: Mode, descriptors: usize) -> io::Result<Farewell> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let running = start(config, mode, descriptors)?;
        running.say_where();
        told(&mut terminate, &mut interrupt).await;
        tracing::info!(
            clients = running.node.clients(),
            "draining; a second signal ends at once"
        );
        running.drain(told(&mut terminate, &mut interrupt)).await
    })
}

async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(FRONT_THREADS)
        .thread_name("front")
        .enable_all()
        .build()
}

/// A node that was started.
pub struct Running {
    node: Arc<Node>,
    /// Where it listens, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    shards: Vec<JoinHandle<io::Result<()>>>,
    front: tokio::task::JoinHandle<io::Result<()>>,
    watch: tokio::task::JoinHandle<()>,
    stop_front: watch::Sender<bool>,
}

/// Starts a node on the current tokio runtime.
///
/// # Errors
/// When an address can't be listened on, or the system refuses a thread or a poll.
pub fn start(config: Config, mode: Mode, descriptors: usize) -> io::Result<Running> {
    let clock = Clock::start();
    let listeners = listen(config.listen.addresses())?;
    let addresses = listeners
        .iter()
        .map(tokio::net::TcpListener::local_addr)
        .collect::<io::Result<_>>()?;
    let polls = (0..config.shards)
        .map(|_| Poll::new())
        .collect::<io::Result<Vec<_>>>()?;
    let inbox_bytes = config.limits.inbox_bytes / config.shards;
    let counters: Vec<Arc<Counters>> = polls.iter().map(|_| Arc::default()).collect();
    let registries = polls.iter().map(Poll::registry);
    let shards = registries.zip(counters.iter().cloned());
    let inboxes = Arc::new(Inboxes::new(shards, inbox_bytes)?);
    let (tail, engine) = memory(&config, &inboxes);
    let most = descriptors::connections_below(descriptors);
    let node = Arc::new(Node {
        mode,
        most_connections: config
            .limits
            .connections
            .map_or(most, |limit| limit.min(most)),
        shards: counters,
        front: Arc::default(),
        sockets: Arc::default(),
        inboxes,
        tail,
        engine,
        sessions: SessionKey::new(fastrand::u128(..).to_ne_bytes()),
        clock,
        draining: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        config,
    });
    let shards = start_shards(&node, polls)?;
    let (stop_front, stopped) = watch::channel(false);
    let limits = front_limits(&node.config, descriptors);
    let front = tokio::spawn(front::serve(
        listeners,
        Arc::clone(&node),
        limits,
        Arc::clone(&node.front),
        stopped,
    ));
    let watch = tokio::spawn(watching::watch(Arc::clone(&node)));
    Ok(Running {
        node,
        addresses,
        shards,
        front,
        watch,
        stop_front,
    })
}

/// A log, queues and ids that end with the process.
fn memory(config: &Config, inboxes: &Arc<Inboxes>) -> (Arc<Mutex<Tail>>, Arc<dyn Engine>) {
    let tail = Arc::new(Mutex::new(Tail::new(TailConfig {
        epoch: Epoch {
            ordinal: 1,
            random: fastrand::u64(..),
        },
        shards: config.shards,
        retention_ms: config.log.retention.as_millis() as u64,
        bytes: config.log.bytes,
        seed: fastrand::u64(..),
    })));
    let engine: Arc<dyn Engine> = Arc::new(Memory::new(
        Arc::clone(&tail),
        Arc::clone(inboxes),
        DedupeLimits {
            window_ms: config.dedupe.window.as_millis() as u64,
            bytes: config.dedupe.bytes,
        },
        QueueLimits {
            messages: config.offline.messages,
            ttl_ms: config.offline.ttl.as_millis() as u64,
            user_bytes: config.offline.user_bytes,
            total_bytes: config.offline.total_bytes,
        },
        fastrand::u64(..),
    ));
    (tail, engine)
}

impl Running {
    /// Tells the person who started it where to look.
    fn say_where(&self) {
        for address in &self.addresses {
            match self.node.mode {
                Mode::Hub => println!("wshub: open http://{address}/ in a browser"),
                Mode::Echo => println!("wshub: echoing at ws://{address}/"),
            }
        }
    }

    /// Has all clients leave, each at its own moment, and ends; at once when `hurry` is over.
    ///
    /// # Errors
    /// When a part of the node had failed.
    pub async fn drain(self, hurry: impl Future<Output = ()>) -> io::Result<Farewell> {
        let Self {
            node,
            shards,
            front,
            watch,
            stop_front,
            ..
        } = self;
        let before = Ledger::of(&node);
        drain::drain(&node, hurry).await;
        stop_front.send_replace(true);
        let fronts_end = front.await;
        let shards_end = tokio::task::spawn_blocking(|| {
            shards.into_iter().map(JoinHandle::join).collect::<Vec<_>>()
        });
        for ended in shards_end.await? {
            ended.map_err(|_| io::Error::other("a shard panicked"))??;
        }
        watch.abort();
        watching::say(&node, &mut Default::default());
        fronts_end??;
        Ok(drain::farewell(&node, &before))
    }
}

fn start_shards(node: &Arc<Node>, polls: Vec<Poll>) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    let limits = shard_limits(&node.config);
    let mut threads = Vec::with_capacity(polls.len());
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
            tail: Arc::clone(&node.tail),
            engine: Arc::clone(&node.engine),
            sockets: Arc::clone(&node.sockets),
            clock: node.clock,
        };
        threads.push(
            thread::Builder::new()
                .name(format!("shard {number}"))
                .spawn(|| driver.run())?,
        );
    }
    Ok(threads)
}

/// Listens on every address; one that may fail is left out if it does.
fn listen(addresses: &[ListenAddress]) -> io::Result<Vec<tokio::net::TcpListener>> {
    let mut listeners = Vec::new();
    for ListenAddress { address, optional } in addresses {
        match listen_on(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if *optional => tracing::debug!(%address, %error, "not listening"),
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot listen on {address}: {error}"),
                ));
            }
        }
    }
    Ok(listeners)
}

fn listen_on(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn front_limits(config: &Config, descriptors: usize) -> FrontLimits {
    FrontLimits {
        handshake_timeout: config.limits.handshake_timeout,
        http_idle_timeout: config.limits.http_idle_timeout,
        ..FrontLimits::for_descriptors(descriptors)
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
