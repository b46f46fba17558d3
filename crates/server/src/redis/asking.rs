//! What nodes ask each other on the control channel: which connections a user has. Each answers for its own.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wshub_engine::redis::{node_name, node_of};
use wshub_hub::members::Incarnation;
use wshub_hub::message::{Describe, Description};
use wshub_hub::{Item, Post, shard_of};
use wshub_protocol::{RoomId, UserId};

use super::cluster::{Cluster, Peer, lock};

/// The most bytes of an answer; beyond them the rooms are left out.
const ANSWER_BYTES: usize = 1 << 20;
/// A node's name is no longer.
const NAME_BYTES: usize = 64;
/// Nodes that are believed to be there by their word alone.
const MOST_PEERS: usize = 1_000;
/// Questions that may be open at once.
const MOST_OPEN: usize = 1_000;

/// A connection, as its node tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The label of its session.
    pub session_id: String,
    /// The name of its node.
    pub node: String,
    /// When it came, in Unix seconds.
    pub since: u64,
    /// The rooms it is in.
    pub rooms: Vec<String>,
}

impl Told {
    /// A connection of the node that goes by `node`.
    #[must_use]
    pub fn of(node: &str, one: &Description) -> Self {
        Self {
            session_id: one.session.text(),
            node: node.to_owned(),
            since: one.since,
            rooms: one
                .rooms
                .iter()
                .map(RoomId::as_str)
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// What is said on the control channel.
#[derive(Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "lowercase")]
enum Said {
    /// Which connections has this user?
    Ask {
        to: String,
        number: u64,
        user: String,
    },
    /// These.
    Answer {
        to: String,
        number: u64,
        from: String,
        connections: Vec<Told>,
    },
    /// Somebody is there.
    Here {
        /// Which node.
        node: String,
        /// How it goes by.
        name: String,
    },
}

/// A node's questions that have no answer yet.
#[derive(Default)]
pub(super) struct Asking {
    last: u64,
    open: HashMap<u64, mpsc::UnboundedSender<(Incarnation, Vec<Told>)>>,
}

/// The answers to a question, as they come.
pub struct Answers {
    cluster: Arc<Cluster>,
    number: u64,
    answers: mpsc::UnboundedReceiver<(Incarnation, Vec<Told>)>,
    /// The nodes that are to answer, with their names.
    missing: HashMap<Incarnation, String>,
}

impl Answers {
    /// The next answer; none when all have answered.
    pub async fn next(&mut self) -> Option<Vec<Told>> {
        while !self.missing.is_empty() {
            let (node, connections) = self.answers.recv().await?;
            if self.missing.remove(&node).is_some() {
                return Some(connections);
            }
        }
        None
    }

    /// The names of the nodes that haven't answered.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut names: Vec<_> = self.missing.values().cloned().collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        lock(&self.cluster.asking).open.remove(&self.number);
    }
}

/// What a node says now and then, so that the others know that their channel is open.
pub(super) fn here(cluster: &Cluster) -> Vec<u8> {
    written(&Said::Here {
        node: node_name(cluster.incarnation()),
        name: cluster.name.clone(),
    })
}

fn written(said: &Said) -> Vec<u8> {
    serde_json::to_vec(said).expect("what is said is plain JSON")
}

impl Cluster {
    /// Asks all other nodes which connections a user has; none where too many ask.
    pub fn ask(self: &Arc<Self>, user: &UserId) -> Option<Answers> {
        let (tell, answers) = mpsc::unbounded_channel();
        let number = {
            let mut asking = lock(&self.asking);
            if asking.open.len() >= MOST_OPEN {
                return None;
            }
            asking.last += 1;
            let number = asking.last;
            asking.open.insert(number, tell);
            number
        };
        let mut missing = lock(&self.peers).clone();
        missing.remove(&self.incarnation());
        let question = Said::Ask {
            to: node_name(self.incarnation()),
            number,
            user: user.as_str().to_owned(),
        };
        lock(&self.lane).say(written(&question));
        self.wake.notify_one();
        Some(Answers {
            cluster: Arc::clone(self),
            number,
            answers,
            missing: missing
                .into_iter()
                .map(|(node, peer)| (node, peer.name))
                .collect(),
        })
    }

    /// Hears what was said; whether it made sense.
    pub(super) fn hear(self: &Arc<Self>, bytes: &[u8]) -> bool {
        match serde_json::from_slice(bytes) {
            Ok(Said::Ask { to, number, user }) => {
                let own = node_name(self.incarnation());
                match UserId::parse(&user) {
                    Ok(user) if to != own => self.answer(to, number, user),
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
            Ok(Said::Answer {
                to,
                number,
                from,
                connections,
            }) => {
                let is_mine = node_of(&to) == Some(self.incarnation());
                if let (true, Some(from)) = (is_mine, node_of(&from)) {
                    let asking = lock(&self.asking);
                    if let Some(tell) = asking.open.get(&number) {
                        // Who asked may just have given up.
                        let _ = tell.send((from, connections));
                    }
                }
            }
            Ok(Said::Here { node, name }) => {
                let Some(node) = node_of(&node) else {
                    return false;
                };
                // One that has just come is asked before its lease was seen. Once a second only leases count.
                let mut peers = lock(&self.peers);
                if peers.len() < MOST_PEERS && name.len() <= NAME_BYTES {
                    peers.entry(node).or_insert_with(|| Peer {
                        name,
                        ..Peer::default()
                    });
                }
            }
            Err(_) => return false,
        }
        true
    }

    fn answer(self: &Arc<Self>, to: String, number: u64, user: UserId) {
        let cluster = Arc::clone(self);
        let shard = shard_of(user.as_str(), self.shards);
        let tell = move |connections: Vec<Description>| {
            let told = connections.iter().map(|one| Told::of(&cluster.name, one));
            let mut answer = Said::Answer {
                to,
                number,
                from: node_name(cluster.incarnation()),
                connections: told.collect(),
            };
            let mut bytes = written(&answer);
            if let (true, Said::Answer { connections, .. }) =
                (bytes.len() > ANSWER_BYTES, &mut answer)
            {
                connections.iter_mut().for_each(|one| one.rooms.clear());
                bytes = written(&answer);
            }
            lock(&cluster.lane).say(bytes);
            cluster.wake.notify_one();
        };
        self.inboxes
            .post(shard, Item::Describe(user, Describe(Box::new(tell))));
    }
}
