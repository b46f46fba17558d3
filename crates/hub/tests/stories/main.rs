//! Stories told on a simulated node: production shards, tail and engine between simulated links, in simulated time. A
//! story that fails prints the seed of its world; see world.rs.

mod world;

mod bad_input;
mod clocks;
mod closing;
mod compression;
mod connecting;
mod degraded;
mod disconnecting;
mod draining;
mod fairness;
mod heartbeats;
mod history;
mod ledger;
mod ledger_counts;
mod lives;
mod messages;
mod others;
mod overload;
mod passing_by;
mod positions;
mod presence;
mod queues;
mod random_lives;
mod receipts;
mod repeats;
mod resuming;
mod rooms;
mod second_opinion;
mod slow_clients;
mod slow_policies;
