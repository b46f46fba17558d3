//! The log and the queues in Redis, for several nodes: what is said to Redis and what its answers mean. Who carries it
//! there and back has the connections, the threads and the clock.
//!
//! How it works together stands in docs/decisions/0013.

pub mod entry;
pub mod following;
pub mod keys;
pub mod lane;
pub mod looking;
pub mod mine;
pub mod reply;
pub mod turn;
pub mod turns;

pub use keys::Keys;
pub use lane::Lane;
pub use mine::Mine;
pub use reply::Reply;
pub use turns::Turns;

use wshub_hub::members::Incarnation;

/// The script of a turn.
pub const TURN: &str = include_str!("redis/scripts/turn.lua");
/// The script that sweeps the queues.
pub const SWEEP: &str = include_str!("redis/scripts/sweep.lua");
/// The script that begins a life of the log.
pub const BEGIN: &str = include_str!("redis/scripts/begin.lua");

/// How a node goes by in Redis.
#[must_use]
pub fn node_name(node: Incarnation) -> String {
    format!("{node:016x}")
}

/// The node that goes by such a name.
#[must_use]
pub fn node_of(name: &str) -> Option<Incarnation> {
    let node = Incarnation::from_str_radix(name, 16).ok()?;
    // Under another spelling nobody would find it again.
    (node_name(node) == name).then_some(node)
}
