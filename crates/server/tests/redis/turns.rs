//! What a turn does to a real Redis: the script that carries all promises of the queue, of ids and of order.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use redis::{Commands, Connection, RedisResult, Value};
use wshub_engine::redis::lane::Look;
use wshub_engine::redis::looking::Looked;
use wshub_engine::redis::turn::{Call, Terms};
use wshub_engine::redis::turns::Heard;
use wshub_engine::redis::{BEGIN, Keys, Lane, Reply, TURN, Turns, entry, node_name};
use wshub_hub::queues::QueueLimits;
use wshub_hub::resume::Wanted;
use wshub_hub::tail::Change;
use wshub_hub::{Now, Outcome, Publication, Token};
use wshub_protocol::client_message::parse_publish;
use wshub_protocol::{Epoch, ErrorCode, RoomId, SessionId, UserId};

use crate::world::RedisServer;

/// A node by its turns alone, and its Redis.
struct Speaker {
    redis: Connection,
    lane: Mutex<Lane>,
    turns: Turns,
    epoch: Epoch,
    now: Now,
}

/// A Redis with a log in it.
struct Book {
    server: RedisServer,
    epoch: Epoch,
}

impl Book {
    fn open() -> Self {
        let server = RedisServer::start(&[]);
        let epoch = begin(&mut connection(&server), "");
        Self { server, epoch }
    }

    fn node(&self, number: u64) -> Speaker {
        let mut redis = connection(&self.server);
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut redis).unwrap();
        let mut lane = Lane::new(number);
        lane.set_there(true);
        let terms = Terms {
            keys: Keys::new("websocket:"),
            queues: QueueLimits {
                messages: 3,
                ttl_ms: 60_000,
                user_bytes: 2_000,
                total_bytes: 1 << 20,
            },
            id_ms: 60_000,
            id_bytes: 1 << 20,
            message_bytes: 1 << 20,
        };
        let now = Now {
            elapsed_ms: 1_000_000,
            unix_ms: 1_700_000_000_000,
        };
        let mut turns = Turns::new(terms, number);
        turns.set_clock(now, seconds * 1000 + micros / 1000);
        Speaker {
            redis,
            lane: Mutex::new(lane),
            turns,
            epoch: self.epoch,
            now,
        }
    }
}

fn connection(server: &RedisServer) -> Connection {
    let url = format!("redis://{}", server.address());
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

fn begin(redis: &mut Connection, over: &str) -> Epoch {
    let mut begin = redis::cmd("EVAL");
    begin
        .arg(BEGIN)
        .arg(2)
        .arg("websocket:log")
        .arg("websocket:meta");
    let epoch: String = begin.arg(over).arg("beef").query(redis).unwrap();
    entry::read_epoch(&epoch).unwrap()
}

fn publication(from: &str, json: &str) -> Publication {
    Publication {
        publish: parse_publish(json.as_bytes()).unwrap(),
        from: from.to_owned(),
        except: None,
    }
}

fn reply_of(value: Value) -> Reply {
    match value {
        Value::Int(number) => Reply::Number(number),
        Value::BulkString(bytes) => Reply::Text(bytes),
        Value::Array(list) => Reply::List(list.into_iter().map(reply_of).collect()),
        _ => Reply::Nothing,
    }
}

fn send(redis: &mut Connection, call: &Call) -> RedisResult<Reply> {
    let mut command = redis::cmd("EVAL");
    command.arg(TURN).arg(call.keys.len());
    call.keys
        .iter()
        .chain(&call.args)
        .for_each(|arg| _ = command.arg(&arg[..]));
    command.query(redis).map(reply_of)
}

impl Speaker {
    fn asks(&self, messages: &[&str]) -> Receiver<Vec<Outcome>> {
        let (tell, told) = channel();
        let batch = messages.iter().map(|json| publication("", json)).collect();
        let tell = Box::new(move |outcomes| tell.send(outcomes).unwrap());
        self.lane.lock().unwrap().publish(self.now, batch, tell);
        told
    }

    /// How many bytes Redis may take; 0 is as many as it likes.
    fn limits_memory(&mut self, bytes: u64) {
        let mut limit = redis::cmd("CONFIG");
        limit.arg("SET").arg("maxmemory").arg(bytes);
        let () = limit.query(&mut self.redis).unwrap();
    }

    /// Takes one turn.
    fn turn(&mut self) -> Vec<Heard> {
        let call = self
            .turns
            .next(self.epoch, 0, &self.lane)
            .expect("something to say")
            .clone();
        let reply = send(&mut self.redis, &call).unwrap();
        self.turns.answered(self.now, &reply, &self.lane)
    }

    fn publishes(&mut self, messages: &[&str]) -> Vec<Outcome> {
        let told = self.asks(messages);
        self.turn();
        told.try_recv().expect("the outcomes of the turn")
    }

    fn looks(&mut self, user: &str) -> Looked {
        self.lane.lock().unwrap().look(look(user));
        match self.turn().pop() {
            Some(Heard::Looked(_, looked, _)) => *looked,
            other => panic!("no look: {other:?}"),
        }
    }

    fn log(&mut self) -> usize {
        // The first entry only opens it.
        let mut length = redis::cmd("XLEN");
        let entries: usize = length.arg("websocket:log").query(&mut self.redis).unwrap();
        entries - 1
    }
}

fn look(user: &str) -> Look {
    Look {
        shard: 0,
        token: Token::from_number(1),
        wanted: wanted(user),
        resumes: false,
        missed: 0,
        asked_ms: 0,
    }
}

fn wanted(user: &str) -> Wanted {
    Wanted {
        user: UserId::parse(user).unwrap(),
        session: SessionId([1; 16]),
        handed: None,
        after: None,
        acks: false,
        deflates: false,
        again: None,
        rooms: Vec::new(),
    }
}

fn texts(looked: &Looked) -> Vec<String> {
    let waiting = looked.found.waiting.iter();
    let texts = waiting.map(|message| String::from_utf8(message.frame.json().to_vec()).unwrap());
    texts
        .map(|text| {
            text.split("\"data\":")
                .nth(1)
                .unwrap()
                .trim_end_matches('}')
                .to_owned()
        })
        .collect()
}

fn places(looked: &Looked) -> Vec<u64> {
    looked
        .found
        .waiting
        .iter()
        .map(|message| message.place())
        .collect()
}

fn code(outcome: &Outcome) -> ErrorCode {
    outcome.as_ref().unwrap_err().code
}

#[test]
fn messages_of_a_turn_stand_in_the_log_in_their_order_and_each_counts_one_more() {
    let book = Book::open();
    let mut node = book.node(1);
    let outcomes = node.publishes(&[
        r#"{"type":"broadcast","data":1}"#,
        r#"{"type":"room","room_id":"r","data":2}"#,
        r#"{"type":"user","target_ids":["ann","bob"],"data":3}"#,
    ]);
    let places: Vec<_> = outcomes
        .iter()
        .map(|one| one.as_ref().unwrap().cursor.unwrap().offset.to_string())
        .collect();
    assert_eq!(places, ["1-2", "1-3", "1-4"]);
    assert_eq!(texts(&node.looks("ann")), ["3"]);
    assert_eq!(texts(&node.looks("bob")), ["3"]);
    assert!(texts(&node.looks("cid")).is_empty());
}

#[test]
fn a_turn_whose_answer_was_lost_is_done_once_and_answers_the_same() {
    let book = Book::open();
    let mut node = book.node(1);
    let told = node.asks(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    let call = node.turns.next(node.epoch, 0, &node.lane).unwrap().clone();
    let first = send(&mut node.redis, &call).unwrap();
    let again = node.turns.next(node.epoch, 0, &node.lane).unwrap().clone();
    let second = send(&mut node.redis, &again).unwrap();
    assert_eq!(first.list()[3], second.list()[3]);
    assert_eq!(
        first.list()[4],
        second.list()[4],
        "what was pushed is counted once"
    );
    node.turns.answered(node.now, &second, &node.lane);
    assert!(!told.recv().unwrap()[0].as_ref().unwrap().duplicate);
    assert_eq!(node.log(), 1);
    assert_eq!(texts(&node.looks("ann")), ["1"]);
}

#[test]
fn a_turn_of_an_old_connection_that_runs_late_does_nothing() {
    let book = Book::open();
    let mut node = book.node(1);
    let _told = node.asks(&[r#"{"type":"broadcast","data":1}"#]);
    let late = node.turns.next(node.epoch, 0, &node.lane).unwrap().clone();
    node.turn();
    node.publishes(&[r#"{"type":"broadcast","data":2}"#]);
    let reply = send(&mut node.redis, &late).unwrap();
    assert_eq!(reply.list()[0].text(), "stale");
    assert_eq!(node.log(), 2);
}

#[test]
fn a_repeat_under_an_id_has_no_effect_on_any_node_and_other_content_is_refused() {
    let book = Book::open();
    let (mut one, mut other) = (book.node(1), book.node(2));
    let said = r#"{"type":"user","target_ids":["ann"],"id":"x","data":1}"#;
    let first = one.publishes(&[said]).pop().unwrap().unwrap();
    let repeat = other.publishes(&[said]).pop().unwrap().unwrap();
    assert_eq!((repeat.cursor, repeat.duplicate), (first.cursor, true));
    let changed = said.replace("\"data\":1", "\"data\":2");
    assert_eq!(code(&other.publishes(&[&changed])[0]), ErrorCode::IdReused);
    assert_eq!(texts(&other.looks("ann")), ["1"]);
    assert_eq!(one.log(), 1);
}

#[test]
fn what_comes_to_redis_behind_its_deadline_is_surely_not_published() {
    let book = Book::open();
    let mut node = book.node(1);
    let redis_ms = node.turns.redis_ms(node.now);
    // By this clock two seconds have passed since the publisher began to wait.
    let told = node.asks(&[r#"{"type":"broadcast","data":1}"#]);
    node.turns.set_clock(node.now, redis_ms - 2_000);
    node.turn();
    assert_eq!(code(&told.recv().unwrap()[0]), ErrorCode::Unavailable);
    assert_eq!(node.log(), 0);
}

#[test]
fn a_queue_keeps_the_newest_and_tells_once_how_many_were_pushed_out() {
    let book = Book::open();
    let mut node = book.node(1);
    for number in 0..5 {
        node.publishes(&[&format!(
            r#"{{"type":"user","target_ids":["ann"],"data":{number}}}"#
        )]);
    }
    let looked = node.looks("ann");
    assert_eq!(
        (texts(&looked), looked.found.missed),
        (vec!["2".into(), "3".into(), "4".into()], 2)
    );
    assert_eq!(node.looks("ann").found.missed, 0);
    let long = "x".repeat(1_800);
    node.publishes(&[&format!(
        r#"{{"type":"user","target_ids":["ann"],"data":"{long}"}}"#
    )]);
    let looked = node.looks("ann");
    assert!(
        looked.found.waiting.len() < 3,
        "the bytes of one user are bounded"
    );
    assert_eq!(looked.found.missed as usize, 4 - looked.found.waiting.len());
    let fates = node.turns.counts().fates;
    assert_eq!(fates.pushed, 6);
    assert_eq!(fates.pushed_out as usize, 6 - looked.found.waiting.len());
}

#[test]
fn receipts_take_out_what_they_name_and_nothing_else_however_often_they_come() {
    let book = Book::open();
    let (mut one, mut other) = (book.node(1), book.node(2));
    let said: Vec<_> = (1..=3)
        .map(|n| format!(r#"{{"type":"user","target_ids":["ann"],"data":{n}}}"#))
        .collect();
    one.publishes(&said.iter().map(String::as_str).collect::<Vec<_>>());
    let places = places(&other.looks("ann"));
    for node in [&mut other, &mut one] {
        node.lane.lock().unwrap().received_by("ann", &places[1..2]);
        node.turn();
    }
    assert_eq!(texts(&one.looks("ann")), ["1", "3"]);
    assert_eq!(other.turns.counts().fates.received, 1);
    assert_eq!(one.turns.counts().fates.received, 0);
    one.lane
        .lock()
        .unwrap()
        .received_by("ann", &[places[0], places[2]]);
    one.turn();
    assert_eq!(one.looks("ann").found.waiting.len(), 0);
    assert!(!one.redis.exists::<_, bool>("websocket:queue:ann").unwrap());
}

#[test]
fn what_another_program_pushed_is_found_and_goes_with_the_next_receipt() {
    let book = Book::open();
    let mut node = book.node(1);
    let plain = r#"{"type":"user","target_ids":["ann"],"data":{"by":"hand"}}"#;
    let _: () = node.redis.rpush("websocket:queue:ann", plain).unwrap();
    let _: () = node
        .redis
        .rpush("websocket:queue:ann", "garbage {")
        .unwrap();
    node.publishes(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    let looked = node.looks("ann");
    assert_eq!(texts(&looked), [r#"{"by":"hand""#, "1"]);
    assert_eq!(looked.unreadable, 1);
    let json = |at: usize| -> serde_json::Value {
        serde_json::from_slice(looked.found.waiting[at].frame.json()).unwrap()
    };
    assert!(
        json(0)["timestamp"].as_u64() > Some(1_700_000_000),
        "it has the time of the look"
    );
    let again = node.looks("ann");
    let id = |looked: &Looked| looked.found.waiting[0].frame.json()[..60].to_vec();
    assert_eq!(id(&again), id(&looked), "it is known again by its id");
    assert_eq!(json(0)["id"].as_str().map(str::len), Some(36));
    let last = places(&looked)[1];
    node.lane.lock().unwrap().received_by("ann", &[last]);
    node.turn();
    assert!(!node.redis.exists::<_, bool>("websocket:queue:ann").unwrap());
}

#[test]
fn a_key_of_another_type_refuses_its_message_and_no_other() {
    let book = Book::open();
    let mut node = book.node(1);
    let _: () = node.redis.set("websocket:queue:ann", "in the way").unwrap();
    let outcomes = node.publishes(&[
        r#"{"type":"user","target_ids":["bob","ann"],"data":1}"#,
        r#"{"type":"user","target_ids":["bob"],"data":2}"#,
    ]);
    assert_eq!(code(&outcomes[0]), ErrorCode::Internal);
    assert!(outcomes[1].is_ok());
    assert_eq!(
        texts(&node.looks("bob")),
        ["2"],
        "nothing of the refused one was done"
    );
    assert_eq!(node.looks("ann").found.waiting.len(), 0);
}

#[test]
fn a_redis_without_memory_refuses_messages_and_still_takes_receipts() {
    let book = Book::open();
    let mut node = book.node(1);
    node.publishes(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    let waiting = places(&node.looks("ann"));
    node.limits_memory(1);
    let outcomes = node.publishes(&[r#"{"type":"broadcast","data":2}"#]);
    assert_eq!(code(&outcomes[0]), ErrorCode::Unavailable);
    assert_eq!(texts(&node.looks("ann")), ["1"]);
    node.lane.lock().unwrap().received_by("ann", &waiting);
    node.turn();
    assert_eq!(node.looks("ann").found.waiting.len(), 0);
    assert_eq!(node.log(), 1);
    node.limits_memory(0);
    assert!(node.publishes(&[r#"{"type":"broadcast","data":3}"#])[0].is_ok());
}

#[test]
fn a_turn_of_another_life_of_the_log_is_refused_with_that_life() {
    let book = Book::open();
    let mut node = book.node(1);
    let () = redis::cmd("FLUSHALL").query(&mut node.redis).unwrap();
    let told = node.asks(&[r#"{"type":"broadcast","data":1}"#]);
    let heard = node.turn();
    assert!(matches!(heard[..], [Heard::OtherLife(None)]), "{heard:?}");
    assert_eq!(code(&told.recv().unwrap()[0]), ErrorCode::Unavailable);
    let next = begin(&mut node.redis, &node.epoch.to_string());
    assert_eq!(next.ordinal, node.epoch.ordinal + 1);
    assert_eq!(
        begin(&mut node.redis, &node.epoch.to_string()),
        next,
        "whoever is second takes that of the first"
    );
    node.epoch = next;
    let outcome = node
        .publishes(&[r#"{"type":"broadcast","data":2}"#])
        .pop()
        .unwrap();
    assert_eq!(outcome.unwrap().cursor.unwrap().offset.to_string(), "2-2");
}

#[test]
fn a_session_that_resumes_has_received_what_stands_before_its_place_unless_it_was_told_to_go_on() {
    let book = Book::open();
    let mut node = book.node(1);
    node.publishes(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    let seen = places(&node.looks("ann"))[0];
    let mut resuming = wanted("ann");
    resuming.handed = Some(SessionId([1; 16]));
    // It was told to go on from behind what waits, so that place proves nothing.
    let mut looked = node.looks("ann");
    assert!(looked.take_received(&resuming, seen).is_empty());
    resuming.handed = Some(SessionId([9; 16]));
    assert_eq!(looked.take_received(&resuming, seen), [seen]);
    assert!(looked.found.waiting.is_empty());
}

#[test]
fn ids_beyond_their_bound_are_refused_and_none_is_forgotten_early() {
    let book = Book::open();
    let mut node = book.node(1);
    let first = r#"{"type":"broadcast","id":"a","data":1}"#;
    node.publishes(&[first]);
    let _: () = node.redis.hset("websocket:meta", "ids_full", "1").unwrap();
    let outcomes = node.publishes(&[
        r#"{"type":"broadcast","id":"b","data":1}"#,
        first,
        r#"{"type":"broadcast","data":1}"#,
    ]);
    assert_eq!(code(&outcomes[0]), ErrorCode::Overloaded);
    assert!(outcomes[1].as_ref().unwrap().duplicate);
    assert!(outcomes[2].is_ok());
}

#[test]
fn one_that_waits_too_long_is_told_that_nobody_knows_once() {
    let book = Book::open();
    let mut node = book.node(1);
    let told = node.asks(&[r#"{"type":"broadcast","data":1}"#]);
    let call = node.turns.next(node.epoch, 0, &node.lane).unwrap().clone();
    node.turns.give_up(node.now);
    assert!(told.try_recv().is_err());
    node.now.elapsed_ms += 2_000;
    node.turns.give_up(node.now);
    assert_eq!(
        code(&told.try_recv().unwrap()[0]),
        ErrorCode::OutcomeUnknown
    );
    let reply = send(&mut node.redis, &call).unwrap();
    node.turns.answered(node.now, &reply, &node.lane);
    assert!(told.try_recv().is_err());
}

#[test]
fn who_comes_and_goes_within_a_turn_is_a_member_by_the_last_word() {
    let book = Book::open();
    let mut node = book.node(1);
    let change = |user: &str, is_in| Change {
        room: RoomId::parse("r").unwrap(),
        user: UserId::parse(user).unwrap(),
        is_in,
    };
    for (user, words) in [("ann", [true, false, true]), ("bob", [true, true, false])] {
        let mut lane = node.lane.lock().unwrap();
        words
            .into_iter()
            .for_each(|is_in| lane.change(change(user, is_in)));
    }
    node.turn();
    let members = Keys::new("websocket:").members(&node_name(1));
    let members: Vec<String> = node.redis.smembers(members).unwrap();
    assert_eq!(members, ["r\nann"]);
}

#[test]
fn an_account_of_another_type_holds_up_no_turn() {
    let book = Book::open();
    let mut node = book.node(1);
    node.publishes(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    let waiting = places(&node.looks("ann"));
    let _: () = node
        .redis
        .set("websocket:account:ann", "in the way")
        .unwrap();
    node.lane.lock().unwrap().received_by("ann", &waiting);
    assert!(node.publishes(&[r#"{"type":"broadcast","data":2}"#])[0].is_ok());
    assert!(node.publishes(&[r#"{"type":"broadcast","data":3}"#])[0].is_ok());
    assert!(!node.redis.exists::<_, bool>("websocket:queue:ann").unwrap());
}

#[test]
fn a_look_is_answered_before_the_news_that_redis_takes_nothing() {
    let book = Book::open();
    let mut node = book.node(1);
    node.limits_memory(1);
    let _told = node.asks(&[r#"{"type":"broadcast","data":1}"#]);
    node.lane.lock().unwrap().look(look("ann"));
    let heard = node.turn();
    assert!(
        matches!(heard[..], [Heard::Looked(..), Heard::Refused(_)]),
        "{heard:?}"
    );
}

#[test]
fn a_receipt_finds_its_message_far_behind_the_head() {
    let book = Book::open();
    let (mut one, mut other) = (book.node(1), book.node(2));
    one.publishes(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    let waiting = places(&other.looks("ann"));
    let plain = r#"{"type":"user","target_ids":["ann"],"data":2}"#;
    for _ in 0..40 {
        let _: () = one.redis.lpush("websocket:queue:ann", plain).unwrap();
    }
    one.lane.lock().unwrap().received_by("ann", &waiting);
    one.turn();
    assert_eq!(
        one.redis.llen::<_, usize>("websocket:queue:ann").unwrap(),
        40
    );
}

#[test]
fn a_redis_without_memory_remembers_who_was_told_to_go_on() {
    let book = Book::open();
    let mut node = book.node(1);
    node.publishes(&[r#"{"type":"user","target_ids":["ann"],"data":1}"#]);
    node.limits_memory(1);
    let seen = places(&node.looks("ann"))[0];
    let mut resuming = wanted("ann");
    resuming.handed = Some(resuming.session);
    let received = node.looks("ann").take_received(&resuming, seen);
    assert!(received.is_empty(), "that place proves nothing");
}

#[test]
fn what_was_missed_is_told_though_the_answer_to_the_look_was_lost() {
    let book = Book::open();
    let mut node = book.node(1);
    let said = [r#"{"type":"user","target_ids":["ann"],"data":1}"#; 5];
    node.publishes(&said);
    node.lane.lock().unwrap().look(look("ann"));
    let call = node.turns.next(node.epoch, 0, &node.lane).unwrap().clone();
    send(&mut node.redis, &call).unwrap();
    let Some(Heard::Looked(_, looked, _)) = node.turn().pop() else {
        panic!("no look");
    };
    assert_eq!(looked.found.missed, 2);
}
