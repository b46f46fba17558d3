//! Stories of the rooms of a client.

use super::*;

#[test]
fn a_room_whose_join_is_refused_is_not_joined_again() {
    let mut ann = Story::of(Options::user("ann").unwrap().room("r").unwrap());
    ann.connects("1.a:0:5", false);
    ann.refuses("r", "too_many_rooms", None);
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    assert!(!ann.dialed().contains("rooms"));
}

#[test]
fn a_room_that_is_joined_anew_with_another_wish_is_still_caught_up_with() {
    let mut ann = Story::of(Options::user("ann").unwrap().room("r").unwrap());
    ann.connects("1.a:0:5", false);
    ann.hears(json!({"type": "joined", "room_id": "r", "members": 1, "cursor": "1.a:0:5"}));
    ann.joins("r", true);
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    let path = ann.connects("1.a:0:9", true);
    assert!(path.ends_with("&after=1.a:0:5&rooms=r"), "{path}");
    assert_eq!(
        ann.said(),
        [json!({"type": "join", "room_id": "r", "presence": true})]
    );
}

#[test]
fn a_room_that_is_left_while_the_query_takes_the_client_into_it_is_left_there_too() {
    let mut ann = Story::of(Options::user("ann").unwrap().room("r").unwrap());
    ann.core.leave(&RoomId::parse("r").unwrap()).unwrap();
    assert!(ann.connects("1.a:0:5", false).ends_with("&rooms=r"));
    assert_eq!(ann.said(), [json!({"type": "leave", "room_id": "r"})]);
}

#[test]
fn what_was_said_in_a_room_before_it_was_joined_is_not_told_after_a_resume() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.joins("r", false);
    ann.hears(json!({"type": "joined", "room_id": "r", "members": 1, "cursor": "1.a:0:8"}));
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    assert!(
        ann.connects("1.a:0:9", true)
            .ends_with("&after=1.a:0:5&rooms=r")
    );
    ann.is_given("room", "before", "1.a:0:7");
    ann.is_given("room", "after", "1.a:0:9");
    assert_eq!(ann.told(), ["after"]);
}

#[test]
fn history_holds_nothing_that_was_told_before() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.is_given("room", "m1", "1.a:0:6");
    let message = |id: &str, cursor: &str| json!({"type": "room", "room_id": "r", "id": id, "from": "bob", "cursor": cursor, "data": 1});
    ann.hears(json!({
        "type": "joined", "room_id": "r", "members": 1, "cursor": "1.a:0:7", "history_complete": true,
        "history": [message("m0", "1.a:0:4"), message("m1", "1.a:0:6")],
    }));
    ann.is_given("room", "m0", "1.a:0:4");
    let events = ann.events();
    let Some(Event::Joined(joined)) = events.last() else {
        panic!("m0 was told with the history")
    };
    assert_eq!(
        joined.history.iter().map(Message::id).collect::<Vec<_>>(),
        ["m0"]
    );
}

#[test]
fn a_room_that_the_hub_cannot_let_the_client_into_just_now_is_asked_for_again() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.joins("r", true);
    ann.refuses("r", "rate_limited", Some(3000));
    assert!(matches!(ann.events()[..], [_, Event::Refused(_)]));
    assert!(ann.waits() >= Duration::from_secs(3));
    assert_eq!(
        ann.said(),
        [json!({"type": "join", "room_id": "r", "presence": true})]
    );
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    ann.connects("1.a:0:9", true);
    assert_eq!(ann.said().len(), 1, "it is still wanted");
    ann.refuses("r", "overloaded", None);
    ann.core.close();
    ann.events();
    assert_eq!(ann.core.deadline(), None);
}

#[test]
fn a_room_of_the_query_that_is_let_in_later_catches_up_from_where_it_was_heard() {
    let mut ann = Story::of(Options::user("ann").unwrap().room("r").unwrap());
    ann.connects("1.a:0:5", false);
    ann.hears(json!({"type": "joined", "room_id": "r", "members": 1, "cursor": "1.a:0:5"}));
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    ann.connects("1.a:0:9", true);
    ann.refuses("r", "unavailable", None);
    ann.is_given("broadcast", "m", "1.a:0:8");
    ann.events();
    ann.waits();
    assert_eq!(
        ann.said(),
        [json!({"type": "join", "room_id": "r", "after": "1.a:0:5"})]
    );
}
