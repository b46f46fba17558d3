//! Clients that nothing is for: they are told how far the log has moved on, so that the place they keep stays good.

use crate::world::{Client, RETENTION_MS, World, secs};

/// Where a client was told that the log is.
fn positions(client: &Client) -> Vec<u64> {
    client.each("position", |said| said.offset())
}

#[test]
fn who_was_given_no_cursor_for_30_seconds_is_told_where_the_log_is() {
    let world = World::with_seed(360).shards(3);
    let ann = world.connect("ann");
    world.tell(&["bob"], "not for ann");
    world.publish("news", "nor is this");
    world.advance(secs(29));
    assert_eq!(positions(&ann).len(), 0);
    world.advance(secs(2));
    assert_eq!((positions(&ann), ann.place()), (vec![2], world.cursor(2)));
}

#[test]
fn while_the_log_stands_still_nothing_is_told() {
    let world = World::with_seed(361).shards(3);
    world.broadcast("before");
    let ann = world.connect("ann");
    world.advance(secs(200));
    assert_eq!(ann.types(), ["connected"]);
    world.tell(&["bob"], "not for ann");
    world.advance(secs(200));
    assert_eq!(positions(&ann), [2], "told once");
    world.broadcast("for all");
    world.advance(secs(200));
    assert_eq!(ann.types(), ["connected", "position", "broadcast"]);
}

#[test]
fn who_is_given_messages_needs_no_position() {
    let world = World::with_seed(362).shards(2);
    let ann = world.connect("ann").join("news");
    for n in 0..20 {
        match n % 3 {
            0 => world.broadcast("for all"),
            1 => world.publish("news", "for the room"),
            _ => world.tell(&["ann"], "for ann"),
        }
        world.tell(&["bob"], "not for ann");
        world.advance(secs(20));
    }
    assert_eq!(positions(&ann).len(), 0);
}

#[test]
fn a_quiet_clients_place_stays_good_for_longer_than_the_log_keeps_anything() {
    let world = World::with_seed(363).shards(2);
    let ann = world.visitor("ann").in_rooms("news").comes();
    for _ in 0..(3 * RETENTION_MS / secs(10)) {
        world.tell(&["bob"], "not for ann");
        world.advance(secs(10));
    }
    assert_eq!(ann.heard().len(), 0);
    ann.hangs_up();
    world.publish("news", "missed");
    world.tell(&["ann"], "missed too");
    world.advance(RETENTION_MS - secs(60));
    let back = world.visitor("ann").resuming(&ann).in_rooms("news");
    let back = back.comes();
    assert_eq!(back.found(), (true, 1, 0));
    assert_eq!(back.heard(), ["missed", "missed too"]);
}

#[test]
fn a_position_never_overtakes_what_stands_before_it() {
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(3);
        let all = ["ann", "bob", "cid"].map(|user| world.connect(user));
        world.at_once(|| {
            for n in 0..30 {
                world.tell(&[["ann", "bob", "cid"][n % 3]], "x");
                world.advance(secs(7) + world.chance(5000) as u64);
            }
        });
        let told: usize = all.iter().map(|client| positions(client).len()).sum();
        for client in all {
            let places = client.with_all(|all| {
                let moves = all
                    .iter()
                    .filter(|said| said.is_message() || said.kind == "position");
                moves.map(|said| said.offset()).collect::<Vec<_>>()
            });
            assert!(places.is_sorted_by(|a, b| a < b), "seed {seed}: {places:?}");
            assert_eq!(client.heard().len(), 10, "seed {seed}");
        }
        assert!(told > 0 || seed > 0, "somebody was quiet for long enough");
    }
}

#[test]
fn who_catches_up_is_told_no_position_that_it_has_not_reached() {
    let world = World::with_seed(364).limits(|limits| limits.queue_messages = 8);
    let ann = world.connect("ann");
    ann.hangs_up();
    (0..200).for_each(|n| world.broadcast(&n.to_string()));
    let slow = world
        .visitor("ann")
        .with_buffer(800)
        .resuming(&ann)
        .comes_at_once();
    for _ in 0..20 {
        slow.stops_reading();
        world.advance(secs(4));
        world.hurry(|| slow.reads_on());
        (0..8).for_each(|_| world.turn());
    }
    slow.stops_reading();
    let heard = slow.heard().len() as u64;
    assert!((1..200).contains(&heard), "{heard} came so far");
    assert_eq!(
        (positions(&slow).len(), slow.place()),
        (0, world.cursor(heard))
    );
}

#[test]
fn who_is_sent_away_while_catching_up_keeps_the_place_it_has_reached() {
    let ways: [fn(&World); 2] = [World::stop, |world| world.drain(0)];
    for end in ways {
        let world = World::with_seed(368).limits(|limits| limits.queue_messages = 8);
        let ann = world.connect("ann");
        ann.hangs_up();
        (0..200).for_each(|n| world.broadcast(&n.to_string()));
        let slow = world.visitor("ann").with_buffer(800).resuming(&ann);
        let slow = slow.that_reads_nothing().comes();
        end(&world);
        world.advance(500);
        world.hurry(|| slow.reads_on());
        world.advance(secs(3));
        let heard = slow.heard().len() as u64;
        assert!((1..200).contains(&heard), "{heard} came");
        assert!(slow.close_code().is_some());
        assert_eq!(
            (positions(&slow).len(), slow.place()),
            (0, world.cursor(heard))
        );
    }
}

/// Ends a node in which ann's shard heard nothing of the newest message, and holds what she was told against that.
fn ends(seed: u64, code: u16, end: impl Fn(&World)) {
    for other in ["bob", "cid", "dan", "eve", "fay"] {
        let world = World::with_seed(seed).shards(3);
        world.broadcast("before");
        let [ann, bob] = world.connect_all(["ann", other]);
        world.tell(&[other], "not for ann");
        end(&world);
        assert_eq!(
            (ann.close_code(), bob.close_code()),
            (Some(code), Some(code))
        );
        assert_eq!(
            (positions(&ann), positions(&bob)),
            (vec![2], vec![]),
            "{other}"
        );
        assert_eq!(
            (ann.place(), bob.place()),
            (world.cursor(2), world.cursor(2))
        );
    }
}

#[test]
fn whoever_leaves_a_draining_node_is_told_how_far_the_log_went_if_it_moved_on() {
    ends(365, 1012, |world| {
        world.drain(secs(1));
        world.advance(secs(4));
    });
}

#[test]
fn a_node_that_stops_tells_how_far_the_log_went_if_it_moved_on() {
    ends(366, 1001, World::stop);
}

#[test]
fn other_closes_tell_no_position() {
    let world = World::with_seed(367);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    world.tell(&["cid"], "for neither");
    ann.closes_normally();
    bob.breaks_the_rules();
    assert_eq!(
        (ann.close_code(), bob.close_code()),
        (Some(1000), Some(1002))
    );
    assert_eq!(positions(&ann).len() + positions(&bob).len(), 0);
}
