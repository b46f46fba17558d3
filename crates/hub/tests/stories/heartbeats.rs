//! A ping every 50 seconds; who says nothing for 60 is gone.

use wshub_protocol::CloseCode;

use crate::world::wire::{FIN, PONG};
use crate::world::{World, secs};

#[test]
fn a_quiet_client_is_pinged_every_50_seconds_and_stays() {
    let world = World::with_seed(50);
    let ann = world.connect("ann");
    world.advance(secs(49));
    assert_eq!(ann.pings(), 0);
    world.advance(secs(2));
    assert_eq!(ann.pings(), 1);
    world.advance(secs(3600 - 51));
    assert!((70..=72).contains(&ann.pings()), "{}", ann.pings());
    assert_eq!((world.clients(), ann.types().len()), (1, 1));
}

#[test]
fn who_is_silent_for_60_seconds_is_closed_with_4000() {
    let world = World::with_seed(51);
    let ann = world.connect("ann");
    ann.ignores_pings();
    world.advance(secs(60) - 100);
    assert_eq!((world.clients(), ann.close_code()), (1, None));
    world.advance(secs(1));
    assert_eq!((world.clients(), ann.close_code()), (0, Some(4000)));
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let world = World::with_seed(52);
    let ann = world.connect("ann");
    ann.ignores_pings();
    for _ in 0..5 {
        world.advance(secs(55));
        ann.sends("no JSON");
        world.advance(secs(55));
        ann.sends_frame(PONG | FIN, b"unasked");
    }
    assert_eq!((world.clients(), ann.close_code()), (1, None));
}

#[test]
fn a_client_that_vanished_is_given_up() {
    let world = World::with_seed(53).shards(2);
    let [ann, bob] = ["ann", "bob"].map(|user| world.connect(user).join("news"));
    ann.vanishes();
    world.advance(secs(61));
    assert_eq!((world.clients(), world.users_in("news")), (1, 2));
    assert!(ann.has_a_socket(), "it may still say good-bye");
    world.advance(secs(11));
    assert_eq!(world.users_in("news"), 1);
    assert!(!ann.has_a_socket() && bob.is_connected());
    assert_eq!(world.closed_with(CloseCode::HeartbeatMissed), 1);
}

#[test]
fn a_reader_who_was_stalled_when_the_ping_was_due_is_asked_afterwards() {
    let world = World::with_seed(54);
    let ann = world.visitor("ann").with_buffer(1000).comes();
    world.advance(secs(48));
    ann.stops_reading();
    (0..20).for_each(|n| world.broadcast(&n.to_string()));
    world.advance(secs(4));
    ann.reads_on();
    world.advance(secs(30));
    assert_eq!((ann.close_code(), ann.heard().len()), (None, 20));
}
