//! What waits for users who are away: how much, for how long, in which order it comes, and what is told of the rest.

use crate::world::{Client, World, numbers, secs};

/// Tells a user numbers.
fn tell(world: &World, user: &str, all: impl Iterator<Item = u64>) {
    all.for_each(|n| world.tell(&[user], &n.to_string()));
}

/// Comes, hears what waits, and leaves without a receipt: whatever it was is there for the next.
fn look(world: &World, user: &str) -> Client {
    let client = world.visitor(user).that_ignores_pings().comes();
    client.hangs_up();
    client
}

#[test]
fn what_was_said_to_an_absent_user_is_there_when_they_come_and_then_what_is_live() {
    let world = World::with_seed(320).shards(2);
    tell(&world, "ann", 0..5);
    world.broadcast("for who was there");
    world.tell(&["bob"], "for bob");
    let ann = world.connect("ann");
    world.tell(&["ann"], "live");
    assert_eq!(ann.found(), (false, 5, 0));
    assert_eq!(ann.heard(), ["0", "1", "2", "3", "4", "live"]);
    assert_eq!(ann.each("user", |said| said.offset()), [1, 2, 3, 4, 5, 8]);
    world.advance(secs(1));
    assert_eq!(look(&world, "ann").found(), (false, 0, 0));
}

#[test]
fn a_hundred_wait_and_the_older_ones_are_told_as_missed_once() {
    let world = World::with_seed(321);
    tell(&world, "ann", 0..107);
    let first = look(&world, "ann");
    assert_eq!(
        (first.found(), first.heard()),
        ((false, 100, 7), numbers(7..107))
    );
    let second = look(&world, "ann");
    assert_eq!(
        (second.found(), second.heard()),
        ((false, 100, 0), numbers(7..107))
    );
    tell(&world, "ann", 107..110);
    assert_eq!(look(&world, "ann").found(), (false, 100, 3));
    let fates = world.engine().fates;
    assert_eq!((fates.pushed_out, fates.expired), (10, 0));
}

#[test]
fn each_message_waits_30_minutes_and_what_expired_is_told_once() {
    let world = World::with_seed(322);
    tell(&world, "ann", 0..2);
    world.advance(secs(60));
    tell(&world, "ann", 2..5);
    world.advance(secs(29 * 60 - 1));
    assert_eq!(look(&world, "ann").found(), (false, 5, 0));
    world.advance(secs(2));
    assert_eq!(look(&world, "ann").found(), (false, 3, 2));
    world.advance(secs(58));
    assert_eq!(look(&world, "ann").found(), (false, 3, 0));
    world.advance(secs(4));
    assert_eq!(look(&world, "ann").found(), (false, 0, 3));
    assert_eq!(look(&world, "ann").found(), (false, 0, 0));
    let fates = world.engine().fates;
    assert_eq!((fates.pushed_out, fates.expired), (0, 5));
}

#[test]
fn what_expires_for_somebody_who_never_comes_is_counted_without_them() {
    let world = World::with_seed(323);
    tell(&world, "ann", 0..3);
    world.advance(secs(30 * 60 + 2));
    let state = world.engine();
    assert_eq!((state.queued.0, state.fates.expired), (0, 3));
    assert_eq!(world.messages_alive(), 0);
    world.advance(secs(23 * 60 * 60));
    assert_eq!(look(&world, "ann").found(), (false, 0, 3), "told for a day");
}

#[test]
fn one_users_messages_may_take_so_many_bytes_and_the_newest_of_them_stay() {
    let world = World::with_seed(324).queues(|queues| queues.user_bytes = 30_000);
    let texts: Vec<String> = (0..30).map(|n| format!("{n:01000}")).collect();
    texts.iter().for_each(|text| world.tell(&["ann"], text));
    world.tell(&["bob"], "bob's are his own");
    let ann = look(&world, "ann");
    let (_, pending, missed) = ann.found();
    assert!((20..28).contains(&pending), "{pending} of 1000 bytes each");
    assert_eq!(pending + missed, 30);
    assert_eq!(ann.heard(), texts[missed as usize..]);
    assert_eq!(world.engine().fates.pushed_out, missed);
    assert_eq!(look(&world, "bob").found(), (false, 1, 0));
}

#[test]
fn all_queues_together_have_a_bound_and_who_was_not_written_to_for_longest_loses() {
    let world = World::with_seed(325).queues(|queues| queues.total_bytes = 90_000);
    let tell_much = |user, times| {
        for _ in 0..times {
            world.tell(&[user], &"x".repeat(1000));
            assert!(world.engine().queued.1 <= 90_000);
        }
    };
    tell_much("ann", 10);
    tell_much("bob", 10);
    tell_much("cid", 10);
    tell_much("ann", 1);
    tell_much("dan", 10);
    let found = ["ann", "bob", "cid", "dan"].map(|user| look(&world, user).found());
    let (all, none) = (|n| (false, n, 0), (false, 0, 10));
    assert_eq!(found, [all(11), none, all(10), all(10)]);
    let fates = world.engine().fates;
    assert_eq!((fates.total_full, fates.pushed_out), (10, 0));
}

#[test]
fn what_waits_goes_to_every_connection_until_one_of_them_has_a_receipt() {
    let world = World::with_seed(326).shards(3);
    tell(&world, "ann", 0..3);
    let devices: Vec<_> = (0..3)
        .map(|_| world.visitor("ann").that_ignores_pings().comes())
        .collect();
    tell(&world, "ann", 3..4);
    for device in &devices {
        assert_eq!(
            (device.found(), device.heard()),
            ((false, 3, 0), numbers(0..4))
        );
    }
    assert_eq!(look(&world, "ann").found(), (false, 4, 0));
    devices[1].answers_the_last_ping();
    world.advance(secs(1));
    devices[1].answers_the_last_ping();
    assert_eq!(look(&world, "ann").found(), (false, 0, 0));
    assert_eq!(world.engine().fates.received, 4, "each counts once");
    devices[0].answers_the_last_ping();
    assert_eq!(
        world.engine().fates.received,
        4,
        "another's receipt is late"
    );
}

#[test]
fn a_laptop_that_is_there_empties_the_queue_and_the_phone_catches_up_from_the_log() {
    let world = World::with_seed(327).shards(2);
    let [laptop, phone] = world.connect_all(["ann", "ann"]);
    phone.hangs_up();
    tell(&world, "ann", 0..10);
    world.advance(secs(2));
    assert_eq!(laptop.heard(), numbers(0..10));
    let back = phone.comes_back();
    assert_eq!((back.found(), back.heard()), ((true, 0, 0), numbers(0..10)));
    back.hangs_up();
    tell(&world, "ann", 10..11);
    world.advance(secs(600));
    let late = back.comes_back();
    assert_eq!((late.found(), late.heard().len()), ((false, 0, 0), 0));
}

#[test]
fn what_waits_comes_once_whether_the_queue_or_the_log_brings_it() {
    let world = World::with_seed(328).shards(2);
    let ann = world.visitor("ann").that_ignores_pings().comes();
    tell(&world, "ann", 0..3);
    ann.vanishes();
    tell(&world, "ann", 3..8);
    world.broadcast("for all");
    let back = world.visitor("ann").resuming(&ann).comes();
    assert_eq!(
        back.found(),
        (true, 5, 0),
        "the place is a receipt for three"
    );
    assert_eq!(back.heard()[..5], numbers(3..8));
    assert_eq!(back.heard()[5..], ["for all"]);
    world.advance(secs(1));
    assert_eq!(look(&world, "ann").found(), (false, 0, 0));
}

#[test]
fn an_older_place_of_another_session_gets_all_in_the_order_of_the_log() {
    let world = World::with_seed(329);
    let place = world.cursor(0);
    tell(&world, "ann", 0..3);
    world.broadcast("3");
    tell(&world, "ann", 4..6);
    for after in [0, 2, 4, 5] {
        let ann = world.visitor("ann").that_ignores_pings();
        let ann = ann.handing_in("", &world.cursor(after)).comes();
        // A place by itself is no receipt: what stands before it comes once more, and then what stands behind.
        assert_eq!(ann.found(), (true, 5, 0), "after {after}");
        let offsets = ann.places();
        assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
        assert_eq!(offsets.len(), if after < 4 { 6 } else { 5 });
        ann.hangs_up();
    }
    let ann = world.visitor("ann").handing_in("", &place).comes();
    assert_eq!(ann.heard(), numbers(0..6));
}

#[test]
fn a_message_that_comes_while_a_device_enters_is_given_once_and_in_its_place() {
    for seed in 0..150 {
        let world = World::with_seed(seed).shards(2);
        let laptop = world.visitor("ann");
        let laptop = if seed % 2 == 0 {
            laptop.that_ignores_pings()
        } else {
            laptop
        };
        let laptop = laptop.comes();
        tell(&world, "ann", 0..3);
        let mut phones = Vec::new();
        world.at_once(|| {
            for n in 3..12 {
                tell(&world, "ann", n..n + 1);
                (0..world.chance(6)).for_each(|_| world.turn());
                if n % 3 == 0 {
                    phones.push(world.visitor("ann").that_ignores_pings().comes_at_once());
                }
            }
        });
        assert_eq!(laptop.heard(), numbers(0..12), "seed {seed}");
        for phone in &phones {
            let entered = phone.last("connected", |said| said.offset());
            let offsets = phone.each("user", |said| said.offset());
            let waiting = offsets.iter().filter(|&&offset| offset <= entered);
            assert_eq!(waiting.count() as u64, phone.found().1, "seed {seed}");
            let first = *offsets.first().unwrap_or(&(entered + 1));
            assert_eq!(offsets, (first..=12).collect::<Vec<_>>(), "seed {seed}");
            assert!(seed % 2 == 1 || first == 1, "nothing has a receipt");
        }
    }
}

#[test]
fn queues_of_crowds_who_never_come_stay_bounded_and_every_loss_is_counted() {
    let world = World::with_seed(331).queues(|queues| queues.total_bytes = 2_000_000);
    world.at_once(|| {
        for n in 0..10_000 {
            world.tell(&[&format!("absent {n}")], "hello");
        }
    });
    let state = world.engine();
    assert!(
        state.queued.1 <= 2_000_000 * 9 / 8,
        "{} bytes",
        state.queued.1
    );
    let fates = state.fates;
    assert_eq!(fates.pushed, 10_000);
    assert_eq!(fates.total_full as i64 + state.queued.0, 10_000);
    assert!(fates.total_full > 5000, "{fates:?}");
    assert_eq!(look(&world, "absent 9999").found(), (false, 1, 0));
    world.advance(secs(30 * 60 + 2));
    let (state, full) = (world.engine(), fates.total_full);
    assert_eq!((state.queued.0, state.fates.expired), (0, 10_000 - full));
}
