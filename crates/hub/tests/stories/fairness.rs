//! Who makes much noise holds up nobody: quiet ones are served within a bounded number of turns.

use crate::world::{Client, World};

/// Turns until a client has heard something.
fn turns_until_heard(world: &World, client: &Client) -> usize {
    let heard = |_: &usize| {
        world.turn();
        world.advance_if_idle();
        !client.heard().is_empty()
    };
    (0..10_000).find(heard).expect("it hears it some time")
}

#[test]
fn a_quiet_user_is_written_to_before_a_hot_room() {
    let world = World::with_seed(90);
    let crowd: Vec<Client> = (0..200)
        .map(|_| world.connect("crowd").join("hot"))
        .collect();
    let quiet = world.connect("quiet");
    world.advance(100);
    world.hurry(|| {
        world.publish("hot", "they are busy from now on");
        (0..300).for_each(|_| world.turn());
        world.publish("hot", "the whole room is queued again");
        (0..4).for_each(|_| world.turn());
        world.forget_writes();
    });
    world.tell(&["quiet"], "for the quiet one");
    assert!(world.place_of_write(&quiet).is_some_and(|place| place < 12));
    assert!(crowd.iter().all(|client| client.heard().len() == 2));
}

#[test]
fn busy_ones_do_not_starve_behind_fresh_ones() {
    let world = World::with_seed(91);
    let busy = world.connect("busy");
    let crowd: Vec<Client> = (0..200).map(|_| world.connect("crowd")).collect();
    world.tell(&["busy"], "written to lately");
    world.forget_writes();
    world.hurry(|| world.broadcast("for all"));
    world.hurry(|| (0..8).for_each(|_| world.turn()));
    assert!(world.place_of_write(&busy).is_some_and(|place| place < 3));
    world.advance(100);
    assert!(crowd.iter().all(|client| client.heard().len() == 1));
}

#[test]
fn a_large_message_is_written_in_turns() {
    let world = World::with_seed(92);
    let ann = world.visitor("ann").with_buffer(64 << 20).comes();
    let bob = world.connect("bob");
    world.hurry(|| {
        (0..20).for_each(|_| world.tell(&["ann"], &"x".repeat(500_000)));
        world.tell(&["bob"], "small");
    });
    assert!(turns_until_heard(&world, &bob) < 200);
    world.advance(1000);
    assert_eq!(ann.heard().len(), 20);
}

#[test]
fn a_flood_from_one_connection_holds_up_nobody() {
    let world = World::with_seed(93);
    let flooding = world.visitor("loud").with_buffer(16 << 20).comes();
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    world.hurry(|| {
        let ping = r#"{"type":"ping"}"#;
        (0..20_000).for_each(|_| flooding.sends(ping));
        (0..20).for_each(|_| world.turn());
        ann.tells(&["bob"], "through the flood");
    });
    assert!(turns_until_heard(&world, &bob) < 200);
    world.advance(1000);
    assert_eq!(flooding.each("pong", |_| ()).len(), 20_000);
}

#[test]
fn a_client_that_joins_and_leaves_without_end_holds_up_nobody() {
    let world = World::with_seed(94).shards(2);
    let loud = world.visitor("loud").with_buffer(16 << 20).comes();
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    world.hurry(|| {
        for n in 0..2000 {
            loud.joins(&format!("room {n}"));
            loud.leaves(&format!("room {n}"));
        }
        (0..20).for_each(|_| world.turn());
        ann.tells(&["bob"], "through the flood");
    });
    assert!(turns_until_heard(&world, &bob) < 200);
    world.advance(1000);
    assert_eq!(
        (loud.each("left", |_| ()).len(), world.users_in("room 7")),
        (2000, 0)
    );
}
