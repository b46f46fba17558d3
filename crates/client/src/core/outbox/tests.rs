//! What becomes of publishes between being handed in and being answered.

use crate::limits::{MESSAGE_BYTES, REPEAT_WINDOW};
use crate::say::Draft;

use super::*;

const START: Now = Duration::ZERO;

fn outbox() -> Outbox {
    Outbox::new(0xa, MESSAGE_BYTES)
}

fn publish(data: &str) -> Publish {
    Draft::broadcast(data).unwrap().0
}

fn all_texts(outbox: &mut Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.next_text()).collect()
}

fn receipt(id: &str) -> Receipt {
    Receipt {
        id: id.to_owned(),
        cursor: Some("1.a:0:1".to_owned()),
        duplicate: false,
    }
}

fn no(code: &str) -> Refused {
    Refused {
        code: code.to_owned(),
        sentence: "no".to_owned(),
        room: None,
    }
}

#[test]
fn what_has_no_answer_is_sent_again_on_the_next_connection_with_the_same_ids() {
    let mut outbox = outbox();
    for data in ["1", "2", "3"] {
        outbox.take(START, publish(data)).unwrap();
    }
    let first = all_texts(&mut outbox);
    assert_eq!(first.len(), 3);
    assert_eq!(outbox.acked(receipt("000000000000000a-1")).unwrap().0, 1);
    outbox.begin();
    assert_eq!(all_texts(&mut outbox), [first[0].clone(), first[2].clone()]);
}

#[test]
fn an_answer_settles_one_publish_and_only_one_that_was_sent() {
    let mut outbox = outbox();
    let named = || Draft::from(publish("1")).with_id("m").unwrap().0;
    let (one, two) = (
        outbox.take(START, named()).unwrap(),
        outbox.take(START, named()).unwrap(),
    );
    assert_eq!(outbox.acked(receipt("m")), None);
    all_texts(&mut outbox);
    assert_eq!(outbox.acked(receipt("m")), Some((one, Ok(receipt("m")))));
    assert_eq!(outbox.acked(receipt("m")), Some((two, Ok(receipt("m")))));
    assert_eq!(outbox.acked(receipt("m")), None);
    assert_eq!(outbox.bytes, 0);
}

#[test]
fn a_full_server_is_asked_again_later_and_a_plain_no_is_final() {
    let mut outbox = outbox();
    let ticket = outbox.take(START, publish("1")).unwrap();
    all_texts(&mut outbox);
    let id = "000000000000000a-0";
    assert_eq!(outbox.refused(START, id, no("overloaded"), None), None);
    assert_eq!(outbox.deadline(), Some(RETRY_AFTER));
    assert_eq!(outbox.tick(RETRY_AFTER), []);
    assert_eq!(all_texts(&mut outbox).len(), 1);
    let asked = Duration::from_secs(7);
    assert_eq!(
        outbox.refused(START, id, no("rate_limited"), Some(asked)),
        None
    );
    assert_eq!(outbox.deadline(), Some(asked));
    outbox.tick(asked);
    all_texts(&mut outbox);
    let settled = outbox.refused(asked, id, no("id_reused"), None);
    assert_eq!(
        settled,
        Some((ticket, Err(Unpublished::Refused(no("id_reused")))))
    );
}

#[test]
fn nothing_is_sent_again_that_could_arrive_once_the_server_has_forgotten_its_id() {
    let mut outbox = outbox();
    let ticket = outbox.take(START, publish("1")).unwrap();
    all_texts(&mut outbox);
    let last = outbox.deadline().unwrap();
    assert!(last < REPEAT_WINDOW, "the last repeat takes its time");
    outbox.begin();
    all_texts(&mut outbox);
    assert_eq!(outbox.tick(last), [(ticket, Err(Unpublished::Unknown))]);
    outbox.begin();
    assert_eq!(outbox.next_text(), None);
}

#[test]
fn what_finds_no_connection_for_as_long_is_given_up_and_never_sent() {
    let mut outbox = outbox();
    let ticket = outbox.take(START, publish("1")).unwrap();
    let last = outbox.deadline().expect("it doesn't wait without an end");
    assert_eq!(outbox.tick(last), [(ticket, Err(Unpublished::NotSent))]);
    outbox.begin();
    assert_eq!(outbox.next_text(), None);
}

#[test]
fn ephemeral_messages_are_sent_once_or_not_at_all() {
    let mut outbox = outbox();
    let passing = || Draft::from(publish("1")).ephemeral().0;
    let sent = outbox.take(START, passing()).unwrap();
    all_texts(&mut outbox);
    let waits = outbox.take(START, passing()).unwrap();
    assert_eq!(
        outbox.cut(),
        [
            (sent, Err(Unpublished::Unknown)),
            (waits, Err(Unpublished::NotConnected))
        ]
    );
    let sent = outbox.take(START, passing()).unwrap();
    all_texts(&mut outbox);
    let settled = outbox.refused(START, "000000000000000a-2", no("overloaded"), None);
    assert_eq!(
        settled,
        Some((sent, Err(Unpublished::Refused(no("overloaded")))))
    );
}

#[test]
fn a_connection_that_ended_over_a_message_too_big_takes_the_largest_along() {
    let mut outbox = outbox();
    outbox.take(START, publish("small")).unwrap();
    let large = outbox.take(START, publish(&"x".repeat(1000))).unwrap();
    all_texts(&mut outbox);
    outbox.take(START, publish(&"x".repeat(2000))).unwrap();
    let (ticket, why) = outbox.refuse_largest().unwrap();
    assert_eq!(ticket, large);
    assert!(matches!(why, Err(Unpublished::TooLarge(bytes)) if bytes > 1000));
}

#[test]
fn the_outbox_is_bounded_by_messages_by_bytes_and_by_the_size_of_each() {
    let mut many = outbox();
    for _ in 0..OUTBOX_MESSAGES {
        many.take(START, publish("1")).unwrap();
    }
    assert_eq!(many.take(START, publish("1")), Err(Unpublished::Full));
    let mut heavy = outbox();
    let large = "x".repeat(MESSAGE_BYTES - 100);
    let taken = (0..)
        .take_while(|_| heavy.take(START, publish(&large)).is_ok())
        .count();
    assert_eq!(taken, OUTBOX_BYTES / large.len());
    assert_eq!(heavy.take(START, publish(&large)), Err(Unpublished::Full));
    let bytes = MESSAGE_BYTES + 1;
    assert!(matches!(
        outbox().take(START, publish(&"x".repeat(bytes))),
        Err(Unpublished::TooLarge(size)) if size > bytes
    ));
}

#[test]
fn at_the_end_what_was_sent_is_told_from_what_was_not() {
    let mut outbox = outbox();
    let sent = outbox.take(START, publish("1")).unwrap();
    all_texts(&mut outbox);
    let waits = outbox.take(START, publish("2")).unwrap();
    assert_eq!(
        outbox.end(),
        [
            (sent, Err(Unpublished::Unknown)),
            (waits, Err(Unpublished::NotSent))
        ]
    );
}
