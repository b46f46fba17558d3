//! The wshub client for Rust: one session on a hub, across as many connections as it takes.
//!
//! [`connect`] gives two ends: a [`Client`] to say things, which may be copied, and [`Events`] to hear them.
//!
//! ```no_run
//! use wshub_client::{Draft, Event, Options, connect};
//!
//! # async fn chat() -> Result<(), Box<dyn std::error::Error>> {
//! let ann = Options::user("ann")?.room("lobby")?;
//! let (client, mut events) = connect("http://127.0.0.1:8080", ann)?;
//!
//! tokio::spawn(async move {
//!     let hello = Draft::room("lobby", "hello")?;
//!     let receipt = client.publish(hello).await?;
//!     println!("in the log at {:?}", receipt.cursor);
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! });
//!
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => println!("{}: {}", message.from(), message.data()),
//!         Event::Connected(connected) if connected.came_back && !connected.resumed => println!("load all anew"),
//!         Event::Reset { .. } | Event::Gap { .. } => println!("load all anew"),
//!         Event::Closed(end) => println!("gone for good: {end}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it takes care of
//!
//! - **Coming back.** Whatever ends a connection, the client dials again, after a random wait below a ceiling that
//!   doubles up to 30 s, or as the close code says. It stays away only where the code says so, which is
//!   [`Event::Closed`].
//! - **Nothing missed.** It keeps its place in the hub's log, one for each partition, and hands it in when it comes back,
//!   with its rooms. What was missed follows; or else [`Event::Connected`] says `resumed: false`, or [`Event::Reset`] or
//!   [`Event::Gap`] comes, and the application knows that there is a hole. A place may outlive the process:
//!   [`Events::place`] gives it, [`Options::after`] takes it.
//! - **Nothing twice.** A message that comes again, since its receipt got lost on the way or its publisher repeated it
//!   after the hub lost its log, is dropped by its place and by `(from, id)`. The last 4,096 are remembered.
//! - **Receipts.** Messages to the user wait in the hub until they were received. By default the client's pongs say so;
//!   with [`Options::acknowledging`] the application does, by [`Client::acknowledge`], for instance once it has written
//!   them down.
//! - **Publishes that arrive once.** Each has an id and is sent again on every connection until the hub has answered. The
//!   hub knows ids for five minutes; before those are over the outcome is [`Unpublished::Unknown`] rather than a second
//!   message.
//!   Messages by [`Draft::ephemeral`] are sent once or not at all.
//!
//! # What it doesn't
//!
//! TLS isn't spoken yet, and no compression asked for. Everything is bounded, by [`limits`]: a full outbox is an error,
//! and an application that takes no events stops the reading, by which the hub sees that it is slow.

mod address;
pub mod backoff;
mod client;
mod core;
mod event;
pub mod http;
pub mod limits;
mod link;
mod options;
pub mod say;
mod server_message;
mod task;

pub use address::{Address, AddressError};
pub use client::{Client, Events, NotDone, Publishing, connect};
pub use core::{Receipt, Unpublished};
pub use event::{Addressee, Connected, End, Event, Joined, Message, Presence, Refused};
pub use options::{Options, OptionsError};
pub use say::{Draft, DraftError};
pub use wshub_protocol::client_message::Publish;
