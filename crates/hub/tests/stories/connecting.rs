//! How connections begin.

use wshub_hub::Limits;
use wshub_protocol::CloseCode;

use crate::world::{World, secs, wire};

#[test]
fn connected_comes_first_and_names_the_session_and_the_place() {
    let world = World::with_seed(1);
    world.broadcast("before");
    let ann = world.connect("ann");
    world.broadcast("after");
    assert_eq!(ann.types(), ["connected", "broadcast"]);
    assert_eq!(ann.heard(), ["after"]);
    assert_eq!(ann.last("connected", |said| said.offset()), 1);
    assert_eq!(
        ann.last("connected", |said| said.session_id.clone().unwrap().len()),
        22
    );
    assert_eq!(
        ann.last("connected", |said| said.user_id.clone().unwrap()),
        "ann"
    );
    assert_eq!(ann.last("connected", |said| said.resumed), Some(false));
}

#[test]
fn sessions_of_one_user_have_different_names() {
    let world = World::with_seed(2);
    let sessions = world
        .connect_all(["ann", "ann"])
        .map(|client| client.last("connected", |said| said.session_id.clone()));
    assert_ne!(sessions[0], sessions[1]);
}

#[test]
fn who_has_no_identity_is_told_so_and_closed() {
    let world = World::with_seed(3);
    let nobody = world.stranger().comes();
    let nameless = world.visitor("").comes();
    for client in [nobody, nameless] {
        assert_eq!(client.errors(), ["user_id_required"]);
        assert_eq!(client.types(), ["error"]);
        assert_eq!(client.close_code(), Some(4001));
        assert!(!client.has_a_socket());
    }
    assert_eq!(
        (
            world.clients(),
            world.closed_with(CloseCode::NotAuthenticated)
        ),
        (0, 2)
    );
}

#[test]
fn what_comes_in_one_packet_with_the_upgrade_is_heard() {
    let world = World::with_seed(4);
    let ann = world
        .visitor("ann")
        .saying_at_once(r#"{"type":"broadcast","data":1}"#)
        .comes();
    assert_eq!(ann.types(), ["connected", "broadcast"]);
}

#[test]
fn a_user_may_have_a_thousand_connections_and_no_more() {
    let world = World::with_seed(5).shards(2);
    let most = Limits::default().connections_per_user;
    let devices: Vec<_> = (0..most).map(|_| world.visitor("ann")).collect();
    let mut clients = Vec::new();
    world.at_once(|| clients.extend(devices.into_iter().map(|device| device.comes())));
    let late = world.connect("ann");
    assert_eq!((late.close_code(), late.types().len()), (Some(4009), 0));
    clients[0].closes(1000);
    assert_eq!(world.connect("ann").types(), ["connected"]);
    assert_eq!(world.connect("bob").types(), ["connected"]);
    assert_eq!(world.clients(), 1001);
}

#[test]
fn what_a_queue_lost_is_told_on_connecting_though_a_reset_came_between() {
    let world = World::with_seed(6).limits(|limits| limits.queue_messages = 8);
    let world = world.log_of(100_000);
    let world = world.queues(|queues| queues.messages = 1);
    let before = world.connect("ann");
    before.closes_normally();
    (0..40).for_each(|number| world.broadcast(&format!("{number} {}", "x".repeat(1000))));
    let visitor = world.visitor("ann").with_buffer(3000).resuming(&before);
    let mut comes = None;
    world.at_once(|| {
        let ann = visitor.comes();
        ann.stops_reading();
        comes = Some(ann);
    });
    let ann = comes.expect("ann");
    (0..3).for_each(|number| world.tell(&["ann"], &format!("for ann {number}")));
    (0..200).for_each(|number| world.broadcast(&format!("{number} {}", "y".repeat(1000))));
    ann.reads_on();
    assert_eq!(ann.each("reset", |_| ()).len(), 1);
    ann.closes_normally();
    let (_, _, missed) = world.connect("ann").found();
    assert_eq!(missed, 2);
}

#[test]
fn whoever_is_half_through_a_message_when_the_log_overtakes_them_says_the_rest() {
    let world = World::with_seed(45)
        .log_of(20_000)
        .limits(|limits| limits.queue_messages = 4);
    let ann = world.connect("ann");
    ann.hangs_up();
    let speak = |count| (0..count).for_each(|_| world.broadcast(&"x".repeat(200)));
    speak(10);
    let visitor = world.visitor("ann").resuming(&ann).with_buffer(1000);
    world.hurry(|| {
        let ann = visitor.comes();
        ann.stops_reading();
        world.advance(secs(1));
        speak(200);
        world.advance(secs(1));
        let said = br#"{"type":"broadcast","data":"in two pieces"}"#;
        let frame = wire::frame(wire::TEXT | wire::FIN, said, [1, 2, 3, 4]);
        let (first, second) = frame.split_at(20);
        ann.writes(first);
        world.advance(secs(1));
        ann.reads_on();
        world.advance(secs(1));
        assert_eq!(ann.each("reset", |_| ()).len(), 1);
        ann.writes(second);
        world.advance(secs(1));
        assert!(ann.is_connected(), "{:?}", ann.close_reason());
        assert_eq!(
            ann.heard().last().map(String::as_str),
            Some("in two pieces")
        );
    });
}
