//! A room in which everybody is, beside broadcasts, on one server in turn: what a delivery costs more to a room.

use serde::Serialize;

use super::fanout::Stage;
use super::{SETTLING, Server};
use crate::client::Wish;
use crate::crowd::Crowd;
use crate::dialect::{Audience, user};
use crate::histogram::median;
use crate::payload::Payload;
use crate::trouble::Trouble;

const ROOM: &str = "everyone";

/// What to send.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many clients listen, all of them in the room.
    #[arg(long, default_value_t = 5_000)]
    pub clients: usize,
    /// How many messages may be under way at once; each value is a phase with the same clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    pub in_flight: Vec<u64>,
    /// How many messages a block has, for each phase.
    #[arg(long, value_delimiter = ',', default_values_t = [30, 640])]
    pub messages: Vec<u64>,
    /// How many blocks of each sort a phase has.
    #[arg(long, default_value_t = 5)]
    pub blocks: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    clients: usize,
    phases: Vec<Phase>,
}

/// What was found with one number of messages in flight.
#[derive(Serialize, Debug)]
struct Phase {
    in_flight: u64,
    broadcast_cpu_us_per_delivery: f64,
    room_cpu_us_per_delivery: f64,
    /// Room to broadcast of each block.
    ratios: Vec<f64>,
    ratio: f64,
}

/// Gathers the clients and runs the phases one after the other.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let mut crowd = Crowd::gather(server.address, plan.clients, |number| Wish {
        path: server.dialect.path(&user("user", number)),
        deflate: false,
        greeted: server.dialect.greets(),
        rooms: vec![ROOM.to_owned()],
    })?;
    crowd.rest(SETTLING)?;
    let mut stage = Stage::new(server, crowd)?;
    let phases = plan.in_flight.iter().zip(&plan.messages);
    let phases = phases.map(|(&in_flight, &messages)| {
        let (mut broadcast, mut room) = (Vec::new(), Vec::new());
        for number in 0..=plan.blocks {
            // Who begins takes turns too, so that a machine that grows slower favours neither.
            for to_room in [number % 2 == 0, number % 2 != 0] {
                let (audience, costs) = if to_room {
                    (Audience::Room(ROOM), &mut room)
                } else {
                    (Audience::Everybody, &mut broadcast)
                };
                let block = stage.phase(audience, &Payload::text(64), in_flight, messages)?;
                // The first of each warms up.
                if number > 0 {
                    costs.push(block.cpu_us_per_delivery);
                }
            }
        }
        let pairs = room.iter().zip(&broadcast);
        let ratios: Vec<f64> = pairs.map(|(room, broadcast)| room / broadcast).collect();
        Ok(Phase {
            in_flight,
            broadcast_cpu_us_per_delivery: median(&broadcast),
            room_cpu_us_per_delivery: median(&room),
            ratio: median(&ratios),
            ratios,
        })
    });
    Ok(Figures {
        clients: plan.clients,
        phases: phases.collect::<Result<_, _>>()?,
    })
}
