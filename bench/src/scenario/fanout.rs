//! One message to many clients, over and over: what a delivery, an idle connection and a new connection cost.

use std::io::Read;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Latency, Progress, SETTLING, Server};
use crate::client::Wish;
use crate::crowd::{Crowd, publisher_token};
use crate::dialect::{Audience, user};
use crate::frames::{Frame, KEPT};
use crate::histogram::Histogram;
use crate::payload::Payload;
use crate::publisher::Publisher;
use crate::stamp::Clock;
use crate::trouble::Trouble;

/// How many deflated messages are inflated and looked into; the rest are counted.
const LOOKED_INTO: u64 = 64;

/// What to send.
#[derive(clap::Args, Clone)]
pub struct Plan {
    /// How many clients listen.
    #[arg(long, default_value_t = 5_000)]
    pub clients: usize,
    /// How many messages may be under way at once; each value is a phase with the same clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    pub in_flight: Vec<u64>,
    /// How many messages to send, for each phase.
    #[arg(long, value_delimiter = ',', default_values_t = [60, 1280])]
    pub messages: Vec<u64>,
    /// The length of a message's data.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// The data are JSON records rather than one string.
    #[arg(long)]
    pub records: bool,
    /// Clients negotiate permessage-deflate.
    #[arg(long)]
    pub deflate: bool,
}

/// What was found.
#[derive(Serialize, Debug)]
pub struct Figures {
    clients: usize,
    idle_bytes: f64,
    idle_resident_bytes: f64,
    connect_cpu_us: f64,
    phases: Vec<Phase>,
}

/// What was found with one number of messages in flight.
#[derive(Serialize, Debug)]
pub struct Phase {
    in_flight: u64,
    /// How many messages each client was sent.
    pub messages: u64,
    /// Messages that came, of all clients.
    pub delivered: u64,
    /// How many of them were deflated.
    pub deflated: u64,
    /// CPU of the server.
    pub cpu_us_per_delivery: f64,
    deliveries_per_s: f64,
    latency: Latency,
}

impl Figures {
    /// The phases in their order.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }
}

/// Gathers the clients and runs the phases one after the other.
pub fn run(server: Server, plan: &Plan) -> Result<Figures, Trouble> {
    let per_client = 1.0 / plan.clients as f64;
    let (cpu, memory) = (server.process.cpu_us()?, server.process.memory()?);
    let mut crowd = Crowd::gather(server.address, plan.clients, |number| Wish {
        path: server.dialect.path(&user("user", number)),
        deflate: plan.deflate,
        greeted: server.dialect.greets(),
        rooms: Vec::new(),
    })?;
    crowd.rest(SETTLING)?;
    let (cpu_idle, idle) = (server.process.cpu_us()?, server.process.memory()?);
    let grown = |now: u64, before: u64| (now as f64 - before as f64) * per_client;
    let mut figures = Figures {
        clients: crowd.len(),
        idle_bytes: grown(idle.anonymous, memory.anonymous),
        idle_resident_bytes: grown(idle.resident, memory.resident),
        connect_cpu_us: (cpu_idle - cpu) * per_client,
        phases: Vec::new(),
    };
    let payload = if plan.records {
        Payload::records(plan.size)
    } else {
        Payload::text(plan.size)
    };
    let mut stage = Stage::new(server, crowd)?;
    for (&in_flight, &messages) in plan.in_flight.iter().zip(&plan.messages) {
        let phase = stage.phase(Audience::Everybody, &payload, in_flight, messages)?;
        figures.phases.push(phase);
    }
    Ok(figures)
}

/// Who listens, and who speaks to all of them.
pub(super) struct Stage {
    server: Server,
    crowd: Crowd,
    publisher: Publisher,
}

impl Stage {
    pub(super) fn new(server: Server, crowd: Crowd) -> Result<Stage, Trouble> {
        let publisher = Publisher::connect(server.address, crowd.registry(), publisher_token(0))?;
        Ok(Stage {
            server,
            crowd,
            publisher,
        })
    }

    /// Sends so many messages to an audience that is the whole crowd, and waits until all have come.
    pub(super) fn phase(
        &mut self,
        audience: Audience<'_>,
        payload: &Payload,
        in_flight: u64,
        messages: u64,
    ) -> Result<Phase, Trouble> {
        let process = self.server.process;
        let mut request = self.server.dialect.publish(audience, payload, 1);
        let clients = self.crowd.len() as u64;
        let mut counter = Counter::default();
        let mut progress = Progress::of("deliveries");
        let mut sent = 0;
        let cpu = process.cpu_us()?;
        let start = Instant::now();
        while counter.delivered < messages * clients {
            while sent < messages && sent < counter.delivered / clients + in_flight {
                self.publisher.ask(request.stamped(counter.clock.now()));
                sent += 1;
            }
            self.publisher.advance()?;
            let wait = Duration::from_millis(20);
            self.crowd.turn(wait, |_, frame| counter.take(frame))?;
            progress.check(counter.delivered)?;
        }
        let wall = start.elapsed();
        self.crowd.rest(Duration::from_millis(50))?;
        self.publisher.advance()?;
        let cpu = process.cpu_us()? - cpu;
        if let Some(trouble) = counter.trouble {
            return Err(trouble);
        }
        Ok(Phase {
            in_flight,
            messages,
            delivered: counter.delivered,
            deflated: counter.deflated,
            cpu_us_per_delivery: cpu / counter.delivered as f64,
            deliveries_per_s: counter.delivered as f64 / wall.as_secs_f64(),
            latency: Latency::from(&counter.latencies),
        })
    }
}

/// Counts what comes. A plain message counts by its stamp; a deflated one counts as it is, after the first ones have
/// been inflated and found to bear a stamp.
#[derive(Default)]
struct Counter {
    clock: Clock,
    latencies: Histogram,
    delivered: u64,
    deflated: u64,
    trouble: Option<Trouble>,
}

impl Counter {
    fn take(&mut self, frame: &Frame<'_>) {
        if frame.compressed {
            if self.deflated < LOOKED_INTO
                && inflate(frame).is_none_or(|text| self.clock.find(&text).is_none())
            {
                self.trouble = Some(Trouble::Garbled(
                    "a deflated message inflates to what was sent",
                ));
            }
            self.deflated += 1;
            self.delivered += 1;
        } else if let Some(sent) = self.clock.find(frame.head) {
            self.latencies.record(self.clock.now().saturating_sub(sent));
            self.delivered += 1;
        }
    }
}

/// The text of a deflated message that was kept whole (RFC 7692, 7.2.2).
fn inflate(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let mut deflated = frame.head.to_vec();
    deflated.extend_from_slice(&[0, 0, 0xff, 0xff]);
    let mut text = Vec::new();
    let mut reader = flate2::read::DeflateDecoder::new(&deflated[..]).take(1 << 20);
    let mut buffer = [0; KEPT];
    // The stream has no last block, so its end is told as an error: what came before it is the message.
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
    }
    (frame.length == frame.head.len()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::process::Process;

    /// A bare server in a thread of this test; it ends with the process.
    fn bare() -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        std::thread::spawn(move || crate::bare::serve(listener));
        Server {
            address,
            process: Process::own(),
            dialect: Dialect::Bare,
        }
    }

    #[test]
    fn every_client_of_the_bare_server_gets_every_message() {
        let plan = Plan {
            clients: 20,
            in_flight: vec![1, 8],
            messages: vec![3, 40],
            size: 64,
            records: false,
            deflate: false,
        };
        let figures = run(bare(), &plan).expect("nothing is lost on a loopback");
        let delivered: Vec<_> = figures
            .phases()
            .iter()
            .map(|phase| phase.delivered)
            .collect();
        assert_eq!(delivered, [60, 800]);
    }

    #[test]
    fn a_deflated_message_is_looked_into() {
        let deflated = |text: &[u8]| {
            let mut encoder = flate2::Compress::new(flate2::Compression::fast(), false);
            let mut out = Vec::with_capacity(1024);
            encoder
                .compress_vec(text, &mut out, flate2::FlushCompress::Sync)
                .expect("there is room");
            out.truncate(out.len() - 4);
            out
        };
        let mut counter = Counter::default();
        let mut take = |text: &[u8]| {
            let head = deflated(text);
            counter.take(&Frame {
                opcode: 1,
                compressed: true,
                length: head.len(),
                head: &head,
            });
            counter.trouble.is_none()
        };
        assert!(take(
            br#"{"type":"broadcast","data":"BTS:0000000000000001:"}"#
        ));
        assert!(!take(b"something else"));
        assert_eq!(counter.delivered, 2);
    }
}
