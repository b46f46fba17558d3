//! What the loader stands on: many WebSocket clients in one thread, a publisher over HTTP, and what a server process
//! used meanwhile. `bin/load` runs the scenarios, `bin/bare` is the server they are held against, `bench/run` drives both.

pub mod bare;
pub mod client;
pub mod crowd;
pub mod dialect;
pub mod frames;
pub mod histogram;
pub mod payload;
pub mod process;
pub mod publisher;
pub mod record;
pub mod request;
pub mod scenario;
pub mod stamp;
pub mod trouble;
