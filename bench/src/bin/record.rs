//! `record`: has a million messages said to a server while its clients come, go, stall and vanish, and holds the server's
//! ledger against what they saw. `bench/record` starts the server and calls it.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use wshub_bench::record::recorder::{Plan, run};

/// Records what clients see under churn and holds the server's ledger against it.
///
/// Ends with 0 if nothing was lost, doubled or out of order and the ledger adds up, with 1 if not, and with 2 if the run
/// came to nothing.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long)]
    server: SocketAddr,
    #[command(flatten)]
    plan: Plan,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.server, &arguments.plan) {
        Ok(findings) => {
            print!("{}", findings.report());
            ExitCode::from(u8::from(!findings.is_clean()))
        }
        Err(trouble) => {
            eprintln!("record: {trouble}");
            ExitCode::from(2)
        }
    }
}
