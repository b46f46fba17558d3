//! Messages that only pass by: whoever is there hears them, at most once, and nothing of them is kept.

use wshub_engine::EngineState;
use wshub_hub::slow::{Pattern, SlowPolicies, SlowPolicy};

use crate::world::{Client, World};

const TYPING: &str =
    r#"{"type":"room","room_id":"news","id":"m-1","ephemeral":true,"data":"typing"}"#;

#[test]
fn whoever_is_there_hears_it_and_nothing_is_kept() {
    let world = World::with_seed(630).shards(3);
    let [ann, bob, cid] = world.connect_all(["ann", "bob", "cid"]);
    for client in [&ann, &bob] {
        client.joins("news");
    }
    let place = bob.place();
    ann.hints("news", "in the room");
    ann.sends(r#"{"type":"broadcast","ephemeral":true,"data":"for all"}"#);
    ann.sends(r#"{"type":"user","target_ids":["bob","dan"],"ephemeral":true,"data":"for bob"}"#);
    world.posts(r#"{"type":"room","room_id":"news","ephemeral":true,"data":"by HTTP"}"#);
    assert_eq!(
        bob.heard(),
        ["in the room", "for all", "for bob", "by HTTP"]
    );
    assert_eq!(cid.heard(), ["for all"]);
    assert_eq!(ann.heard(), ["in the room", "for all", "by HTTP"]);
    bob.with_all(|all| {
        assert!(
            all.iter()
                .all(|said| said.is_passing() || !said.is_message())
        )
    });
    assert_eq!(world.with_log(<[_]>::len), 0);
    assert_eq!(bob.place(), place, "it moves nobody's place");
    let EngineState { fates, .. } = world.engine();
    assert_eq!(fates.pushed, 0, "no queue holds it");
    assert_eq!(world.connect("dan").found(), (false, 0, 0));
}

#[test]
fn it_is_in_no_history_and_no_resume() {
    let world = World::with_seed(631);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    bob.says("news", "kept");
    ann.hangs_up();
    bob.hints("news", "gone");
    bob.sends(r#"{"type":"broadcast","ephemeral":true,"data":"gone"}"#);
    let ann = world.visitor("ann").resuming(&ann).in_rooms("news").comes();
    assert_eq!(ann.found(), (true, 0, 0));
    assert_eq!(ann.heard(), ["kept"]);
    ann.joins_with_history("news", 9);
    assert_eq!(ann.history(), (vec!["kept".into()], true));
}

#[test]
fn an_id_is_acknowledged_without_a_cursor_and_remembered_by_nobody() {
    let world = World::with_seed(632).shards(2);
    let ann = world.connect("ann").join("news");
    ann.sends(TYPING);
    ann.sends(TYPING);
    ann.hints("news", "without an id");
    ann.sends(r#"{"type":"broadcast","id":"m-1","data":"kept"}"#);
    ann.sends(TYPING);
    assert_eq!(
        ann.heard(),
        ["typing", "typing", "without an id", "kept", "typing"]
    );
    let acks = ann.each("ack", |said| (said.cursor.is_some(), said.duplicate));
    let passing = (false, Some(false));
    assert_eq!(acks, [passing, passing, (true, Some(false)), passing]);
    assert_eq!(ann.errors().len(), 0);
}

#[test]
fn they_are_heard_in_the_order_in_which_they_were_said() {
    for seed in 0..50 {
        let world = World::with_seed(seed).shards(3);
        let ann = world.connect("ann");
        let others = world.connect_all(["bob", "cid", "dan"]);
        others.iter().for_each(|client| client.joins("news"));
        world.at_once(|| {
            for number in 0..40 {
                ann.hints("news", &number.to_string());
                (0..world.chance(3)).for_each(|_| world.turn());
            }
        });
        let said: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        for client in &others {
            assert_eq!(client.heard(), said);
        }
    }
}

/// Somebody in `ticks` and `news` whose socket takes no more.
fn stalled(world: &World) -> Client {
    let visitor = world.visitor("ann").with_buffer(1000);
    let ann = visitor.in_rooms("ticks,news").comes();
    ann.stops_reading();
    (0..12).for_each(|number| world.publish("news", &format!("filling the buffer {number}")));
    ann
}

fn world_with(policy: SlowPolicy, seed: u64) -> World {
    World::with_seed(seed).limits(|limits| {
        limits.queue_messages = 16;
        limits.slow = SlowPolicies {
            general: SlowPolicy::Disconnect,
            rooms: vec![(Pattern::new("ticks"), policy)],
        };
    })
}

#[test]
fn whoever_is_behind_is_not_given_it_and_it_is_counted() {
    for policy in [SlowPolicy::Disconnect, SlowPolicy::Drop, SlowPolicy::Latest] {
        let world = world_with(policy, 633);
        let ann = stalled(&world);
        (0..100).for_each(|number| {
            world.posts(&format!(
                r#"{{"type":"room","room_id":"ticks","ephemeral":true,"data":"{number}"}}"#
            ))
        });
        world.publish("news", "kept");
        assert!(ann.is_connected(), "{policy:?}");
        ann.reads_on();
        let passed = ann.with_all(|all| all.iter().filter(|said| said.is_passing()).count());
        let ledger = world.ledger();
        assert!(ledger.ephemeral > 0);
        assert_eq!(passed as u64 + ledger.ephemeral, 100, "{policy:?}");
        assert_eq!((ledger.in_flight(), ledger.gap), (0, 0), "{policy:?}");
        assert_eq!(ann.heard().last().map(String::as_str), Some("kept"));
        assert_eq!(ann.each("gap", |_| ()).len(), 0);
        world.posts(r#"{"type":"room","room_id":"ticks","ephemeral":true,"data":"again"}"#);
        assert_eq!(ann.heard().last().map(String::as_str), Some("again"));
    }
}

#[test]
fn whoever_catches_up_misses_what_passes_by_meanwhile_and_it_is_counted() {
    let world = World::with_seed(635);
    let ann = world.connect("ann");
    ann.hangs_up();
    (0..100).for_each(|number| world.broadcast(&format!("{number}: {}", "word ".repeat(2000))));
    let back = world.visitor("ann").resuming(&ann).with_buffer(1000);
    let back = back.in_rooms("news").that_reads_nothing().comes();
    for target in [
        r#""type":"broadcast""#,
        r#""type":"room","room_id":"news""#,
        r#""type":"user","target_ids":["ann"]"#,
    ] {
        world.posts(&format!(r#"{{{target},"ephemeral":true,"data":1}}"#));
    }
    let missed = world.ledger();
    assert_eq!(missed.ephemeral, 3, "{missed:?}");
    back.reads_on();
    assert_eq!(back.heard().len(), 100);
    let counts = world.ledger();
    assert_eq!((counts.accepted, counts.delivered), (103, 100));
    assert_eq!((counts.ephemeral, counts.in_flight()), (3, 0));
}

#[test]
fn it_pushes_out_nothing_of_a_room_of_which_only_the_newest_waits() {
    let world = world_with(SlowPolicy::Latest, 634);
    let visitor = world.visitor("ann").with_buffer(1000).in_rooms("ticks");
    let ann = visitor.comes();
    ann.stops_reading();
    (0..30).for_each(|number| world.publish("ticks", &format!("some text and {number}")));
    world.posts(r#"{"type":"room","room_id":"ticks","ephemeral":true,"data":"typing"}"#);
    ann.reads_on();
    let heard = ann.heard();
    assert_eq!(heard[heard.len() - 2..], ["some text and 29", "typing"]);
}
