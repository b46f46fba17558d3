//! Redis: where the log and the queues of a cluster live, and how its nodes speak to it.

pub mod asking;
pub mod backoff;
mod channels;
pub mod cluster;
mod leases;
mod members;
pub mod opening;
mod overhearing;
mod reading;
mod refusal;
mod report;
pub mod session;
mod telling;
mod warnings;
