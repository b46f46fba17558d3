//! An operator looks at a user's connections, and has them closed.

use wshub_hub::limits::GRACE_MS;
use wshub_hub::shard_of;

use crate::world::{World, secs};

const DISCONNECTED: u16 = 4010;

#[test]
fn all_connections_of_the_user_are_closed_and_no_others() {
    let world = World::with_seed(650).shards(3);
    let [laptop, phone, bob] = world.connect_all(["ann", "ann", "bob"]);
    world.disconnects("ann");
    world.disconnects("somebody who was never there");
    assert!(laptop.was_closed_with(DISCONNECTED) && phone.was_closed_with(DISCONNECTED));
    assert!(bob.is_connected());
    assert!(world.connect("ann").is_connected(), "who comes later stays");
}

#[test]
fn whoever_is_closed_is_told_before_how_far_the_log_has_come() {
    let world = World::with_seed(651).shards(3);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    // Of what is for another shard hers doesn't know by itself.
    let mut others = ["cid", "dan", "eve", "fay"].into_iter();
    let elsewhere = |user: &&str| shard_of(user, 3) != shard_of("ann", 3);
    let other = others.find(elsewhere).expect("one elsewhere");
    world.tell(&[other], "not for her");
    world.disconnects("ann");
    assert_eq!(ann.types(), ["connected", "position"]);
    assert_eq!(ann.last("position", |said| said.offset()), 1);
    world.broadcast("for all");
    world.disconnects("bob");
    assert_eq!(bob.types(), ["connected", "broadcast"], "that is how far");
    assert!(bob.was_closed_with(DISCONNECTED));
}

#[test]
fn a_connection_that_is_about_to_be_let_in_is_closed_too() {
    for seed in 0..50 {
        let world = World::with_seed(seed).shards(2);
        world.hurry(|| {
            let ann = world.visitor("ann").in_rooms("news").comes();
            (0..world.chance(6)).for_each(|_| world.turn());
            let came = ann.has_a_socket();
            world.disconnects("ann");
            world.advance(secs(1));
            assert!(came && (ann.was_closed_with(DISCONNECTED) || ann.is_connected()));
        });
        world.disconnects("ann");
        world.advance(GRACE_MS + secs(2));
        assert_eq!(
            (world.clients(), world.users_in("news")),
            (0, 0),
            "seed {seed}"
        );
        assert!(world.is_empty());
    }
}

#[test]
fn a_room_is_told_of_it_like_of_any_connection_that_ended() {
    let world = World::with_seed(652).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.watches("news");
    bob.joins("news");
    world.disconnects("bob");
    assert_eq!(ann.saw(), ["join bob"]);
    world.advance(GRACE_MS + secs(1));
    assert_eq!(ann.saw(), ["join bob", "leave bob"]);
}

#[test]
fn a_user_s_connections_are_described_with_their_rooms() {
    let world = World::with_seed(653).shards(2);
    world.advance(secs(5));
    let laptop = world.connect("ann").join("news").join("chat");
    world.advance(secs(10));
    let phone = world.connect("ann");
    world.connect("bob").joins("news");
    world.advance(secs(20));
    let mut told: Vec<_> = world
        .description_of("ann")
        .into_iter()
        .map(|one| {
            let mut rooms: Vec<_> = one
                .rooms
                .iter()
                .map(|room| room.as_str().to_owned())
                .collect();
            rooms.sort();
            (one.since, one.session.text(), rooms)
        })
        .collect();
    told.sort();
    let rooms = vec!["chat".to_owned(), "news".to_owned()];
    let since = 1_700_000_000;
    assert_eq!(
        told,
        [
            (since + 5, laptop.session(), rooms),
            (since + 15, phone.session(), vec![])
        ]
    );
    phone.hangs_up();
    assert_eq!(world.description_of("ann").len(), 1);
    assert_eq!(world.description_of("nobody"), []);
}
