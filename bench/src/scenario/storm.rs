//! Everybody comes back at once, each with messages missed: how long until all have theirs.

use std::time::Instant;

use serde::Serialize;

use super::away::{Away, Press};
use super::{Latency, Server};
use crate::dialect::Audience;
use crate::trouble::Trouble;

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many users come back.
    #[arg(long, default_value_t = 5_000)]
    pub clients: usize,
    /// How many messages each has missed.
    #[arg(long, default_value_t = 20)]
    pub missed: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    clients: usize,
    missed: usize,
    /// From the first packet of the first client to the last missed message of the last.
    all_caught_up_s: f64,
    cpu_us_per_resume: f64,
    latency: Latency,
}

/// Lets them go, miss something, and come back together. They were on `old`, if that is given, which is killed.
pub fn run(server: Server, old: Option<Server>, plan: &Plan) -> Result<Figures, Trouble> {
    let away = Away::leave(old.unwrap_or(server), "user", plan.clients, old.is_some())?;
    let mut press = Press::new(server)?;
    let broadcasts = plan.missed / 10;
    away.miss(&mut press, plan.missed - broadcasts, 0)?;
    for _ in 0..broadcasts {
        press.print(Audience::Everybody)?;
    }
    press.finish()?;
    let mut back = away.come_back(server, plan.missed)?;
    let (cpu, start) = (server.process.cpu_us()?, Instant::now());
    back.bring(plan.clients, plan.clients)?;
    let all_caught_up_s = start.elapsed().as_secs_f64();
    let latencies = back.settle()?;
    Ok(Figures {
        clients: plan.clients,
        missed: plan.missed,
        all_caught_up_s,
        cpu_us_per_resume: (server.process.cpu_us()? - cpu) / plan.clients as f64,
        latency: Latency::from(&latencies),
    })
}
