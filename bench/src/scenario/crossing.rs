//! Messages that one node takes and another gives out, at a steady pace: how long each is under way.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Latency, Progress, Server, gather_users};
use crate::crowd::publisher_token;
use crate::dialect::Audience;
use crate::histogram::Histogram;
use crate::payload::Payload;
use crate::publisher::Publisher;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// What to send.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// Messages a second.
    #[arg(long, default_value_t = 1_000.0)]
    pub rate: f64,
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
    rate: f64,
    /// From when the request is handed to the publishing connection to when the client has the message.
    latency: Latency,
}

/// Publishes to `from` and listens at `to`, which may be the same node.
pub fn run(from: Server, to: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let (mut crowd, _) = gather_users(to, 1)?;
    let mut publisher = Publisher::connect(from.address, crowd.registry(), publisher_token(0))?;
    let payload = Payload::text(plan.size);
    let mut request = from.dialect.publish(Audience::Everybody, &payload, 1);
    let clock = Clock::default();
    let mut progress = Progress::of("received messages");
    let warming = plan.rate as u64;
    let all = warming + (plan.rate * plan.seconds) as u64;
    let (mut sent, mut received) = (0, 0);
    let mut latencies = Histogram::default();
    let start = Instant::now();
    while received < all {
        while sent < all && start.elapsed().as_secs_f64() >= sent as f64 / plan.rate {
            publisher.ask(request.stamped(clock.now()));
            sent += 1;
        }
        publisher.advance()?;
        crowd.turn(Duration::from_millis(1), |_, frame| {
            if let Some(stamp) = clock.find(frame.head) {
                received += 1;
                if received > warming {
                    latencies.record(clock.now().saturating_sub(stamp));
                }
            }
        })?;
        progress.check(received)?;
    }
    Ok(Figures {
        rate: plan.rate,
        latency: Latency::from(&latencies),
    })
}
