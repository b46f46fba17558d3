//! Who doesn't read is closed within bounds, and nobody else notices.

use wshub_hub::Limits;
use wshub_protocol::CloseCode;

use crate::world::{World, secs};

#[test]
fn a_stalled_reader_is_closed_at_256_messages_and_the_others_hear_all() {
    let world = World::with_seed(40);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    let bob = world.connect("bob");
    ann.stops_reading();
    let filled = 1000 / 140;
    (0..256 + filled - 3).for_each(|n| world.broadcast(&n.to_string()));
    assert_eq!(world.clients(), 2, "at the bound she is still there");
    (0..10).for_each(|n| world.broadcast(&n.to_string()));
    assert_eq!(
        (world.clients(), world.closed_with(CloseCode::TooSlow)),
        (1, 1)
    );
    assert_eq!(bob.heard().len(), 256 + filled - 3 + 10);
}

#[test]
fn a_stalled_reader_is_closed_at_the_byte_limit() {
    let world = World::with_seed(41);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    let large = "x".repeat(100_000);
    (0..10).for_each(|_| world.tell(&["ann"], &large));
    assert_eq!(world.clients(), 1);
    world.tell(&["ann"], &large);
    assert_eq!(world.closed_with(CloseCode::TooSlow), 1);
}

#[test]
fn what_waits_for_a_stalled_reader_is_bounded_and_then_forgotten() {
    let world = World::with_seed(42);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    for n in 0..2000 {
        world.broadcast(&n.to_string());
        assert!(world.messages_alive() <= Limits::default().queue_messages as usize);
    }
    world.advance(secs(1));
    assert_eq!(world.messages_alive(), 0);
    assert!(!ann.has_a_socket());
}

#[test]
fn a_reader_who_wakes_up_in_time_is_told_that_it_was_too_slow() {
    let world = World::with_seed(43);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    (0..300).for_each(|n| world.broadcast(&n.to_string()));
    world.advance(500);
    ann.reads_on();
    assert_eq!(ann.close_code(), Some(4008));
    assert_eq!(ann.close_reason().unwrap(), "too_slow");
    assert!(!ann.has_a_socket());
    assert!(
        ann.heard().len() < 20,
        "what waited is not written any more"
    );
}

#[test]
fn where_nothing_can_be_written_the_link_is_just_closed() {
    let world = World::with_seed(44);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    (0..300).for_each(|n| world.broadcast(&n.to_string()));
    world.advance(secs(1));
    assert!(!ann.has_a_socket());
    ann.reads_on();
    assert!(ann.saw_the_end() && ann.close_code().is_none());
    assert!(ann.is_left_within_a_frame());
}

#[test]
fn a_burst_within_a_turn_does_not_evict_a_healthy_reader() {
    for seed in 45..55 {
        let world = World::with_seed(seed);
        let ann = world.visitor("ann").with_buffer(4 << 20).comes();
        world.at_once(|| (0..2000).for_each(|n| world.broadcast(&n.to_string())));
        assert_eq!(ann.heard().len(), 2000);
    }
}

#[test]
fn a_burst_within_a_turn_is_not_heaped_up_for_who_does_not_read() {
    let most = Limits::default().queue_messages as usize;
    for seed in 0..40 {
        let world = World::with_seed(seed);
        let ann = world.visitor("ann").with_buffer(1000).comes();
        ann.stops_reading();
        world.hurry(|| (0..1000).for_each(|n| world.broadcast(&n.to_string())));
        while !world.all_is_taken() {
            world.turn();
        }
        assert!(world.messages_alive() <= most, "seed {seed}");
    }
}

#[test]
fn a_socket_that_takes_nothing_for_10_seconds_is_given_up() {
    let world = World::with_seed(46);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    ann.stops_reading();
    (0..50).for_each(|n| world.broadcast(&n.to_string()));
    world.advance(secs(9));
    assert_eq!(world.clients(), 1);
    world.advance(1200);
    assert_eq!(
        (world.clients(), world.closed_with(CloseCode::TooSlow)),
        (0, 1)
    );
}

#[test]
fn a_reader_who_makes_some_progress_every_few_seconds_stays() {
    let world = World::with_seed(47);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    for n in 0..20 {
        ann.stops_reading();
        (0..20).for_each(|_| world.broadcast(&n.to_string()));
        world.advance(secs(8));
        ann.reads_on();
    }
    assert_eq!((world.clients(), ann.heard().len()), (1, 400));
}

#[test]
fn a_stalled_reader_delays_nobody() {
    let world = World::with_seed(48);
    let stalled: Vec<_> = (0..50)
        .map(|_| world.visitor("ann").with_buffer(500).comes())
        .collect();
    stalled.iter().for_each(|client| client.stops_reading());
    (0..20).for_each(|n| world.broadcast(&n.to_string()));
    let bob = world.connect("bob");
    world.forget_writes();
    world.broadcast("for all");
    assert_eq!(bob.heard(), ["for all"]);
    assert_eq!(
        world.place_of_write(&bob),
        Some(0),
        "nothing is tried on the others"
    );
}
