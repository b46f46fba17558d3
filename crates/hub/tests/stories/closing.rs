//! Good-byes of either side; nothing comes behind one.

use wshub_protocol::CloseCode;

use crate::world::wire::{BINARY, CLOSE, FIN, PING};
use crate::world::{World, secs};

#[test]
fn a_client_that_closes_is_answered_with_its_own_code() {
    for code in [1000, 1001, 1011, 3000, 4999] {
        let world = World::with_seed(60);
        let ann = world.connect("ann");
        ann.closes(code);
        assert_eq!(ann.close_code(), Some(code));
        assert!(ann.saw_the_end() && !ann.has_a_socket());
        assert_eq!(
            (world.clients(), world.sum(|shard| shard.left.get())),
            (0, 1)
        );
    }
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    let world = World::with_seed(61);
    let ann = world.connect("ann");
    ann.ignores_the_close();
    ann.sends_frame(CLOSE | FIN, b"");
    assert_eq!(ann.close_code(), Some(1005));
    assert!(!ann.has_a_socket());
}

#[test]
fn nothing_comes_behind_a_good_bye() {
    // The world's clients fail on any frame behind a close frame; here is the race for it.
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(2);
        let [ann, bob] = ["ann", "bob"].map(|user| world.connect(user).join("news"));
        world.at_once(|| {
            (0..10).for_each(|n| bob.says("news", &n.to_string()));
            ann.sends(r#"{"type":"room","room_id":"news","data":1,"id":"m"}"#);
            ann.joins("other");
            (0..5).for_each(|_| ann.sends_frame(PING | FIN, b"still there?"));
            (0..world.chance(8)).for_each(|_| world.turn());
            if seed % 2 == 0 {
                ann.closes(1000)
            } else {
                world.stop()
            }
            world.broadcast("late");
        });
        assert_eq!(
            ann.close_code(),
            Some(if seed % 2 == 0 { 1000 } else { 1001 })
        );
        assert!(!ann.has_a_socket(), "seed {seed}");
    }
}

#[test]
fn what_waited_is_written_before_the_good_bye() {
    let world = World::with_seed(62);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.stops_reading();
    (0..100).for_each(|n| bob.broadcasts(&n.to_string()));
    ann.closes(1000);
    ann.reads_on();
    assert_eq!((ann.heard().len(), ann.close_code()), (100, Some(1000)));
}

#[test]
fn a_node_that_stops_closes_everybody_with_1001() {
    let world = World::with_seed(63).shards(2);
    let clients = world.connect_all(["ann", "bob", "cid", "dan"]);
    world.stop();
    let late = world.connect("eve");
    assert_eq!(
        clients.each_ref().map(|client| client.close_code()),
        [Some(1001); 4]
    );
    assert_eq!((late.close_code(), late.types().len()), (Some(1001), 0));
    assert!(world.is_empty());
    assert_eq!(world.closed_with(CloseCode::GoingAway), 5);
}

#[test]
fn who_does_not_answer_a_good_bye_is_dropped_after_2_seconds() {
    let world = World::with_seed(64);
    let ann = world.connect("ann");
    ann.ignores_the_close();
    world.stop();
    world.advance(1900);
    assert!(ann.has_a_socket());
    world.advance(300);
    assert!(!ann.has_a_socket() && world.is_empty());
}

#[test]
fn a_frame_that_is_half_written_is_finished_before_the_good_bye() {
    let world = World::with_seed(65);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    world.broadcast(&"x".repeat(5000));
    world.stop();
    world.advance(secs(1));
    ann.reads_on();
    assert_eq!((ann.heard().len(), ann.close_code()), (1, Some(1001)));
}

#[test]
fn a_half_written_frame_is_finished_even_for_who_was_too_slow() {
    let world = World::with_seed(66).limits(|limits| limits.queue_messages = 4);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    (0..9).for_each(|_| world.broadcast(&"x".repeat(5000)));
    ann.reads_on();
    assert_eq!((ann.heard().len(), ann.close_code()), (1, Some(4008)));
}

#[test]
fn who_hangs_up_without_a_word_is_gone_at_once() {
    let world = World::with_seed(67).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.hangs_up();
    bob.broadcasts("still here");
    assert_eq!((world.clients(), bob.heard().len()), (1, 1));
    assert_eq!(world.sum(|shard| shard.left.get()), 1);
}

#[test]
fn who_breaks_the_protocol_reads_why_though_much_of_it_is_under_way() {
    let world = World::with_seed(68);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.ignores_the_close();
    world.hurry(|| {
        ann.sends_frame(0x83, b"an opcode that nobody knows");
        (0..100).for_each(|_| ann.sends_frame(BINARY | FIN, &[7; 10_000]));
        ann.closes(1000);
    });
    bob.broadcasts("undisturbed");
    assert_eq!((ann.close_code(), bob.heard().len()), (Some(1002), 1));
    assert!(
        ann.saw_the_end(),
        "our half is closed, so that the client sees the end"
    );
    world.advance(secs(3));
    assert!(!ann.has_a_socket());
}

#[test]
fn a_client_that_is_closed_by_both_sides_at_once_is_gone() {
    for seed in 0..50 {
        let world = World::with_seed(seed);
        let ann = world.connect("ann");
        world.at_once(|| {
            ann.closes(1000);
            (0..world.chance(6)).for_each(|_| world.turn());
            world.stop();
        });
        assert!(matches!(ann.close_code(), Some(1000 | 1001)) && !ann.has_a_socket());
    }
}

#[test]
fn who_is_too_slow_for_a_last_position_is_closed_once_and_for_one_reason() {
    let mut too_slow = 0;
    for waiting in 0..40 {
        let world = World::with_seed(66).limits(|limits| limits.queue_messages = 8);
        let ann = world.visitor("ann").with_buffer(1000).comes();
        ann.stops_reading();
        (0..waiting).for_each(|n| world.broadcast(&n.to_string()));
        world.tell(&["absent"], "not for ann");
        world.stop();
        ann.reads_on();
        let slow = world.closed_with(CloseCode::TooSlow);
        assert_eq!(
            slow + world.closed_with(CloseCode::GoingAway),
            1,
            "{waiting}"
        );
        too_slow += slow;
    }
    assert!((1..40).contains(&too_slow), "{too_slow} of 40");
}
