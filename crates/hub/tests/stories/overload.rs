//! More than there is room for: what is refused was surely not published, and what was taken is not forgotten early.

use std::collections::BTreeSet;

use wshub_protocol::{CloseCode, ErrorCode};

use crate::world::{Client, World, secs};

/// A broadcast with an id, of some size.
fn large(id: &str) -> String {
    let data = "x".repeat(3000);
    format!(r#"{{"type":"broadcast","id":"{id}","data":"{data}"}}"#)
}

fn ids(all: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    all.into_iter().collect()
}

/// The ids of what the log took; it took each once.
fn in_the_log(world: &World) -> BTreeSet<String> {
    world.with_log(|log| {
        let taken = ids(log.iter().map(|entry| entry.id.clone()));
        assert_eq!(taken.len(), log.len(), "an id is in the log twice");
        taken
    })
}

/// The ids that a client was told of by messages of a type.
fn told(client: &Client, kind: &str) -> BTreeSet<String> {
    let told = client.each(kind, |said| said.id.clone().expect("an id"));
    assert_eq!(ids(told.clone()).len(), told.len(), "a {kind} came twice");
    ids(told)
}

#[test]
fn what_full_inboxes_refuse_is_surely_not_published_and_may_be_said_again() {
    let mut refused_ever = 0;
    for seed in 0..30 {
        let world = World::with_seed(seed).shards(2).inboxes_of(20_000);
        let [ann, bob] = world.connect_all(["ann", "bob"]);
        let all = ids((0..60).map(|n| format!("m{n}")));
        world.at_once(|| all.iter().for_each(|id| ann.sends(&large(id))));
        let (taken, refused) = (told(&ann, "ack"), told(&ann, "error"));
        assert_eq!(in_the_log(&world), taken, "seed {seed}");
        assert_eq!(told(&bob, "broadcast"), taken, "seed {seed}");
        assert_eq!(&taken | &refused, all, "each has an answer");
        assert!(taken.is_disjoint(&refused), "and one only");
        assert!(ann.errors().iter().all(|code| code == "overloaded"));
        refused_ever += refused.len();
        refused.iter().for_each(|id| ann.sends(&large(id)));
        assert_eq!(in_the_log(&world), all, "seed {seed}");
        assert_eq!(told(&bob, "broadcast"), all, "seed {seed}");
        let repeats = ann.each("ack", |said| said.duplicate == Some(true));
        assert!(!repeats.contains(&true), "nothing was there before");
    }
    assert!(refused_ever > 100, "{refused_ever} of 1800 were refused");
}

#[test]
fn by_http_a_full_node_refuses_as_surely() {
    let world = World::with_seed(380).shards(2).inboxes_of(10_000);
    let bob = world.connect("bob");
    world.at_once(|| (0..100).for_each(|n| world.posts(&large(&format!("m{n}")))));
    let outcomes = world.http_outcomes();
    let taken = outcomes.iter().flatten().map(|one| one.id.clone());
    assert_eq!(ids(taken), in_the_log(&world));
    assert_eq!(told(&bob, "broadcast"), in_the_log(&world));
    let refused: Vec<_> = outcomes
        .iter()
        .filter_map(|one| one.as_ref().err())
        .collect();
    assert!((1..100).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|one| one.code == ErrorCode::Overloaded));
    world.posts(&large("later"));
    assert!(in_the_log(&world).contains("later"), "it was emptied");
}

#[test]
fn a_message_to_a_user_that_is_refused_is_in_no_queue() {
    let world = World::with_seed(381).shards(2).inboxes_of(1);
    let bob = world.connect("bob");
    world.hurry(|| {
        (0..50).for_each(|n| world.tell(&["bob", "absent"], &n.to_string()));
        while !world.all_is_taken() {
            world.turn();
        }
    });
    world.advance(secs(1));
    let (outcomes, state) = (world.http_outcomes(), world.engine());
    let taken = outcomes.iter().flatten().count() as u64;
    assert!((1..50).contains(&taken), "{taken}");
    assert_eq!(state.fates.pushed, 2 * taken);
    assert_eq!(
        (state.queued.0, bob.heard().len() as u64),
        (taken as i64, taken)
    );
    assert_eq!(world.connect("absent").found(), (false, taken, 0));
}

#[test]
fn a_full_memory_for_ids_refuses_new_ones_and_forgets_none() {
    let world = World::with_seed(382).ids_of(2000);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    let all: Vec<_> = (0..40).map(|n| format!("m{n}")).collect();
    all.iter().for_each(|id| ann.sends(&large(id)));
    let (taken, refused) = (told(&ann, "ack"), told(&ann, "error"));
    assert!((10..30).contains(&taken.len()), "{} ids", taken.len());
    assert_eq!(taken.len() + refused.len(), 40);
    assert_eq!(in_the_log(&world), taken);
    assert_eq!(ann.errors(), vec!["overloaded"; refused.len()]);

    bob.broadcasts("needs no memory");
    assert_eq!(
        ann.heard().last().map(String::as_str),
        Some("needs no memory")
    );
    bob.sends(&large("bob's"));
    assert_eq!(bob.errors(), ["overloaded"]);

    world.advance(secs(290));
    taken.iter().for_each(|id| ann.sends(&large(id)));
    let repeats = ann.each("ack", |said| said.duplicate == Some(true));
    assert_eq!(
        repeats.iter().filter(|&&repeat| repeat).count(),
        taken.len()
    );
    assert_eq!(world.engine().duplicates, taken.len() as u64);

    world.advance(secs(11));
    let one = refused.first().expect("some were refused");
    ann.sends(&large(one));
    assert_eq!(ann.last("ack", |said| said.id.clone()).as_ref(), Some(one));
}

#[test]
fn what_is_refused_leaves_no_hole_in_the_order() {
    for seed in 0..30 {
        let world = World::with_seed(seed).shards(2).inboxes_of(4000);
        let [ann, bob] = world.connect_all(["ann", "bob"]);
        world.at_once(|| {
            for n in 0..80 {
                ann.sends(&large(&format!("m{n:02}")));
                (0..world.chance(3)).for_each(|_| world.turn());
            }
        });
        let heard = bob.each("broadcast", |said| said.id.clone());
        assert!(heard.is_sorted(), "seed {seed}: {heard:?}");
        assert_eq!(bob.places(), (1..=heard.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn who_is_evicted_for_the_budget_of_all_outboxes_loses_no_message_to_the_user() {
    let world = World::with_seed(383).limits(|limits| limits.outbox_bytes = 60_000);
    let stalled: Vec<_> = (0..10)
        .map(|n| world.visitor(&format!("u{n}")).with_buffer(1000).comes())
        .collect();
    stalled.iter().for_each(|client| client.stops_reading());
    for n in 0..10 {
        let text = format!("{n}{}", "x".repeat(15_000));
        world.tell(&[&format!("u{n}")], &text);
    }
    assert!(world.closed_with(CloseCode::TooSlow) > 0);
    world.advance(secs(2));
    assert_eq!(world.engine().queued.0, 10, "nobody has a receipt");
    for (n, client) in stalled.iter().enumerate() {
        let back = world.connect(&client.user());
        assert!(back.heard()[0].starts_with(&n.to_string()));
        assert_eq!(back.found(), (false, 1, 0));
    }
}

#[test]
fn no_more_are_evicted_for_the_budget_than_must_be_and_the_slowest_first() {
    let world = World::with_seed(384).limits(|limits| limits.outbox_bytes = 60_000);
    let stalled: Vec<_> = (0..10)
        .map(|n| world.visitor(&format!("u{n}")).with_buffer(1000).comes())
        .collect();
    for (n, client) in stalled.iter().enumerate() {
        client.stops_reading();
        world.tell(&[&format!("u{n}")], &"x".repeat(15_000));
        world.advance(200);
    }
    world.advance(secs(1));
    let left: Vec<_> = (0..10).filter(|&n| stalled[n].has_a_socket()).collect();
    assert_eq!(left, [7, 8, 9], "who took nothing for longest went");
    assert_eq!(world.closed_with(CloseCode::TooSlow), 7);
}

#[test]
fn who_is_evicted_while_catching_up_is_given_nothing_behind_the_close() {
    let mut read_why = 0;
    // In some of these buffers a frame ends just where the room does: there a close frame can follow.
    for buffer in 400..800 {
        let world = World::with_seed(385).limits(|limits| {
            limits.queue_messages = 8;
            limits.outbox_bytes = 500;
        });
        let ann = world.connect("ann");
        ann.hangs_up();
        (0..60).for_each(|n| world.tell(&["ann"], &format!("{n:02}")));
        let back = world.visitor("ann").with_buffer(buffer).resuming(&ann);
        let back = back.that_reads_nothing().comes();
        back.reads_on();
        let places = back.places();
        assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
        read_why += u64::from(back.close_code() == Some(4008));
    }
    assert!(read_why > 0);
}
