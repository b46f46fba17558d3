//! Who comes and goes in a room is told to those members that asked, and only to those.

use std::collections::BTreeSet;

use wshub_hub::limits::GRACE_MS;

use crate::ledger;
use crate::world::{Client, World, secs};

/// Less than the time for which somebody who vanished is waited for, by this much; and more by as much.
const BIT_MS: u64 = 300;

fn wait_almost(world: &World) {
    world.advance(GRACE_MS - BIT_MS);
}

/// What the last `joined` said: how many are in the room, and who.
fn told(client: &Client) -> (u64, Vec<String>) {
    client.last("joined", |said| {
        let users = said.users.clone().expect("users");
        (said.members.expect("members"), users)
    })
}

#[test]
fn who_comes_and_goes_is_told_to_the_members_that_asked() {
    for shards in 1..=4 {
        let world = World::with_seed(600).shards(shards);
        let [ann, bob, cid, dan, eve] = world.connect_all(["ann", "bob", "cid", "dan", "eve"]);
        ann.watches("news");
        bob.joins("news");
        cid.watches("other");
        dan.watches("news");
        eve.joins("news");
        eve.leaves("news");
        assert_eq!(ann.saw(), ["join bob", "join dan", "join eve", "leave eve"]);
        assert_eq!(dan.saw(), ["join eve", "leave eve"]);
        assert_eq!((bob.saw().len(), cid.saw().len()), (0, 0));
        dan.leaves("news");
        bob.leaves("news");
        assert_eq!(dan.saw().len(), 2, "he is not there any more");
    }
}

#[test]
fn nobody_is_told_of_themselves() {
    let world = World::with_seed(601).shards(2);
    let [laptop, phone] = world.connect_all(["ann", "ann"]);
    laptop.watches("news");
    laptop.watches("news");
    phone.watches("news");
    phone.leaves("news");
    assert_eq!((laptop.saw().len(), phone.saw().len()), (0, 0));
}

#[test]
fn several_devices_of_a_user_are_one() {
    let world = World::with_seed(602).shards(2);
    let [ann, phone, laptop] = world.connect_all(["ann", "bob", "bob"]);
    ann.watches("news");
    phone.joins("news");
    laptop.joins("news");
    phone.leaves("news");
    assert_eq!(ann.saw(), ["join bob"]);
    laptop.leaves("news");
    assert_eq!(ann.saw(), ["join bob", "leave bob"]);
}

#[test]
fn whoever_vanishes_is_said_to_have_left_when_they_stayed_away_for_ten_seconds() {
    let ways: [fn(&Client); 2] = [Client::hangs_up, Client::closes_normally];
    for way in ways {
        let world = World::with_seed(603).shards(2);
        let [ann, bob] = world.connect_all(["ann", "bob"]);
        ann.watches("news");
        bob.joins("news");
        way(&bob);
        wait_almost(&world);
        assert_eq!(ann.saw(), ["join bob"]);
        world.advance(2 * BIT_MS);
        assert_eq!(ann.saw(), ["join bob", "leave bob"]);
    }
}

#[test]
fn whoever_is_back_in_time_never_left() {
    let world = World::with_seed(604).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.watches("news");
    bob.joins("news");
    bob.hangs_up();
    wait_almost(&world);
    bob.comes_back().joins("news");
    world.advance(secs(60));
    assert_eq!(ann.saw(), ["join bob"]);
}

#[test]
fn whoever_is_back_but_not_in_the_room_has_left_it() {
    let world = World::with_seed(605).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.watches("news");
    bob.joins("news");
    bob.hangs_up();
    bob.comes_back().joins("other");
    world.advance(GRACE_MS + BIT_MS);
    assert_eq!(ann.saw(), ["join bob", "leave bob"]);
}

#[test]
fn whoever_vanishes_again_is_waited_for_again() {
    let world = World::with_seed(606).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.watches("news");
    bob.joins("news");
    bob.hangs_up();
    world.advance(secs(6));
    let back = bob.comes_back().join("news");
    back.hangs_up();
    wait_almost(&world);
    assert_eq!(ann.saw(), ["join bob"]);
    world.advance(2 * BIT_MS);
    assert_eq!(ann.saw(), ["join bob", "leave bob"]);
}

#[test]
fn whoever_came_back_and_leaves_has_left_at_once() {
    let world = World::with_seed(607).shards(2);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    ann.watches("news");
    bob.joins("news");
    bob.hangs_up();
    let back = bob.comes_back().join("news");
    back.leaves("news");
    assert_eq!(back.last("left", |said| said.members), Some(1));
    assert_eq!(ann.saw(), ["join bob", "leave bob"]);
    back.joins("news");
    world.advance(secs(60));
    assert_eq!(ann.saw(), ["join bob", "leave bob", "join bob"]);
}

#[test]
fn a_leave_counts_for_a_device_that_vanished_before_and_not_for_one_that_is_there() {
    let world = World::with_seed(608).shards(2);
    let [ann, phone, laptop, tablet] = world.connect_all(["ann", "bob", "bob", "bob"]);
    ann.watches("news");
    for device in [&phone, &laptop, &tablet] {
        device.joins("news");
    }
    phone.hangs_up();
    laptop.leaves("news");
    assert_eq!(ann.saw(), ["join bob"]);
    tablet.leaves("news");
    assert_eq!(ann.saw(), ["join bob", "leave bob"]);
    world.advance(secs(60));
    assert_eq!(ann.saw().len(), 2);
}

#[test]
fn members_and_users_count_who_vanished_until_the_leave_is_said() {
    let world = World::with_seed(609).shards(3);
    let [ann, bob, cid] = world.connect_all(["ann", "bob", "cid"]);
    bob.joins("news");
    ann.watches("news");
    bob.hangs_up();
    wait_almost(&world);
    cid.watches("news");
    assert_eq!(
        told(&cid),
        (3, vec!["ann".into(), "bob".into(), "cid".into()])
    );
    world.advance(2 * BIT_MS);
    cid.watches("news");
    assert_eq!(told(&cid), (2, vec!["ann".into(), "cid".into()]));
    assert_eq!(cid.saw(), ["leave bob"]);
}

#[test]
fn the_first_hundred_users_are_named_in_order() {
    let world = World::with_seed(610).shards(4);
    let mut names: Vec<String> = (0..120).map(|number| format!("u{number}")).collect();
    let all: Vec<Client> = names.iter().map(|name| world.connect(name)).collect();
    all.iter().for_each(|client| client.joins("hall"));
    let zoe = world.connect("zoe");
    zoe.watches("hall");
    names.sort();
    names.truncate(100);
    assert_eq!(told(&zoe), (121, names));
}

#[test]
fn a_second_join_withdraws_what_the_first_asked_or_asks_anew() {
    let world = World::with_seed(611).shards(2);
    let [ann, bob, cid] = world.connect_all(["ann", "bob", "cid"]);
    ann.watches("news");
    ann.joins("news");
    bob.joins("news");
    assert_eq!(ann.saw().len(), 0);
    ann.watches("news");
    assert_eq!(told(&ann).1, ["ann", "bob"]);
    cid.joins("news");
    assert_eq!(ann.saw(), ["join cid"]);
}

#[test]
fn a_room_of_the_query_is_not_watched_until_asked() {
    let world = World::with_seed(612);
    let ann = world.visitor("ann").in_rooms("news").comes();
    let [bob, cid] = world.connect_all(["bob", "cid"]);
    bob.joins("news");
    assert_eq!(ann.saw().len(), 0);
    ann.watches("news");
    cid.joins("news");
    assert_eq!(ann.saw(), ["join cid"]);
}

#[test]
fn whoever_is_refused_is_not_left_among_the_members() {
    let world = World::with_seed(613)
        .shards(2)
        .limits(|limits| limits.rooms_per_connection = 1);
    let [ann, bob, phone] = world.connect_all(["ann", "bob", "bob"]);
    ann.watches("news");
    bob.joins("other");
    bob.joins("news");
    assert_eq!(bob.errors(), ["too_many_rooms"]);
    assert_eq!(world.names_in("news", None, 9), ["ann"]);
    phone.joins("news");
    bob.joins("news");
    assert_eq!(world.names_in("news", None, 9), ["ann", "bob"]);
    ledger::hold(&world, &ann);
}

#[test]
fn where_too_many_rooms_are_kept_for_those_who_vanished_the_first_of_them_has_left_early() {
    let world = World::with_seed(616).limits(|limits| limits.absent_memberships = 4);
    let [ann, bob, cid, dan] = world.connect_all(["ann", "bob", "cid", "dan"]);
    [&bob, &cid].iter().for_each(|client| client.joins("side"));
    for client in [&bob, &cid, &dan] {
        client.joins("news");
    }
    ann.watches("news");
    bob.hangs_up();
    cid.hangs_up();
    assert_eq!(ann.saw().len(), 0, "as many as may be");
    dan.hangs_up();
    assert_eq!(ann.saw(), ["leave bob"]);
    assert_eq!(world.names_in("side", None, 9), ["cid"]);
    let back = cid.comes_back().join("news");
    world.advance(GRACE_MS + BIT_MS);
    assert_eq!(ann.saw(), ["leave bob", "leave dan"]);
    ledger::hold(&world, &back);
}

#[test]
fn where_nobody_asks_any_more_no_shard_is_told() {
    let stop: [fn(&Client); 3] = [
        |ann| ann.leaves("news"),
        |ann| ann.joins("news"),
        Client::hangs_up,
    ];
    for (shards, stops) in (1..=4).flat_map(|shards| stop.map(|stops| (shards, stops))) {
        let world = World::with_seed(617).shards(shards);
        let [ann, bob, cid, dan] = world.connect_all(["ann", "bob", "cid", "dan"]);
        [&bob, &dan].iter().for_each(|client| client.joins("news"));
        ann.watches("news");
        cid.joins("news");
        assert_eq!(ann.saw(), ["join cid"]);
        stops(&ann);
        world.advance(GRACE_MS + BIT_MS);
        cid.leaves("news");
        let before = world.presence_posted();
        for _ in 0..5 {
            cid.joins("news");
            cid.leaves("news");
        }
        assert_eq!(world.presence_posted(), before);
        bob.watches("news");
        cid.joins("news");
        assert_eq!(bob.saw(), ["join cid"]);
    }
}

/// A room of just as many users as are still named, one of whom watches it; and that one.
fn full_hall() -> (World, Client, Vec<Client>) {
    let world = World::with_seed(614).shards(3);
    let ann = world.connect("ann");
    ann.watches("hall");
    let mut others = Vec::new();
    world.hurry(|| {
        let visitors = (0..999).map(|number| world.visitor(&format!("u{number}")));
        others.extend(visitors.map(|visitor| visitor.in_rooms("hall").comes()));
    });
    world.advance(secs(2));
    (world, ann, others)
}

#[test]
fn in_a_room_of_over_a_thousand_users_only_their_number_is_told_once_a_second() {
    let (world, ann, others) = full_hall();
    assert_eq!(world.users_in("hall"), 1000);
    assert_eq!(ann.saw().len(), 999);
    assert!(ann.saw().iter().all(|saw| saw.starts_with("join u")));
    let more: Vec<_> = (0..20)
        .map(|number| world.connect(&format!("v{number}")))
        .collect();
    more.iter().for_each(|client| client.joins("hall"));
    world.advance(secs(2));
    assert_eq!(ann.saw()[999..], ["count 1020"]);
    world.advance(secs(5));
    assert_eq!(ann.saw().len(), 1000, "nothing is new");
    more.iter().for_each(|client| client.leaves("hall"));
    world.advance(secs(2));
    others[7].leaves("hall");
    let [.., before, last] = &ann.saw()[..] else {
        panic!()
    };
    assert_eq!((before.as_str(), last.as_str()), ("count 1000", "leave u7"));
}

#[test]
fn what_is_told_to_many_is_held_once_however_many_do_not_read_it() {
    let world = World::with_seed(615).limits(|limits| limits.outbox_bytes = 12 * 1024);
    let visitors = (0..40).map(|number| world.visitor(&format!("u{number}")));
    let stalled: Vec<Client> = visitors
        .map(|visitor| visitor.with_buffer(500).comes())
        .collect();
    for client in &stalled {
        client.watches("news");
        client.stops_reading();
    }
    for number in 0..60 {
        world.connect(&format!("v{number}")).joins("news");
    }
    stalled.iter().for_each(Client::reads_on);
    for client in &stalled {
        assert!(client.is_connected(), "it waited for no more than others");
        assert_eq!(client.saw().last().map(String::as_str), Some("join v59"));
    }
}

/// Members come and go at once in every way there is, and some of them watch.
fn storm(world: &World) -> Vec<Client> {
    let users = ["ann", "ann", "bob", "cid", "dan", "eve", "fay"];
    let mut clients: Vec<Client> = users.iter().map(|user| world.connect(user)).collect();
    world.at_once(|| {
        for _ in 0..80 {
            let client = clients[world.chance(clients.len())].clone();
            match world.chance(14) {
                0..3 => client.joins("news"),
                3..6 => client.watches("news"),
                6..10 => client.leaves("news"),
                10 if world.chance(3) == 0 => client.hangs_up(),
                11 if !client.is_connected() => clients.push(client.comes_back()),
                12 => world.advance(world.chance(4000) as u64),
                _ => world.turn(),
            }
        }
    });
    clients
}

#[test]
fn after_a_storm_each_who_asked_knows_exactly_who_is_there() {
    for seed in 0..400 {
        let world = World::with_seed(seed).shards(1 + seed as usize % 4);
        let clients = storm(&world);
        world.advance(GRACE_MS + BIT_MS);
        let there: BTreeSet<String> = world.names_in("news", None, 99).into_iter().collect();
        let standings = clients
            .iter()
            .map(|client| (client, ledger::hold(&world, client)));
        let here: Vec<_> = standings
            .filter(|(client, _)| client.is_connected())
            .collect();
        let is_in = here.iter().filter(|(_, at)| at.rooms.contains("news"));
        let members: BTreeSet<String> = is_in.map(|(client, _)| client.user()).collect();
        assert_eq!(there, members, "seed {seed}");
        for (client, at) in &here {
            if let Some(known) = at.watched.get("news") {
                assert_eq!(known, &there, "{} with seed {seed}", client.user());
            }
        }
    }
}
