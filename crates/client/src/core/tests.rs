//! Stories of a client, told with time that is made up and a server that says what the story wants.

mod rooms;

use serde_json::{Value, json};
use wshub_protocol::CloseCode;

use super::*;
use crate::limits::{ANSWER_WITHIN, CONNECT_WITHIN, LAST_CEILING, SILENCE};
use crate::say::Draft;

/// A client, the time, and what it was heard to say.
struct Story {
    core: Core,
    now: Now,
}

impl Story {
    fn of(options: Options) -> Self {
        Self {
            core: Core::new(options, 7),
            now: Duration::ZERO,
        }
    }

    fn ann() -> Self {
        Self::of(Options::user("ann").unwrap())
    }

    /// The path of the dial that is to be made now.
    fn dialed(&mut self) -> String {
        let mut dials = self
            .actions()
            .into_iter()
            .filter_map(|action| match action {
                Action::Dial { path, .. } => Some(path),
                _ => None,
            });
        dials.next_back().expect("the client dials")
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.core.next_action()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.core.next_event(self.now))
            .map(|(event, _)| event)
            .collect()
    }

    fn said(&mut self) -> Vec<Value> {
        let texts = std::iter::from_fn(|| self.core.next_frame());
        texts
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    fn hears(&mut self, message: Value) {
        self.core.heard(self.now, &message.to_string());
    }

    fn connects(&mut self, cursor: &str, resumed: bool) -> String {
        let path = self.dialed();
        self.hears(json!({"type": "connected", "session_id": "label", "cursor": cursor, "resumed": resumed}));
        path
    }

    fn joins(&mut self, room: &str, presence: bool) {
        let wish = Wish {
            presence,
            ..Wish::default()
        };
        let room = RoomId::parse(room).unwrap();
        self.core.join(&room, wish).unwrap();
        self.said();
    }

    fn refuses(&mut self, room: &str, code: &str, retry_after_ms: Option<u64>) {
        self.hears(json!({
            "type": "error", "code": code, "error": "no", "room_id": room, "retry_after_ms": retry_after_ms,
        }));
    }

    fn is_given(&mut self, kind: &str, id: &str, cursor: &str) {
        let message = json!({"type": kind, "id": id, "cursor": cursor, "from": "bob", "room_id": "r", "data": id});
        self.hears(message);
    }

    /// What the messages that were told carry.
    fn told(&mut self) -> Vec<String> {
        let events = self.events().into_iter();
        let messages = events.filter_map(|event| match event {
            Event::Message(message) => Some(message.id),
            _ => None,
        });
        messages.collect()
    }

    fn closes_with(&mut self, code: CloseCode) {
        self.core.lost(
            self.now,
            End {
                code: Some(code.number()),
                reason: code.name().to_owned(),
            },
        );
    }

    /// Lets the time go by to the next deadline.
    fn waits(&mut self) -> Duration {
        let at = self.core.deadline().expect("something is due");
        let waited = at.saturating_sub(self.now);
        self.now = at;
        self.core.tick(at);
        waited
    }
}

#[test]
fn a_client_comes_back_with_its_session_its_place_and_its_rooms() {
    let mut ann = Story::of(Options::user("ann").unwrap().room("r").unwrap());
    assert_eq!(ann.connects("1.a:0:5", false), "/ws?user_id=ann&rooms=r");
    ann.is_given("room", "m", "1.a:0:7");
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    assert_eq!(
        ann.connects("1.a:0:9", true),
        "/ws?user_id=ann&session_id=label&after=1.a:0:7&rooms=r"
    );
    let expected = Connected {
        session: "label".to_owned(),
        resumed: true,
        came_back: true,
        ..Default::default()
    };
    assert_eq!(ann.events(), [Event::Connected(expected)]);
}

#[test]
fn only_what_the_contract_names_moves_the_kept_place() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    for (message, place) in [
        (r#""type":"ack","id":"x","cursor":"1.a:0:90""#, "1.a:0:5"),
        (
            r#""type":"joined","room_id":"r","cursor":"1.a:0:91""#,
            "1.a:0:5",
        ),
        (
            r#""type":"left","room_id":"r","cursor":"1.a:0:92""#,
            "1.a:0:5",
        ),
        (
            r#""type":"broadcast","cursor":"1.a:0:6","data":1"#,
            "1.a:0:6",
        ),
        (
            r#""type":"room","room_id":"r","cursor":"1.a:0:7","data":1"#,
            "1.a:0:7",
        ),
        (r#""type":"user","cursor":"1.a:0:8","data":1"#, "1.a:0:8"),
        (r#""type":"user","cursor":"1.a:0:3","data":1"#, "1.a:0:8"),
        (r#""type":"user","cursor":"0.9:0:99","data":1"#, "1.a:0:8"),
        (r#""type":"room","room_id":"r","data":1"#, "1.a:0:8"),
        (r#""type":"position","cursor":"1.a:0:10""#, "1.a:0:10"),
        (
            r#""type":"gap","dropped":3,"cursor":"1.a:0:12""#,
            "1.a:0:12",
        ),
        (r#""type":"reset","cursor":"2.b:0:1""#, "2.b:0:1"),
        (
            r#""type":"broadcast","cursor":"1.a:0:13","data":1"#,
            "2.b:0:1",
        ),
        (
            r#""type":"broadcast","cursor":"2.b:0:2","data":1"#,
            "2.b:0:2",
        ),
    ] {
        ann.core.heard(ann.now, &format!("{{{message}}}"));
        assert_eq!(ann.core.places.to_string(), place, "{message}");
    }
}

#[test]
fn connected_moves_the_kept_place_only_where_nothing_is_resumed() {
    let mut ann = Story::ann();
    for (cursor, resumed, place) in [
        ("2.b:0:2", false, "2.b:0:2"),
        ("2.b:0:50", true, "2.b:0:2"),
        ("3.c:0:0", false, "3.c:0:0"),
    ] {
        ann.connects(cursor, resumed);
        assert_eq!(ann.core.places.to_string(), place);
        ann.core.lost(ann.now, End::cut("gone"));
        ann.events();
        ann.waits();
    }
}

#[test]
fn a_client_whose_node_could_not_reach_the_log_resumes_from_its_place_once_it_is_back() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    ann.dialed();
    ann.hears(
        json!({"type": "connected", "session_id": "label", "cursor": "1.a:0:9", "degraded": true}),
    );
    ann.events();
    ann.hears(json!({"type": "reset", "reason": "log_lost", "cursor": "1.a:0:9"}));
    assert_eq!(ann.actions(), [Action::HangUp { last: vec![] }]);
    assert!(
        matches!(ann.events()[..], [Event::Disconnected { .. }]),
        "nothing is lost"
    );
    ann.waits();
    assert!(ann.connects("1.a:0:9", true).ends_with("&after=1.a:0:5"));
}

#[test]
fn a_client_that_has_no_place_yet_goes_on_from_where_the_log_comes_back() {
    let mut ann = Story::ann();
    ann.dialed();
    ann.hears(
        json!({"type": "connected", "session_id": "label", "cursor": "1.a:0:9", "degraded": true}),
    );
    ann.events();
    ann.hears(json!({"type": "reset", "reason": "log_lost", "cursor": "2.b:0:1"}));
    assert_eq!((ann.actions(), ann.events()), (vec![], vec![]));
    assert_eq!(ann.core.places.to_string(), "2.b:0:1");
    ann.hears(json!({"type": "reset", "reason": "node_behind", "cursor": "2.b:0:7"}));
    assert!(
        matches!(ann.events()[..], [Event::Reset { .. }]),
        "this one is a loss"
    );
}

#[test]
fn messages_that_come_again_are_told_once() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.is_given("user", "m1", "1.a:0:6");
    ann.is_given("broadcast", "m2", "1.a:0:7");
    ann.core.lost(ann.now, End::cut("gone"));
    ann.waits();
    ann.connects("1.a:0:8", true);
    ann.is_given("user", "m1", "1.a:0:6");
    ann.is_given("broadcast", "m3", "1.a:0:8");
    assert_eq!(ann.told(), ["m1", "m2", "m3"]);
}

#[test]
fn each_close_code_is_followed_as_its_row_says() {
    for code in CloseCode::ALL {
        let mut ann = Story::ann();
        ann.connects("1.a:0:5", false);
        ann.events();
        ann.closes_with(code);
        let events = ann.events();
        match code.come_back() {
            wshub_protocol::codes::ComeBack::No => {
                assert!(
                    matches!(events[..], [Event::Closed(_)]) && ann.core.is_over(),
                    "{code:?}"
                );
                assert_eq!(ann.core.deadline(), None);
            }
            wshub_protocol::codes::ComeBack::AtOnce => {
                assert_eq!(ann.waits(), Duration::ZERO, "{code:?}")
            }
            wshub_protocol::codes::ComeBack::BackingOff(seconds) => {
                let least = Duration::from_secs(seconds.into());
                assert!(
                    (least..least + Duration::from_secs(1)).contains(&ann.waits()),
                    "{code:?}"
                );
            }
            // Without a token there is no other one.
            wshub_protocol::codes::ComeBack::WithFreshToken => {
                assert!(
                    matches!(events[..], [Event::Disconnected { .. }]),
                    "{code:?}"
                );
            }
        }
    }
}

#[test]
fn a_code_that_nobody_knows_backs_off() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.core.lost(
        ann.now,
        End {
            code: Some(4999),
            reason: String::new(),
        },
    );
    ann.events();
    ann.waits();
    ann.dialed();
}

#[test]
fn waits_grow_with_each_failure_and_begin_anew_after_a_success() {
    let mut ann = Story::ann();
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        ann.dialed();
        ann.core.lost(ann.now, End::cut("refused"));
        ann.events();
        longest = longest.max(ann.waits());
    }
    assert!(longest > LAST_CEILING / 2 && longest < LAST_CEILING);
    ann.connects("1.a:0:5", false);
    ann.events();
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    assert!(ann.waits() < Duration::from_secs(1));
}

#[test]
fn a_node_that_drains_before_it_lets_anybody_in_is_not_asked_without_a_pause() {
    let mut ann = Story::ann();
    ann.dialed();
    let mut waited = Duration::ZERO;
    for _ in 0..5 {
        ann.closes_with(CloseCode::Draining);
        ann.events();
        waited += ann.waits();
        ann.dialed();
    }
    assert!(waited > Duration::ZERO);
}

#[test]
fn who_is_sent_away_again_right_after_coming_at_once_backs_off() {
    let mut ann = Story::ann();
    let mut waited = Duration::ZERO;
    for _ in 0..5 {
        ann.connects("1.a:0:5", false);
        ann.closes_with(CloseCode::Draining);
        ann.events();
        waited += ann.waits();
    }
    assert!(waited > Duration::ZERO);
}

#[test]
fn a_client_is_served_until_the_drain_is_over_and_comes_back_at_once() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.hears(json!({"type": "reconnect", "reason": "draining", "delay_ms": 2500}));
    ann.is_given("broadcast", "m", "1.a:0:6");
    assert_eq!(ann.told(), ["m"]);
    assert_eq!(ann.waits(), Duration::from_millis(2500));
    assert_eq!(ann.actions(), [Action::HangUp { last: vec![] }]);
    ann.events();
    assert_eq!(ann.waits(), Duration::ZERO);
    assert!(ann.dialed().contains("after=1.a:0:6"));
}

#[test]
fn a_server_that_says_nothing_is_asked_and_then_given_up() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    ann.events();
    assert_eq!(ann.waits(), SILENCE);
    assert_eq!(ann.said(), [json!({"type": "ping"})]);
    ann.hears(json!({"type": "pong"}));
    assert_eq!(ann.waits(), SILENCE);
    ann.core.alive(ann.now);
    assert_eq!(ann.waits(), SILENCE);
    assert_eq!(ann.waits(), ANSWER_WITHIN);
    assert_eq!(ann.actions(), [Action::HangUp { last: vec![] }]);
    assert!(matches!(ann.events()[..], [Event::Disconnected { .. }]));
}

#[test]
fn silence_counts_only_while_the_application_takes_what_it_is_told() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    assert_eq!(ann.core.deadline(), None);
    ann.now += SILENCE * 3;
    ann.core.tick(ann.now);
    ann.events();
    assert_eq!(ann.core.deadline(), Some(ann.now + SILENCE));
}

#[test]
fn a_dial_that_gets_no_answer_is_given_up() {
    let mut ann = Story::ann();
    ann.dialed();
    assert_eq!(ann.waits(), CONNECT_WITHIN);
    assert_eq!(ann.actions(), [Action::HangUp { last: vec![] }]);
    ann.events();
    ann.waits();
    ann.dialed();
}

#[test]
fn a_client_that_is_not_let_in_is_told_why() {
    let mut ann = Story::ann();
    ann.dialed();
    ann.hears(json!({"type": "error", "code": "user_id_required", "error": "user_id required"}));
    ann.closes_with(CloseCode::NotAuthenticated);
    let [Event::Refused(refused), Event::Closed(end)] = &ann.events()[..] else {
        panic!("told otherwise")
    };
    assert_eq!(
        (refused.code.as_str(), end.code),
        ("user_id_required", Some(4001))
    );
}

#[test]
fn an_expired_token_is_not_used_again() {
    let mut ann = Story::of(Options::token("old").unwrap());
    ann.connects("1.a:0:5", false);
    ann.events();
    ann.closes_with(CloseCode::TokenExpired);
    assert_eq!(ann.events(), [Event::TokenExpired]);
    assert_eq!(ann.core.deadline(), None);
    ann.core.set_token(ann.now, "new".to_owned()).unwrap();
    assert_eq!(
        ann.actions(),
        [Action::Dial {
            path: "/ws?session_id=label&after=1.a:0:5".to_owned(),
            token: Some("new".to_owned()),
        }]
    );
    ann.hears(
        json!({"type": "connected", "session_id": "label", "cursor": "1.a:0:5", "resumed": true}),
    );
    ann.core.set_token(ann.now, "newer".to_owned()).unwrap();
    assert_eq!(ann.said(), [json!({"type": "auth", "token": "newer"})]);
}

#[test]
fn a_publish_goes_out_again_until_it_is_answered_and_rooms_come_first() {
    let mut ann = Story::ann();
    let ticket = ann
        .core
        .publish(ann.now, Draft::broadcast("hi").unwrap().0)
        .unwrap();
    ann.connects("1.a:0:5", false);
    let first = ann.said();
    assert_eq!(first.len(), 1);
    ann.core
        .join(&RoomId::parse("r,s").unwrap(), Wish::default())
        .unwrap();
    ann.core.lost(ann.now, End::cut("gone"));
    ann.events();
    ann.waits();
    ann.connects("1.a:0:5", true);
    let said = ann.said();
    assert_eq!((&said[0]["type"], &said[1]), (&json!("join"), &first[0]));
    ann.hears(json!({"type": "ack", "id": first[0]["id"], "cursor": "1.a:0:6", "duplicate": true}));
    let receipt = Receipt {
        id: first[0]["id"].as_str().unwrap().to_owned(),
        cursor: Some("1.a:0:6".to_owned()),
        duplicate: true,
    };
    assert_eq!(ann.actions(), [Action::Settle(ticket, Ok(receipt))]);
}

#[test]
fn what_is_for_now_or_never_needs_a_connection() {
    let mut ann = Story::ann();
    let typing = || Draft::room("r", "typing").unwrap().ephemeral().0;
    assert_eq!(
        ann.core.publish(ann.now, typing()),
        Err(Unpublished::NotConnected)
    );
    ann.connects("1.a:0:5", false);
    let ticket = ann.core.publish(ann.now, typing()).unwrap();
    assert_eq!(ann.said().len(), 1);
    ann.core.lost(ann.now, End::cut("gone"));
    assert_eq!(
        ann.actions(),
        [Action::Settle(ticket, Err(Unpublished::Unknown))]
    );
}

#[test]
fn receipts_are_said_on_a_connection_that_was_given_the_message() {
    let mut ann = Story::of(Options::user("ann").unwrap().acknowledging());
    assert!(ann.connects("1.a:0:5", false).contains("&ack=1"));
    ann.is_given("user", "m1", "1.a:0:6");
    ann.core.lost(ann.now, End::cut("gone"));
    ann.core.acknowledge(Cursor::parse("1.a:0:6").unwrap());
    ann.events();
    ann.waits();
    ann.connects("1.a:0:7", true);
    assert_eq!(ann.said(), Vec::<Value>::new());
    ann.is_given("user", "m1", "1.a:0:6");
    assert_eq!(ann.said(), [json!({"type": "ack", "cursor": "1.a:0:6"})]);
    assert_eq!(ann.told(), Vec::<String>::new());
}

#[test]
fn receipts_go_out_before_a_client_leaves() {
    let mut ann = Story::of(Options::user("ann").unwrap().acknowledging());
    ann.connects("1.a:0:5", false);
    ann.is_given("user", "m1", "1.a:0:6");
    ann.core.acknowledge(Cursor::parse("1.a:0:6").unwrap());
    ann.core.close();
    let last = vec![r#"{"type":"ack","cursor":"1.a:0:6"}"#.to_owned()];
    assert_eq!(ann.actions(), [Action::HangUp { last }]);
}

#[test]
fn a_path_stays_below_what_a_server_reads() {
    let mut options = Options::user(&"ü".repeat(64)).unwrap();
    for number in 0..500 {
        options = options
            .room(&format!("{number}-{}", "ü".repeat(20)))
            .unwrap();
    }
    let mut ann = Story::of(options);
    let path = ann.connects("1.a:0:5", false);
    assert!(
        path.len() <= PATH_BYTES && path.len() > PATH_BYTES - 200,
        "{}",
        path.len()
    );
    let by_message = ann.said().len();
    assert_eq!(by_message + path.matches("%C3%BC,").count() + 1, 500);
}

#[test]
fn a_closed_client_answers_all_that_waits_and_does_nothing_more() {
    let mut ann = Story::ann();
    ann.connects("1.a:0:5", false);
    let ticket = ann
        .core
        .publish(ann.now, Draft::broadcast("hi").unwrap().0)
        .unwrap();
    ann.events();
    ann.core.close();
    ann.core.close();
    assert_eq!(
        ann.actions(),
        [
            Action::HangUp { last: vec![] },
            Action::Settle(ticket, Err(Unpublished::NotSent))
        ]
    );
    assert!(matches!(ann.events()[..], [Event::Closed(_)]));
    assert_eq!(
        ann.core.publish(ann.now, Draft::broadcast("hi").unwrap().0),
        Err(Unpublished::NotSent)
    );
    ann.is_given("broadcast", "m", "1.a:0:6");
    assert_eq!((ann.events(), ann.core.deadline()), (vec![], None));
}
