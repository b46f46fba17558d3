//! Whose turn it is: all that can act at a moment acts in an order that the seed chooses, then time goes on.

use std::collections::VecDeque;

use fastrand::Rng;
use wshub_hub::{Arrival, Now, Outcome, Publication};
use wshub_protocol::upgrade::Query;
use wshub_protocol::{SessionId, UserId};

use super::inboxes::Socket;
use super::link::{Link, piece};
use super::node::{Node, Plan};
use super::peer::Peer;

/// One thing that somebody can do now.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    PublishByHttp,
    Expire(usize),
    TakeItems(usize),
    Act(usize),
    Write(usize),
    Writable(usize),
    Read(usize),
    PeerReads(usize),
    PeerSends(usize),
}

/// Everything there is, and the only source of chance in it.
pub(crate) struct Turns {
    pub(crate) seed: u64,
    pub(crate) rng: Rng,
    pub(crate) now_ms: u64,
    /// How far the clock on the wall was set forward, or back.
    pub(crate) wall_ms: i64,
    pub(crate) plan: Plan,
    pub(crate) node: Node,
    pub(crate) links: Vec<Link>,
    pub(crate) peers: Vec<Peer>,
    /// Peers on their way to their shard.
    pub(crate) door: VecDeque<usize>,
    /// Publications on their way to the engine.
    pub(crate) http: VecDeque<Publication>,
    /// What became of those that got there.
    pub(crate) http_outcomes: Vec<Outcome>,
    steps: Vec<Step>,
}

impl Drop for Turns {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the world had seed {} and was {} ms old",
                self.seed, self.now_ms
            );
        }
    }
}

/// 2023-11-14: worlds begin late enough for ids made of the time to look like real ones.
const UNIX_MS: u64 = 1_700_000_000_000;

/// How often the node lets go of what is too old.
const SWEEP_MS: u64 = 1000;

fn now_at(elapsed_ms: u64, wall_ms: i64) -> Now {
    Now {
        elapsed_ms,
        unix_ms: (UNIX_MS + elapsed_ms).saturating_add_signed(wall_ms),
    }
}

impl Turns {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        Self {
            seed,
            rng: Rng::with_seed(seed),
            now_ms: 0,
            wall_ms: 0,
            node: Node::new(&plan, seed, now_at(0, 0)),
            plan,
            links: Vec::new(),
            peers: Vec::new(),
            door: VecDeque::new(),
            http: VecDeque::new(),
            http_outcomes: Vec::new(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        now_at(self.now_ms, self.wall_ms)
    }

    pub(crate) fn mask(&mut self) -> [u8; 4] {
        self.rng.u32(..).to_ne_bytes()
    }

    /// Goes on until nobody has anything to do but to wait for a deadline.
    pub(crate) fn settle(&mut self) {
        loop {
            while self.round() {}
            let Some(at) = self.next_arrival_ms() else {
                return;
            };
            self.now_ms = at;
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        loop {
            while self.round() {}
            let deadlines = self
                .node
                .shards
                .iter()
                .filter_map(|shard| shard.next_deadline_ms());
            let sweep = self.now_ms - self.now_ms % SWEEP_MS + SWEEP_MS;
            let next = deadlines
                .chain(self.next_arrival_ms())
                .chain([sweep])
                .min()
                .filter(|&at| at <= until);
            // A deadline may lie before now where nobody was there to wait for.
            let Some(at) = next else { break };
            self.now_ms = self.now_ms.max(at);
            if self.now_ms.is_multiple_of(SWEEP_MS) {
                self.node.sweep(self.now());
            }
        }
        self.now_ms = until;
        while self.round() {}
    }

    fn next_arrival_ms(&self) -> Option<u64> {
        let links = self
            .links
            .iter()
            .zip(&self.peers)
            .filter(|(link, _)| !link.lost);
        let arrivals = links.flat_map(|(link, peer)| {
            let up = link.up.next_arrival_ms(self.now_ms).filter(|_| link.open);
            let down = link
                .down
                .next_arrival_ms(self.now_ms)
                .filter(|_| peer.reads);
            [up, down]
        });
        arrivals.flatten().min()
    }

    /// Lets everybody who can do something do it once; `false` if there was nobody.
    pub(crate) fn round(&mut self) -> bool {
        let mut steps = std::mem::take(&mut self.steps);
        steps.clear();
        self.find_steps(&mut steps);
        self.rng.shuffle(&mut steps);
        steps.iter().for_each(|&step| self.take(step));
        self.steps = steps;
        !self.steps.is_empty()
    }

    /// Whether the last round found nobody who could do something.
    pub(crate) fn is_idle(&self) -> bool {
        self.steps.is_empty()
    }

    fn find_steps(&mut self, steps: &mut Vec<Step>) {
        steps.extend(self.door.iter().map(|_| Step::Arrive));
        steps.extend(self.http.iter().map(|_| Step::PublishByHttp));
        for (shard, rules) in self.node.shards.iter().enumerate() {
            let can = [
                (
                    rules.next_deadline_ms().is_some_and(|at| at <= self.now_ms),
                    Step::Expire(shard),
                ),
                (!self.node.inboxes.is_empty(shard), Step::TakeItems(shard)),
                (!self.node.effects[shard].is_empty(), Step::Act(shard)),
                (rules.has_writes(), Step::Write(shard)),
            ];
            steps.extend(
                can.into_iter()
                    .filter(|(can, _)| *can)
                    .map(|(_, step)| step),
            );
        }
        for (at, (link, peer)) in self.links.iter_mut().zip(&self.peers).enumerate() {
            if link.lost {
                continue;
            }
            link.writable |= link.down.tells_room();
            let reads = peer.reads && !peer.saw_end;
            let can = [
                (link.writable && link.open, Step::Writable(at)),
                (link.can_be_read(self.now_ms), Step::Read(at)),
                (
                    reads && (link.down.has_bytes(self.now_ms) || link.down.is_at_end()),
                    Step::PeerReads(at),
                ),
                (
                    !peer.outgoing.is_empty() && link.up.room() > 0,
                    Step::PeerSends(at),
                ),
            ];
            steps.extend(
                can.into_iter()
                    .filter(|(can, _)| *can)
                    .map(|(_, step)| step),
            );
        }
    }

    fn take(&mut self, step: Step) {
        let now = self.now();
        match step {
            Step::Arrive => self.arrive(),
            Step::PublishByHttp => {
                let batch = self.http.pop_front().into_iter().collect();
                let outcomes = self.node.publish(now, batch);
                self.http_outcomes.extend(outcomes);
            }
            Step::Expire(shard) => {
                self.node.shards[shard].expire(now);
                self.node.collect(shard);
            }
            Step::TakeItems(shard) => {
                let most = self.some_or_many();
                self.node
                    .take_items(now, shard, &mut self.links, &mut self.rng, most);
            }
            Step::Act(shard) => {
                let most = self.some_or_many();
                self.node.act(now, shard, &mut self.links, most);
            }
            Step::Write(shard) => {
                self.node
                    .write_next(now, shard, &mut self.links, &mut self.rng);
            }
            Step::Writable(at) => self.tell_writable(now, at),
            Step::Read(at) => {
                let most = piece(&mut self.rng, 64 * 1024);
                self.node
                    .read(now, at, &mut self.links, most, &mut self.rng);
            }
            Step::PeerReads(at) => self.peer_reads(at),
            Step::PeerSends(at) => self.peer_sends(at),
        }
    }

    pub(crate) fn stop(&mut self) {
        let now = self.now();
        self.node.stop(now);
    }

    /// A driver does all that it finds; to stop in the middle shows what others see of it meanwhile.
    fn some_or_many(&mut self) -> usize {
        if self.rng.u8(0..3) == 0 {
            self.rng.usize(1..=8)
        } else {
            10_000
        }
    }

    fn arrive(&mut self) {
        let Some(at) = self.door.pop_front() else {
            return;
        };
        let peer = &mut self.peers[at];
        let user = peer.user.as_deref();
        let user = user.and_then(|user| UserId::parse(user).ok());
        let (keys, random) = (self.node.sessions, self.rng.u64(..).to_ne_bytes());
        let query = Query::parse(&format!(
            "rooms={}&session_id={}&after={}",
            peer.rooms, peer.session, peer.after
        ));
        let is_theirs =
            |label: &SessionId| user.as_ref().is_some_and(|user| keys.is_of(user, label));
        let session = match &user {
            Some(user) => keys.label(user, random),
            None => SessionId([0; 16]),
        };
        self.node.admit(Arrival {
            socket: Socket(at),
            session,
            handed: query.session_id.filter(is_theirs),
            after: query.after,
            acks: peer.acks,
            user,
            deflate: peer.deflate,
            rooms: query.rooms,
            answer: b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
            early: std::mem::take(&mut peer.early),
        });
    }

    fn tell_writable(&mut self, now: Now, at: usize) {
        let link = &mut self.links[at];
        link.writable = false;
        if let Some(token) = link.token {
            self.node.shards[link.shard].writable(now, token);
        }
    }

    fn peer_reads(&mut self, at: usize) {
        let (link, mask) = (&mut self.links[at], self.rng.u32(..).to_ne_bytes());
        let peer = &mut self.peers[at];
        let bytes = link.down.read(self.now_ms, piece(&mut self.rng, 64 * 1024));
        if !bytes.is_empty() {
            peer.hear(&bytes, mask);
        } else if link.down.is_at_end() {
            // The link is over: a client that sees the end hangs up too.
            peer.saw_end = true;
            link.up.ended = true;
        }
    }

    fn peer_sends(&mut self, at: usize) {
        let (link, peer) = (&mut self.links[at], &mut self.peers[at]);
        if link.up.cut || link.up.ended {
            return peer.outgoing.clear();
        }
        let most = link
            .up
            .room()
            .min(peer.outgoing.len())
            .min(peer.most_at_once);
        let bytes = peer.outgoing.drain(..piece(&mut self.rng, most)).collect();
        link.up
            .write(self.now_ms + link.latency_ms + self.rng.u64(0..3), bytes);
    }
}
