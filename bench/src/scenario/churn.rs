//! Joining and leaving: what a pair costs in a small room and in a big one, on the same server, in turn.

use std::time::Duration;

use memchr::memmem;
use serde::Serialize;

use super::{Progress, SETTLING, Server};
use crate::client::Wish;
use crate::crowd::Crowd;
use crate::dialect::user;
use crate::histogram::median;
use crate::trouble::Trouble;

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// Members of the small room, who are in the big one too.
    #[arg(long, default_value_t = 10)]
    pub small: usize,
    /// Members of the big room.
    #[arg(long, default_value_t = 10_000)]
    pub big: usize,
    /// How many others come and go.
    #[arg(long, default_value_t = 50)]
    pub visitors: usize,
    /// How many pairs a visitor sends at once; more makes the rule's own cost a bigger share of what is measured.
    #[arg(long, default_value_t = 8)]
    pub pairs_at_once: u64,
    /// How many pairs in a block.
    #[arg(long, default_value_t = 40_000)]
    pub pairs: u64,
    /// How many blocks for each room.
    #[arg(long, default_value_t = 5)]
    pub blocks: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    small_members: usize,
    big_members: usize,
    pairs: u64,
    small_cpu_us_per_pair: f64,
    big_cpu_us_per_pair: f64,
    /// Big to small of each block.
    ratios: Vec<f64>,
    ratio: f64,
}

/// Gathers members and visitors, then measures the rooms in turn; the first block of each warms up and isn't counted.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let mut crowd = Crowd::gather(server.address, plan.big + plan.visitors, |number| Wish {
        path: server.dialect.path(&user("user", number)),
        deflate: false,
        greeted: server.dialect.greets(),
        rooms: rooms_of(number, plan),
    })?;
    crowd.rest(SETTLING)?;
    let (mut small, mut big) = (Vec::new(), Vec::new());
    for count in 0..=plan.blocks {
        let one = [
            block(server, plan, &mut crowd, "small")?,
            block(server, plan, &mut crowd, "big")?,
        ];
        if count > 0 {
            small.push(one[0]);
            big.push(one[1]);
        }
    }
    let ratios: Vec<f64> = big
        .iter()
        .zip(&small)
        .map(|(big, small)| big / small)
        .collect();
    Ok(Figures {
        small_members: plan.small,
        big_members: plan.big,
        pairs: plan.pairs,
        small_cpu_us_per_pair: median(&small),
        big_cpu_us_per_pair: median(&big),
        ratio: median(&ratios),
        ratios,
    })
}

fn rooms_of(number: usize, plan: &Plan) -> Vec<String> {
    let rooms: &[&str] = if number < plan.small {
        &["small", "big"]
    } else if number < plan.big {
        &["big"]
    } else {
        &[]
    };
    rooms.iter().map(|&room| room.to_owned()).collect()
}

/// CPU of the server per pair of `join` and `leave`, each answered.
fn block(server: Server, plan: &Plan, crowd: &mut Crowd, room: &str) -> Result<f64, Trouble> {
    let join = format!(r#"{{"type":"join","room_id":"{room}"}}"#);
    let leave = format!(r#"{{"type":"leave","room_id":"{room}"}}"#);
    let bouts = (plan.pairs / plan.pairs_at_once).max(1);
    let mut begun = 0;
    let mut answered = vec![0u64; plan.visitors];
    let mut left = 0;
    let mut free: Vec<usize> = (0..plan.visitors).collect();
    let mut progress = Progress::of("pairs of join and leave");
    let cpu = server.process.cpu_us()?;
    while left < bouts * plan.pairs_at_once {
        while begun < bouts
            && let Some(visitor) = free.pop()
        {
            for _ in 0..plan.pairs_at_once {
                crowd.say(plan.big + visitor, &join);
                crowd.say(plan.big + visitor, &leave);
            }
            crowd.flush(plan.big + visitor);
            begun += 1;
        }
        crowd.turn(Duration::from_millis(20), |number, frame| {
            if number >= plan.big && memmem::find(frame.head, br#""type":"left""#).is_some() {
                let visitor = number - plan.big;
                answered[visitor] += 1;
                left += 1;
                if answered[visitor].is_multiple_of(plan.pairs_at_once) {
                    free.push(visitor);
                }
            }
        })?;
        progress.check(left)?;
    }
    Ok((server.process.cpu_us()? - cpu) / left as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_few_are_in_both_rooms_and_visitors_in_none() {
        let plan = Plan {
            small: 2,
            big: 4,
            visitors: 1,
            pairs_at_once: 1,
            pairs: 1,
            blocks: 1,
        };
        let rooms: Vec<_> = (0..5)
            .map(|number| rooms_of(number, &plan).join("+"))
            .collect();
        assert_eq!(rooms, ["small+big", "small+big", "big", "big", ""]);
    }
}
