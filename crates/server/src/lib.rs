//! A WebSocket hub as a part of your own program: it holds very many client connections and hands messages to
//! everybody, to users and to rooms. Your program brings the connections and knows who its users are; the hub does the
//! rest. It needs no database, and it bounds everything that a client can make grow.
//!
//! # Ten lines
//!
//! ```no_run
//! use axum::extract::{Path, Request, State};
//! use axum::response::IntoResponse;
//! use axum::{Router, routing::get};
//! use wshub::{Hub, Message};
//!
//! async fn connect(State(hub): State<Hub>, Path(user): Path<String>, request: Request) -> impl IntoResponse {
//!     hub.accept(request, &user) // Who the user is, your program knows: by its cookie, say.
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let hub = Hub::builder().shards(4).start()?;
//!     let app = Router::new().route("/ws/{user}", get(connect)).with_state(hub.clone());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     let until = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
//!     tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(until).into_future());
//!
//!     hub.publish(Message::to_user("ann", "it waits until she comes")).await?;
//!     tokio::signal::ctrl_c().await?;
//!     println!("{} moved", hub.shutdown().await?.moved);
//!     Ok(())
//! }
//! ```
//!
//! `cargo run --example embedded` runs a larger one, with a page to try it on.
//!
//! # What there is to know
//!
//! **Who comes in.** [`Hub::accept`] takes the request of a handler and the name of the user, and gives the response to
//! return. The name is believed, so authenticate before. Of web pages only those of the host that the request names may
//! connect, and those that [`Builder::origins`] lists: a browser lets any page try, with your cookies.
//!
//! **What is said.** Clients speak small JSON messages, which docs/protocol.md lists; the browser client in clients/js
//! speaks them for you: `connect("/ws/ann")`. Your program says something by [`Hub::publish`], with a [`Message`] for
//! [everybody](Message::to_everybody), for [users](Message::to_users) or for a [room](Message::to_room), and is told
//! what became of it. What stands in `data` reaches clients as the bytes that serde made of it.
//!
//! **One order.** All that is published goes into one log, and every client is given what concerns it in the log's
//! order. A client that lost its connection names the place up to which it has heard (`after`) and is given the rest,
//! or is told that it can't be.
//!
//! **Users who are away.** A message to a user waits in memory until one of the user's connections has received it:
//! 100 messages and half an hour unless [set](Builder::set). Log and queues end with the hub, or live in a Redis; what
//! nobody may lose belongs into your database first.
//!
//! **Several hubs.** With `set("redis.url", "127.0.0.1:6379")` all hubs over that Redis are one, in however many
//! processes: a client may come back to any, and what was acknowledged outlives each. Until Redis is reached, and while
//! it is away, clients are let in and publishing is refused ([`ErrorCode::Unavailable`]). docs/cluster.md tells more.
//!
//! **Publishing twice.** A message under an id of its own ([`Message::with_id`]) can be published again when nobody
//! knows what became of it, and has no second effect.
//!
//! **Slow clients.** Nobody waits for a client. What it doesn't take waits within bounds, and beyond them it is
//! disconnected or loses what is old, as `slow.policy` says; publishing never takes longer for it.
//!
//! **Threads.** A shard is a thread that owns its connections' sockets. They are taken out of hyper at the upgrade, so
//! the runtime has no part in what is said over them. That wants hyper over plain TCP (`axum::serve`): TLS ends in front.
//!
//! **The end.** [`Hub::shutdown`] tells each client when to leave, spread over some seconds so that the others aren't
//! stormed, and says how many [`moved`](Farewell::moved) and how many messages were [`lost`](Farewell::lost). A hub
//! whose last copy is dropped ends the same way.
//!
//! **Looking at it.** [`Hub::stats`] counts clients, users and rooms; [`Hub::metrics`] is a page for Prometheus. What
//! the hub has to say it says by `tracing`.
//!
//! # Where to read on
//!
//! In the repository: docs/protocol.md has every message, docs/delivery.md what each promise costs, docs/configuration.md
//! the keys for [`Builder::set`], docs/errors.md the codes of a [`PublishError`]. The crate is also the program `wshub`,
//! the same hub on a port of its own; ARCHITECTURE.md is for those who change either.

mod embed;

pub use drain::Farewell;
pub use embed::{Builder, Hub, Message, PublishError, ShutdownError, StartError, Stats};
#[doc(inline)]
pub use wshub_hub::message::Published;
#[doc(inline)]
pub use wshub_protocol::{Cursor, ErrorCode};

// What the program and the tests of the parts are made of. It is no part of the library and changes as it needs to:
// `front` accepts connections and reads HTTP, `driver` runs a shard, `node` holds what they share, `api` answers
// requests, `running` puts them together, and `run` makes the program of it.
#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod descriptors;
#[doc(hidden)]
pub mod drain;
#[doc(hidden)]
pub mod driver;
#[doc(hidden)]
pub mod front;
#[doc(hidden)]
pub mod inbox;
#[doc(hidden)]
pub mod ledger;
#[doc(hidden)]
mod log;
#[doc(hidden)]
pub mod logs;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod node;
#[doc(hidden)]
pub mod origin;
#[doc(hidden)]
pub mod page;
#[doc(hidden)]
pub mod publish;
#[doc(hidden)]
pub mod redis;
#[doc(hidden)]
pub mod run;
#[doc(hidden)]
pub mod running;
#[doc(hidden)]
pub mod tail;
#[doc(hidden)]
pub mod watch;
