//! Joining and leaving take effect at one place in the log, and nobody's interest is lost meanwhile.

use wshub_hub::limits::{CLOSE_MS, GRACE_MS};

use crate::world::{Client, World, secs};

#[test]
fn a_member_hears_what_is_said_between_joined_and_left() {
    let world = World::with_seed(30).shards(2);
    let ann = world.connect("ann");
    world.publish("news", "too early");
    ann.joins("news");
    world.publish("news", "one");
    world.publish("news", "two");
    ann.leaves("news");
    world.publish("news", "too late");
    assert_eq!(ann.heard(), ["one", "two"]);
    assert_eq!(ann.last("joined", |said| said.offset()), 1);
    assert_eq!(ann.last("left", |said| said.offset()), 3);
}

#[test]
fn the_cursors_of_joined_and_left_are_exact_in_any_race() {
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(2);
        let [ann, _bob] = ["ann", "bob"].map(|user| world.connect(user).join("other"));
        world.at_once(|| {
            (0..10).for_each(|n| world.publish("news", &n.to_string()));
            ann.joins("news");
            (10..20).for_each(|n| world.publish("news", &n.to_string()));
            ann.leaves("news");
        });
        let (from, to) = (
            ann.last("joined", |s| s.offset()),
            ann.last("left", |s| s.offset()),
        );
        assert_eq!(
            ann.each("room", |said| said.offset()),
            (from + 1..=to).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_second_join_is_answered_again_and_doubles_nothing() {
    let world = World::with_seed(31);
    let ann = world.connect("ann").join("news").join("news");
    world.publish("news", "once");
    assert_eq!(ann.each("joined", |said| said.members), [Some(1), Some(1)]);
    assert_eq!(ann.heard(), ["once"]);
    ann.leaves("news");
    world.publish("news", "nobody is there");
    assert_eq!(ann.heard(), ["once"]);
}

#[test]
fn members_are_distinct_users_of_all_shards() {
    let world = World::with_seed(32).shards(4);
    let clients = world.connect_all(["ann", "ann", "bob", "cid", "dan"]);
    clients.iter().for_each(|client| client.joins("news"));
    let joined = clients
        .each_ref()
        .map(|c| c.last("joined", |said| said.members.unwrap()));
    assert_eq!(joined, [1, 1, 2, 3, 4]);
    clients.iter().for_each(|client| client.leaves("news"));
    let left = clients
        .each_ref()
        .map(|c| c.last("left", |said| said.members.unwrap()));
    assert_eq!(left, [4, 3, 2, 1, 0]);
}

#[test]
fn leaving_a_room_one_is_not_in_is_answered_left() {
    let world = World::with_seed(33).shards(4);
    let clients = world.connect_all(["ann", "bob", "cid", "dan", "eve"]);
    clients[0].joins("news");
    clients[1..].iter().for_each(|client| client.leaves("news"));
    for client in &clients[1..] {
        assert_eq!(client.types(), ["connected", "left"]);
        assert_eq!(
            client.last("left", |said| said.members),
            Some(1),
            "{}",
            client.user()
        );
    }
    clients[1].leaves("a room that nobody knows");
    assert_eq!(clients[1].last("left", |said| said.members), Some(0));
}

#[test]
fn a_room_is_empty_when_its_last_member_is_gone() {
    let world = World::with_seed(34).shards(2);
    let [ann, bob] = ["ann", "bob"].map(|user| world.connect(user).join("news"));
    ann.closes(1000);
    assert_eq!(world.users_in("news"), 2, "she may come back");
    world.advance(secs(11));
    assert_eq!(world.users_in("news"), 1);
    bob.hangs_up();
    world.advance(secs(11));
    assert_eq!(
        (world.users_in("news"), world.sum(|shard| shard.rooms.get())),
        (0, 0)
    );
    let posted = world.messages_posted();
    world.publish("news", "nobody is there");
    assert_eq!(
        world.messages_posted(),
        posted,
        "no shard is bothered with it"
    );
}

#[test]
fn one_room_too_many_is_refused_and_the_others_stay() {
    let world = World::with_seed(35).limits(|limits| limits.rooms_per_connection = 2);
    let ann = world
        .connect("ann")
        .join("one")
        .join("two")
        .join("three")
        .join("one");
    assert_eq!(ann.errors(), ["too_many_rooms"]);
    assert_eq!(
        ann.last("error", |said| said.room_id.clone()).unwrap(),
        "three"
    );
    world.publish("three", "not for her");
    world.publish("one", "for her");
    assert_eq!(ann.heard(), ["for her"]);
    ann.leaves("two");
    ann.joins("three");
    world.publish("three", "for her too");
    assert_eq!(ann.heard(), ["for her", "for her too"]);
}

/// Whether a client is in the room, as it was last told.
fn is_in(client: &Client) -> bool {
    client.with_all(|all| {
        let told = all
            .iter()
            .rev()
            .find(|said| matches!(said.kind.as_str(), "joined" | "left"));
        told.is_some_and(|said| said.kind == "joined")
    })
}

/// Joins, leaves, hang-ups and messages in one room, all at once; those who stay are answered.
fn storm(world: &World) -> Vec<Client> {
    let users = ["ann", "ann", "bob", "cid", "dan", "eve", "fay"];
    let clients: Vec<Client> = users.iter().map(|user| world.connect(user)).collect();
    world.at_once(|| {
        for step in 0..60 {
            let client = &clients[world.chance(clients.len())];
            match world.chance(12) {
                0..5 => client.joins("news"),
                5..9 => client.leaves("news"),
                9 if world.chance(4) == 0 => client.hangs_up(),
                10 => world.publish("news", &step.to_string()),
                _ => world.turn(),
            }
        }
    });
    clients.into_iter().filter(Client::is_connected).collect()
}

#[test]
fn no_interest_is_lost_in_a_storm_of_joins_and_leaves() {
    for seed in 0..400 {
        let world = World::with_seed(seed).shards(1 + seed as usize % 4);
        let clients = storm(&world);
        world.advance(secs(11));
        let users: std::collections::BTreeSet<_> = clients
            .iter()
            .filter(|c| is_in(c))
            .map(Client::user)
            .collect();
        assert_eq!(world.users_in("news") as usize, users.len(), "seed {seed}");
        world.publish("news", "after the storm");
        for client in &clients {
            let heard = client
                .heard()
                .last()
                .is_some_and(|text| text == "after the storm");
            assert_eq!(heard, is_in(client), "{} with seed {seed}", client.user());
        }
        clients.iter().for_each(|client| client.leaves("news"));
        let posted = world.messages_posted();
        world.publish("news", "nobody is there");
        assert_eq!(
            world.messages_posted(),
            posted,
            "interest was left behind by seed {seed}"
        );
    }
}

#[test]
fn a_join_that_is_under_way_when_its_client_goes_leaves_nothing_behind() {
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(2);
        let ann = world.connect("ann");
        world.at_once(|| {
            ann.joins("news");
            (0..world.chance(12)).for_each(|_| world.turn());
            ann.hangs_up();
        });
        world.advance(CLOSE_MS + GRACE_MS + 500);
        let posted = world.messages_posted();
        world.publish("news", "nobody is there");
        assert_eq!(
            (world.messages_posted(), world.users_in("news")),
            (posted, 0),
            "seed {seed}"
        );
    }
}

#[test]
fn rooms_in_the_query_are_joined_behind_connected_each_with_an_answer() {
    let world = World::with_seed(230).shards(3);
    let bob = world.connect("bob");
    let too_long = "x".repeat(129);
    let ann = world
        .visitor("ann")
        .in_rooms(&format!("news,a%0Ab,chat+1,,{too_long},news"))
        .comes();
    let mut answers = ann.types();
    assert_eq!(answers.remove(0), "connected");
    answers.sort();
    assert_eq!(answers, ["error", "error", "joined", "joined", "joined"]);
    assert_eq!(ann.errors(), ["invalid_message", "invalid_message"]);
    bob.says("news", "one");
    bob.says("chat 1", "two");
    assert_eq!(ann.heard(), ["one", "two"]);
}

#[test]
fn rooms_in_the_query_count_for_the_limit_of_the_connection() {
    let world = World::with_seed(231).limits(|limits| limits.rooms_per_connection = 2);
    let ann = world.visitor("ann").in_rooms("a,b,c").comes();
    assert_eq!(ann.types(), ["connected", "joined", "joined", "error"]);
    assert_eq!(ann.errors(), ["too_many_rooms"]);
}

#[test]
fn nobody_is_seen_to_come_into_a_room_that_the_query_names_beyond_the_limit() {
    let world = World::with_seed(232)
        .shards(2)
        .limits(|limits| limits.rooms_per_connection = 2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.watches("b");
    bob.watches("c");
    let cid = world.visitor("cid").in_rooms("a,b,a,c,b,d").comes();
    let [ok, no] = ["joined", "error"];
    assert_eq!(cid.types(), ["connected", ok, ok, ok, no, ok, no]);
    let refused = cid.each("error", |said| said.room_id.clone().expect("a room"));
    assert_eq!(refused, ["c", "d"]);
    assert_eq!((ann.saw(), bob.saw()), (vec!["join cid".into()], vec![]));
}
