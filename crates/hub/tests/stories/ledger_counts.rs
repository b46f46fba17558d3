//! The node's own counts, held against what clients saw: by reason, in stories and in random lives.

use std::collections::BTreeSet;

use wshub_hub::slow::{SlowPolicies, SlowPolicy};
use wshub_protocol::CloseCode;

use crate::world::{Client, World, secs};

const USERS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const ROOMS: [&str; 2] = ["news", "chat"];

/// How many messages for everybody and for rooms a client was given.
fn heard(client: &Client) -> u64 {
    (client.each("broadcast", |_| ()).len() + client.each("room", |_| ()).len()) as u64
}

#[test]
fn what_all_hear_is_accepted_and_delivered_and_nothing_else() {
    let world = World::with_seed(410).shards(3);
    let [ann, bob, cid] = world.connect_all(["ann", "bob", "cid"]);
    [&ann, &bob].iter().for_each(|client| client.joins("news"));
    (0..10).for_each(|n| world.broadcast(&n.to_string()));
    (0..5).for_each(|n| world.publish("news", &n.to_string()));
    world.publish("a room without members", "nobody");
    world.tell(&["ann"], "counted by the queue");
    let counts = world.ledger();
    assert_eq!((heard(&ann), heard(&bob), heard(&cid)), (15, 15, 10));
    assert_eq!((counts.accepted, counts.delivered), (40, 40));
    assert_eq!(counts.in_flight(), 0);
}

#[test]
fn what_is_caught_up_with_counts_too() {
    let world = World::with_seed(411);
    let ann = world.connect("ann");
    ann.hangs_up();
    (0..7).for_each(|n| world.broadcast(&n.to_string()));
    assert_eq!(world.ledger().accepted, 0, "nobody was there");
    let back = ann.comes_back();
    let counts = world.ledger();
    assert_eq!((heard(&back), counts.accepted, counts.delivered), (7, 7, 7));
}

#[test]
fn what_waits_is_in_flight_and_ends_as_delivered_too_slow_or_unwritten() {
    let world = World::with_seed(412);
    let [reader, slow, leaver] =
        ["reader", "slow", "leaver"].map(|user| world.visitor(user).with_buffer(1000).comes());
    [&slow, &leaver, &reader]
        .iter()
        .for_each(|client| client.stops_reading());
    (0..50).for_each(|n| world.broadcast(&n.to_string()));
    let stalled = world.ledger();
    assert_eq!(stalled.accepted, 150);
    assert_eq!(stalled.in_flight(), 150 - stalled.delivered);
    assert!(stalled.in_flight() > 100, "{stalled:?}");

    reader.reads_on();
    assert_eq!(heard(&reader), 50);
    leaver.hangs_up();
    let lost = world.ledger().unwritten;
    leaver.hears_what_the_link_holds();
    assert_eq!(lost, 50 - heard(&leaver), "all but what its kernel had");

    world.advance(secs(11));
    assert_eq!(world.closed_with(CloseCode::TooSlow), 1);
    world.advance(secs(2));
    slow.hears_what_the_link_holds();
    let counts = world.ledger();
    assert_eq!(counts.too_slow + counts.unwritten - lost, 50 - heard(&slow));
    assert!(counts.too_slow > 0);
    assert_eq!(counts.delivered, 50 + heard(&leaver) + heard(&slow));
    assert_eq!((counts.accepted, counts.in_flight()), (150, 0));
}

#[test]
fn a_repeat_counts_as_a_duplicate_and_as_nothing_else() {
    let world = World::with_seed(413);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    for _ in 0..4 {
        ann.sends(r#"{"type":"user","id":"m","target_ids":["bob","cid"],"data":1}"#);
    }
    let repeats = ann.each("ack", |said| said.duplicate == Some(true));
    assert_eq!(repeats, [false, true, true, true]);
    let state = world.engine();
    assert_eq!((state.duplicates, state.fates.pushed), (3, 2));
    assert_eq!((world.accepted(), bob.heard().len()), (1, 1));
}

/// Random lives, of which every message to a user and every connection's messages are counted.
struct Life {
    world: World,
    clients: Vec<Client>,
    said: usize,
    repeats: usize,
}

impl Life {
    fn with_seed(seed: u64) -> Self {
        let policy = [SlowPolicy::Disconnect, SlowPolicy::Drop, SlowPolicy::Latest];
        let world = World::with_seed(seed).shards(1 + seed as usize % 3);
        let world = world.limits(|limits| {
            limits.queue_messages = [6, 40][seed as usize % 2];
            limits.outbox_bytes = [1 << 28, 3000][seed as usize / 16 % 2];
            limits.slow = SlowPolicies {
                general: policy[seed as usize % 3],
                rooms: Vec::new(),
            };
        });
        let world = world.queues(|queues| {
            queues.messages = [100, 4][seed as usize / 2 % 2];
            queues.ttl_ms = [secs(1800), secs(20)][seed as usize / 4 % 2];
            queues.total_bytes = [1 << 26, 24_000][seed as usize / 8 % 2];
        });
        Self {
            world,
            clients: Vec::new(),
            said: 0,
            repeats: 0,
        }
    }

    fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.world.chance(from.len())].clone()
    }

    fn live(&mut self) {
        for _ in 0..250 {
            match self.world.chance(40) {
                0..5 => self.somebody_comes(),
                5..20 => self.somebody_publishes(),
                20 => self.world.advance(self.world.chance(3000) as u64),
                step => self.somebody_acts(step),
            }
            (0..self.world.chance(4)).for_each(|_| self.world.turn());
        }
    }

    fn somebody_comes(&mut self) {
        let world = &self.world;
        let mut visitor = world.visitor(self.pick(&USERS));
        if !self.clients.is_empty() && world.chance(2) == 0 {
            let before = self.pick(&self.clients);
            visitor = world.visitor(&before.user()).resuming(&before);
        }
        let visitor = visitor.with_buffer(self.pick(&[500, 4000, 1 << 20]));
        let visitor = visitor.in_rooms(self.pick(&["", "news", "news,chat"]));
        let visitor = match world.chance(4) {
            0 => visitor.that_ignores_pings(),
            1 => visitor.that_acknowledges(),
            _ => visitor,
        };
        self.clients.push(visitor.comes());
    }

    fn somebody_publishes(&mut self) {
        self.said += 1;
        let text = format!("{}{}", self.said, "x".repeat(self.pick(&[0, 100, 700])));
        let (one, other) = (self.pick(&USERS), self.pick(&USERS));
        match self.world.chance(4) {
            0 => self.world.broadcast(&text),
            1 => self.world.publish(self.pick(&ROOMS), &text),
            2 => self.world.tell(&[one], &text),
            _ => {
                let json = format!(
                    r#"{{"type":"user","id":"m{}","target_ids":["{one}","{other}"],"data":1}}"#,
                    self.said
                );
                let times = 1 + self.world.chance(3);
                (0..times).for_each(|_| self.world.posts(&json));
                self.repeats += times - 1;
            }
        }
    }

    fn somebody_acts(&self, step: usize) {
        let there = self.clients.iter().filter(|client| client.is_connected());
        let there: Vec<_> = there.collect();
        if there.is_empty() {
            return;
        }
        let client = self.pick(&there);
        match step {
            21..26 => client.stops_reading(),
            26..32 => client.reads_on(),
            32..35 => {
                let cursors = client.each("user", |said| said.cursor.clone());
                let cursor = cursors.last().cloned().flatten();
                client.acknowledges(&cursor.unwrap_or_default());
            }
            35 => client.joins(self.pick(&ROOMS)),
            36 => client.leaves(self.pick(&ROOMS)),
            _ => self.pick(&[Client::closes_normally, Client::hangs_up, Client::vanishes])(client),
        }
    }

    /// All go, each in some way, and what their links still hold is heard too: the node can't know that it wasn't.
    fn end(&self) {
        self.clients.iter().for_each(Client::hangs_up);
        self.world.advance(secs(75));
        assert!(self.world.is_empty());
        self.clients
            .iter()
            .for_each(Client::hears_what_the_link_holds);
    }

    /// Messages for everybody and for rooms: accepted, and then delivered or lost for a reason that clients saw.
    fn check_ledger(&self) {
        let counts = self.world.ledger();
        assert_eq!(counts.in_flight(), 0, "nobody is there: {counts:?}");
        let heard: u64 = self.clients.iter().map(heard).sum();
        assert_eq!(counts.delivered, heard, "{counts:?}");
        let gaps = self
            .clients
            .iter()
            .flat_map(|client| client.each("gap", |said| said.dropped.expect("a number")));
        let gaps: u64 = gaps.sum();
        assert!(gaps <= counts.gap, "{gaps} were told, {counts:?}");
        let slow = self.world.closed_with(CloseCode::TooSlow);
        assert!(slow > 0 || counts.too_slow == 0, "{counts:?}");
        let publications = self.world.with_log(|log| log.len() as u64);
        assert_eq!(self.world.accepted(), publications);
        assert_eq!(self.world.engine().duplicates, self.repeats as u64);
    }

    /// Messages to users, one for each user: every one that was ever queued was received, or waits, or was told as
    /// missed.
    fn check_queues(&self) {
        let sent: BTreeSet<_> = self.world.with_log(|log| {
            let of = |user: &'static str| {
                let theirs = log.iter().filter(move |entry| entry.is_to(user));
                theirs.map(move |entry| (user.to_owned(), entry.offset))
            };
            USERS.into_iter().flat_map(of).collect()
        });
        let given = |client: &Client| client.each("user", |said| (client.user(), said.offset()));
        let given: BTreeSet<_> = self.clients.iter().flat_map(given).collect();
        assert!(given.is_subset(&sent));

        // All come once more: what waits for them, and how many they missed since they were last told.
        let last = USERS.map(|user| self.world.visitor(user).that_ignores_pings().comes());
        self.world.at_once(|| {});
        let state = self.world.engine();
        let waiting: u64 = last.iter().map(|client| client.found().1).sum();
        assert_eq!(state.queued.0, waiting as i64);
        let told = self.clients.iter().chain(&last);
        let told = told.flat_map(|client| client.each("connected", |said| said.missed));
        let told: u64 = told.flatten().sum();
        let fates = state.fates;
        let lost = fates.expired + fates.pushed_out + fates.total_full;
        assert!(told <= lost, "{told} were told, {fates:?}");
        if self.all_were_told() {
            assert_eq!(told, lost, "{fates:?}");
        }
        assert_eq!(fates.pushed, sent.len() as u64);
        assert_eq!(fates.pushed, fates.received + lost + waiting, "{fates:?}");

        // What is counted as received was given to a connection of its user, and doesn't wait for it any more.
        let waits = last
            .iter()
            .flat_map(|client| client.each("user", |said| (client.user(), said.offset())));
        let waits: BTreeSet<_> = waits.collect();
        assert_eq!(waits.len() as u64, waiting);
        let gone = given.difference(&waits).count() as u64;
        assert!(
            fates.received <= gone,
            "{} were received, {gone} were given",
            fates.received
        );
        let never = sent.difference(&(&given | &waits)).count() as u64;
        assert!(never <= lost, "{never} were never given, {fates:?}");
    }

    /// Whether no connection was let in and ended before it heard what it was told.
    fn all_were_told(&self) -> bool {
        self.clients.iter().all(|client| !client.types().is_empty())
    }

    /// What happened to messages, by reason.
    fn reasons(&self) -> [u64; 8] {
        let (counts, state) = (self.world.ledger(), self.world.engine());
        [
            counts.delivered,
            counts.too_slow,
            counts.unwritten,
            counts.gap,
            state.fates.received,
            state.fates.expired,
            state.fates.pushed_out,
            state.fates.total_full,
        ]
    }
}

#[test]
fn in_every_random_life_the_counts_are_what_clients_saw() {
    let (mut reasons, mut told) = ([0; 8], 0);
    for seed in 0..120 {
        let mut life = Life::with_seed(seed);
        let world = life.world.clone();
        world.hurry(|| {
            life.live();
            life.end();
            life.check_ledger();
        });
        life.check_queues();
        told += u64::from(life.all_were_told());
        for (sum, one) in reasons.iter_mut().zip(life.reasons()) {
            *sum += one;
        }
    }
    assert!(reasons.iter().all(|&sum| sum > 100), "{reasons:?}");
    assert!(told > 20, "in {told} lives all were told what they missed");
}
