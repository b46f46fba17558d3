//! One module per question that docs/benchmarks.md answers. Each gathers its clients, works, and returns its figures as
//! JSON; none judges them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::Wish;
use crate::crowd::Crowd;
use crate::dialect::{Dialect, user};
use crate::histogram::Histogram;
use crate::process::Process;
use crate::trouble::Trouble;

mod away;
pub mod churn;
pub mod crossing;
pub mod fanout;
pub mod publishing;
pub mod quiet;
pub mod receipts;
pub mod resume;
pub mod room;
pub mod rooms;
pub mod storm;
pub mod tailing;
pub mod users;

/// How long nothing may come in before a run gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a crowd rests after it has gathered, before anything is measured.
const SETTLING: Duration = Duration::from_millis(1500);

/// The server under test.
#[derive(Clone, Copy)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub process: Process,
    /// Its protocol.
    pub dialect: Dialect,
}

/// Users who are connected once each and in no room, rested, with their ids in the order of the crowd.
fn gather_users(server: Server, count: usize) -> Result<(Crowd, Vec<String>), Trouble> {
    let ids: Vec<String> = (0..count).map(|number| user("user", number)).collect();
    let mut crowd = Crowd::gather(server.address, count, |number| Wish {
        path: server.dialect.path(&ids[number]),
        deflate: false,
        greeted: server.dialect.greets(),
        rooms: Vec::new(),
    })?;
    crowd.rest(SETTLING)?;
    Ok((crowd, ids))
}

/// Latencies of one phase, in milliseconds.
#[derive(Serialize, Debug)]
pub struct Latency {
    count: u64,
    p50_ms: f64,
    p99_ms: f64,
    highest_ms: f64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Self {
        let ms = |ns: u64| ns as f64 / 1e6;
        Latency {
            count: histogram.count(),
            p50_ms: ms(histogram.quantile(0.5)),
            p99_ms: ms(histogram.quantile(0.99)),
            highest_ms: ms(histogram.highest()),
        }
    }
}

/// Notices when a count stands still.
struct Progress {
    seen: u64,
    at: Instant,
    what: &'static str,
}

impl Progress {
    fn of(what: &'static str) -> Self {
        Progress {
            seen: 0,
            at: Instant::now(),
            what,
        }
    }

    fn check(&mut self, count: u64) -> Result<(), Trouble> {
        if count != self.seen {
            self.seen = count;
            self.at = Instant::now();
        }
        if self.at.elapsed() > PATIENCE {
            return Err(Trouble::Stalled(format!("{} stands at {count}", self.what)));
        }
        Ok(())
    }
}
