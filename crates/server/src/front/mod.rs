//! The front: accepts connections, reads HTTP requests within bounds, has them answered, and hands
//! the socket of an upgrade to its shard. The only part of the server that is async.
//!
//! The wire is read by the front itself rather than by an HTTP library; docs/decisions/0003 says why.

mod accept;
mod allowance;
mod answer;
mod at_once;
mod body;
mod connection;
mod counters;
mod crowd;
mod elsewhere;
mod limits;
mod reader;
mod request;
mod run;
mod scratch;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use wshub_protocol::upgrade::Upgrade;

use accept::{Doors, Knock, say_last};
pub use answer::{Answer, JSON};
use connection::Connection;
pub use counters::Counters;
use crowd::Crowd;
pub(crate) use elsewhere::check as check_elsewhere;
pub use limits::FrontLimits;
use reader::{Bounds, Reader, Step, Waiting};
pub use request::{Method, Request};

/// How many connections are accepted before the front looks at anything else.
const ACCEPTS_PER_TURN: usize = 64;

/// How long the front leaves the listeners alone when `accept` fails: the cause (no descriptor, no
/// memory) lasts, and the listener would be ready again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What stands behind the front.
pub trait Service: Send + Sync + 'static {
    /// Whether a `GET` for this path is a WebSocket upgrade and nothing else, and if so, whether
    /// compression may be negotiated.
    fn socket_at(&self, path: &str) -> Option<Compression>;

    /// Whether this upgrade may happen now; the error is sent instead, and the connection closes.
    /// It is asked at least once before [`Service::upgrade`].
    ///
    /// # Errors
    /// The answer to an upgrade that is not admitted: its origin is a stranger's, the node drains.
    fn admit(&self, request: &Request) -> Result<(), Answer>;

    /// Takes the socket of an upgrade: non-blocking, registered nowhere, `TCP_NODELAY` set. The 101
    /// has not been written. Called on the front's own threads, so it must not block.
    fn upgrade(&self, socket: TcpStream, handshake: Handshake);

    /// Answers a complete request.
    ///
    /// Requests with one method that came together on one connection are all begun (polled once),
    /// in their order, before the first is waited for; their answers leave in that order too. What
    /// must keep the order of the requests must thus be done before the future first waits. When
    /// the front is shut down the future may be dropped.
    fn answer(&self, request: Request) -> impl Future<Output = Answer> + Send;
}

/// Whether permessage-deflate is accepted where it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// It is.
    Offered,
    /// It is not.
    Declined,
}

/// A well-formed upgrade that was admitted.
#[derive(Debug)]
pub struct Handshake {
    /// The request, with its query, identity and origin.
    pub request: Request,
    /// What was negotiated; it knows the bytes of the 101.
    pub upgrade: Upgrade,
    /// What the client sent behind its head: usually nothing, else the start of its frames.
    pub early: Vec<u8>,
}

/// What all connections of a front share.
struct Shared<S> {
    service: Arc<S>,
    limits: FrontLimits,
    counters: Arc<Counters>,
    bounds: Arc<Bounds>,
    crowd: Crowd,
}

/// Serves the listeners until `shutdown` says `true` (or its sender is gone). Requests under way
/// then have `FrontLimits::shutdown_grace` to finish; what is left is cut.
///
/// # Errors
/// The listeners can't be watched; nothing has been accepted then.
pub async fn serve<S: Service>(
    listeners: Vec<tokio::net::TcpListener>,
    service: Arc<S>,
    limits: FrontLimits,
    counters: Arc<Counters>,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut front = Front {
        doors: Doors::new(listeners)?,
        connections: JoinSet::new(),
        closing: shutdown.clone(),
        shared: Arc::new(Shared {
            bounds: Arc::new(Bounds::new(&limits)),
            service,
            limits,
            counters,
            crowd: Crowd::default(),
        }),
    };
    let mut paused = None;
    loop {
        tokio::select! {
            biased;
            () = told(&mut shutdown) => break,
            Some(_) = front.connections.join_next() => front.count_open(),
            () = resume(paused), if paused.is_some() => paused = None,
            knock = front.doors.knock(), if paused.is_none() => paused = front.let_in(knock).await,
        }
    }
    front.close().await;
    Ok(())
}

async fn resume(paused: Option<Instant>) {
    if let Some(until) = paused {
        sleep_until(until).await;
    }
}

/// Waits until the front is told to shut down; nobody being left who could tell counts as that.
async fn told(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|told| *told).await;
}

/// A running front.
struct Front<S> {
    doors: Doors,
    /// Owned here, so that the end of the front is the end of its connections.
    connections: JoinSet<()>,
    closing: watch::Receiver<bool>,
    shared: Arc<Shared<S>>,
}

impl<S: Service> Front<S> {
    /// Lets in who has knocked and those behind; returns until when to leave the listeners alone.
    async fn let_in(&mut self, knock: Knock) -> Option<Instant> {
        let mut next = Some(knock);
        for last in (0..ACCEPTS_PER_TURN).rev() {
            match next? {
                Knock::Guest(socket, peer) => {
                    Counters::one(&self.shared.counters.accepted);
                    self.welcome(socket, peer);
                    if self.shared.crowd.is_full() {
                        self.make_room().await;
                    }
                }
                Knock::Refused => {
                    Counters::one(&self.shared.counters.accepted);
                    Counters::one(&self.shared.counters.refused_descriptors);
                }
                Knock::Pause(error) => {
                    Counters::one(&self.shared.counters.accept_pauses);
                    tracing::debug!(%error, "accepting pauses");
                    return Some(Instant::now() + ACCEPT_PAUSE);
                }
            }
            // Whoever is taken from the queue must be let in: nobody is after the last one.
            next = if last > 0 {
                self.doors.knock_at_hand().await
            } else {
                None
            };
        }
        None
    }

    /// Lets those who were told to leave do so before the next guest is looked at.
    async fn make_room(&mut self) {
        tokio::task::yield_now().await;
        while self.connections.try_join_next().is_some() {}
        self.count_open();
    }

    /// Reads what the guest has sent by now. A complete upgrade goes to its shard right away: in a
    /// storm of clients most have sent theirs before they are accepted, and cost no task, no timer
    /// and no registration here, nor a place among the connections.
    fn welcome(&mut self, socket: TcpStream, peer: SocketAddr) {
        // Nagle's algorithm would hold an answer back until the one before it is acknowledged.
        let _ = socket.set_nodelay(true);
        let mut reader = Reader::new(peer, Arc::clone(&self.shared.bounds));
        let first = match reader.read_from(&socket) {
            Ok(0) => return,
            Ok(_) => reader.next(&*self.shared.service),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Step::More(Waiting::Start),
            Err(_) => return,
        };
        if let Step::Upgrade(handshake) = first {
            return self.shared.hand_over(socket, *handshake);
        }
        if self.connections.len() >= self.shared.limits.connections {
            return self.turn_away(&socket, first);
        }
        let Ok(socket) = tokio::net::TcpStream::from_std(socket) else {
            return;
        };
        let (shared, closing) = (Arc::clone(&self.shared), self.closing.clone());
        let connection = Connection::new(socket, reader, shared, closing);
        match first {
            Step::More(Waiting::Start | Waiting::Head) => self.connections.spawn(connection.wait()),
            step => self.connections.spawn(Box::pin(connection.serve(step))),
        };
        self.count_open();
    }

    /// Answers a guest for whom there is no place, and is done with it.
    fn turn_away(&self, socket: &TcpStream, first: Step) {
        match at_once::answer(&self.shared, first) {
            Some(answer) => say_last(socket, &answer),
            None => {
                Counters::one(&self.shared.counters.refused_full);
                self.doors.refuse(socket);
            }
        }
    }

    fn count_open(&self) {
        let Shared {
            counters,
            limits,
            crowd,
            ..
        } = &*self.shared;
        let open = self.connections.len();
        counters.open.store(open as u64, Ordering::Relaxed);
        crowd.note(open >= limits.connections);
    }

    /// Closes the listeners, gives the connections their grace and cuts what is left.
    async fn close(mut self) {
        drop(self.doors);
        let finished = async { while self.connections.join_next().await.is_some() {} };
        if timeout(self.shared.limits.shutdown_grace, finished)
            .await
            .is_err()
        {
            self.connections.shutdown().await;
        }
        self.shared.counters.open.store(0, Ordering::Relaxed);
    }
}

impl<S: Service> Shared<S> {
    fn hand_over(&self, socket: TcpStream, handshake: Handshake) {
        Counters::one(&self.counters.upgraded);
        self.service.upgrade(socket, handshake);
    }
}
