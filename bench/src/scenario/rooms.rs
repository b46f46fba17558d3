//! Very many rooms of two: what a membership takes, and what a join costs beyond its frames. Joins come in a storm, in
//! blocks that take turns with exchanges of frames which let nobody in anywhere.

use std::time::Duration;

use memchr::memmem;
use serde::Serialize;

use super::{Latency, Progress, SETTLING, Server, gather_users};
use crate::crowd::Crowd;
use crate::histogram::Histogram;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// How many clients wait for answers at once.
const WAITING: usize = 64;

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many clients, an even number.
    #[arg(long, default_value_t = 19_000)]
    pub clients: usize,
    /// How many rooms; one of the clients with even numbers joins each, and one of those with odd numbers.
    #[arg(long, default_value_t = 1_000_000)]
    pub rooms: usize,
    /// How many frames a client sends at once; more makes the rule's own cost a bigger share of what is measured.
    #[arg(long, default_value_t = 8)]
    pub at_once: usize,
    /// In how many blocks all are joined.
    #[arg(long, default_value_t = 20)]
    pub blocks: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    clients: usize,
    rooms: usize,
    bytes_per_membership: f64,
    join_cpu_us: f64,
    /// A join less a `ping` of the same length, which is answered at once.
    beyond_ping_us: f64,
    /// The same of the last block, when nearly all rooms are there.
    beyond_ping_at_end_us: f64,
    beyond_ping_by_block_us: Vec<f64>,
    /// A join less a `leave` of a room that one isn't in, which has to ask the log, too.
    beyond_leave_us: f64,
    /// From when a client sent its joins to the answer of the last one.
    latency: Latency,
}

/// What a client sends. All three name a room, so that they are of a length (but for one letter).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Answered without asking anybody.
    Ping,
    /// Of a room that nobody is in: asks the log, as a join does.
    Leave,
    Join,
}

/// Lets all join, in blocks that stand behind blocks of either other exchange.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let (crowd, _) = gather_users(server, plan.clients)?;
    let before = server.process.memory()?.anonymous;
    let mut storm = Storm::new(server, crowd, plan);
    let mut costs = Vec::new();
    for number in 0..plan.blocks {
        let block = [Said::Ping, Said::Leave, Said::Join].map(|said| storm.block(said, number));
        let [ping, leave, join] = block;
        costs.push((ping?, leave?, join?));
    }
    storm.crowd.rest(SETTLING)?;
    let grown = server.process.memory()?.anonymous as f64 - before as f64;
    if storm.shared != storm.rooms() {
        return Err(Trouble::Garbled(
            "a room that two have joined has two members",
        ));
    }
    let of = |pick: fn(&(f64, f64, f64)) -> f64| costs.iter().map(pick).collect::<Vec<_>>();
    let beyond_ping = of(|(ping, _, join)| join - ping);
    Ok(Figures {
        clients: plan.clients,
        rooms: storm.rooms(),
        bytes_per_membership: grown / (2 * storm.rooms()) as f64,
        join_cpu_us: mean(&of(|(_, _, join)| *join)),
        beyond_ping_us: mean(&beyond_ping),
        beyond_ping_at_end_us: beyond_ping.last().copied().unwrap_or_default(),
        beyond_leave_us: mean(&of(|(_, leave, join)| join - leave)),
        beyond_ping_by_block_us: beyond_ping,
        latency: Latency::from(&storm.latencies),
    })
}

struct Storm {
    server: Server,
    crowd: Crowd,
    /// In which order clients with even numbers have their turn, and which rooms they join; then the same of the others.
    sides: [(Vec<usize>, Vec<usize>); 2],
    at_once: usize,
    blocks: usize,
    clock: Clock,
    /// When each client has sent what it waits for, and how many answers it has had.
    sent: Vec<u64>,
    answered: Vec<usize>,
    latencies: Histogram,
    /// Rooms with two members.
    shared: usize,
}

impl Storm {
    fn new(server: Server, crowd: Crowd, plan: &Plan) -> Storm {
        let mut random = fastrand::Rng::with_seed(7);
        let per_block = (plan.rooms / plan.blocks).next_multiple_of(plan.at_once);
        let sides = [0, 1].map(|side| {
            let mut clients: Vec<usize> = (side..crowd.len()).step_by(2).collect();
            let mut rooms: Vec<usize> = (0..per_block * plan.blocks).collect();
            random.shuffle(&mut clients);
            random.shuffle(&mut rooms);
            (clients, rooms)
        });
        Storm {
            server,
            sides,
            at_once: plan.at_once,
            blocks: plan.blocks,
            clock: Clock::default(),
            sent: vec![0; crowd.len()],
            answered: vec![0; crowd.len()],
            latencies: Histogram::default(),
            shared: 0,
            crowd,
        }
    }

    fn rooms(&self) -> usize {
        self.sides[0].1.len()
    }

    /// CPU of the server per exchange.
    fn block(&mut self, said: Said, number: usize) -> Result<f64, Trouble> {
        let bouts = 2 * self.rooms() / self.blocks / self.at_once;
        let (mut begun, mut ended) = (0, 0);
        let mut progress = Progress::of("answered frames");
        let process = self.server.process;
        let cpu = process.cpu_us()?;
        while ended < bouts {
            while begun < bouts && begun - ended < WAITING.min(self.crowd.len()) {
                self.begin(said, number * bouts + begun);
                begun += 1;
            }
            self.crowd
                .turn(Duration::from_millis(20), |client, frame| {
                    if !said.is_answered_by(frame.head) {
                        return;
                    }
                    self.shared +=
                        usize::from(memmem::find(frame.head, br#""members":2"#).is_some());
                    self.answered[client] += 1;
                    if self.answered[client].is_multiple_of(self.at_once) {
                        ended += 1;
                        if said == Said::Join {
                            let took = self.clock.now().saturating_sub(self.sent[client]);
                            self.latencies.record(took);
                        }
                    }
                })?;
            progress.check(ended as u64)?;
        }
        Ok((process.cpu_us()? - cpu) / (bouts * self.at_once) as f64)
    }

    /// Has the client whose turn it is say as much as it says at once.
    fn begin(&mut self, said: Said, bout: usize) {
        let (clients, rooms) = &self.sides[bout % 2];
        let client = clients[bout / 2 % clients.len()];
        let first = bout / 2 * self.at_once;
        for &room in &rooms[first..first + self.at_once] {
            self.crowd.say(client, &said.text(room));
        }
        self.crowd.flush(client);
        self.sent[client] = self.clock.now();
    }
}

impl Said {
    fn text(self, room: usize) -> String {
        let (word, room) = match self {
            Said::Ping => ("ping", room),
            Said::Leave => ("leave", UNKNOWN + room),
            Said::Join => ("join", room),
        };
        format!(r#"{{"type":"{word}","room_id":"{}"}}"#, room_id(room))
    }

    fn is_answered_by(self, text: &[u8]) -> bool {
        let answer: &[u8] = match self {
            Said::Ping => br#"{"type":"pong""#,
            Said::Leave => br#"{"type":"left""#,
            Said::Join => br#"{"type":"joined""#,
        };
        text.starts_with(answer)
    }
}

/// Rooms from this number on are nobody's.
const UNKNOWN: usize = 1 << 30;

/// An id of 10 to 16 characters, another one for each number below 2^40.
fn room_id(number: usize) -> String {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = format!("{:010x}{:06x}", mixed & 0xff_ffff_ffff, mixed >> 40);
    text[..10 + number % 7].to_owned()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_room_has_an_id_of_its_own() {
        let ids: HashSet<String> = (0..50_000)
            .chain(UNKNOWN..UNKNOWN + 50_000)
            .map(room_id)
            .collect();
        assert_eq!(ids.len(), 100_000);
        assert!(ids.iter().all(|id| (10..=16).contains(&id.len())));
    }
}
