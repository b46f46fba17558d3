//! Whoever comes while the log is away is let in, and is given what waits once it is back.

use crate::world::World;

#[test]
fn who_came_while_the_log_was_away_gets_what_waits_when_it_is_back() {
    let world = World::with_seed(900);
    world.tell(&["ann"], "waits");
    world.log_goes_away();
    let ann = world.connect("ann");
    assert_eq!(ann.found(), (false, 0, 0));
    world.log_comes_back();
    assert_eq!(ann.types(), ["connected", "reset", "user"]);
    world.broadcast("live");
    assert_eq!(ann.heard(), ["waits", "live"]);
}

#[test]
fn a_place_told_while_the_log_was_away_proves_nothing() {
    let world = World::with_seed(901);
    world.tell(&["ann"], "waits");
    world.log_goes_away();
    let ann = world.connect("ann");
    ann.hangs_up();
    world.log_comes_back();
    let back = ann.comes_back();
    assert_eq!(back.heard(), ["waits"]);
}

#[test]
fn what_waits_for_who_enters_twice_at_once_counts_once() {
    let world = World::with_seed(902).limits(|limits| {
        (limits.outbox_bytes, limits.queue_bytes) = (900_000, 50_000);
    });
    let (long, said) = ("x".repeat(10_000), 60);
    (0..said).for_each(|_| world.tell(&["ann"], &long));
    world.log_goes_away();
    let ann = world.connect("ann");
    ann.stops_reading();
    world.falls_behind();
    world.falls_behind();
    world.log_comes_back();
    assert_eq!(ann.close_code(), None);
    ann.reads_on();
    world.broadcast("live");
    assert_eq!(ann.heard().len(), said + 1);
}
