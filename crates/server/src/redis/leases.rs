//! What a node says of itself once a second, so that the others know that it lives; and what one of them does for all: it
//! has the log say which nodes are no more.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, MissedTickBehavior, interval};
use wshub_engine::redis::{Keys, entry, node_name, node_of};
use wshub_hub::members::Incarnation;

use super::asking;
use super::cluster::{Cluster, lock};
use super::session::Broken;

/// How long a node counts as alive that says nothing.
const LEASE: Duration = Duration::from_secs(10);
/// How often it says something.
const RENEW: Duration = Duration::from_secs(1);
/// How long it is known who was in its rooms.
const FACTS: Duration = Duration::from_secs(600);
/// A canary is sent each so many renewals.
const CANARY: u32 = 2;
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

    /// Says that the node lives; whether the others think so, too.
    pub(super) async fn renew(
        &mut self,
        cluster: &Cluster,
        commands: &mut MultiplexedConnection,
    ) -> Result<bool, Broken> {
        let node = node_name(cluster.incarnation());
        let report = cluster.own_report();
        let report_text = serde_json::to_string(&report).unwrap_or_default();
        let (is_new,): (u64,) = redis::pipe()
            .cmd("HSET")
            .arg(self.keys.nodes())
            .arg(&node)
            .arg(&report.name)
            .cmd("SET")
            .arg(self.keys.lease(&node))
            .arg(&report_text)
            .arg("PX")
            .arg(LEASE.as_millis() as u64)
            .ignore()
            .cmd("PEXPIRE")
            .arg(self.keys.members(&node))
            .arg(FACTS.as_millis() as u64)
            .ignore()
            .query_async(commands)
            .await?;
        let was_registered = std::mem::replace(&mut self.is_registered, true);
        Ok(is_new == 0 || !was_registered)
    }

    /// Goes on saying so until something breaks.
    pub(super) async fn keep(
        &mut self,
        cluster: &Cluster,
        mut commands: MultiplexedConnection,
    ) -> Broken {
        let mut ticks = interval(RENEW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reaps_since = None;
        // The canary of an earlier connection will not come back.
        *lock(&cluster.canary) = (0, 0);
        let mut tick = 0;
        loop {
            ticks.tick().await;
            let kept = async {
                if !self.renew(cluster, &mut commands).await? {
                    return Err(Broken("the other nodes took this one for dead".to_owned()));
                }
                let dead = self.look_around(cluster, &mut commands).await?;
                if !self.is_reaper(cluster, &mut commands).await? {
                    reaps_since = None;
                } else if reaps_since.get_or_insert_with(Instant::now).elapsed() > LEASE {
                    // The script looks at each lease once more.
                    for node in dead {
                        tracing::warn!(node = node_name(node), "a node of the cluster is no more");
                        lock(&cluster.lane).end_node(node);
                    }
                }
                lock(&cluster.lane).say(asking::here());
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
        if tick % CANARY == 0 {
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
        let (holder,): (Option<String>,) = redis::pipe()
            .cmd("SET")
            .arg(&key)
            .arg(&node)
            .arg("NX")
            .arg("PX")
            .arg(lease)
            .ignore()
            .cmd("GET")
            .arg(&key)
            .query_async(commands)
            .await?;
        let is_reaper = holder.as_deref() == Some(&*node);
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
        let known: Vec<String> = redis::cmd("HKEYS")
            .arg(self.keys.nodes())
            .query_async(commands)
            .await?;
        let mut nodes: Vec<_> = known.iter().filter_map(|name| node_of(name)).collect();
        nodes.extend(lock(&cluster.tail).nodes_with_members());
        nodes.sort_unstable();
        nodes.dedup();
        let mut asking = redis::cmd("MGET");
        asking.arg(self.keys.lease(&node_name(cluster.incarnation())));
        for &node in &nodes {
            asking.arg(self.keys.lease(&node_name(node)));
        }
        let leases: Vec<Option<String>> = asking.query_async(commands).await?;
        let (mut peers, mut dead) = (HashMap::new(), Vec::new());
        for (node, lease) in nodes.into_iter().zip(leases.into_iter().skip(1)) {
            match lease {
                Some(report) => {
                    _ = peers.insert(node, serde_json::from_str(&report).unwrap_or_default())
                }
                None => dead.push(node),
            }
        }
        *lock(&cluster.peers) = peers;
        Ok(dead)
    }
}
