//! Random lives of clients that come, talk, join, leave, stall, break the rules and vanish, held against the ledger.
//! `WSHUB_SEEDS=100000` lives that many of them.

use std::collections::BTreeSet;

use wshub_engine::EngineState;
use wshub_hub::slow::{Pattern, SlowPolicies, SlowPolicy};
use wshub_hub::{Limits, shard_of};
use wshub_protocol::CloseCode;

use crate::ledger;
use crate::world::wire::TEXT;
use crate::world::{Client, Entry, Wish, World, secs};

const SEEDS: u64 = 300;
const STEPS: usize = 250;
const USERS: [&str; 6] = ["ann", "bob", "cid", "dan", "eve", "fay"];
const ROOMS: [&str; 4] = ["news", "chat", "dogs", "cats"];

struct Life {
    world: World,
    shards: usize,
    /// Nobody stalls, breaks the rules or vanishes, so that all counters are exact.
    gentle: bool,
    clients: Vec<Client>,
    /// Connections that had no identity.
    strangers: Vec<Client>,
    said: usize,
}

impl Life {
    fn with_seed(seed: u64) -> Self {
        let shards = 1 + seed as usize % 4;
        let gentle = seed.is_multiple_of(3);
        let rough = |limits: &mut Limits| {
            limits.queue_messages = [4, 32, 256][seed as usize / 3 % 3];
            limits.partial_bytes = 20_000;
            limits.rooms_per_connection = 3;
            limits.connections_per_user = 4;
            if seed.is_multiple_of(2) {
                limits.slow = SlowPolicies {
                    general: SlowPolicy::Drop,
                    rooms: vec![(Pattern::new("n*"), SlowPolicy::Latest)],
                };
            }
        };
        let world = World::with_seed(seed).shards(shards);
        let world = if gentle { world } else { world.limits(rough) };
        // A short log, that overtakes who catches up; short queues, that lose the oldest.
        let world = world.log_of([1 << 26, 20_000][seed as usize / 5 % 2]);
        let world = world.queues(|queues| queues.messages = [100, 3][seed as usize / 7 % 2]);
        Self {
            world,
            shards,
            gentle,
            clients: Vec::new(),
            strangers: Vec::new(),
            said: 0,
        }
    }

    fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.world.chance(from.len())].clone()
    }

    fn live(&mut self) {
        for _ in 0..STEPS {
            match self.world.chance(if self.gentle { 76 } else { 87 }) {
                86 if self.world.chance(4) == 0 => self.world.falls_behind(),
                0..6 => self.somebody_comes(),
                6..9 => self.world.turn(),
                9 => (0..=self.world.chance(3)).for_each(|_| self.world.another_node_says()),
                10..20 => self.somebody_publishes_by_http(),
                20 => self.world.advance(self.world.chance(2000) as u64),
                21 if self.world.chance(20) == 0 => self.world.advance(secs(30)),
                step => self.somebody_acts(step),
            }
            (0..self.world.chance(3)).for_each(|_| self.world.turn());
        }
    }

    fn somebody_comes(&mut self) {
        if self
            .clients
            .iter()
            .filter(|client| client.is_connected())
            .count()
            >= 12
        {
            return;
        }
        if self.world.chance(10) == 0 {
            return self.strangers.push(self.world.stranger().comes());
        }
        let visitor = self.world.visitor(self.pick(&USERS));
        let buffer = if self.gentle {
            1 << 20
        } else {
            self.pick(&[300, 3000, 1 << 20])
        };
        let offers = [
            "",
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=10",
        ];
        let mut visitor = visitor.with_buffer(buffer).offering(self.pick(&offers));
        if !self.clients.is_empty() && self.world.chance(2) == 0 {
            let before = self.pick(&self.clients);
            // Whoever it was goes on under its own name, with the place it keeps.
            visitor = self.world.visitor(&before.user()).with_buffer(buffer);
            visitor = visitor.resuming(&before);
        }
        if self.world.chance(2) == 0 {
            visitor = visitor.in_rooms(self.pick(&["news", "chat,dogs", "news,chat,cats"]));
        }
        if self.world.chance(4) == 0 {
            visitor = visitor.that_acknowledges();
        }
        self.clients.push(visitor.comes());
    }

    /// What somebody asks for who joins, mostly nothing.
    fn wish(&self, client: &Client) -> Wish {
        let chance = |end| self.world.chance(end) == 0;
        Wish {
            after: chance(8).then(|| client.place()),
            history: chance(4).then(|| self.pick(&[0, 1, 5, 100])),
            presence: chance(2),
        }
    }

    fn says_in_passing(&self, client: &Client, room: &str, user: &str, text: &str) {
        let to = self.pick(&["all", "others"]);
        let target = self.pick(&[
            r#""type":"broadcast""#.to_owned(),
            format!(r#""type":"room","room_id":"{room}""#),
            format!(r#""type":"user","target_ids":["{user}"]"#),
        ]);
        client.sends(&format!(
            r#"{{{target},"ephemeral":true,"to":"{to}","data":"{text}"}}"#
        ));
    }

    /// Acknowledges what it was given last, or joins a room and wants what was said there since.
    fn catches_up(&self, client: &Client) {
        let cursors = client.each("user", |said| said.cursor.clone());
        let cursors: Vec<String> = cursors.into_iter().flatten().collect();
        match self.world.chance(3) {
            0 => client.joins_after(self.pick(&ROOMS), &client.place()),
            1 if !cursors.is_empty() => client.acknowledges(&self.pick(&cursors)),
            _ => client.acknowledges(cursors.last().map_or("", |cursor| cursor)),
        }
    }

    /// A text that no other message has; now and then one that is worth compressing.
    fn text(&mut self) -> String {
        self.said += 1;
        let length = self.pick(&[0, 0, 0, 60, 400]);
        format!("{} {}", self.said, "word ".repeat(length))
    }

    fn somebody_publishes_by_http(&mut self) {
        let text = self.text();
        match self.world.chance(3) {
            0 => self.world.broadcast(&text),
            1 => self.world.tell(&[self.pick(&USERS), "nobody"], &text),
            _ => self.world.publish(self.pick(&ROOMS), &text),
        }
    }

    fn somebody_acts(&mut self, step: usize) {
        let there: Vec<&Client> = self
            .clients
            .iter()
            .filter(|client| client.is_connected())
            .collect();
        if there.is_empty() {
            return;
        }
        let client = &self.pick(&there).clone();
        let (room, user, text) = (self.pick(&ROOMS), self.pick(&USERS), self.text());
        match step {
            21..36 => client.joins_with(room, self.wish(client)),
            36..44 => client.leaves(room),
            44..47 => client.says(room, &text),
            47..50 => client.says_to_others(room, &text),
            50..53 => client.broadcasts(&text),
            53..56 => self.says_in_passing(client, room, user, &text),
            56..58 => client.tells(&[user, self.pick(&USERS), user], &text),
            58..60 => client.tells_others(&[user, &client.user()], &text),
            60..66 => client.sends(&format!(
                r#"{{"type":"room","room_id":"{room}","id":"m{}","data":"{text}"}}"#,
                self.said
            )),
            66 => client.sends("no JSON"),
            67..70 => self.pick(&[Client::closes_normally, Client::hangs_up])(client),
            70..76 => self.catches_up(client),
            76..80 => client.stops_reading(),
            80..84 => client.reads_on(),
            84 => client.sends_frame(TEXT, &[b' '; 9000]),
            _ => self.pick(&[Client::vanishes, Client::breaks_the_rules])(client),
        }
    }

    /// Whoever still stalls reads on or is given up; whoever vanished is noticed.
    fn calm_down(&self) {
        for client in &self.clients {
            if self.world.chance(2) == 0 && client.is_connected() {
                client.reads_on();
            }
        }
        self.world.advance(secs(90));
    }

    fn check(&self) {
        let world = &self.world;
        let standings: Vec<_> = self
            .clients
            .iter()
            .map(|client| ledger::hold(world, client))
            .collect();
        world.with_log(|log| {
            self.clients
                .iter()
                .for_each(|client| ledger::hold_acks(log, client))
        });
        let there: Vec<_> = self
            .clients
            .iter()
            .zip(&standings)
            .filter(|(client, _)| client.is_connected())
            .collect();
        let users: BTreeSet<String> = there.iter().map(|(client, _)| client.user()).collect();
        assert_eq!(world.clients(), there.len() as u64, "clients");
        assert_eq!(
            world.sum(|shard| shard.users.get()),
            users.len() as u64,
            "users"
        );
        let memberships = || {
            there
                .iter()
                .flat_map(|(client, at)| at.rooms.iter().map(|room| (client.user(), room)))
        };
        let by_shard: BTreeSet<_> = memberships()
            .map(|(user, room)| (shard_of(&user, self.shards), room))
            .collect();
        assert_eq!(
            world.sum(|shard| shard.rooms.get()),
            by_shard.len() as u64,
            "rooms"
        );
        for room in ROOMS {
            let members = memberships().filter(|(_, in_room)| *in_room == room);
            let members: BTreeSet<String> = members.map(|(user, _)| user).collect();
            let named: BTreeSet<_> = world.names_in(room, None, 100).into_iter().collect();
            assert_eq!(named, members, "members of {room}");
            for (client, at) in &there {
                if let Some(known) = at.watched.get(room) {
                    assert_eq!(known, &members, "{} of {room}", client.user());
                }
            }
        }
        self.check_counters();
    }

    fn check_counters(&self) {
        let world = &self.world;
        let closed = CloseCode::ALL
            .iter()
            .map(|&code| world.closed_with(code))
            .sum::<u64>();
        let left = world.sum(|shard| shard.left.get());
        let opened = (self.clients.len() + self.strangers.len()) as u64;
        assert_eq!(world.sum(|shard| shard.opened.get()), opened, "opened");
        assert_eq!(
            world.clients() + closed + left,
            opened,
            "each connection ends once"
        );
        let is_ours = |entry: &&Entry| !entry.id.is_empty();
        let ours = world.with_log(|log| log.iter().filter(is_ours).count());
        let taken = ours + world.with_passed(<[_]>::len);
        assert_eq!(world.accepted(), taken as u64, "messages in");
        let went_out = world.sum(|shard| shard.messages_out.iter().map(|kind| kind.get()).sum());
        let heard = self
            .clients
            .iter()
            .map(|client| client.heard().len() as u64)
            .sum::<u64>();
        assert!(went_out >= heard, "messages out");
        let left_early = self.clients.iter().any(|client| !client.is_connected());
        assert!(
            !self.gentle || left_early || went_out == heard,
            "messages out"
        );
        for code in CloseCode::ALL {
            let told = |client: &&Client| client.was_closed_with(code.number());
            let told = self
                .clients
                .iter()
                .chain(&self.strangers)
                .filter(told)
                .count() as u64;
            let counted = world.closed_with(code);
            assert!(
                told <= counted,
                "{told} were told {code:?}, {counted} are counted"
            );
            assert!(!self.gentle || told == counted, "{code:?}");
        }
    }

    /// What a message to users is for: each of them has heard it on some connection, or it is counted as lost.
    fn check_queues(&mut self) {
        for user in USERS {
            let mut theirs = self.clients.iter().filter(|client| client.user() == user);
            if let Some(one) = theirs.rfind(|client| client.is_connected()) {
                // Else there may be no room for one more.
                one.closes_normally();
                self.world.advance(secs(1));
            }
            // Whoever was never there comes once; a device that answers its pings empties the queue for all.
            self.clients.push(self.world.connect(user));
        }
        self.world.advance(secs(3));
        let heard: BTreeSet<_> = self
            .clients
            .iter()
            .flat_map(|client| {
                let places =
                    client.each("user", |said| (!said.is_passing()).then(|| said.offset()));
                let places = places.into_iter().flatten();
                places.map(|place| (client.user(), place))
            })
            .collect();
        let (sent, unheard) = self.world.with_log(|log| {
            let to = |user: &str| {
                let theirs = log.iter().filter(|entry| entry.is_to(user));
                let theirs = theirs.map(|entry| (user.to_owned(), entry.offset));
                theirs.collect::<Vec<_>>()
            };
            let sent: Vec<_> = USERS.into_iter().flat_map(to).collect();
            let unheard = sent.iter().filter(|one| !heard.contains(one)).count() as u64;
            (sent.len() as u64, unheard)
        });
        let EngineState { fates, queued, .. } = self.world.engine();
        let to_nobody = fates.pushed - sent;
        let gone = fates.received + fates.expired + fates.pushed_out + fates.total_full;
        assert_eq!(fates.pushed, gone + queued.0 as u64, "{fates:?}");
        let lost = fates.pushed_out + fates.expired;
        assert!(
            unheard <= lost,
            "{unheard} were never heard, {lost} are counted"
        );
        assert!(
            queued.0 <= to_nobody as i64,
            "{} wait for somebody who is there",
            queued.0
        );
    }

    /// All go, and nothing of them is left.
    fn end(self) {
        for client in self.clients.iter().filter(|client| client.is_connected()) {
            self.pick(&[Client::closes_normally, Client::hangs_up])(client);
        }
        self.world.advance(secs(13));
        assert!(self.world.is_empty());
        let posted = self.world.messages_posted();
        for room in ROOMS {
            self.world.publish(room, "nobody is there");
            assert_eq!(self.world.users_in(room), 0);
        }
        self.world.at_once(|| {});
        assert_eq!(
            self.world.messages_posted(),
            posted,
            "interest is left behind"
        );
        let sum = |counter: fn(&wshub_hub::Counters) -> u64| self.world.sum(counter);
        let left = [
            sum(|shard| shard.clients.get()),
            sum(|shard| shard.sockets.get()),
            sum(|shard| shard.users.get()),
            sum(|shard| shard.rooms.get()),
            sum(|shard| shard.partial_bytes.get()),
        ];
        assert_eq!(left, [0; 5]);
        // What waits for nobody expires.
        self.world.advance(secs(30 * 60));
        assert_eq!(
            self.world.messages_alive(),
            0,
            "an outbox holds messages of nobody"
        );
    }
}

/// Every fourth life from this one on: four tests share them, so that they are lived side by side.
fn agrees_with_the_ledger(first: u64) {
    let seeds = std::env::var("WSHUB_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    for seed in (first..seeds.unwrap_or(SEEDS)).step_by(4) {
        let mut life = Life::with_seed(seed);
        let world = life.world.clone();
        world.hurry(|| {
            life.live();
            life.calm_down();
            life.check();
            life.check_queues();
            life.end();
        });
    }
}

#[test]
fn every_random_life_on_one_shard_agrees_with_the_ledger() {
    agrees_with_the_ledger(0);
}

#[test]
fn every_random_life_on_two_shards_agrees_with_the_ledger() {
    agrees_with_the_ledger(1);
}

#[test]
fn every_random_life_on_three_shards_agrees_with_the_ledger() {
    agrees_with_the_ledger(2);
}

#[test]
fn every_random_life_on_four_shards_agrees_with_the_ledger() {
    agrees_with_the_ledger(3);
}
