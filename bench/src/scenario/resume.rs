//! Users who missed a hundred messages, while few and while many others passed: what it costs to give them theirs.

use serde::Serialize;

use super::away::{Away, Press, Return};
use super::{Latency, Server};
use crate::dialect::Audience;
use crate::histogram::median;
use crate::trouble::Trouble;

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many users of each group come back, one after the other.
    #[arg(long, default_value_t = 500)]
    pub clients: usize,
    /// How many messages each has missed.
    #[arg(long, default_value_t = 100)]
    pub missed: usize,
    /// How many others passed meanwhile; each value is a group of users.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    pub passed: Vec<usize>,
    /// In how many blocks they come back, the groups in turn.
    #[arg(long, default_value_t = 20)]
    pub blocks: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    clients: usize,
    missed: usize,
    groups: Vec<Group>,
}

/// What was found after one number of others.
#[derive(Serialize, Debug)]
struct Group {
    passed: usize,
    cpu_us_per_resume: f64,
    /// To the first group, in the middle of the blocks.
    ratio: f64,
    latency: Latency,
}

const KINDS: [&str; 4] = ["anna", "bela", "cleo", "dora"];

/// Lets the groups go, those first that miss most; when all have missed theirs, they come back in turn.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let mut press = Press::new(server)?;
    // The broadcasts come last, so that all groups miss the same ones.
    let broadcasts = plan.missed / 10;
    let mut groups = Vec::new();
    for (&passed, kind) in plan.passed.iter().zip(KINDS).rev() {
        let away = Away::leave(server, kind, plan.clients, false)?;
        away.miss(&mut press, plan.missed - broadcasts, passed)?;
        groups.push(away);
    }
    groups.reverse();
    for _ in 0..broadcasts {
        press.print(Audience::Everybody)?;
    }
    press.finish()?;
    let returns = groups
        .iter()
        .map(|away| away.come_back(server, plan.missed));
    let mut returns = returns.collect::<Result<Vec<_>, _>>()?;
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); returns.len()];
    for block in 0..plan.blocks {
        for (back, costs) in returns.iter_mut().zip(&mut costs) {
            let cost = bring_block(server, plan, back)?;
            // The first block warms up.
            if block > 0 {
                costs.push(cost);
            }
        }
    }
    let mut figures = Vec::new();
    for ((back, own), &passed) in returns.into_iter().zip(&costs).zip(&plan.passed) {
        let ratios = own.iter().zip(&costs[0]).map(|(own, first)| own / first);
        figures.push(Group {
            passed,
            cpu_us_per_resume: median(own),
            ratio: median(&ratios.collect::<Vec<_>>()),
            latency: Latency::from(&back.settle()?),
        });
    }
    Ok(Figures {
        clients: plan.clients,
        missed: plan.missed,
        groups: figures,
    })
}

/// CPU of the server per resume.
fn bring_block(server: Server, plan: &Plan, back: &mut Return<'_>) -> Result<f64, Trouble> {
    let count = plan.clients / plan.blocks;
    let cpu = server.process.cpu_us()?;
    back.bring(count, 1)?;
    Ok((server.process.cpu_us()? - cpu) / count as f64)
}
