//! Messages to single users: how many a second one core receives, routes and sends.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Latency, Progress, Server, gather_users};
use crate::crowd::{Crowd, publisher_token};
use crate::dialect::Audience;
use crate::histogram::Histogram;
use crate::payload::Payload;
use crate::process::Process;
use crate::publisher::Publisher;
use crate::request::Request;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// What to send.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many users are connected, once each.
    #[arg(long, default_value_t = 5_000)]
    pub clients: usize,
    /// How many messages are in the array of one POST.
    #[arg(long, default_value_t = 100)]
    pub batch: usize,
    /// How many messages may be under way at once, over all users.
    #[arg(long, default_value_t = 20_000)]
    pub outstanding: u64,
    /// A user gets the next message only when the last one has come.
    #[arg(long)]
    pub one_each: bool,
    /// How many connections publish.
    #[arg(long, default_value_t = 4)]
    pub publishers: usize,
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
    clients: usize,
    one_each: bool,
    outstanding: u64,
    received: u64,
    received_per_s: f64,
    cpu_us_per_message: f64,
    server_cpu_share: f64,
    /// Near 1 the loader is what bounds the figure.
    loader_cpu_share: f64,
    latency: Latency,
}

/// Whose turn it is: everybody in a fixed order again and again, or whoever has received the last one.
pub(super) enum Order {
    Cycle { users: Vec<usize>, next: usize },
    Free(Vec<usize>),
}

impl Order {
    pub(super) fn new(users: Vec<usize>, one_each: bool) -> Order {
        if one_each {
            Order::Free(users)
        } else {
            Order::Cycle { users, next: 0 }
        }
    }

    /// The next `n` users, if there are so many.
    pub(super) fn take(&mut self, n: usize) -> Option<Vec<usize>> {
        match self {
            Order::Cycle { users, next } => {
                let taken = (*next..*next + n)
                    .map(|at| users[at % users.len()])
                    .collect();
                *next = (*next + n) % users.len();
                Some(taken)
            }
            Order::Free(free) if free.len() >= n => Some(free.drain(..n).collect()),
            Order::Free(_) => None,
        }
    }

    pub(super) fn received(&mut self, number: usize) {
        if let Order::Free(free) = self {
            free.push(number);
        }
    }
}

/// The numbers below `n` in an order that is the same in every run and of no use to a cache.
pub(super) fn shuffled(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for last in (1..n).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (seed >> 33) as usize % (last + 1));
    }
    order
}

/// What is under way, and what has come.
struct Flow {
    clock: Clock,
    order: Order,
    latencies: Histogram,
    sent: u64,
    received: u64,
}

/// Gathers the users, warms up for a second, measures, and waits until all that was sent has come.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let (mut crowd, ids) = gather_users(server, plan.clients)?;
    let mut publishers = (0..plan.publishers.max(1))
        .map(|number| Publisher::connect(server.address, crowd.registry(), publisher_token(number)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut request =
        server
            .dialect
            .publish(Audience::Users(1), &Payload::text(plan.size), plan.batch);
    let mut flow = Flow {
        clock: Clock::default(),
        order: Order::new(shuffled(plan.clients), plan.one_each),
        latencies: Histogram::default(),
        sent: 0,
        received: 0,
    };
    let mut work = |flow: &mut Flow, seconds: f64| {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut progress = Progress::of("received messages");
        while Instant::now() < end {
            publish(flow, plan, &ids, &mut request, &mut publishers);
            turn(flow, &mut crowd, &mut publishers)?;
            progress.check(flow.received)?;
        }
        Ok(())
    };
    work(&mut flow, 1.0)?;
    flow.latencies = Histogram::default();
    let (cpu, before, start) = (server.process.cpu_us()?, flow.received, Instant::now());
    let loader = Process::own().cpu_us()?;
    work(&mut flow, plan.seconds)?;
    let loader = Process::own().cpu_us()? - loader;
    let (cpu, received, wall) = (
        server.process.cpu_us()? - cpu,
        flow.received - before,
        start.elapsed().as_secs_f64(),
    );
    let figures = Figures {
        clients: plan.clients,
        one_each: plan.one_each,
        outstanding: plan.outstanding,
        received,
        received_per_s: received as f64 / wall,
        cpu_us_per_message: cpu / received as f64,
        server_cpu_share: cpu / (wall * 1e6),
        loader_cpu_share: loader / (wall * 1e6),
        latency: Latency::from(&flow.latencies),
    };
    let mut progress = Progress::of("received messages");
    while flow.received < flow.sent {
        turn(&mut flow, &mut crowd, &mut publishers)?;
        progress.check(flow.received)?;
    }
    Ok(figures)
}

/// Fills up what may be under way, array by array, the publishers in turn.
fn publish(
    flow: &mut Flow,
    plan: &Plan,
    ids: &[String],
    request: &mut Request,
    publishers: &mut [Publisher],
) {
    let batch = plan.batch as u64;
    while flow.sent - flow.received + batch <= plan.outstanding {
        let Some(users) = flow.order.take(plan.batch) else {
            return;
        };
        for (index, &number) in users.iter().enumerate() {
            request.address(index, &ids[number]);
        }
        let turn = (flow.sent / batch) as usize % publishers.len();
        publishers[turn].ask(request.stamped(flow.clock.now()));
        flow.sent += batch;
    }
}

fn turn(flow: &mut Flow, crowd: &mut Crowd, publishers: &mut [Publisher]) -> Result<(), Trouble> {
    publishers.iter_mut().try_for_each(Publisher::advance)?;
    crowd.turn(Duration::from_millis(20), |number, frame| {
        if let Some(sent) = flow.clock.find(frame.head) {
            flow.latencies.record(flow.clock.now().saturating_sub(sent));
            flow.received += 1;
            flow.order.received(number);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_in_a_cycle() {
        let mut order = Order::new(shuffled(10), false);
        let mut first: Vec<_> = (0..5)
            .flat_map(|_| order.take(2).expect("a cycle has no end"))
            .collect();
        let again = order.take(2).expect("a cycle has no end");
        assert_eq!(again, first[..2]);
        first.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn who_has_not_received_gets_nothing_more() {
        let mut order = Order::new(shuffled(4), true);
        let taken = order.take(3).expect("four are free");
        assert_eq!(order.take(2), None);
        order.received(taken[0]);
        assert!(order.take(2).is_some_and(|users| users.contains(&taken[0])));
    }
}
