//! Proof of receipt: the pong to a ping behind the messages, or the client's own `ack`. What has none stays.

use std::collections::BTreeSet;

use crate::world::wire::{FIN, PONG};
use crate::world::{Client, World, numbers, secs};

/// How many messages wait in the queues.
fn waiting(world: &World) -> u64 {
    world.engine().queued.0 as u64
}

fn tell(world: &World, all: impl Iterator<Item = u64>) {
    all.for_each(|n| world.tell(&["ann"], &n.to_string()));
}

/// The cursors of the `user` messages that a client was given.
fn cursors(client: &Client) -> Vec<String> {
    client.each("user", |said| said.cursor.clone().expect("a cursor"))
}

#[test]
fn the_pong_behind_a_message_is_its_receipt() {
    let world = World::with_seed(340).shards(2);
    let ann = world.connect("ann");
    tell(&world, 0..1);
    assert_eq!((ann.pings(), waiting(&world)), (1, 0));
    world.broadcast("needs no receipt");
    world.publish("news", "nor does this");
    world.advance(secs(2));
    assert_eq!(ann.pings(), 1);
}

#[test]
fn a_pong_that_answers_no_ping_of_ours_is_no_receipt() {
    let world = World::with_seed(341);
    let ann = world.visitor("ann").that_ignores_pings().comes();
    tell(&world, 0..3);
    for pong in [
        "",
        "00000000",
        "00000002",
        "ffffffff",
        "1",
        "x",
        "0000001\u{e9}",
    ] {
        ann.sends_frame(PONG | FIN, pong.as_bytes());
    }
    assert_eq!(waiting(&world), 3);
    world.at_once(|| (0..2).for_each(|_| ann.answers_the_last_ping()));
    assert_eq!(
        waiting(&world),
        2,
        "the ping stood behind the first, however often it is answered"
    );
}

#[test]
fn a_pong_is_a_receipt_for_what_stood_before_its_ping_and_no_more() {
    for seed in 0..50 {
        let world = World::with_seed(seed);
        let ann = world.visitor("ann").that_ignores_pings().comes();
        tell(&world, 0..1);
        world.advance(secs(1));
        tell(&world, 1..6);
        ann.answers_the_last_ping();
        assert_eq!(waiting(&world), 5, "seed {seed}");
        world.advance(secs(1));
        ann.answers_the_last_ping();
        assert_eq!(waiting(&world), 0, "seed {seed}");
    }
}

#[test]
fn who_answers_only_the_last_of_several_pings_has_received_all_before_it() {
    let world = World::with_seed(342);
    let ann = world.visitor("ann").that_ignores_pings().comes();
    tell(&world, 0..3);
    world.advance(secs(51));
    assert_eq!(ann.pings(), 2, "one behind the first, one as a heartbeat");
    ann.answers_the_last_ping();
    assert_eq!(waiting(&world), 0);
}

#[test]
fn of_who_never_answers_all_stays_and_comes_again() {
    let world = World::with_seed(343);
    let ann = world.visitor("ann").that_ignores_pings().comes();
    tell(&world, 0..60);
    for _ in 0..10 {
        // Other frames are a sign of life, but prove nothing about what was given.
        world.advance(secs(50));
        ann.sends(r#"{"type":"ping"}"#);
    }
    assert!(ann.is_connected());
    assert_eq!(waiting(&world), 60);
    ann.hangs_up();
    let back = world.connect("ann");
    assert_eq!(
        (back.found(), back.heard()),
        ((false, 60, 0), numbers(0..60))
    );
    world.advance(secs(1));
    assert_eq!(waiting(&world), 0);
}

#[test]
fn a_steady_stream_is_asked_for_every_few_messages_and_a_flood_without_delay() {
    let world = World::with_seed(344);
    let ann = world.connect("ann");
    for n in 0..100 {
        tell(&world, n..n + 1);
        world.advance(80);
    }
    assert!((10..40).contains(&ann.pings()), "{} pings", ann.pings());
    world.advance(secs(1));
    assert_eq!(waiting(&world), 0, "the last is asked for by itself");
    let before = ann.pings();
    world.at_once(|| tell(&world, 0..1));
    world.at_once(|| tell(&world, 1..100));
    assert!(waiting(&world) < 50, "{} wait", waiting(&world));
    assert!(ann.pings() > before);
}

#[test]
fn who_acknowledges_itself_is_not_asked_and_no_pong_is_a_receipt() {
    let world = World::with_seed(345).shards(2);
    let ann = world.visitor("ann").that_acknowledges().comes();
    tell(&world, 0..3);
    world.advance(secs(2));
    assert_eq!(ann.pings(), 0);
    world.advance(secs(100));
    assert_eq!((ann.pings(), waiting(&world)), (2, 3), "heartbeats only");
    for number in 0..9 {
        ann.sends_frame(PONG | FIN, format!("{number:08x}").as_bytes());
    }
    assert_eq!(waiting(&world), 3);
    ann.acknowledges(&cursors(&ann)[1]);
    assert_eq!((waiting(&world), ann.errors().len()), (1, 0));
    ann.acknowledges(&cursors(&ann)[2]);
    assert_eq!((waiting(&world), ann.errors().len()), (0, 0));
}

#[test]
fn an_ack_covers_all_before_it_may_be_said_twice_and_takes_nothing_of_others() {
    let world = World::with_seed(346);
    let [ann, bob] = ["ann", "bob"].map(|user| world.visitor(user).that_acknowledges().comes());
    for n in 0..6 {
        world.tell(&["ann", "bob"], &n.to_string());
    }
    let (given, newest) = (cursors(&ann), world.cursor(6));
    ann.acknowledges(&given[3]);
    ann.acknowledges(&given[3]);
    ann.acknowledges(&given[0]);
    assert_eq!((waiting(&world), ann.errors().len()), (8, 0));
    ann.acknowledges(&newest);
    assert_eq!((waiting(&world), bob.errors().len()), (6, 0));
    world.broadcast("it may be named too");
    bob.acknowledges(&world.cursor(7));
    assert_eq!((waiting(&world), bob.errors().len()), (0, 0));
}

#[test]
fn an_ack_of_what_was_never_given_is_refused_and_takes_nothing() {
    let world = World::with_seed(347).shards(4);
    let ann = world.visitor("ann").that_acknowledges().comes();
    tell(&world, 0..2);
    let ours = cursors(&ann).pop().expect("two");
    let epoch = ours.split(':').next().expect("an epoch");
    world.tell(&["bob"], "never given to ann");
    let bad = [
        String::new(),
        "garbage".to_owned(),
        world.cursor(3),
        world.cursor(u64::MAX),
        format!("{epoch}:1:1"),
        format!("{epoch}:0:1-5"),
        format!("1.{:x}:0:1", 999),
        format!("2.{:x}:0:1", 347),
        format!("{ours},{epoch}:1:1"),
        format!("{ours},garbage"),
        "x".repeat(100 * 1024),
        [ours.as_str(); 3000].join(","),
    ];
    for (at, cursor) in bad.iter().enumerate() {
        ann.acknowledges(cursor);
        assert_eq!(ann.errors().len(), at + 1, "{cursor:.99}");
        assert_eq!(ann.errors()[at], "bad_cursor", "{cursor:.99}");
    }
    assert_eq!(waiting(&world), 3);
    ann.acknowledges(&ours);
    assert_eq!((waiting(&world), ann.is_connected()), (1, true));
}

#[test]
fn who_catches_up_cannot_acknowledge_what_it_was_not_given_yet() {
    let world = World::with_seed(352).limits(|limits| limits.queue_messages = 8);
    let ann = world.connect("ann");
    ann.hangs_up();
    tell(&world, 0..60);
    let back = world.visitor("ann").with_buffer(500).resuming(&ann);
    let back = back.that_acknowledges().that_reads_nothing().comes();
    back.acknowledges(&world.cursor(60));
    back.reads_on();
    assert_eq!(
        (back.errors(), waiting(&world)),
        (vec!["bad_cursor".to_owned()], 60)
    );
    back.acknowledges(&world.cursor(60));
    assert_eq!((back.errors().len(), waiting(&world)), (1, 0));
}

#[test]
fn who_promised_no_acks_may_send_them_all_the_same() {
    let world = World::with_seed(348);
    let ann = world.visitor("ann").that_ignores_pings().comes();
    tell(&world, 0..3);
    ann.acknowledges(&cursors(&ann)[1]);
    assert_eq!((waiting(&world), ann.errors().len()), (1, 0));
    ann.answers_the_last_ping();
    assert_eq!(waiting(&world), 1, "the third came behind that ping");
    world.advance(secs(1));
    ann.answers_the_last_ping();
    assert_eq!(waiting(&world), 0);
}

#[test]
fn acks_of_a_batch_count_each_for_itself() {
    let world = World::with_seed(349);
    let ann = world.visitor("ann").that_acknowledges().comes();
    tell(&world, 0..8);
    world.at_once(|| {
        cursors(&ann)[..6]
            .iter()
            .for_each(|cursor| ann.acknowledges(cursor));
        ann.acknowledges("garbage");
        ann.acknowledges(&[world.cursor(2), world.cursor(7)].join(","));
    });
    assert_eq!(
        (waiting(&world), ann.errors()),
        (1, vec!["bad_cursor".to_owned()])
    );
}

#[test]
fn having_seen_a_later_place_is_no_receipt_of_who_acknowledges_itself() {
    let world = World::with_seed(350);
    let ann = world.visitor("ann").that_acknowledges().comes();
    tell(&world, 0..4);
    ann.acknowledges(&cursors(&ann)[0]);
    ann.hangs_up();
    let back = world.visitor("ann").resuming(&ann).that_acknowledges();
    let back = back.comes();
    assert_eq!((back.found(), back.heard()), ((true, 3, 0), numbers(1..4)));
    back.acknowledges(&cursors(&back)[2]);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn what_went_to_a_connection_that_vanished_comes_to_the_next_one() {
    for seed in 0..50 {
        let world = World::with_seed(seed).shards(2);
        let ann = world.visitor("ann").with_buffer(2000).comes();
        tell(&world, 0..3);
        world.advance(secs(1));
        world.hurry(|| tell(&world, 3..5));
        (0..world.chance(12)).for_each(|_| world.turn());
        ann.vanishes();
        tell(&world, 5..20);
        let back = world.connect("ann");
        let heard = back.heard();
        assert_eq!(back.found(), (false, heard.len() as u64, 0));
        assert_eq!(heard, numbers(20 - heard.len() as u64..20), "seed {seed}");
        assert!(heard.len() >= 15, "seed {seed}");
        let unproven = 20 - heard.len();
        assert_eq!(ann.heard()[..unproven], numbers(0..unproven as u64));
        world.advance(secs(70));
        assert_eq!(waiting(&world), 0);
    }
}

#[test]
fn whose_link_breaks_behind_connected_gets_what_waited_with_the_place_it_was_told() {
    let mut was_told_and_given_nothing = false;
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(2);
        tell(&world, 0..20);
        let ann = world.visitor("ann").with_buffer(260).comes_at_once();
        world.hurry(|| {
            for _ in 0..world.chance(100) {
                world.turn();
                world.advance_if_idle();
            }
            ann.vanishes();
        });
        let mut heard: BTreeSet<_> = ann.heard().into_iter().collect();
        was_told_and_given_nothing |= heard.is_empty() && !ann.place().is_empty();
        heard.extend(world.visitor("ann").resuming(&ann).comes().heard());
        assert_eq!(heard, numbers(0..20).into_iter().collect(), "seed {seed}");
    }
    assert!(was_told_and_given_nothing);
}

#[test]
fn what_waits_behind_a_socket_that_takes_nothing_is_not_taken_for_received() {
    let world = World::with_seed(351);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    tell(&world, 0..40);
    world.advance(secs(3));
    assert_eq!(waiting(&world), 40);
    ann.reads_on();
    world.advance(secs(2));
    assert_eq!((waiting(&world), ann.heard()), (0, numbers(0..40)));
    ann.stops_reading();
    tell(&world, 40..80);
    world.advance(secs(12));
    assert!(!ann.is_connected());
    let back = world.connect("ann");
    assert_eq!(back.heard(), numbers(40..80));
}
