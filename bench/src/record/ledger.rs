//! The server's ledger, as `GET /stats` tells it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;

use crate::trouble::{Trouble, while_doing};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Units: (message, user) for `user` messages, else (message, connection there at that place).
#[derive(Deserialize, Default, Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// All units.
    pub accepted: u64,
    /// Received.
    pub delivered: u64,
    /// Waiting in the queues of users.
    pub queued: u64,
    /// Waited too long.
    pub expired: u64,
    /// Given up, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Publishes that were there before.
    pub duplicate: u64,
    /// None of these yet.
    pub in_flight: u64,
}

impl Ledger {
    /// What was dropped for this reason.
    pub fn dropped(&self, reason: &str) -> u64 {
        self.dropped.get(reason).copied().unwrap_or_default()
    }

    /// All units that have a fate or wait for one.
    pub fn fates(&self) -> u64 {
        let dropped: u64 = self.dropped.values().sum();
        self.delivered + self.queued + self.expired + dropped + self.duplicate + self.in_flight
    }

    /// The ledger of a server now.
    pub fn of(server: SocketAddr) -> Result<Ledger, Trouble> {
        #[derive(Deserialize)]
        struct Stats {
            ledger: Ledger,
        }
        let body = get_stats(server).map_err(while_doing("reading /stats"))?;
        let stats: Result<Stats, _> = serde_json::from_str(&body);
        let stats = stats.map_err(|_| Trouble::Refused(format!("a ledger: {body}")))?;
        Ok(stats.ledger)
    }
}

fn get_stats(server: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&server, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "GET /stats HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.unwrap_or_default().to_owned())
}
