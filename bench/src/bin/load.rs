//! `load SCENARIO`: runs one scenario against a server and prints its figures as one line of JSON. `bench/run` starts
//! the servers and calls it; by hand it needs `ulimit -n` above the number of clients.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use wshub_bench::dialect::Dialect;
use wshub_bench::process::Process;
use wshub_bench::scenario::{
    Server, churn, crossing, fanout, publishing, quiet, receipts, resume, room, rooms, storm,
    tailing, users,
};
use wshub_bench::trouble::Trouble;

/// Loads a WebSocket server and prints what it cost, as one line of JSON.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long)]
    server: SocketAddr,
    /// The id of the server's process, whose CPU and memory are read.
    #[arg(long)]
    pid: i32,
    /// What the server speaks.
    #[arg(long, value_enum, default_value = "wshub")]
    dialect: Dialect,
    /// Where another node of the same cluster listens.
    #[arg(long, requires = "other_pid")]
    other: Option<SocketAddr>,
    /// The id of that node's process.
    #[arg(long)]
    other_pid: Option<i32>,
    /// Where the Redis behind it listens.
    #[arg(long, requires = "redis_pid")]
    redis: Option<SocketAddr>,
    /// The id of the process of that Redis.
    #[arg(long)]
    redis_pid: Option<i32>,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// One message to many clients.
    Fanout(fanout::Plan),
    /// A room of everybody beside broadcasts.
    Room(room::Plan),
    /// Very many rooms of two.
    Rooms(rooms::Plan),
    /// Arrays of messages to single users.
    Users(users::Plan),
    /// Joining and leaving a small and a big room.
    Churn(churn::Plan),
    /// Quiet users beside noise.
    Quiet(quiet::Plan),
    /// Users who missed a hundred messages, while few and many others passed.
    Resume(resume::Plan),
    /// Everybody comes back at once; from the other node, if there is one, which is killed.
    Storm(storm::Plan),
    /// Messages to users, with their receipts, beside broadcasts.
    Receipts(receipts::Plan),
    /// Acknowledged messages to a room, or to users.
    Publishing(publishing::Plan),
    /// From this node to a client of the other one, or of its own.
    Crossing(crossing::Plan),
    /// Reading a log that says nothing to anybody here.
    Tailing(tailing::Plan),
}

fn main() {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(figures) => println!("{figures}"),
        Err(trouble) => {
            eprintln!("load: {trouble}");
            std::process::exit(1);
        }
    }
}

fn run(arguments: &Arguments) -> Result<serde_json::Value, Trouble> {
    let process = Process::new(arguments.pid);
    let server = Server {
        address: arguments.server,
        process,
        dialect: arguments.dialect,
    };
    let other = arguments.other.zip(arguments.other_pid);
    let other = other.map(|(address, pid)| Server {
        address,
        process: Process::new(pid),
        dialect: arguments.dialect,
    });
    match &arguments.scenario {
        Scenario::Fanout(plan) => told(&fanout::run(server, plan)?),
        Scenario::Room(plan) => told(&room::run(server, plan)?),
        Scenario::Rooms(plan) => told(&rooms::run(server, plan)?),
        Scenario::Users(plan) => told(&users::run(server, plan)?),
        Scenario::Churn(plan) => told(&churn::run(server, plan)?),
        Scenario::Quiet(plan) => told(&quiet::run(server, plan)?),
        Scenario::Resume(plan) => told(&resume::run(server, plan)?),
        Scenario::Storm(plan) => told(&storm::run(server, other, plan)?),
        Scenario::Receipts(plan) => told(&receipts::run(server, plan)?),
        Scenario::Publishing(plan) => {
            let redis = arguments.redis_pid.map(Process::new);
            told(&publishing::run(server, redis, plan)?)
        }
        Scenario::Crossing(plan) => told(&crossing::run(server, other.unwrap_or(server), plan)?),
        Scenario::Tailing(plan) => {
            let log = arguments.redis.zip(arguments.redis_pid);
            let log = log.map(|(address, pid)| tailing::Log {
                address,
                process: Process::new(pid),
            });
            let log = log.ok_or(Trouble::Garbled(
                "a log to fill needs --redis and --redis-pid",
            ))?;
            told(&tailing::run(server, log, plan)?)
        }
    }
}

fn told(figures: &impl serde::Serialize) -> Result<serde_json::Value, Trouble> {
    serde_json::to_value(figures).map_err(|e| Trouble::Io("writing the figures", e.into()))
}
