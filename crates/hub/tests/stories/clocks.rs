//! A clock on the wall that jumps: it stamps messages and nothing waits by it.

use crate::world::{World, secs};

const HOUR: i64 = 3_600_000;
const HELLO: &str = r#"{"type":"broadcast","id":"m-1","data":"hello"}"#;

/// Tells a story twice: once the clock is set forward by an hour, once back.
fn either_way(seed: u64, story: impl Fn(&World, &dyn Fn())) {
    for jump in [HOUR, -HOUR] {
        let world = World::with_seed(seed).shards(2);
        story(&world, &|| world.clock_jumps(jump));
    }
}

#[test]
fn what_waits_expires_neither_early_nor_late() {
    either_way(390, |world, clock_jumps| {
        (0..3).for_each(|n| world.tell(&["ann"], &n.to_string()));
        clock_jumps();
        world.tell(&["ann"], "3");
        world.advance(secs(30 * 60 - 2));
        let ann = world.visitor("ann").that_ignores_pings().comes();
        assert_eq!(ann.found(), (false, 4, 0));
        world.advance(secs(4));
        let later = world.visitor("ann").comes();
        assert_eq!(later.found(), (false, 0, 4));
    });
}

#[test]
fn the_log_keeps_what_it_would_have_kept() {
    either_way(391, |world, clock_jumps| {
        world.advance(secs(100));
        let ann = world.connect("ann");
        ann.hangs_up();
        world.broadcast("missed");
        clock_jumps();
        world.broadcast("missed too");
        world.advance(secs(299));
        let back = ann.comes_back();
        assert_eq!(back.found(), (true, 0, 0));
        assert_eq!(back.heard(), ["missed", "missed too"]);
        world.advance(secs(3));
        for place in [0, 1] {
            let late = world.visitor("bob").handing_in("", &world.cursor(place));
            assert!(!late.comes().found().0, "it has let go of both");
        }
    });
}

#[test]
fn an_id_is_known_for_five_minutes_and_no_longer() {
    either_way(392, |world, clock_jumps| {
        let ann = world.connect("ann");
        ann.sends(HELLO);
        clock_jumps();
        world.advance(secs(298));
        ann.sends(HELLO);
        world.advance(secs(4));
        ann.sends(HELLO);
        let acks = ann.each("ack", |said| said.duplicate == Some(true));
        assert_eq!(acks, [false, true, false]);
    });
}

#[test]
fn connections_stay_and_the_silent_and_the_stalled_go_when_they_would_have() {
    either_way(393, |world, clock_jumps| {
        let [ann, silent, stalled] =
            ["ann", "silent", "stalled"].map(|user| world.visitor(user).with_buffer(1000).comes());
        silent.ignores_pings();
        stalled.stops_reading();
        (0..20).for_each(|n| world.broadcast(&n.to_string()));
        clock_jumps();
        world.advance(secs(8));
        assert_eq!(world.clients(), 3);
        world.advance(secs(4));
        assert_eq!(world.clients(), 2, "a socket took nothing for 10 seconds");
        world.advance(secs(46));
        assert_eq!(world.clients(), 2);
        world.advance(secs(5));
        assert_eq!(
            (ann.is_connected(), silent.close_code()),
            (true, Some(4000))
        );
    });
}

#[test]
fn receipts_positions_and_a_drain_keep_their_time() {
    either_way(394, |world, clock_jumps| {
        let ann = world.connect("ann");
        world.tell(&["ann"], "one");
        clock_jumps();
        world.tell(&["ann"], "another soon after");
        world.advance(secs(1));
        assert_eq!(world.engine().queued.0, 0);
        world.tell(&["bob"], "not for ann");
        world.advance(secs(31));
        assert_eq!(ann.each("position", |_| ()).len(), 1);
        world.drain(secs(4));
        clock_jumps();
        let delay = ann.last("reconnect", |said| said.delay_ms.expect("a delay"));
        world.advance(delay - 100);
        assert!(ann.is_connected());
        world.advance(secs(2));
        assert_eq!(ann.close_code(), Some(1012));
    });
}

#[test]
fn messages_are_stamped_by_the_wall_and_stand_in_their_order_all_the_same() {
    either_way(395, |world, clock_jumps| {
        let ann = world.connect("ann");
        world.broadcast("before");
        clock_jumps();
        world.broadcast("behind");
        let stamps = ann.each("broadcast", |said| said.timestamp.expect("a stamp"));
        assert_eq!(stamps[0].abs_diff(stamps[1]) / 60, 60);
        assert_eq!(
            (ann.heard(), ann.places()),
            (vec!["before".to_owned(), "behind".to_owned()], vec![1, 2])
        );
    });
}
