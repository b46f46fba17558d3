//! wshub and a real Redis, which each test starts for itself.

mod embedded;
mod nodes;
mod opening;
mod turns;
mod world;
