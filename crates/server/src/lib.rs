//! The server: sockets, threads and the clock around the rules of `wshub-hub`.
//!
//! `front` accepts connections and reads HTTP, `driver` runs a shard, `node` holds what they share, `api` answers
//! requests. [`running::Running`] puts them together.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod descriptors;
pub mod drain;
pub mod driver;
pub mod front;
pub mod inbox;
pub mod ledger;
pub mod logs;
pub mod metrics;
pub mod node;
pub mod origin;
pub mod page;
pub mod run;
pub mod running;
pub mod watch;
