//! Whoever comes back with a place gets what was said behind it, all of it once and in order, or is told to reload.

use wshub_protocol::CloseCode;

use crate::ledger;
use crate::world::{Client, World, numbers, secs};

#[test]
fn who_comes_back_gets_exactly_what_was_missed() {
    let world = World::with_seed(300).shards(2);
    let ann = world.visitor("ann").in_rooms("news,chat").comes();
    world.broadcast("seen");
    ann.hangs_up();
    world.broadcast("for all");
    world.tell(&["bob"], "for bob");
    world.publish("dogs", "a room of others");
    world.publish("news", "in her room");
    world.tell(&["ann", "bob"], "for her");
    world.publish("chat", "in her other room");
    let back = world.visitor("ann").resuming(&ann).in_rooms("news,chat");
    let back = back.comes();
    world.broadcast("live");
    let types = "connected joined joined broadcast room user room broadcast";
    assert_eq!(back.types().join(" "), types);
    assert_eq!(
        back.heard().join(", "),
        "for all, in her room, for her, in her other room, live"
    );
    assert_eq!(back.each("user", |said| said.offset()), [6]);
    assert_eq!(back.found(), (true, 1, 0));
}

#[test]
fn a_room_that_is_not_named_again_is_not_resumed() {
    let world = World::with_seed(301);
    let ann = world.visitor("ann").in_rooms("news,chat").comes();
    ann.hangs_up();
    world.publish("news", "one");
    world.publish("chat", "two");
    let back = world.visitor("ann").resuming(&ann).in_rooms("chat").comes();
    world.publish("news", "three");
    world.publish("chat", "four");
    assert_eq!(back.heard(), ["two", "four"]);
}

#[test]
fn who_missed_nothing_is_resumed_too() {
    let world = World::with_seed(302);
    let ann = world.connect("ann");
    ann.hangs_up();
    let back = ann.comes_back();
    assert_eq!(
        (back.found(), back.types().len()),
        ((true, 0, 0), 1),
        "an empty log"
    );
    world.tell(&["bob"], "for others");
    let again = back.comes_back();
    assert_eq!((again.found(), again.types().len()), ((true, 0, 0), 1));
}

#[test]
fn a_cursor_that_names_no_place_of_this_log_resumes_nothing_and_refuses_nobody() {
    let world = World::with_seed(303);
    (0..3).for_each(|n| world.broadcast(&n.to_string()));
    let ours = world.cursor(2);
    let epoch = ours.split(':').next().expect("an epoch");
    let cursors = [
        String::new(),
        "garbage".to_owned(),
        "9.abc:0:3".to_owned(),
        format!("2.{:x}:0:2", 303),
        format!("1.{:x}:0:2", 304),
        world.cursor(4),
        world.cursor(u64::MAX),
        format!("{epoch}:1:2"),
        format!("{ours},{epoch}:1:2"),
        format!("{ours},{ours}"),
        format!("{ours},"),
        format!("{ours}-7"),
        format!("{epoch}:0:18446744073709551616"),
        format!("{epoch}:0:-1"),
        format!("{epoch}:0:02"),
        "%00%ff".to_owned(),
        "x".repeat(100 * 1024),
        [ours.as_str(); 3000].join(","),
    ];
    for after in cursors {
        let ann = world.visitor("ann").handing_in("", &after).comes();
        assert_eq!(
            (ann.types().len(), ann.found()),
            (1, (false, 0, 0)),
            "{after:.99}"
        );
        assert_eq!(ann.place(), world.cursor(3), "{after:.99}");
    }
    let ann = world.visitor("ann").handing_in("", &ours).comes();
    assert_eq!(
        (ann.heard(), ann.found()),
        (vec!["2".to_owned()], (true, 0, 0))
    );
}

#[test]
fn a_place_that_the_log_has_let_go_of_resumes_nothing() {
    let world = World::with_seed(304);
    world.broadcast("let go of");
    world.advance(secs(200));
    world.broadcast("kept");
    world.advance(secs(101));
    let come = |after| {
        world
            .visitor("ann")
            .handing_in("", &world.cursor(after))
            .comes()
    };
    let (before, behind) = (come(0), come(1));
    assert_eq!((before.found().0, before.heard().len()), (false, 0));
    assert_eq!(
        (behind.found().0, behind.heard()),
        (true, vec!["kept".to_owned()])
    );
}

#[test]
fn a_session_keeps_its_label() {
    let world = World::with_seed(305);
    let ann = world.connect("ann");
    ann.hangs_up();
    let back = ann.comes_back();
    assert_eq!(back.session(), ann.session());
    back.hangs_up();
    let stale = world
        .visitor("ann")
        .handing_in(&ann.session(), "garbage")
        .comes();
    assert_eq!((stale.session(), stale.found().0), (ann.session(), false));
}

#[test]
fn a_label_that_a_live_connection_of_the_user_holds_is_not_given_twice() {
    let world = World::with_seed(306);
    let ann = world.connect("ann");
    let twin = ann.comes_back();
    assert_ne!(twin.session(), ann.session());
    assert!(twin.found().0, "the place counts all the same");
    ann.closes_normally();
    let back = ann.comes_back();
    assert_eq!(back.session(), ann.session());
}

#[test]
fn a_label_of_somebody_else_or_of_nobody_is_not_kept() {
    let world = World::with_seed(307);
    let ann = world.connect("ann");
    ann.hangs_up();
    for label in [
        ann.session(),
        "A".repeat(22),
        "ann".to_owned(),
        "é".repeat(500),
    ] {
        let bob = world
            .visitor("bob")
            .handing_in(&label, &ann.place())
            .comes();
        assert_ne!(bob.session(), label);
        assert_eq!((bob.session().len(), bob.found()), (22, (true, 0, 0)));
    }
}

#[test]
fn a_backlog_far_longer_than_an_outbox_comes_whole() {
    let world = World::with_seed(308).limits(|limits| limits.queue_messages = 8);
    let ann = world.connect("ann");
    ann.hangs_up();
    (0..3000).for_each(|n| world.broadcast(&n.to_string()));
    let back = world.visitor("ann").with_buffer(1000).resuming(&ann);
    let back = back.comes();
    world.broadcast("3000");
    assert_eq!(back.heard(), numbers(0..=3000));
    assert_eq!(world.closed_with(CloseCode::TooSlow), 0);
    let slow = world
        .visitor("ann")
        .with_buffer(300)
        .resuming(&ann)
        .that_reads_nothing();
    let slow = slow.comes();
    (3001..3100).for_each(|n| world.broadcast(&n.to_string()));
    world.advance(secs(5));
    slow.reads_on();
    assert_eq!(
        slow.heard(),
        numbers(0..3100),
        "catching up is not being slow"
    );
}

#[test]
fn large_messages_come_whole_though_few_of_them_fill_an_outbox() {
    let world = World::with_seed(309).limits(|limits| limits.queue_bytes = 10_000);
    let ann = world.connect("ann");
    ann.hangs_up();
    let large = "x".repeat(30_000);
    (0..20).for_each(|_| world.broadcast(&large));
    let back = world
        .visitor("ann")
        .with_buffer(1000)
        .resuming(&ann)
        .comes();
    assert_eq!(back.heard().len(), 20);
    assert_eq!(world.closed_with(CloseCode::TooSlow), 0);
}

#[test]
fn a_backlog_of_many_parts_comes_whole_to_who_has_room_for_each() {
    let world = World::with_seed(314).shards(2);
    let ann = world.visitor("ann").in_rooms("news").comes();
    ann.hangs_up();
    for n in 0..1000 {
        match n % 2 {
            0 => world.broadcast(&n.to_string()),
            _ => world.publish("news", &n.to_string()),
        }
    }
    let back = world.visitor("ann").in_rooms("news").resuming(&ann);
    let back = back.with_buffer(1 << 20).comes();
    assert_eq!(back.heard(), numbers(0..1000));
    let large = world.visitor("bob").comes();
    large.hangs_up();
    (0..20).for_each(|_| world.broadcast(&"x".repeat(100_000)));
    let back = world.visitor("bob").resuming(&large).with_buffer(1 << 22);
    assert_eq!(back.comes().places(), (1001..=1020).collect::<Vec<_>>());
}

#[test]
fn what_is_said_while_somebody_catches_up_comes_behind_in_order() {
    for seed in 0..60 {
        let world = World::with_seed(seed).shards(2);
        let world = world.limits(|limits| limits.queue_messages = 32);
        let ann = world.connect("ann");
        ann.hangs_up();
        let say = |n: u64| match n % 3 {
            0 => world.broadcast(&n.to_string()),
            1 => world.publish("news", &n.to_string()),
            _ => world.tell(&["ann"], &n.to_string()),
        };
        (0..200).for_each(say);
        let back = world.visitor("ann").in_rooms("news").with_buffer(900);
        let back = back.resuming(&ann).comes_at_once();
        world.at_once(|| {
            (200..400).for_each(|n| {
                say(n);
                (0..world.chance(3)).for_each(|_| world.turn());
            });
        });
        assert_eq!(back.heard(), numbers(0..400), "seed {seed}");
    }
}

#[test]
fn a_link_that_breaks_again_and_again_neither_loses_nor_doubles() {
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(2);
        let mut ann = world.visitor("ann").in_rooms("news").comes();
        let mut heard = Vec::new();
        world.hurry(|| {
            for n in 0..40_u64 {
                match n % 3 {
                    0 => world.broadcast(&n.to_string()),
                    1 => world.publish("news", &n.to_string()),
                    _ => world.tell(&["ann"], &n.to_string()),
                }
                (0..world.chance(60)).for_each(|_| {
                    world.turn();
                    world.advance_if_idle();
                });
                if n % 4 == 0 {
                    ann = breaks_and_comes_back(&world, &ann, &mut heard);
                }
            }
        });
        world.advance(secs(2));
        breaks_and_comes_back(&world, &ann, &mut heard);
        assert_eq!(heard, numbers(0..40), "seed {seed}");
    }
}

fn breaks_and_comes_back(world: &World, client: &Client, heard: &mut Vec<String>) -> Client {
    if world.chance(2) == 0 {
        client.hangs_up();
    } else {
        client.vanishes();
    }
    heard.extend(client.heard());
    let back = world.visitor(&client.user()).resuming(client);
    back.in_rooms("news").with_buffer(2000).comes()
}

#[test]
fn who_is_overtaken_by_the_log_is_told_to_reload_and_gets_what_still_waits() {
    let world = World::with_seed(310).limits(|limits| limits.queue_messages = 8);
    let world = world.log_of(200_000);
    let ann = world.connect("ann");
    ann.hangs_up();
    (0..100).for_each(|n| world.broadcast(&format!("old {n}")));
    world.tell(&["ann"], "waits");
    let back = world.visitor("ann").with_buffer(500).resuming(&ann);
    let back = back.that_reads_nothing().comes();
    (0..1000).for_each(|_| world.broadcast("overtakes"));
    back.reads_on();
    world.broadcast("live");
    assert_eq!(back.found(), (true, 1, 0));
    let heard = back.heard();
    let old = heard.iter().take_while(|text| text.starts_with("old"));
    let old = old.count();
    assert!((1..100).contains(&old), "{old} were on their way");
    assert_eq!(heard[old..], ["waits", "live"]);
    assert_eq!(back.types()[1 + old..], ["reset", "user", "broadcast"]);
    assert_eq!(back.last("reset", |said| said.offset()), 1101);
    assert_eq!(back.place(), world.cursor(1102));
}

/// Somebody reads nothing while they catch up with so many messages, and so many more come, of which the log keeps
/// about a hundred. Answers what they heard, and whether they were reset.
fn is_overtaken_by(more: u64, room: bool) -> (Vec<String>, bool) {
    let world = World::with_seed(315).limits(|limits| limits.queue_messages = 8);
    let world = world.log_of(50_000);
    let say = |all: std::ops::Range<u64>| {
        all.for_each(|n| match room {
            true => world.publish("news", &n.to_string()),
            false => world.broadcast(&n.to_string()),
        });
    };
    let ann = world.visitor("ann").with_buffer(500).comes();
    ann.stops_reading();
    let back = if room {
        say(0..60);
        ann.joins_after("news", &world.cursor(0));
        ann
    } else {
        ann.hangs_up();
        say(0..60);
        let back = world.visitor("ann").with_buffer(500).resuming(&ann);
        back.that_reads_nothing().comes()
    };
    say(60..60 + more);
    back.reads_on();
    (back.heard(), !back.each("reset", |_| ()).is_empty())
}

#[test]
fn who_is_overtaken_by_one_message_is_reset_as_well_and_who_is_not_misses_none() {
    for room in [false, true] {
        let mut reset_ever = [false; 2];
        for more in 0..120 {
            let (heard, was_reset) = is_overtaken_by(more, room);
            reset_ever[usize::from(was_reset)] = true;
            let came = heard.len() as u64;
            assert_eq!(heard, numbers(0..came), "{more} more, room: {room}");
            assert!(was_reset || came == 60 + more, "{more} more, room: {room}");
        }
        assert_eq!(reset_ever, [true; 2], "both happen, room: {room}");
    }
}

#[test]
fn what_was_given_before_a_reset_is_not_given_again_behind_it() {
    let world = World::with_seed(311).limits(|limits| limits.queue_messages = 8);
    let world = world.log_of(200_000);
    let ann = world.connect("ann");
    ann.hangs_up();
    world.tell(&["ann"], "first");
    (0..99).for_each(|_| world.broadcast("old"));
    world.tell(&["ann"], "last");
    let back = world.visitor("ann").with_buffer(500).resuming(&ann);
    let back = back.that_ignores_pings().that_reads_nothing().comes();
    (0..1000).for_each(|_| world.broadcast("overtakes"));
    back.reads_on();
    assert_eq!(
        back.each("user", |said| said.data().to_owned()),
        [r#""first""#, r#""last""#]
    );
    assert_eq!(back.each("reset", |_| ()).len(), 1);
    assert_eq!(world.engine().queued.0, 2, "nothing has a receipt");
}

#[test]
fn a_join_with_a_place_brings_what_was_missed_of_that_room_and_then_what_is_live() {
    let world = World::with_seed(312).shards(2);
    let [ann, bob] = world
        .connect_all(["ann", "bob"])
        .map(|client| client.join("news"));
    world.publish("news", "seen");
    let place = ann.place();
    ann.leaves("news");
    world.publish("news", "missed");
    world.broadcast("for all");
    world.publish("chat", "another room");
    world.publish("news", "missed too");
    ann.joins_after("news", &place);
    world.publish("news", "live");
    assert_eq!(
        ann.heard(),
        ["seen", "for all", "missed", "missed too", "live"]
    );
    assert_eq!(
        ann.types()[4..],
        ["broadcast", "joined", "room", "room", "room"]
    );
    assert_eq!(ann.each("joined", |said| said.resumed), [None, Some(true)]);
    assert_eq!(
        bob.heard(),
        ["seen", "missed", "for all", "missed too", "live"]
    );
}

#[test]
fn a_join_with_a_place_that_is_none_is_answered_so_and_goes_on_from_here() {
    let world = World::with_seed(313);
    let ann = world.connect("ann");
    world.publish("news", "missed");
    for after in [
        "garbage",
        "9.abc:0:3",
        &world.cursor(2),
        &"x".repeat(100 * 1024),
    ] {
        ann.joins_after("news", after);
        assert_eq!(
            ann.last("joined", |said| said.resumed),
            Some(false),
            "{after:.99}"
        );
        ann.leaves("news");
    }
    ann.joins_after("news", "garbage");
    world.publish("news", "live");
    assert_eq!(
        (ann.heard(), ann.errors().len()),
        (vec!["live".to_owned()], 0)
    );
}

#[test]
fn what_is_for_her_meanwhile_is_not_lost_while_a_room_catches_up() {
    for seed in 0..60 {
        let world = World::with_seed(seed).shards(2);
        let world = world.limits(|limits| limits.queue_messages = 16);
        let ann = world.visitor("ann").with_buffer(1500).comes();
        let place = ann.place();
        (0..150).for_each(|n| world.publish("news", &n.to_string()));
        world.at_once(|| {
            ann.joins_after("news", &place);
            while ann.each("joined", |_| ()).is_empty() {
                world.turn();
                world.advance_if_idle();
            }
            (150..250).for_each(|n| {
                world.publish("news", &n.to_string());
                world.tell(&["ann"], &n.to_string());
                (0..world.chance(3)).for_each(|_| world.turn());
            });
        });
        let texts = |kind| ann.each(kind, |said| said.data().trim_matches('"').to_owned());
        assert_eq!(texts("room"), numbers(0..250), "seed {seed}");
        assert_eq!(texts("user"), numbers(150..250), "seed {seed}");
    }
}

#[test]
fn who_leaves_while_catching_up_hears_nothing_of_the_room_behind_left() {
    for seed in 0..100 {
        let world = World::with_seed(seed).limits(|limits| limits.queue_messages = 8);
        let [ann, bob] = ["ann", "bob"].map(|user| world.visitor(user).with_buffer(1000).comes());
        let (place, resumes) = (ann.place(), seed % 2 == 0);
        (0..300).for_each(|n| world.publish("news", &n.to_string()));
        world.broadcast("for all");
        let ann = if resumes {
            world
                .visitor("ann")
                .in_rooms("news")
                .with_buffer(1000)
                .handing_in("", &place)
                .comes_at_once()
        } else {
            world.hurry(|| ann.joins_after("news", &place));
            ann
        };
        world.at_once(|| {
            (0..world.chance(200)).for_each(|_| world.turn());
            ann.leaves("news");
            ann.joins("chat");
        });
        world.publish("news", "too late");
        world.publish("chat", "live");
        let types = ann.types();
        let left = types
            .iter()
            .position(|kind| kind == "left")
            .expect("an answer");
        let rooms = types[left..].iter().filter(|kind| *kind == "room");
        assert_eq!(rooms.count(), 1, "only that of the chat, seed {seed}");
        assert_eq!(ann.heard().last().map(String::as_str), Some("live"));
        assert!(ann.heard().contains(&"for all".to_owned()) && bob.is_connected());
    }
}

#[test]
fn who_leaves_and_joins_again_while_catching_up_goes_on_from_the_second_join() {
    for seed in 0..100 {
        let world = World::with_seed(seed).limits(|limits| limits.queue_messages = 8);
        let ann = world.visitor("ann").with_buffer(1000).comes();
        let place = ann.place();
        (0..300).for_each(|n| world.publish("news", &n.to_string()));
        world.at_once(|| {
            ann.joins_after("news", &place);
            (0..world.chance(100)).for_each(|_| world.turn());
            ann.leaves("news");
            ann.joins("news");
            (300..310).for_each(|n| world.publish("news", &n.to_string()));
        });
        let types = ann.types();
        let joined = types
            .iter()
            .rposition(|kind| kind == "joined")
            .expect("an answer");
        let behind = types[joined..]
            .iter()
            .filter(|kind| *kind == "room")
            .count();
        let from = ann.last("joined", |said| said.offset());
        let rooms = ann.each("room", |said| said.offset());
        assert_eq!(
            rooms[rooms.len() - behind..],
            (from + 1..=310).collect::<Vec<_>>()
        );
    }
}

#[test]
fn to_catch_up_with_a_room_names_that_one_however_many_the_client_is_in() {
    for seed in 0..20 {
        let world = World::with_seed(seed).shards(1 + seed as usize % 3);
        let rooms: Vec<String> = (0..300).map(|n| format!("r{n}")).collect();
        let ann = world.visitor("ann").in_rooms(&rooms.join(",")).comes();
        let place = ann.place();
        rooms.iter().for_each(|room| world.publish(room, room));
        let before = world.rooms_named();
        for room in &rooms[..100] {
            world.at_once(|| {
                ann.joins_after(room, &place);
                (0..world.chance(9)).for_each(|_| world.turn());
                world.publish("r7", "said meanwhile");
                world.publish(room, "and in the room");
                world.publish("a room of others", "not for her");
                world.broadcast("for all");
            });
        }
        let named = world.rooms_named() - before;
        assert!((100..250).contains(&named), "{named} with seed {seed}");
        ledger::hold(&world, &ann);
    }
}

#[test]
fn whoever_catches_up_with_all_rooms_at_once_is_given_each_from_its_place() {
    for seed in 0..20 {
        let world = World::with_seed(seed);
        let rooms: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
        let ann = world.visitor("ann").in_rooms(&rooms.join(",")).comes();
        for room in rooms.iter().chain(&rooms) {
            world.publish(room, room);
        }
        world.at_once(|| {
            for (n, room) in rooms.iter().enumerate() {
                ann.joins_after(room, &world.cursor(n as u64 + 50));
                (0..world.chance(3)).for_each(|_| world.turn());
                world.publish(&rooms[world.chance(100)], "meanwhile");
            }
        });
        ledger::hold(&world, &ann);
        assert!(ann.heard().len() >= 400, "{}", ann.heard().len());
    }
}
