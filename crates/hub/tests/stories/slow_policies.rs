//! Connections that are too slow, where the policy is to let messages go rather than the connection.

use wshub_hub::slow::{Pattern, SlowPolicies, SlowPolicy};

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
