//! The front against real sockets: what the contract's § HTTP and § Connecting promise of it.

mod descriptors;
mod full;
mod limits;
mod requests;
mod world;
