//! wshub and a real Redis, which each test starts for itself.

mod embedded;
mod opening;
mod turns;
mod world;
