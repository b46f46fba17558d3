//! Messages to users beside broadcasts, on one server in turn: what it adds that each is kept until there is a receipt
//! for it. The clients answer the pings behind their messages, which is that receipt.
//!
//! The loader never sleeps while it measures: else the server would pay for waking it, now for each message, now for
//! none. Users are addressed in the order in which they came, which is the order in which a broadcast is written: to walk
//! the kernel's sockets in another one costs half as much again, whatever is sent.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::users::Order;
use super::{Progress, Server, gather_users};
use crate::crowd::{Crowd, publisher_token};
use crate::dialect::Audience;
use crate::histogram::median;
use crate::payload::Payload;
use crate::publisher::Publisher;
use crate::request::Request;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// How long a block rests at its end: the last receipts are asked for half a second after the last message, and belong
/// to it.
const LAST_RECEIPTS: Duration = Duration::from_millis(800);

/// What to do.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many users are connected, once each.
    #[arg(long, default_value_t = 1_000)]
    pub clients: usize,
    /// Messages a second for each of them; each value is a phase. Before these comes one in which a user gets the next
    /// message when the last one has come, and a broadcast goes out when the last one has come to all.
    #[arg(long, value_delimiter = ',', default_values_t = [10.0, 20.0, 50.0])]
    pub rates: Vec<f64>,
    /// How many messages to users are in the array of one POST.
    #[arg(long, default_value_t = 100)]
    pub batch: usize,
    /// How many users each of them is for.
    #[arg(long, default_value_t = 1)]
    pub targets: usize,
    /// How many connections publish.
    #[arg(long, default_value_t = 4)]
    pub publishers: usize,
    /// How long each block is.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// How many blocks of each sort a phase has.
    #[arg(long, default_value_t = 3)]
    pub blocks: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    clients: usize,
    targets: usize,
    phases: Vec<Phase>,
}

/// What was found at one pace.
#[derive(Serialize, Debug)]
struct Phase {
    /// Messages a second for each user; none where one is outstanding.
    rate: Option<f64>,
    broadcast_cpu_us_per_delivery: f64,
    user_cpu_us_per_delivery: f64,
    /// User to broadcast of each block.
    ratios: Vec<f64>,
    ratio: f64,
}

/// Gathers the users and runs the phases one after the other.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let (crowd, ids) = gather_users(server, plan.clients)?;
    let publishers = (0..plan.publishers.max(1))
        .map(|number| Publisher::connect(server.address, crowd.registry(), publisher_token(number)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut bench = Bench {
        server,
        crowd,
        ids,
        publishers,
        clock: Clock::default(),
    };
    let rates = plan.rates.iter().copied().map(Some);
    let phases = std::iter::once(None).chain(rates);
    let phases = phases.map(|rate| bench.phase(plan, rate));
    Ok(Figures {
        clients: plan.clients,
        targets: plan.targets,
        phases: phases.collect::<Result<_, _>>()?,
    })
}

/// The users, and who writes to them.
struct Bench {
    server: Server,
    crowd: Crowd,
    ids: Vec<String>,
    publishers: Vec<Publisher>,
    clock: Clock,
}

/// What is published in a block, and when.
struct Flow {
    request: Request,
    /// Whose turn it is; nobody's where all get each message.
    order: Option<Order>,
    /// Deliveries of one request.
    deliveries: u64,
    /// Deliveries a second.
    rate: Option<f64>,
    requests: u64,
    received: u64,
}

impl Bench {
    fn phase(&mut self, plan: &Plan, rate: Option<f64>) -> Result<Phase, Trouble> {
        let (mut broadcast, mut user) = (Vec::new(), Vec::new());
        for number in 0..=plan.blocks {
            let one = [false, true].map(|to_users| self.block(plan, rate, to_users));
            let [to_all, to_users] = one;
            let one = (to_all?, to_users?);
            // The first of each warms up.
            if number > 0 {
                broadcast.push(one.0);
                user.push(one.1);
            }
        }
        let pairs = user.iter().zip(&broadcast);
        let ratios: Vec<f64> = pairs.map(|(user, broadcast)| user / broadcast).collect();
        Ok(Phase {
            rate,
            broadcast_cpu_us_per_delivery: median(&broadcast),
            user_cpu_us_per_delivery: median(&user),
            ratio: median(&ratios),
            ratios,
        })
    }

    /// CPU of the server per delivery.
    fn block(&mut self, plan: &Plan, rate: Option<f64>, to_users: bool) -> Result<f64, Trouble> {
        let mut flow = Flow::new(self.server, plan, rate, to_users);
        let mut progress = Progress::of("received messages");
        let cpu = self.server.process.cpu_us()?;
        let start = Instant::now();
        let end = start + Duration::from_secs_f64(plan.seconds);
        loop {
            while Instant::now() < end && flow.is_due(start) && flow.address(&self.ids) {
                let number = flow.requests as usize % self.publishers.len();
                self.publishers[number].ask(flow.request.stamped(self.clock.now()));
                flow.requests += 1;
            }
            self.publishers
                .iter_mut()
                .try_for_each(Publisher::advance)?;
            self.crowd.turn(Duration::ZERO, |number, frame| {
                if self.clock.find(frame.head).is_some() {
                    flow.received += 1;
                    if let Some(order) = &mut flow.order {
                        order.received(number);
                    }
                }
            })?;
            progress.check(flow.received)?;
            if Instant::now() >= end && flow.received == flow.requests * flow.deliveries {
                break;
            }
        }
        self.crowd.rest(LAST_RECEIPTS)?;
        Ok((self.server.process.cpu_us()? - cpu) / flow.received as f64)
    }
}

impl Flow {
    fn new(server: Server, plan: &Plan, rate: Option<f64>, to_users: bool) -> Flow {
        let (audience, count) = if to_users {
            (Audience::Users(plan.targets), plan.batch)
        } else {
            (Audience::Everybody, 1)
        };
        let deliveries = if to_users {
            plan.batch * plan.targets
        } else {
            plan.clients
        };
        Flow {
            request: server.dialect.publish(audience, &Payload::text(64), count),
            order: to_users.then(|| Order::new((0..plan.clients).collect(), rate.is_none())),
            deliveries: deliveries as u64,
            rate: rate.map(|rate| rate * plan.clients as f64),
            requests: 0,
            received: 0,
        }
    }

    /// When the next request is due, in seconds from the start.
    fn due(&self) -> Option<f64> {
        Some((self.requests * self.deliveries) as f64 / self.rate?)
    }

    fn is_due(&self, start: Instant) -> bool {
        match (self.due(), &self.order) {
            (Some(due), _) => start.elapsed().as_secs_f64() >= due,
            // The order knows who is free.
            (None, Some(_)) => true,
            (None, None) => self.received == self.requests * self.deliveries,
        }
    }

    /// Writes into the request whose turn it is; `false` where too few are free.
    fn address(&mut self, ids: &[String]) -> bool {
        let Some(order) = &mut self.order else {
            return true;
        };
        let Some(users) = order.take(self.deliveries as usize) else {
            return false;
        };
        for (index, number) in users.into_iter().enumerate() {
            self.request.address(index, &ids[number]);
        }
        true
    }
}
