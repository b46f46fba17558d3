//! The account must be able to fail: each offence is committed once and found.

use super::*;

/// The account of user 1, and a log with messages for everybody at 10 and 60, for user 1 at 20 and 50, for room 0 at 30,
/// and for room 1 at 40.
#[derive(Default)]
struct Court {
    account: Account,
}

impl Court {
    fn told(mut self, turn: Turn) -> Court {
        self.account.turn(turn);
        self
    }

    fn heard(mut self, places: &[u64]) -> Court {
        places.iter().for_each(|&place| self.account.message(place));
        self
    }

    /// The offences, in their order.
    fn judged(self) -> Vec<(Offence, u64)> {
        let log = Log {
            everybody: vec![10, 60],
            users: vec![vec![], vec![20, 50]],
            rooms: vec![vec![30], vec![40]],
            ..Log::default()
        };
        let mut seen = Seen {
            reached: vec![BTreeSet::new(); 2],
            ..Seen::default()
        };
        let mut verdict = Verdict::default();
        self.account
            .judge(1, "user 1", &log, &mut seen, &mut verdict);
        use Offence::*;
        let all = [Lost, Doubled, OutOfOrder, Uninvited, Gap];
        let counts = all.map(|offence| (offence, verdict.count(offence)));
        counts.into_iter().filter(|&(_, count)| count > 0).collect()
    }
}

fn begun() -> Court {
    Court::default().told(Turn::Began(0))
}

fn in_room_0() -> Court {
    begun().told(Turn::Joined(0, 0))
}

const NOTHING: [(Offence, u64); 0] = [];

#[test]
fn who_gets_all_that_is_theirs_in_order_is_fine() {
    let court = in_room_0()
        .heard(&[10, 20, 30, 50])
        .told(Turn::Position(55));
    assert_eq!(court.heard(&[60]).judged(), NOTHING);
}

#[test]
fn what_does_not_come_is_lost_wherever_it_stands() {
    assert_eq!(
        in_room_0().heard(&[10, 20, 30, 50]).judged(),
        [(Offence::Lost, 1)],
        "the last"
    );
    assert_eq!(
        in_room_0().heard(&[10, 20, 50, 60]).judged(),
        [(Offence::Lost, 1)],
        "of the room"
    );
    let court = begun().heard(&[10]).told(Turn::Position(55)).heard(&[60]);
    assert_eq!(
        court.judged(),
        [(Offence::Lost, 2)],
        "what a position passed over"
    );
}

#[test]
fn what_comes_twice_is_doubled() {
    let twice = begun().heard(&[10, 20, 20, 50, 60]);
    assert_eq!(twice.judged(), [(Offence::Doubled, 1)]);
    let again = begun().heard(&[10, 20]).told(Turn::Resumed(vec![]));
    assert_eq!(
        again.heard(&[10, 50, 60]).judged(),
        [(Offence::Doubled, 1)],
        "on a resume"
    );
}

#[test]
fn what_comes_behind_a_later_one_is_out_of_order() {
    assert_eq!(
        begun().heard(&[20, 10, 50, 60]).judged(),
        [(Offence::OutOfOrder, 1)]
    );
    let later = begun().heard(&[10, 50]).told(Turn::Resumed(vec![]));
    assert_eq!(
        later.heard(&[20, 60]).judged(),
        [(Offence::OutOfOrder, 1)],
        "on a resume"
    );
}

#[test]
fn what_is_for_others_is_uninvited() {
    assert_eq!(
        begun().heard(&[10, 20, 30, 50, 60]).judged(),
        [(Offence::Uninvited, 1)]
    );
    assert_eq!(
        begun().heard(&[10, 15, 20, 50, 60]).judged(),
        [(Offence::Uninvited, 1)],
        "nobody's"
    );
    let left = in_room_0().heard(&[10, 20]).told(Turn::Left(0, 25));
    assert_eq!(
        left.heard(&[30, 50, 60]).judged(),
        [(Offence::Uninvited, 1)],
        "after leaving"
    );
}

#[test]
fn the_queue_brings_what_has_no_receipt_again_and_what_was_said_before() {
    let again = begun().heard(&[10, 20]).told(Turn::Resumed(vec![]));
    assert_eq!(again.heard(&[20, 50, 60]).judged(), NOTHING);
    let before = Court::default().told(Turn::Began(55)).heard(&[20, 50, 60]);
    assert_eq!(before.judged(), NOTHING);
    let broadcast = Court::default().told(Turn::Began(55)).heard(&[10, 60]);
    assert_eq!(broadcast.judged(), [(Offence::Uninvited, 1)]);
}

#[test]
fn a_resume_brings_what_was_said_in_the_rooms_that_it_names() {
    let court = begun().heard(&[10, 20]).told(Turn::Resumed(vec![0, 1]));
    assert_eq!(court.heard(&[30, 40, 50, 60]).judged(), NOTHING);
    let court = in_room_0().heard(&[10, 20]).told(Turn::Resumed(vec![0]));
    assert_eq!(court.heard(&[50, 60]).judged(), [(Offence::Lost, 1)]);
}

#[test]
fn a_room_that_is_left_owes_what_stands_before_unless_the_client_still_catches_up() {
    let left = in_room_0().heard(&[10, 20]).told(Turn::Left(0, 35));
    assert_eq!(left.heard(&[50, 60]).judged(), [(Offence::Lost, 1)]);
    let catching_up = in_room_0().heard(&[10]).told(Turn::Resumed(vec![0]));
    let left = catching_up.told(Turn::Left(0, 35)).heard(&[20, 50, 60]);
    assert_eq!(left.judged(), NOTHING);
}

#[test]
fn a_gap_excuses_as_many_as_it_tells_until_the_client_comes_back() {
    let of_room = |dropped| {
        in_room_0()
            .heard(&[10, 20])
            .told(Turn::Gap(30, dropped, Some(0)))
    };
    assert_eq!(of_room(1).heard(&[50, 60]).judged(), NOTHING);
    assert_eq!(
        of_room(2).heard(&[50, 60]).judged(),
        [(Offence::Lost, 1), (Offence::Gap, 1)]
    );
    let of_all = || begun().told(Turn::Gap(10, 2, None)).heard(&[20, 50]);
    assert_eq!(of_all().judged(), NOTHING);
    assert_eq!(of_all().heard(&[60]).judged(), [(Offence::Uninvited, 1)]);
    let back = of_all().told(Turn::Resumed(vec![]));
    assert_eq!(back.heard(&[60]).judged(), NOTHING);
}
