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
