//! The recording client: it writes down what it sees while its connections come, go, stall and vanish, and holds the
//! server's ledger against it. `script` and `log` are the truth, `record` and `account` what one session saw and was owed,
//! `comparison` what came of it; the rest makes it happen. Nothing of the server's own crates is used: a witness that
//! shares the eyes of the accused sees nothing.

pub mod account;
pub mod blackout;
pub mod comparison;
pub mod hall;
pub mod heard;
pub mod incident;
pub mod ledger;
pub mod log;
pub mod recorder;
pub mod report;
pub mod road;
pub mod sayings;
pub mod script;
pub mod session;
pub mod verdict;
