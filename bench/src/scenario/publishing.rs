//! Connections that publish with ids and wait for their acks, so many messages in flight on each: how many a second one
//! node has accepted, to a room of nobody or to users who are there and whose receipts take each out of a queue again.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Latency, Progress, SETTLING, Server};
use crate::client::Wish;
use crate::crowd::Crowd;
use crate::dialect::user;
use crate::frames::Frame;
use crate::histogram::Histogram;
use crate::payload::Payload;
use crate::process::Process;
use crate::stamp::{self, Clock};
use crate::trouble::Trouble;

/// What to send.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many connections publish.
    #[arg(long, default_value_t = 8)]
    pub publishers: usize,
    /// How many messages each has under way.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// How many users are connected and addressed one after the other; with 0 all goes to a room without members.
    #[arg(long, default_value_t = 0)]
    pub users: usize,
    /// The length of a message's data.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// How long to measure, after one second of warming up.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    acked: u64,
    acked_per_s: f64,
    received: u64,
    cpu_us_per_message: f64,
    redis_cpu_us_per_message: Option<f64>,
    /// Near 1 the loader is what bounds the figure.
    loader_cpu_share: f64,
    /// Until the ack.
    latency: Latency,
}

/// Who publishes, and what became of it.
struct Press<'a> {
    plan: &'a Plan,
    crowd: Crowd,
    payload: Payload,
    clock: Clock,
    begun: Vec<u64>,
    acked: u64,
    received: u64,
    latencies: Histogram,
    refused: Option<String>,
}

/// Lets them publish for as long as the plan says; `redis` is the process of the log.
pub fn run(server: Server, redis: Option<Process>, plan: &Plan) -> Result<Figures, Trouble> {
    let count = plan.publishers + plan.users;
    let mut crowd = Crowd::gather(server.address, count, |number| Wish {
        path: server.dialect.path(&user("user", number)),
        deflate: false,
        greeted: true,
        rooms: Vec::new(),
    })?;
    crowd.rest(SETTLING)?;
    let mut press = Press {
        plan,
        crowd,
        payload: Payload::text(plan.size),
        clock: Clock::default(),
        begun: Vec::new(),
        acked: 0,
        received: 0,
        latencies: Histogram::default(),
        refused: None,
    };
    for number in 0..plan.publishers * plan.in_flight {
        press.publish(number % plan.publishers);
    }
    press.go_on(Duration::from_secs(1), true)?;
    (press.acked, press.latencies) = (0, Histogram::default());
    let used = |process: Option<Process>| process.map(Process::cpu_us).transpose();
    let loader = Process::own();
    let before = (server.process.cpu_us()?, used(redis)?, loader.cpu_us()?);
    let begun = Instant::now();
    press.go_on(Duration::from_secs_f64(plan.seconds), true)?;
    let wall = begun.elapsed().as_secs_f64();
    let acked = press.acked as f64;
    let after = (server.process.cpu_us()?, used(redis)?, loader.cpu_us()?);
    press.go_on(Duration::ZERO, false)?;
    press.crowd.rest(SETTLING)?;
    Ok(Figures {
        acked: press.acked,
        acked_per_s: acked / wall,
        received: press.received,
        cpu_us_per_message: (after.0 - before.0) / acked,
        redis_cpu_us_per_message: after
            .1
            .zip(before.1)
            .map(|(after, before)| (after - before) / acked),
        loader_cpu_share: (after.2 - before.2) / 1e6 / wall,
        latency: Latency::from(&press.latencies),
    })
}

impl Press<'_> {
    fn publish(&mut self, publisher: usize) {
        let number = self.begun.len();
        let now = self.clock.now();
        self.begun.push(now);
        let at = self.payload.stamp_at;
        stamp::write(&mut self.payload.json[at..], now);
        let data = String::from_utf8_lossy(&self.payload.json);
        // Ids are remembered for minutes, so those of the next run are others.
        let id = message_id(number);
        let text = if self.plan.users == 0 {
            format!(r#"{{"type":"room","id":"{id}","room_id":"empty","data":{data}}}"#)
        } else {
            let to = user("user", self.plan.publishers + number % self.plan.users);
            format!(r#"{{"type":"user","id":"{id}","target_ids":["{to}"],"data":{data}}}"#)
        };
        self.crowd.say(publisher, &text);
    }

    /// Goes on for so long; each ack has the next one follow if `again` says so, else it ends when all are acked.
    fn go_on(&mut self, time: Duration, again: bool) -> Result<(), Trouble> {
        let mut progress = Progress::of("acked messages");
        let end = Instant::now() + time;
        let mut free = Vec::new();
        let mut open = self.plan.publishers * self.plan.in_flight;
        while if again {
            Instant::now() < end
        } else {
            open > 0
        } {
            (0..self.plan.publishers).for_each(|publisher| self.crowd.flush(publisher));
            let Self {
                crowd,
                clock,
                begun,
                acked,
                received,
                latencies,
                refused,
                plan,
                ..
            } = self;
            crowd.turn(Duration::from_millis(20), |number, frame| {
                if number >= plan.publishers {
                    *received += u64::from(clock.find(frame.head).is_some());
                } else if let Some(message) = acked_message(frame) {
                    *acked += 1;
                    latencies.record(clock.now().saturating_sub(begun[message]));
                    free.push(number);
                } else {
                    *refused = Some(String::from_utf8_lossy(frame.head).into_owned());
                }
            })?;
            if let Some(refused) = self.refused.take() {
                return Err(Trouble::Refused(refused));
            }
            progress.check(self.acked)?;
            if again {
                free.drain(..).for_each(|publisher| self.publish(publisher));
            } else {
                open -= free.drain(..).count();
            }
        }
        Ok(())
    }
}

fn message_id(number: usize) -> String {
    format!("{:010}-{number:09}", std::process::id())
}

/// The number of the message that this acks.
fn acked_message(frame: &Frame<'_>) -> Option<usize> {
    let rest = frame.head.strip_prefix(br#"{"type":"ack","id":""#)?;
    std::str::from_utf8(rest.get(11..20)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::TEXT;

    fn acked(text: &str) -> Option<usize> {
        acked_message(&Frame {
            opcode: TEXT,
            compressed: false,
            length: text.len(),
            head: text.as_bytes(),
        })
    }

    #[test]
    fn an_ack_tells_which_message_it_is_for() {
        let ack = format!(
            r#"{{"type":"ack","id":"{}","cursor":"a.1:0:1-7"}}"#,
            message_id(57)
        );
        assert_eq!(acked(&ack), Some(57));
        assert_eq!(acked(r#"{"type":"error","code":"overloaded"}"#), None);
    }
}
