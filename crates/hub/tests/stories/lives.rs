//! The log begins another life: what it held is lost, clients are told, and a publisher says it again.

use crate::world::{World, secs};

#[test]
fn a_message_said_again_is_given_only_to_those_who_had_not_heard_it() {
    let world = World::with_seed(1300).shards(3);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    world.advance(secs(1));
    world.is_read("a", r#"{"type":"broadcast","data":"for all"}"#);
    world.is_read(
        "u",
        r#"{"type":"user","target_ids":["bob"],"data":"for bob"}"#,
    );
    world.advance(secs(1));
    world.begins_another_life();
    let cid = world.connect("cid");
    world.is_read("a", r#"{"type":"broadcast","data":"for all"}"#);
    world.is_read(
        "u",
        r#"{"type":"user","target_ids":["bob"],"data":"for bob"}"#,
    );
    world.is_read("b", r#"{"type":"broadcast","data":"new"}"#);
    assert_eq!(
        ann.types(),
        ["connected", "broadcast", "reset", "broadcast"]
    );
    assert_eq!(ann.heard(), ["for all", "new"]);
    assert_eq!(bob.heard(), ["for all", "for bob", "new"]);
    assert_eq!(cid.heard(), ["for all", "new"]);
}

#[test]
fn after_five_minutes_nobody_is_spared_any_more() {
    let world = World::with_seed(1301);
    let ann = world.connect("ann");
    world.advance(secs(1));
    world.is_read("a", r#"{"type":"broadcast","data":"again"}"#);
    world.begins_another_life();
    world.advance(secs(301));
    world.is_read("a", r#"{"type":"broadcast","data":"again"}"#);
    assert_eq!(ann.heard(), ["again", "again"]);
}

#[test]
fn whoever_came_into_a_room_since_hears_what_is_said_again_there() {
    let world = World::with_seed(1302);
    let ann = world.connect("ann");
    world.is_read("a", r#"{"type":"room","room_id":"r","data":"again"}"#);
    world.begins_another_life();
    ann.joins("r");
    world.is_read("a", r#"{"type":"room","room_id":"r","data":"again"}"#);
    assert_eq!(ann.heard(), ["again"]);
}
