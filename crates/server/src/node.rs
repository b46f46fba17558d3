//! What the parts of a node share, and what the front asks it.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wshub_engine::Engine;
use wshub_hub::session::SessionKey;
use wshub_hub::{Arrival, Counters, Item, Mode, Post, Tail, shard_of};
use wshub_protocol::{ErrorCode, SessionId, UserId};

use crate::api;
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::Socket;
use crate::front::{self, Answer, Compression, Handshake, Request, Service};
use crate::inbox::Inboxes;
use crate::redis::cluster::Cluster;

/// A node at work.
pub struct Node {
    /// What the operator decided.
    pub config: Config,
    /// What the node is for.
    pub mode: Mode,
    /// From where it can be reached.
    pub reached: Reached,
    /// Connections that may be open at once.
    pub most_connections: usize,
    /// The counters of each shard.
    pub shards: Vec<Arc<Counters>>,
    /// The counters of the front.
    pub front: Arc<front::Counters>,
    /// Sockets from the front's hand to their end.
    pub sockets: Arc<AtomicUsize>,
    /// The shards' inboxes.
    pub inboxes: Arc<Inboxes>,
    /// This node's tail of the log.
    pub tail: Arc<Mutex<Tail>>,
    /// Where publications go.
    pub engine: Arc<dyn Engine>,
    /// The cluster that the node is in, where it is in one.
    pub cluster: Option<Arc<Cluster>>,
    /// What makes the labels of sessions.
    pub sessions: Arc<Mutex<SessionKey>>,
    /// The time.
    pub clock: Clock,
    /// It is on its way to its end: balancers are to leave it out.
    pub draining: AtomicBool,
    /// It takes no new connections any more.
    pub closed: AtomicBool,
}

/// From where a node can be reached, which decides whose pages may speak to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// From this machine only.
    OnLoopback,
    /// By the name or the address that a request gives as its `Host`.
    ByItsName,
}

impl Node {
    /// Adds up one counter of all shards.
    pub fn sum(&self, counter: impl Fn(&Counters) -> u64) -> u64 {
        self.shards.iter().map(|shard| counter(shard)).sum()
    }

    /// Messages that were taken from publishers here, by [`Kind`](wshub_hub::message::Kind).
    #[must_use]
    pub fn accepted(&self) -> [u64; 3] {
        match &self.cluster {
            Some(cluster) => cluster.accepted(),
            None => self.tail().accepted(),
        }
    }

    /// Connections that were sent `connected` and aren't closing.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.sum(|shard| shard.clients.get())
    }

    /// The tail of the log, for a moment.
    pub fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is on its way to its end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether a page of the request's origin may speak to this node.
    #[must_use]
    pub fn may_speak(&self, request: &Request) -> bool {
        let on_loopback = self.reached == Reached::OnLoopback;
        let (origin, host) = (request.origin.as_deref(), request.host.as_deref());
        crate::origin::may_speak(origin, host, on_loopback, &self.config.auth.allowed_origins)
    }

    /// Whether compression may be agreed on.
    pub(crate) fn compression(&self) -> Compression {
        if self.config.compression.enabled {
            Compression::Offered
        } else {
            Compression::Declined
        }
    }

    /// Gives the socket of an upgrade to its user's shard, which writes `answer` before anything else.
    pub(crate) fn let_in(&self, socket: TcpStream, handshake: Handshake, answer: Vec<u8>) {
        let Handshake {
            request,
            upgrade,
            early,
        } = handshake;
        let user = upgrade
            .query
            .user_id
            .as_deref()
            .and_then(|user| UserId::parse(user).ok());
        let query = upgrade.query;
        let sessions = *self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match &user {
            Some(user) => sessions.label(user, fastrand::u64(..).to_ne_bytes()),
            None => SessionId(fastrand::u128(..).to_ne_bytes()),
        };
        let is_theirs = |label: &SessionId| {
            user.as_ref()
                .is_some_and(|user| sessions.is_of(user, label))
        };
        let handed = query.session_id.filter(is_theirs);
        let named = query.user_id.as_deref();
        tracing::debug!(peer = %request.peer, user = named, session = %session.text(), "connection");
        let shard = user
            .as_ref()
            .map_or(0, |user| shard_of(user.as_str(), self.shards.len()));
        let arrival = Arrival {
            socket: Socket::new(
                mio::net::TcpStream::from_std(socket),
                upgrade.deflate.is_some(),
            ),
            user,
            session,
            handed,
            after: query.after,
            acks: query.acks,
            deflate: upgrade.deflate,
            answer,
            rooms: query.rooms,
            early,
        };
        self.sockets.fetch_add(1, Ordering::Relaxed);
        self.inboxes.post(shard, Item::Connect(Box::new(arrival)));
    }
}

/// Told to pages of strangers.
pub(crate) const STRANGE_ORIGIN: &str = "pages of this origin may not speak to this node; its operator can add it to auth.allowed_origins";

impl Service for Node {
    fn socket_at(&self, path: &str) -> Option<Compression> {
        let here = self.mode == Mode::Echo || path == "/ws";
        here.then(|| self.compression())
    }

    fn admit(&self, request: &Request) -> Result<(), Answer> {
        if !self.may_speak(request) {
            return Err(Answer::error(ErrorCode::Forbidden, STRANGE_ORIGIN));
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(Answer::overloaded(
                "this node is stopping, connect to another one",
            ));
        }
        if self.sockets.load(Ordering::Relaxed) >= self.most_connections {
            return Err(Answer::overloaded(
                "this node has as many connections as it may, try again later",
            ));
        }
        Ok(())
    }

    fn upgrade(&self, socket: TcpStream, handshake: Handshake) {
        let answer = handshake.upgrade.response();
        self.let_in(socket, handshake, answer);
    }

    async fn answer(&self, request: Request) -> Answer {
        api::answer(self, request).await
    }
}
