//! The library: a hub inside an axum program, and inside hyper alone, with real sockets.

mod example;
mod hub;
mod world;
