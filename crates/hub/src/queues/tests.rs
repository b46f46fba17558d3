//! What queues keep, give back and count.

use wshub_protocol::Offset;
use wshub_protocol::client_message::Target;

use super::*;
use crate::message::Frame;

const LIMITS: QueueLimits = QueueLimits {
    messages: 3,
    ttl_ms: 1000,
    user_bytes: 1 << 20,
    total_bytes: 1 << 20,
};

fn user(id: &str) -> UserId {
    UserId::parse(id).expect("an id")
}

fn message(place: u64, text: &str) -> Arc<Message> {
    Arc::new(Message {
        target: Target::Users([user("ann")].into()),
        offset: Some(Offset::counter(place)),
        except: None,
        heard_at_ms: None,
        reach: None,
        frame: Frame::text(text.as_bytes()),
    })
}

fn come(queues: &mut Queues, now_ms: u64, who: &str) -> Found {
    queues.find_for(now_ms, &wanted(who, None), None, 99)
}

fn wanted(who: &str, handed: Option<SessionId>) -> Wanted {
    Wanted {
        user: user(who),
        session: SessionId([1; 16]),
        handed,
        after: None,
        acks: false,
        deflates: false,
        again: None,
        rooms: Vec::new(),
    }
}

fn places(found: &Found) -> Vec<u64> {
    found.waiting.iter().map(|one| one.place()).collect()
}

fn adds_up(queues: &Queues) {
    let fates = queues.fates();
    let gone = fates.received + fates.expired + fates.pushed_out + fates.total_full;
    assert_eq!(fates.pushed, gone + queues.depth().0, "{fates:?}");
}

#[test]
fn a_receipt_takes_out_what_it_names_and_nothing_else() {
    let mut queues = Queues::new(LIMITS, 7);
    (1..=3).for_each(|place| queues.push(0, &user("ann"), &message(place, "x")));
    queues.receipt("ann", &[2, 9]);
    queues.receipt("bob", &[1]);
    assert_eq!(places(&come(&mut queues, 0, "ann")), [1, 3]);
    queues.receipt("ann", &[1, 3, 3]);
    assert_eq!(queues.depth(), (0, 0));
    assert_eq!(queues.fates().received, 3);
    adds_up(&queues);
}

#[test]
fn a_session_that_resumes_has_no_receipt_for_what_it_sent_to_others() {
    let (mut queues, own) = (Queues::new(LIMITS, 7), SessionId([1; 16]));
    let mut to_others = message(2, "to my phone");
    Arc::get_mut(&mut to_others).expect("the only one").except = Some(own);
    for message in [message(1, "x"), to_others, message(3, "x")] {
        queues.push(0, &user("ann"), &message);
    }
    queues.find_for(0, &wanted("ann", Some(own)), Some(3), 3);
    assert_eq!(places(&come(&mut queues, 0, "ann")), [2]);
    adds_up(&queues);
}

#[test]
fn the_oldest_go_and_are_told_once() {
    let mut queues = Queues::new(LIMITS, 7);
    (1..=5).for_each(|place| queues.push(0, &user("ann"), &message(place, "x")));
    let found = come(&mut queues, 0, "ann");
    assert_eq!((places(&found), found.missed), (vec![3, 4, 5], 2));
    assert_eq!(come(&mut queues, 0, "ann").missed, 0);
    adds_up(&queues);
}

#[test]
fn each_message_expires_by_itself_and_the_count_outlives_it_by_a_day() {
    let mut queues = Queues::new(LIMITS, 7);
    queues.push(0, &user("ann"), &message(1, "x"));
    queues.push(600, &user("ann"), &message(2, "x"));
    queues.sweep(1000, 10);
    assert_eq!(queues.depth().0, 1);
    queues.sweep(1600, 10);
    assert_eq!((queues.depth().0, queues.fates().expired), (0, 2));
    queues.sweep(MISSED_MS, 10);
    let mut told = Queues::new(LIMITS, 7);
    std::mem::swap(&mut told, &mut queues);
    assert_eq!(come(&mut told, MISSED_MS, "ann").missed, 2);
    assert_eq!(told.depth(), (0, 0));

    queues.push(0, &user("ann"), &message(1, "x"));
    queues.sweep(1000, 10);
    queues.sweep(1000 + MISSED_MS, 10);
    assert_eq!(queues.depth(), (0, 0), "a count nobody asked for is kept");
}

#[test]
fn a_session_that_saw_a_later_place_has_received_what_stands_before() {
    let (mut queues, session) = (Queues::new(LIMITS, 7), SessionId([1; 16]));
    (1..=2).for_each(|place| queues.push(0, &user("ann"), &message(place, "x")));
    let mut resume =
        |handed, place| places(&queues.find_for(0, &wanted("ann", handed), Some(place), 99));
    assert_eq!(
        resume(None, 1),
        [1, 2],
        "a label that isn't ann's proves nothing"
    );
    assert_eq!(resume(Some(session), 1), [2]);
}

#[test]
fn a_place_that_a_session_was_told_to_go_on_from_proves_nothing() {
    let (mut queues, session) = (Queues::new(LIMITS, 7), SessionId([1; 16]));
    (1..=2).for_each(|place| queues.push(0, &user("ann"), &message(place, "x")));
    queues.find_for(0, &wanted("ann", None), None, 9);
    let mut resume =
        |place| places(&queues.find_for(0, &wanted("ann", Some(session)), Some(place), 99));
    assert_eq!(
        resume(9),
        [1, 2],
        "the link may have broken behind `connected`"
    );
    assert_eq!(resume(10), [0; 0]);
}

#[test]
fn a_large_message_pushes_out_as_many_as_it_takes_and_waits_even_alone() {
    let limits = QueueLimits {
        user_bytes: 4000,
        ..LIMITS
    };
    let mut queues = Queues::new(limits, 7);
    queues.push(0, &user("ann"), &message(1, "x"));
    queues.push(0, &user("ann"), &message(2, &"x".repeat(8000)));
    assert_eq!(places(&come(&mut queues, 0, "ann")), [2]);
    adds_up(&queues);
}

#[test]
fn the_bound_of_a_user_counts_what_goes_over_the_wire() {
    let limits = QueueLimits {
        user_bytes: 4000,
        ..LIMITS
    };
    let mut queues = Queues::new(limits, 7);
    (1..=3).for_each(|place| queues.push(0, &user("ann"), &message(place, &"x".repeat(1900))));
    assert_eq!(places(&come(&mut queues, 0, "ann")), [2, 3]);
    queues.receipt("ann", &[2]);
    queues.push(0, &user("ann"), &message(4, &"x".repeat(1900)));
    assert_eq!(places(&come(&mut queues, 0, "ann")), [3, 4]);
    adds_up(&queues);
}

#[test]
fn a_million_users_who_never_come_take_no_more_than_the_bound() {
    let mut queues = Queues::new(LIMITS, 7);
    for number in 0..1_000_000u64 {
        let absent = user(&format!("absent {number}"));
        queues.push(number / 1000, &absent, &message(number, "hello"));
        assert!(queues.depth().1 <= LIMITS.total_bytes + LIMITS.total_bytes / COUNTS_SHARE);
    }
    let last = come(&mut queues, 1000, "absent 999999");
    assert_eq!(last.waiting.len(), 1, "who was written to last is kept");
    let lost = queues.fates().total_full + queues.fates().expired;
    assert!(lost > 990_000, "{lost}");
    let is_told = |number: u64| {
        let absent = format!("absent {number}");
        come(&mut queues, 1000, &absent).missed == 1
    };
    assert!(
        (998_000..1_000_000).any(is_told),
        "the newest losses are told"
    );
    adds_up(&queues);
}
