//! wshub and a real Redis, which each test starts for itself.

mod opening;
mod turns;
mod world;
