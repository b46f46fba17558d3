//! A message to others is for everybody whom it would be for, but for the session that sent it.

use crate::world::World;

#[test]
fn the_sending_session_alone_does_not_hear_it() {
    let world = World::with_seed(640).shards(3);
    let [laptop, phone, bob] = world.connect_all(["ann", "ann", "bob"]);
    for client in [&laptop, &phone, &bob] {
        client.joins("news");
    }
    laptop.says_to_others("news", "room");
    laptop.sends(r#"{"type":"broadcast","to":"others","id":"m-1","data":"broadcast"}"#);
    laptop.tells_others(&["ann", "bob"], "user");
    laptop
        .sends(r#"{"type":"room","room_id":"news","to":"others","ephemeral":true,"data":"hint"}"#);
    let all = ["room", "broadcast", "user", "hint"];
    assert_eq!(
        (phone.heard(), bob.heard()),
        (all.map(String::from).into(), all.map(String::from).into())
    );
    assert_eq!(laptop.heard().len(), 0);
    assert_eq!(
        laptop.each("ack", |said| said.offset()),
        [2],
        "its place it is told"
    );
    laptop.says("news", "to all");
    assert_eq!(laptop.heard(), ["to all"]);
}

#[test]
fn it_is_heard_by_all_where_no_session_sent_it() {
    let world = World::with_seed(641);
    let ann = world.connect("ann");
    world.posts(r#"{"type":"broadcast","to":"others","data":"by HTTP"}"#);
    assert_eq!(ann.heard(), ["by HTTP"]);
}

#[test]
fn it_does_not_come_to_the_sender_by_a_resume_either() {
    let world = World::with_seed(642).shards(2);
    let [ann, phone, bob] = world.connect_all(["ann", "ann", "bob"]);
    for client in [&ann, &phone] {
        client.joins("news");
    }
    bob.broadcasts("before");
    phone.hangs_up();
    ann.says_to_others("news", "room");
    ann.sends(r#"{"type":"broadcast","to":"others","data":"broadcast"}"#);
    ann.tells_others(&["ann"], "user");
    ann.hangs_up();
    bob.broadcasts("behind");
    let resume = |client| {
        world
            .visitor("ann")
            .resuming(client)
            .in_rooms("news")
            .comes()
    };
    let back = resume(&ann);
    assert_eq!(back.found(), (true, 0, 0), "nothing of hers waits");
    assert_eq!(back.heard(), ["behind"]);
    let back = resume(&phone);
    assert_eq!(back.found(), (true, 1, 0));
    assert_eq!(back.heard(), ["room", "broadcast", "user", "behind"]);
}

#[test]
fn it_waits_for_the_other_devices_alone() {
    let world = World::with_seed(643).shards(2);
    let ann = world.connect("ann");
    world.tell(&["ann"], "one");
    ann.tells_others(&["ann"], "to my phone");
    world.tell(&["ann"], "two");
    ann.hangs_up();
    world.tell(&["ann"], "three");
    let back = ann.comes_back();
    assert_eq!(back.found(), (true, 1, 0));
    assert_eq!(back.heard(), ["three"]);
    world.advance(2000);
    let phone = world.connect("ann");
    assert_eq!(phone.found(), (false, 1, 0));
    assert_eq!(phone.heard(), ["to my phone"]);
}

#[test]
fn whoever_joins_a_room_again_does_not_catch_up_with_what_they_sent() {
    let world = World::with_seed(644).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.joins("news");
    bob.says("news", "one");
    let place = ann.place();
    ann.says_to_others("news", "mine");
    bob.says("news", "two");
    ann.leaves("news");
    ann.joins_after("news", &place);
    assert_eq!(ann.heard(), ["one", "two", "two"]);
}
