//! How fast a node reads a log that says nothing to its clients. The node is stopped for a moment, the log is filled by a
//! script meanwhile, and it is let go on: so filling costs it nothing, and it has it all before it. A broadcast at the
//! end tells when it is through.

use std::time::{Duration, Instant};

use redis::{Client, Connection, ConnectionAddr, IntoConnectionInfo, RedisError};
use serde::Serialize;

use super::{Progress, Server, gather_users};
use crate::histogram::median;
use crate::payload::Payload;
use crate::process::Process;
use crate::trouble::{Trouble, while_doing};

/// Fills the log.
const FILL: &str = include_str!("fill.lua");
/// How many messages one call of the script appends: a node waits a second for an answer.
const AT_ONCE: usize = 20_000;

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many messages a block has. To append them takes so long that the node is stopped for less than a second.
    #[arg(long, default_value_t = 150_000)]
    pub messages: usize,
    /// The length of a message's data.
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// How many blocks, after one that warms up.
    #[arg(long, default_value_t = 5)]
    pub blocks: usize,
}

/// What was found, each in the middle of the blocks.
#[derive(Serialize, Debug)]
pub struct Figures {
    messages: usize,
    read_per_s: f64,
    cpu_us_per_message: f64,
    redis_cpu_us_per_message: f64,
    blocks_per_s: Vec<f64>,
}

/// What one block took.
struct Block {
    seconds: f64,
    node_us: f64,
    redis_us: f64,
}

/// A Redis that a node stands on.
#[derive(Clone, Copy)]
pub struct Log {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// Its process.
    pub process: Process,
}

/// Fills the log and has the node read it, block by block.
pub fn run(server: Server, log: Log, plan: &Plan) -> Result<Figures, Trouble> {
    let (mut crowd, _) = gather_users(server, 1)?;
    let mut redis = connect(log.address).map_err(refused)?;
    let mut blocks = Vec::new();
    for number in 0..=plan.blocks {
        let block = read_block(server, log, plan, &mut crowd, &mut redis)?;
        crowd.rest(Duration::from_millis(300))?;
        if number > 0 {
            blocks.push(block);
        }
    }
    let each = |of: fn(&Block) -> f64| -> Vec<f64> { blocks.iter().map(of).collect() };
    let messages = plan.messages as f64;
    let per_s = each(|block| 1.0 / block.seconds);
    let per_s: Vec<f64> = per_s.into_iter().map(|blocks| blocks * messages).collect();
    Ok(Figures {
        messages: plan.messages,
        read_per_s: median(&per_s),
        cpu_us_per_message: median(&each(|block| block.node_us)) / messages,
        redis_cpu_us_per_message: median(&each(|block| block.redis_us)) / messages,
        blocks_per_s: per_s,
    })
}

fn read_block(
    server: Server,
    log: Log,
    plan: &Plan,
    crowd: &mut crate::crowd::Crowd,
    redis: &mut Connection,
) -> Result<Block, Trouble> {
    let said = format!("\"{}\"", "x".repeat(plan.size));
    let last = String::from_utf8_lossy(&Payload::text(64).json).into_owned();
    server.process.stop()?;
    let mut left = plan.messages;
    let mut filled = Ok(0);
    while left > 0 && filled.is_ok() {
        let some = left.min(AT_ONCE);
        left -= some;
        filled = fill(redis, some, &said, if left == 0 { &last } else { "" });
    }
    let (node, of_redis) = (server.process.cpu_us()?, log.process.cpu_us()?);
    let start = Instant::now();
    server.process.go_on()?;
    filled.map_err(refused)?;
    let clock = crate::stamp::Clock::default();
    let mut progress = Progress::of("broadcasts");
    let mut is_through = false;
    while !is_through {
        crowd.turn(Duration::from_millis(20), |_, frame| {
            is_through |= clock.find(frame.head).is_some();
        })?;
        progress.check(0)?;
    }
    Ok(Block {
        seconds: start.elapsed().as_secs_f64(),
        node_us: server.process.cpu_us()? - node,
        redis_us: log.process.cpu_us()? - of_redis,
    })
}

fn connect(address: std::net::SocketAddr) -> Result<Connection, RedisError> {
    let place = ConnectionAddr::Tcp(address.ip().to_string(), address.port());
    Client::open(place.into_connection_info()?)?.get_connection()
}

fn fill(redis: &mut Connection, count: usize, said: &str, last: &str) -> Result<u64, RedisError> {
    redis::cmd("EVAL")
        .arg(FILL)
        .arg(2)
        .arg("websocket:log")
        .arg("websocket:meta")
        .arg(count)
        .arg(said)
        .arg(last)
        .query(redis)
}

fn refused(error: RedisError) -> Trouble {
    while_doing("filling the log")(std::io::Error::other(error))
}
