//! What was said in a room before somebody came, as far as the log knows it.

use crate::world::{Client, Wish, World};

fn speak(world: &World, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| world.publish("news", &number.to_string()));
}

fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn history(client: &Client, most: usize) -> (Vec<String>, bool) {
    client.joins_with_history("news", most);
    client.history()
}

#[test]
fn the_newest_messages_of_the_room_come_with_the_answer_oldest_first() {
    let world = World::with_seed(620).shards(2);
    speak(&world, 0..3);
    world.publish("other", "not of this room");
    speak(&world, 3..5);
    let ann = world.connect("ann");
    assert_eq!(history(&ann, 3), (texts(2..5), false));
    assert_eq!(history(&ann, 4), (texts(1..5), false));
    assert_eq!(history(&ann, 5), (texts(0..5), true));
    assert_eq!(history(&ann, 100), (texts(0..5), true));
    assert_eq!(ann.heard().len(), 0, "none of it is live");
}

#[test]
fn a_history_of_none_says_whether_there_is_one() {
    let world = World::with_seed(621);
    let ann = world.connect("ann");
    assert_eq!(history(&ann, 0), (vec![], true));
    speak(&world, 0..1);
    assert_eq!(history(&ann, 0), (vec![], false));
    ann.joins("news");
    let told = ann.last("joined", |said| {
        (said.history.is_none(), said.history_complete)
    });
    assert_eq!(told, (true, None), "nobody asked");
}

#[test]
fn history_and_live_meet_at_the_cursor_without_a_gap_or_a_double() {
    for seed in 0..100 {
        let world = World::with_seed(seed).shards(2);
        let [ann, bob] = world.connect_all(["ann", "bob"]);
        world.at_once(|| {
            speak(&world, 0..10);
            (0..10).for_each(|_| bob.broadcasts("between"));
            ann.joins_with_history("news", 100);
            speak(&world, 10..20);
        });
        let at = ann.last("joined", |said| said.offset());
        let given = ann.last("joined", |said| {
            let history = said.history.as_ref().expect("a history");
            history.iter().map(|one| one.offset()).collect::<Vec<_>>()
        });
        let live = ann.each("room", |said| said.offset());
        assert!(given.iter().all(|&place| place <= at) && live.iter().all(|&place| place > at));
        let mut heard = ann.history().0;
        heard.extend(ann.each("room", |said| said.data().trim_matches('"').to_owned()));
        heard.sort_by_key(|text| text.parse::<usize>().unwrap_or_default());
        assert_eq!(heard, texts(0..20), "seed {seed}");
    }
}

#[test]
fn what_was_missed_follows_whatever_history_was_asked_with_it() {
    let world = World::with_seed(622).shards(2);
    let ann = world.connect("ann");
    speak(&world, 0..3);
    ann.joins("news");
    speak(&world, 3..5);
    let place = ann.place();
    ann.leaves("news");
    speak(&world, 5..9);
    ann.joins_with(
        "news",
        Wish {
            after: Some(place),
            history: Some(2),
            presence: true,
        },
    );
    speak(&world, 9..10);
    assert_eq!(ann.last("joined", |said| said.resumed), Some(true));
    assert_eq!(ann.history(), (texts(7..9), false));
    assert_eq!(ann.heard(), texts(3..10));
}

#[test]
fn what_is_too_much_at_once_is_left_out_and_so_is_what_is_older() {
    let world = World::with_seed(623);
    let ann = world.connect("ann");
    let large = "x".repeat(200 * 1024);
    speak(&world, 0..1);
    (0..3).for_each(|_| world.publish("news", &large));
    let (given, complete) = history(&ann, 100);
    assert_eq!((given, complete), (vec![large.clone(), large], false));
    world.publish("news", &"x".repeat(600 * 1024));
    assert_eq!(history(&ann, 100), (vec![], false));
}

#[test]
fn a_log_that_has_let_go_of_something_does_not_know_whether_that_is_all() {
    let world = World::with_seed(624).log_of(20_000);
    let ann = world.connect("ann");
    speak(&world, 0..2);
    assert_eq!(history(&ann, 9), (texts(0..2), true));
    (0..200).for_each(|_| world.publish("other", &"x".repeat(200)));
    assert_eq!(history(&ann, 9), (vec![], false));
    speak(&world, 7..9);
    assert_eq!(history(&ann, 9), (texts(7..9), false));
}

#[test]
fn what_one_said_to_others_is_part_of_the_history_for_oneself_too() {
    let world = World::with_seed(625);
    let ann = world.connect("ann");
    ann.says_to_others("news", "mine");
    assert_eq!(history(&ann, 9), (vec!["mine".into()], true));
    assert_eq!(ann.heard().len(), 0);
}
