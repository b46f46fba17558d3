//! What is said reaches whom it is for, as it was said, in one order.

use crate::world::World;

#[test]
fn a_broadcast_reaches_everybody_the_sender_too() {
    let world = World::with_seed(10).shards(4);
    let clients = world.connect_all(["ann", "bob", "cid", "dan", "eve"]);
    clients[0].broadcasts("hello");
    for client in &clients {
        assert_eq!(client.heard(), ["hello"]);
        assert_eq!(
            client.last("broadcast", |said| said.from.clone()).unwrap(),
            "ann"
        );
        assert_eq!(
            client.last("broadcast", |said| said.timestamp),
            Some(1_700_000_000)
        );
    }
}

#[test]
fn a_user_message_reaches_every_device_of_each_user_once() {
    let world = World::with_seed(11).shards(4);
    let clients = world.connect_all(["ann", "bob", "bob", "cid", "dan"]);
    clients[0].tells(&["bob", "dan", "bob", "nobody"], "psst");
    let heard = clients.map(|client| client.heard().len());
    assert_eq!(heard, [0, 1, 1, 0, 1]);
}

#[test]
fn a_room_message_reaches_its_members_only() {
    let world = World::with_seed(12).shards(4);
    let clients = world.connect_all(["ann", "bob", "cid", "dan"]);
    clients[1].joins("news");
    clients[3].joins("news");
    clients[0].says("news", "from outside");
    assert_eq!(
        clients.each_ref().map(|client| client.heard().len()),
        [0, 1, 0, 1]
    );
    assert_eq!(
        clients[1]
            .last("room", |said| said.room_id.clone())
            .unwrap(),
        "news"
    );
}

#[test]
fn data_arrives_byte_for_byte() {
    let world = World::with_seed(13);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    let all = [
        "null",
        "{ \"b\" : 1.0 ,\t\"a\":1e400, \"a\":[ ] }",
        "123456789012345678901234567890.10",
        r#""\ud800 \u0041 \/ ü""#,
        "-0",
    ];
    all.iter()
        .for_each(|data| ann.sends(&format!(r#"{{"data": {data} ,"type":"broadcast"}}"#)));
    assert_eq!(bob.each("broadcast", |said| said.data().to_owned()), all);
}

#[test]
fn everybody_hears_one_order() {
    let world = World::with_seed(14).shards(3);
    let clients = world.connect_all(["ann", "bob", "cid", "dan", "eve"]);
    world.at_once(|| {
        for round in 0..40 {
            clients
                .iter()
                .for_each(|client| client.broadcasts(&format!("{round}")));
            world.broadcast("by http");
        }
    });
    let places = clients[0].each("broadcast", |said| said.offset());
    assert_eq!(places, (1..=240).collect::<Vec<u64>>());
    clients.iter().for_each(|client| {
        assert_eq!(client.each("broadcast", |said| said.offset()), places);
        assert_eq!(client.heard(), clients[0].heard());
    });
}

#[test]
fn a_client_that_speaks_in_one_breath_is_heard_in_its_order() {
    let world = World::with_seed(15).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    let words: Vec<String> = (0..200).map(|word| word.to_string()).collect();
    world.at_once(|| words.iter().for_each(|word| ann.tells(&["bob"], word)));
    assert_eq!(bob.heard(), words);
}

#[test]
fn an_id_asks_for_an_ack_with_the_place_in_the_log() {
    let world = World::with_seed(16).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.sends(r#"{"type":"user","target_ids":["bob"],"data":1,"id":"m1"}"#);
    ann.sends(r#"{"type":"user","target_ids":["nobody"],"data":2}"#);
    assert_eq!(
        ann.each("ack", |said| (
            said.id.clone(),
            said.offset(),
            said.duplicate
        )),
        [(Some("m1".to_owned()), 1, Some(false))]
    );
    assert_eq!(bob.last("user", |said| said.id.clone()).unwrap(), "m1");
}

#[test]
fn a_message_without_an_id_is_given_one() {
    let world = World::with_seed(17);
    let ann = world.connect("ann");
    world.broadcast("one");
    world.broadcast("two");
    let ids = ann.each("broadcast", |said| said.id.clone().unwrap());
    assert!(
        ids.iter()
            .all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'),
        "{ids:?}"
    );
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ann.last("broadcast", |said| said.from.clone()).unwrap(), "");
}

#[test]
fn a_node_with_full_inboxes_refuses_before_the_log() {
    let world = World::with_seed(18).inboxes_of(1);
    let [ann, bob] = ["ann", "bob"].map(|user| world.visitor(user).with_buffer(4 << 20).comes());
    world.at_once(|| (0..500).for_each(|_| ann.broadcasts("much")));
    let refused = ann.errors();
    assert!(!refused.is_empty() && refused.iter().all(|code| code == "overloaded"));
    assert_eq!(bob.heard().len() + refused.len(), 500);
    assert_eq!(world.with_log(|log| log.len()), bob.heard().len());
}

#[test]
fn a_ping_message_is_answered_by_pong() {
    let world = World::with_seed(19);
    let ann = world.connect("ann");
    ann.sends(r#"{"type":"ping"}"#);
    assert_eq!(ann.types(), ["connected", "pong"]);
}

#[test]
fn the_longest_message_goes_through_small_buffers() {
    let world = World::with_seed(20).shards(2);
    let [ann, bob] = ["ann", "bob"].map(|user| world.visitor(user).with_buffer(1024).comes());
    let long = "x".repeat(512 * 1024 - 100);
    ann.tells(&["bob"], &long);
    assert_eq!(bob.heard(), [long]);
}
