//! Redis: where the log and the queues of a cluster live, and how its nodes speak to it.

pub mod backoff;
pub mod opening;
mod refusal;
mod report;
mod warnings;
