//! A hub inside another program: what the crate `wshub` is as a library.

mod accepting;
mod builder;
mod message;

use std::fmt;
use std::future::{pending, ready};
use std::sync::Arc;

use tokio::sync::watch;
use wshub_hub::message::{OUTCOME_UNKNOWN, Published};
use wshub_protocol::{ErrorCode, client_message};

use crate::drain::Farewell;
use crate::node::Node;
use crate::running::Running;
use crate::{api, metrics};

pub use builder::{Builder, StartError};
pub use message::{Message, PublishError};

/// A running hub. Copies of it are the same hub: hand one to whatever accepts connections or publishes.
///
/// Once the last copy is gone the hub drains and ends by itself; [`Hub::shutdown`] does so at a moment of your own and
/// says what came of it.
#[derive(Clone)]
pub struct Hub {
    node: Arc<Node>,
    stop: Arc<watch::Sender<bool>>,
    ended: watch::Receiver<Option<Result<Farewell, ShutdownError>>>,
}

/// What a hub holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that were told `connected` and aren't closing.
    pub clients: u64,
    /// Users with at least one of them.
    pub users: u64,
    /// Rooms that somebody is in.
    pub rooms: usize,
}

/// A hub that ended, and not as it should: a shard had panicked, or the runtime was gone before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownError(String);

impl Hub {
    /// A hub with the defaults, to be changed and started.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Watches over a node: it ends when it is told to, or when nobody is left who could tell.
    fn of(running: Running) -> Self {
        let node = Arc::clone(running.node());
        let (stop, mut stopped) = watch::channel(false);
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
            let end = running.end(pending(), ready(Ok(()))).await;
            tell.send_replace(Some(end.map_err(|error| ShutdownError(error.to_string()))));
        });
        Self {
            node,
            stop: Arc::new(stop),
            ended,
        }
    }

    /// Publishes a message, and says what became of it: its id, its place in the log, and whether it was there before.
    /// A message to a user who is away waits for them.
    ///
    /// Nothing is waited for but the log's answer, at most two seconds; how fast the receivers are doesn't matter.
    ///
    /// # Errors
    /// It was not published, or, with [`ErrorCode::OutcomeUnknown`] only, nobody knows: publish it again with the same
    /// id then.
    pub async fn publish(&self, message: Message) -> Result<Published, PublishError> {
        let body = message.into_json()?;
        let publish = client_message::parse_body(&body, self.node.config.limits.message_bytes)?;
        let client_message::Body::One(publish) = publish else {
            unreachable!("one message is no array")
        };
        if self.ended.borrow().is_some() {
            return Err(PublishError {
                code: ErrorCode::Unavailable,
                sentence: "the hub has ended".to_owned(),
            });
        }
        let outcome = api::publish_all(&self.node, vec![publish]).await.pop();
        Ok(outcome.unwrap_or(Err(OUTCOME_UNKNOWN))?)
    }

    /// What it holds now. Reading it costs next to nothing.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            clients: self.node.clients(),
            users: self.node.sum(|shard| shard.users.get()),
            rooms: self.node.tail().rooms(),
        }
    }

    /// All that it counts, in the Prometheus text format: the same as `/metrics` of the program, with the ledger of
    /// every message's fate.
    #[must_use]
    pub fn metrics(&self) -> String {
        metrics::text(&self.node)
    }

    /// Drains the hub and ends it. Each client is told when to leave, is served until then and closed with 1012; all of
    /// it takes at most `drain.timeout`, 20 seconds unless [set](Builder::set). Whoever calls it again, meanwhile or
    /// later, waits for the same end.
    ///
    /// Dropping the future changes nothing: the hub goes on ending.
    ///
    /// # Errors
    /// It has ended, but a part of it had failed.
    pub async fn shutdown(&self) -> Result<Farewell, ShutdownError> {
        self.stop.send_replace(true);
        let gone = || ShutdownError("the runtime ended before the hub".to_owned());
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        end.map_or(None, |end| end.clone()).unwrap_or(Err(gone()))
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.node.config.node;
        f.debug_struct("Hub")
            .field("node", name)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hub did not end well: {}", self.0)
    }
}

impl std::error::Error for ShutdownError {}
