//! Quiet users beside noise: how long a message to one of them takes, while nothing else happens and while it does, in turn.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::users::shuffled;
use super::{Latency, Server, gather_users};
use crate::client::Wish;
use crate::crowd::{Crowd, publisher_token};
use crate::dialect::{Audience, Dialect, user};
use crate::histogram::{Histogram, median};
use crate::payload::Payload;
use crate::process::yield_to_others;
use crate::publisher::Publisher;
use crate::request::Request;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// What is loud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// One big broadcast at the beginning of each noisy phase; the quiet users get it too.
    Broadcast,
    /// A room of others that is talked to all through the noisy phase.
    Room,
}

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many quiet users.
    #[arg(long, default_value_t = 1_000)]
    pub clients: usize,
    /// Messages a second to all quiet users together.
    #[arg(long, default_value_t = 500.0)]
    pub rate: f64,
    /// How long each phase is.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How many calm phases, each with a noisy one behind it.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// What is loud.
    #[arg(long, value_enum)]
    pub noise: Noise,
    /// The length of a loud message's data.
    #[arg(long)]
    pub noise_size: usize,
    /// Loud messages a second (of a room).
    #[arg(long, default_value_t = 400.0)]
    pub noise_rate: f64,
    /// Members of the loud room, none of them a quiet user.
    #[arg(long, default_value_t = 100)]
    pub members: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    noise: Noise,
    noise_size: usize,
    noise_heard: u64,
    rounds: Vec<Round>,
    ratio: f64,
    ratio_first_second: f64,
}

#[derive(Serialize, Debug)]
struct Round {
    calm: Latency,
    noisy: Latency,
    /// Of the noisy phase the messages sent in its first second only: the worst of a single broadcast.
    noisy_first_second: Latency,
}

/// One phase: all of its latencies, and those of its first second.
#[derive(Default)]
struct Heard {
    all: Histogram,
    first_second: Histogram,
    noise: u64,
}

/// Gathers the quiet users, and the loud ones in a thread of their own, then lets calm and noise take turns.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let quiet = Quiet::gather(server, plan)?;
    let Noise::Room = plan.noise else {
        return rounds(quiet, plan, |_| {});
    };
    let mut room = LoudRoom::gather(server.address, server.dialect, plan)?;
    let (loud, over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let talking = scope.spawn(|| room.talk(&loud, &over));
        let figures = rounds(quiet, plan, |on| loud.store(on, Ordering::Relaxed));
        over.store(true, Ordering::Relaxed);
        let heard = talking
            .join()
            .unwrap_or(Err(Trouble::Stalled("the loud room".to_owned())))?;
        Ok(Figures {
            noise_heard: heard,
            ..figures?
        })
    })
}

fn rounds(mut quiet: Quiet, plan: &Plan, loud: impl Fn(bool)) -> Result<Figures, Trouble> {
    let mut rounds = Vec::new();
    let mut noise_heard = 0;
    for _ in 0..plan.rounds {
        let calm = quiet.phase(plan, false)?;
        loud(true);
        let noisy = quiet.phase(plan, true)?;
        loud(false);
        quiet.crowd.rest(Duration::from_millis(500))?;
        noise_heard += noisy.noise;
        rounds.push(Round {
            calm: Latency::from(&calm.all),
            noisy: Latency::from(&noisy.all),
            noisy_first_second: Latency::from(&noisy.first_second),
        });
    }
    let ratio = |of: fn(&Round) -> f64| {
        median(
            &rounds
                .iter()
                .map(|round| of(round) / round.calm.p99_ms)
                .collect::<Vec<_>>(),
        )
    };
    Ok(Figures {
        noise: plan.noise,
        noise_size: plan.noise_size,
        noise_heard,
        ratio: ratio(|round| round.noisy.p99_ms),
        ratio_first_second: ratio(|round| round.noisy_first_second.p99_ms),
        rounds,
    })
}

/// The quiet users, and who writes to them.
struct Quiet {
    crowd: Crowd,
    publisher: Publisher,
    request: Request,
    broadcast: Request,
    ids: Vec<String>,
    order: Vec<usize>,
    next: usize,
    clock: Clock,
}

impl Quiet {
    fn gather(server: Server, plan: &Plan) -> Result<Quiet, Trouble> {
        let (crowd, ids) = gather_users(server, plan.clients)?;
        Ok(Quiet {
            publisher: Publisher::connect(server.address, crowd.registry(), publisher_token(0))?,
            crowd,
            request: server
                .dialect
                .publish(Audience::Users(1), &Payload::text(64), 1),
            broadcast: server.dialect.publish(
                Audience::Everybody,
                &Payload::text(plan.noise_size),
                1,
            ),
            order: shuffled(ids.len()),
            ids,
            next: 0,
            clock: Clock::default(),
        })
    }

    /// Writes to one user after the other at the plan's rate, and waits for all of it. A message is
    /// stamped when it is handed over, and never waits for an answer to the one before: a server that
    /// holds things up is charged for it, a wait of this loader that ends a millisecond late is not.
    fn phase(&mut self, plan: &Plan, noisy: bool) -> Result<Heard, Trouble> {
        let Quiet {
            crowd,
            publisher,
            request,
            broadcast,
            ids,
            order,
            next,
            clock,
        } = self;
        let mut heard = Heard::default();
        let total = (plan.rate * plan.seconds) as u64;
        let start = clock.now();
        let due = |count: u64| start + (count as f64 / plan.rate * 1e9) as u64;
        let mut sent = 0;
        if noisy && plan.noise == Noise::Broadcast {
            publisher.ask(broadcast.stamped(0));
        }
        let expected_noise = if noisy && plan.noise == Noise::Broadcast {
            crowd.len() as u64
        } else {
            0
        };
        let deadline = Instant::now() + Duration::from_secs_f64(plan.seconds) + super::PATIENCE;
        while heard.all.count() < total || heard.noise < expected_noise {
            while sent < total && clock.now() >= due(sent) {
                request.address(0, &ids[order[*next]]);
                publisher.ask(request.stamped(clock.now()));
                *next = (*next + 1) % order.len();
                sent += 1;
            }
            publisher.advance()?;
            let wait = Duration::from_nanos(due(sent).saturating_sub(clock.now()))
                .clamp(Duration::from_micros(1), Duration::from_millis(20));
            crowd.turn(wait, |_, frame| match clock.find(frame.head) {
                Some(0) => heard.noise += 1,
                Some(stamp) => heard.record(stamp, start, clock.now()),
                None => {}
            })?;
            if Instant::now() > deadline {
                return Err(Trouble::Stalled(format!(
                    "{} of {total} messages to quiet users",
                    heard.all.count()
                )));
            }
        }
        Ok(heard)
    }
}

impl Heard {
    fn record(&mut self, stamp: u64, start: u64, now: u64) {
        let took = now.saturating_sub(stamp);
        self.all.record(took);
        if stamp < start + 1_000_000_000 {
            self.first_second.record(took);
        }
    }
}

/// A room of others, in a thread that steps back for the one that measures.
struct LoudRoom {
    crowd: Crowd,
    server: SocketAddr,
    /// Opened with the first message: a server closes a connection that asks for nothing.
    publisher: Option<Publisher>,
    request: Request,
    pause: Duration,
    clock: Clock,
}

impl LoudRoom {
    fn gather(server: SocketAddr, dialect: Dialect, plan: &Plan) -> Result<LoudRoom, Trouble> {
        let crowd = Crowd::gather(server, plan.members, |number| Wish {
            path: dialect.path(&user("loud", number)),
            deflate: false,
            greeted: dialect.greets(),
            rooms: vec!["loud".to_owned()],
        })?;
        Ok(LoudRoom {
            crowd,
            server,
            publisher: None,
            request: dialect.publish(Audience::Room("loud"), &Payload::text(plan.noise_size), 1),
            pause: Duration::from_secs_f64(1.0 / plan.noise_rate),
            clock: Clock::default(),
        })
    }

    /// Talks while `loud` says so, until all is `over`; returns how many messages the members have heard.
    fn talk(&mut self, loud: &AtomicBool, over: &AtomicBool) -> Result<u64, Trouble> {
        yield_to_others()?;
        let mut heard = 0;
        let mut due = Instant::now();
        while !over.load(Ordering::Relaxed) {
            let now = Instant::now();
            if !loud.load(Ordering::Relaxed) {
                due = now;
            } else if now >= due {
                let publisher = match &mut self.publisher {
                    Some(publisher) => publisher,
                    none => none.insert(Publisher::connect(
                        self.server,
                        self.crowd.registry(),
                        publisher_token(0),
                    )?),
                };
                publisher.ask(self.request.stamped(self.clock.now()));
                // What this thread was too late for isn't made up for: the noise is at most as loud as planned.
                due = (due + self.pause).max(now);
            }
            if let Some(publisher) = &mut self.publisher {
                publisher.advance()?;
            }
            let wait = due
                .saturating_duration_since(now)
                .clamp(Duration::from_micros(1), Duration::from_millis(20));
            self.crowd.turn(wait, |_, frame| {
                heard += u64::from(self.clock.find(frame.head).is_some())
            })?;
        }
        Ok(heard)
    }
}
