//! Stories told on a simulated node: production shards, tail and engine between simulated links, in simulated time. A
//! story that fails prints the seed of its world; see world.rs.

mod world;

mod closing;
mod connecting;
mod heartbeats;
mod messages;
mod rooms;
mod slow_clients;
