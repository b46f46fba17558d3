//! A publisher that got no answer says it again: the same id has no second effect.

use crate::world::{World, secs};

const HELLO: &str = r#"{"type":"broadcast","id":"m-1","data":"hello"}"#;

#[test]
fn a_repeat_is_heard_once_and_acknowledged_twice_with_one_place() {
    let world = World::with_seed(200).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.sends(HELLO);
    ann.broadcasts("between");
    ann.sends(HELLO);
    assert_eq!(bob.heard(), ["hello", "between"]);
    let acks = ann.each("ack", |said| (said.cursor.clone(), said.duplicate));
    assert_eq!(acks[0].0, acks[1].0);
    assert_eq!((acks[0].1, acks[1].1), (Some(false), Some(true)));
}

#[test]
fn a_repeat_from_another_device_of_the_user_is_one_too() {
    let world = World::with_seed(201).shards(2);
    let [phone, laptop, bob] = world.connect_all(["ann", "ann", "bob"]);
    phone.sends(HELLO);
    laptop.sends(HELLO);
    assert_eq!(bob.heard(), ["hello"]);
    assert_eq!(laptop.each("ack", |said| said.duplicate), [Some(true)]);
}

#[test]
fn each_user_and_the_api_have_ids_of_their_own() {
    let world = World::with_seed(202).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.sends(HELLO);
    bob.sends(HELLO);
    world.posts(HELLO);
    assert_eq!(ann.heard(), ["hello", "hello", "hello"]);
}

#[test]
fn the_same_id_with_other_content_is_refused_and_nobody_hears_it() {
    let world = World::with_seed(203);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.sends(HELLO);
    ann.sends(r#"{"type":"broadcast","id":"m-1","data":"other"}"#);
    assert_eq!(ann.errors(), ["id_reused"]);
    assert_eq!(bob.heard(), ["hello"]);
}

#[test]
fn after_five_minutes_an_id_is_new_again() {
    let world = World::with_seed(204);
    let [ann] = world.connect_all(["ann"]);
    ann.sends(HELLO);
    world.advance(secs(240));
    ann.sends(HELLO);
    world.advance(secs(61));
    ann.sends(HELLO);
    assert_eq!(ann.heard(), ["hello", "hello"]);
}

#[test]
fn a_thousand_connections_that_say_the_same_at_once_are_heard_once() {
    let world = World::with_seed(205).shards(4);
    let [bob] = world.connect_all(["bob"]);
    let devices: Vec<_> = (0..1000).map(|_| world.connect("ann")).collect();
    world.hurry(|| devices.iter().for_each(|device| device.sends(HELLO)));
    world.advance(secs(1));
    assert_eq!(bob.heard(), ["hello"]);
    let firsts = devices
        .iter()
        .filter(|device| device.each("ack", |said| said.duplicate) == [Some(false)]);
    assert_eq!(firsts.count(), 1);
}

#[test]
fn an_unknown_outcome_is_settled_by_saying_it_again() {
    let world = World::with_seed(206);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    world.answers_are_lost(true);
    ann.sends(HELLO);
    let told = ann.each("error", |said| (said.code.clone(), said.id.clone()));
    assert_eq!(told, [(Some("outcome_unknown".into()), Some("m-1".into()))]);
    world.answers_are_lost(false);
    ann.sends(HELLO);
    assert_eq!(ann.each("ack", |said| said.duplicate), [Some(true)]);
    assert_eq!(bob.heard(), ["hello"]);
}
