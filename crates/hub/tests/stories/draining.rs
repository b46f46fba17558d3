//! A node that drains: its clients leave at differing moments, and know where to go on from.

use crate::world::{World, secs};

#[test]
fn clients_leave_at_differing_moments_and_are_served_until_then() {
    let world = World::with_seed(300).shards(2);
    let clients = ["ann", "bob", "cid", "dan"].map(|user| world.connect(user));
    world.drain(secs(4));
    let delays: Vec<u64> = clients
        .iter()
        .map(|client| client.last("reconnect", |said| said.delay_ms.expect("a delay")))
        .collect();
    assert!(delays.iter().all(|&delay| delay <= secs(4)), "{delays:?}");
    let first = delays.iter().min().expect("four clients");
    world.advance(first - 100);
    world.broadcast("still here");
    assert!(
        clients
            .iter()
            .all(|client| client.heard() == ["still here"])
    );
    for (client, delay) in clients.iter().zip(&delays) {
        assert!(client.is_connected(), "{delay} of {delays:?}");
    }
    world.advance(secs(5));
    assert!(
        clients
            .iter()
            .all(|client| client.close_code() == Some(1012))
    );
    assert_eq!(world.sum(|shard| shard.moved.get()), 4);
}

#[test]
fn a_client_that_goes_when_told_has_moved_too() {
    let world = World::with_seed(301);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.closes_normally();
    world.drain(secs(4));
    bob.closes_normally();
    assert_eq!(world.sum(|shard| shard.moved.get()), 1);
}

#[test]
fn whoever_leaves_knows_how_far_the_log_went() {
    let world = World::with_seed(302).shards(3);
    let [ann] = world.connect_all(["ann"]);
    world.tell(&["nobody"], "not for ann");
    world.drain(0);
    world.advance(secs(1));
    assert_eq!(ann.last("position", |said| said.offset()), 1);
    assert_eq!(ann.close_code(), Some(1012));
}

#[test]
fn what_waits_is_written_before_the_close() {
    let world = World::with_seed(303);
    let ann = world.visitor("ann").with_buffer(2000).comes();
    ann.stops_reading();
    let said: Vec<String> = (0..100).map(|number| format!("message {number}")).collect();
    said.iter().for_each(|text| world.broadcast(text));
    world.drain(0);
    world.hurry(|| ann.reads_on());
    world.advance(secs(2));
    assert_eq!(ann.heard(), said);
    assert_eq!(ann.close_code(), Some(1012));
}

#[test]
fn whoever_still_comes_is_sent_on_at_once() {
    let world = World::with_seed(304);
    world.drain(secs(4));
    let late = world.connect("late");
    world.advance(200);
    assert_eq!(late.last("reconnect", |said| said.delay_ms), Some(0));
    assert_eq!(late.close_code(), Some(1012));
}
