//! Connections that are too slow, where the policy is to let messages go rather than the connection.

use wshub_hub::slow::{Pattern, SlowPolicies, SlowPolicy};
use wshub_protocol::CloseCode;

use crate::ledger;
use crate::world::{Client, World, secs};

/// A world in which everybody's messages, and rooms of these patterns, have these policies.
fn world(seed: u64, general: SlowPolicy, rooms: &[(&str, SlowPolicy)]) -> World {
    let rooms = rooms.iter();
    let rooms = rooms.map(|(pattern, policy)| (Pattern::new(pattern), *policy));
    let slow = SlowPolicies {
        general,
        rooms: rooms.collect(),
    };
    World::with_seed(seed).limits(|limits| {
        limits.slow = slow;
        limits.queue_messages = 16;
    })
}

/// A client in a room that takes no more, since its buffer is full.
fn stalled(world: &World, rooms: &str) -> Client {
    let visitor = world.visitor("ann").with_buffer(1000).in_rooms(rooms);
    let ann = visitor.comes();
    ann.stops_reading();
    for number in 0..20 {
        world.broadcast(&format!("filling the buffer {number}"));
    }
    ann
}

/// Places that were told as missing, and how many messages each stands for.
fn gaps(client: &Client) -> Vec<(Option<String>, u64, u64)> {
    client.each("gap", |said| {
        let dropped = said.dropped.expect("a number");
        (said.room_id.clone(), dropped, said.offset())
    })
}

/// Each message of the log that is for `ann` was heard or is told of by a gap, at its place.
fn adds_up(world: &World, ann: &Client) {
    let heard = ann.heard().len() as u64;
    let told: u64 = gaps(ann).iter().map(|(_, dropped, _)| dropped).sum();
    assert_eq!(heard + told, world.with_log(|log| log.len() as u64));
    assert_eq!(world.ledger().gap, told);
    let places = ann.with_all(|all| {
        let moving = all
            .iter()
            .filter(|said| said.is_message() || said.kind == "gap");
        moving.map(|said| said.offset()).collect::<Vec<_>>()
    });
    assert!(places.is_sorted(), "the place goes back: {places:?}");
}

#[test]
fn the_oldest_give_way_and_a_gap_tells_how_many() {
    let world = world(400, SlowPolicy::Drop, &[]);
    let ann = stalled(&world, "");
    (0..100).for_each(|number| world.broadcast(&format!("later {number}")));
    ann.reads_on();
    assert!(ann.is_connected());
    assert_eq!(ann.heard().last().map(String::as_str), Some("later 99"));
    assert_eq!(gaps(&ann).len(), 1, "{:?}", gaps(&ann));
    adds_up(&world, &ann);
}

#[test]
fn of_a_room_with_the_newest_only_that_one_waits() {
    let world = world(401, SlowPolicy::Drop, &[("ticks:*", SlowPolicy::Latest)]);
    let ann = stalled(&world, "ticks:eur,ticks:usd");
    for number in 0..5 {
        world.publish("ticks:eur", &format!("eur {number}"));
        world.publish("ticks:usd", &format!("usd {number}"));
    }
    ann.reads_on();
    let heard = ann.heard();
    let ticks: Vec<_> = heard
        .iter()
        .filter(|text| !text.starts_with("filling"))
        .collect();
    assert_eq!(ticks, ["eur 4", "usd 4"]);
    adds_up(&world, &ann);
}

#[test]
fn the_newest_of_a_room_outlasts_what_is_said_elsewhere() {
    let world = world(408, SlowPolicy::Drop, &[("ticks:*", SlowPolicy::Latest)]);
    let ann = stalled(&world, "ticks:eur");
    (0..5).for_each(|number| world.publish("ticks:eur", &format!("eur {number}")));
    (0..100).for_each(|number| world.broadcast(&format!("later {number}")));
    ann.reads_on();
    assert!(
        ann.heard().contains(&"eur 4".to_owned()),
        "{:?}",
        ann.heard()
    );
    adds_up(&world, &ann);
}

#[test]
fn messages_to_the_user_are_never_dropped() {
    let world = world(402, SlowPolicy::Drop, &[]);
    let ann = stalled(&world, "");
    for number in 0..10 {
        world.tell(&["ann"], &format!("for ann {number}"));
        (0..5).for_each(|_| world.broadcast("for everybody"));
    }
    ann.reads_on();
    assert!(ann.is_connected());
    let for_ann = ann.each("user", |said| said.offset()).len();
    assert_eq!(for_ann, 10);
    adds_up(&world, &ann);
}

#[test]
fn where_those_alone_are_too_many_the_connection_goes_and_they_stay_queued() {
    let world = world(403, SlowPolicy::Drop, &[]);
    let ann = stalled(&world, "");
    (0..20).for_each(|number| world.tell(&["ann"], &format!("for ann {number}")));
    ann.reads_on();
    assert_eq!(ann.close_code(), Some(4008));
    let again = world.connect("ann");
    assert_eq!(again.found(), (false, 20, 0));
}

#[test]
fn a_room_of_another_pattern_still_costs_the_connection() {
    let world = world(
        404,
        SlowPolicy::Disconnect,
        &[("ticks:*", SlowPolicy::Drop)],
    );
    let ann = stalled(&world, "chat");
    (0..20).for_each(|number| world.publish("chat", &format!("{number}")));
    ann.reads_on();
    assert_eq!(ann.close_code(), Some(4008));
}

/// Somebody who watches a room, and is too slow to be told of each of the 100 users who come there.
fn watcher(world: &World) -> Client {
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.watches("news");
    ann.stops_reading();
    (0..100).for_each(|n| world.connect(&format!("u{n}")).joins("news"));
    ann.reads_on();
    ann
}

#[test]
fn who_comes_and_goes_gives_way_like_the_messages_of_the_room() {
    for policy in [SlowPolicy::Drop, SlowPolicy::Latest] {
        let world = world(409, SlowPolicy::Disconnect, &[("news", policy)]);
        let ann = watcher(&world);
        assert!(ann.is_connected(), "{policy:?}");
        let gaps = gaps(&ann);
        let told: u64 = gaps.iter().map(|(_, dropped, _)| dropped).sum();
        assert!(gaps.iter().all(|gap| gap.0.as_deref() == Some("news")));
        assert_eq!(ann.saw().len() as u64 + told, 100, "{gaps:?}");
        let counts = world.ledger();
        assert_eq!((counts.gap, counts.accepted), (told, told));
        assert_eq!(ann.saw().last().map(String::as_str), Some("join u99"));
        ann.watches("news");
        assert_eq!(ann.last("joined", |said| said.members), Some(101));
    }
}

#[test]
fn who_comes_and_goes_still_costs_the_connection_where_nothing_may_go() {
    let world = world(410, SlowPolicy::Drop, &[("news", SlowPolicy::Disconnect)]);
    assert!(!watcher(&world).is_connected());
    assert_eq!(world.closed_with(CloseCode::TooSlow), 1);
}

#[test]
fn what_is_said_in_a_room_and_who_comes_there_have_gaps_of_their_own() {
    let world = world(411, SlowPolicy::Drop, &[]);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.watches("news");
    ann.stops_reading();
    for n in 0..100 {
        world.publish("news", &format!("{n}"));
        world.connect(&format!("u{n}")).joins("news");
    }
    ann.reads_on();
    ledger::hold(&world, &ann);
    let told: u64 = gaps(&ann).iter().map(|(_, dropped, _)| dropped).sum();
    let given = ann.heard().len() + ann.saw().len();
    assert_eq!(given as u64 + told, 200);
    assert_eq!((gaps(&ann).len(), world.ledger().gap), (2, told));
    ann.hangs_up();
    world.broadcast("while she was away");
    assert_eq!(ann.comes_back().heard(), ["while she was away"]);
}

#[test]
fn a_socket_that_takes_nothing_may_stay_where_all_that_waits_may_go() {
    let dropping = world(405, SlowPolicy::Drop, &[]);
    let ann = stalled(&dropping, "");
    dropping.advance(secs(30));
    assert!(ann.is_connected());
    dropping.tell(&["ann"], "this has to arrive");
    dropping.advance(secs(15));
    ann.reads_on();
    assert!(!ann.is_connected());
}

#[test]
fn beyond_the_budget_of_all_outboxes_the_slowest_go_first() {
    let world = World::with_seed(406).limits(|limits| limits.outbox_bytes = 100_000);
    let come = |user| world.visitor(user).with_buffer(1000).comes();
    let [slower, slow, quick] = ["slower", "slow", "quick"].map(come);
    slower.stops_reading();
    world.broadcast(&"x".repeat(20_000));
    world.advance(secs(2));
    slow.stops_reading();
    for _ in 0..4 {
        world.broadcast(&"x".repeat(20_000));
    }
    slower.reads_on();
    assert!(!slower.is_connected() && slow.is_connected() && quick.is_connected());
    assert_eq!(quick.heard().len(), 5);
}

#[test]
fn behind_a_gap_a_client_resumes_as_behind_any_message() {
    let world = world(407, SlowPolicy::Drop, &[]);
    let ann = stalled(&world, "");
    (0..100).for_each(|number| world.broadcast(&format!("later {number}")));
    ann.reads_on();
    ann.hangs_up();
    world.broadcast("while she was away");
    let again = ann.comes_back();
    assert_eq!(again.found(), (true, 0, 0));
    assert_eq!(again.heard(), ["while she was away"]);
}
