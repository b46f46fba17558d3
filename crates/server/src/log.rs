//! Where a node's log lives, with its queues and ids: in the process, or in Redis.

use std::sync::{Arc, Mutex};

use wshub_engine::redis::Keys;
use wshub_engine::redis::turn::Terms;
use wshub_engine::{Engine, Memory};
use wshub_hub::Tail;
use wshub_hub::dedupe::DedupeLimits;
use wshub_hub::queues::QueueLimits;
use wshub_hub::session::SessionKey;
use wshub_hub::tail::TailConfig;
use wshub_protocol::{Epoch, Offset};

use crate::clock::Clock;
use crate::config::Config;
use crate::inbox::Inboxes;
use crate::redis::cluster::Cluster;
use crate::redis::opening::RedisSource;
use crate::redis::session::Session;

/// A node's log.
pub(crate) struct Log {
    /// What the node has read of it.
    pub(crate) tail: Arc<Mutex<Tail>>,
    /// The way into it.
    pub(crate) engine: Arc<dyn Engine>,
    /// The cluster, if it lives in Redis.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// What is to deal with Redis, if it lives there.
    pub(crate) session: Option<Session>,
}

impl Log {
    /// The log that a configuration names. `sessions` is what makes the labels of sessions, which all nodes share.
    pub(crate) fn of(
        config: &Config,
        inboxes: &Arc<Inboxes>,
        clock: Clock,
        sessions: &Arc<Mutex<SessionKey>>,
    ) -> Self {
        match RedisSource::of(config) {
            Some(source) => in_redis(config, source, inboxes, clock, sessions),
            None => in_memory(config, inboxes),
        }
    }
}

/// A log, queues and ids in Redis.
fn in_redis(
    config: &Config,
    source: RedisSource,
    inboxes: &Arc<Inboxes>,
    clock: Clock,
    sessions: &Arc<Mutex<SessionKey>>,
) -> Log {
    let first = Offset { major: 1, minor: 1 };
    let tail = tail_of(config, first.place() - 1);
    let keys = Keys::new(&config.redis.prefix);
    let terms = Terms {
        keys: keys.clone(),
        queues: queue_limits(config),
        id_ms: config.dedupe.window.as_millis() as u64,
        id_bytes: config.dedupe.bytes,
        message_bytes: config.limits.message_bytes,
    };
    let cluster = Arc::new(Cluster::new(
        Arc::clone(&tail),
        Arc::clone(inboxes),
        clock,
        terms,
        (&config.node, config.shards),
        fastrand::u64(1..),
        fastrand::u64(..),
    ));
    let session = Session::new(Arc::clone(&cluster), source, keys, Arc::clone(sessions));
    Log {
        tail,
        engine: Arc::clone(&cluster) as Arc<dyn Engine>,
        cluster: Some(cluster),
        session: Some(session),
    }
}

/// A log, queues and ids that end with the process.
fn in_memory(config: &Config, inboxes: &Arc<Inboxes>) -> Log {
    let tail = tail_of(config, 0);
    let engine: Arc<dyn Engine> = Arc::new(Memory::new(
        Arc::clone(&tail),
        Arc::clone(inboxes),
        DedupeLimits {
            window_ms: config.dedupe.window.as_millis() as u64,
            bytes: config.dedupe.bytes,
        },
        queue_limits(config),
        fastrand::u64(..),
    ));
    Log {
        tail,
        engine,
        cluster: None,
        session: None,
    }
}

fn tail_of(config: &Config, origin: u64) -> Arc<Mutex<Tail>> {
    Arc::new(Mutex::new(Tail::new(TailConfig {
        epoch: Epoch {
            ordinal: 1,
            random: fastrand::u64(..),
        },
        origin,
        shards: config.shards,
        retention_ms: config.log.retention.as_millis() as u64,
        bytes: config.log.bytes,
        seed: fastrand::u64(..),
    })))
}

fn queue_limits(config: &Config) -> QueueLimits {
    QueueLimits {
        messages: config.offline.messages,
        ttl_ms: config.offline.ttl.as_millis() as u64,
        user_bytes: config.offline.user_bytes,
        total_bytes: config.offline.total_bytes,
    }
}
