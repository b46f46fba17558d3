//! The server's ledger, held against what the clients saw.
//!
//! Of what the ledger adds up, the two kinds of units can be told apart: how many (message, user) there are is known from
//! the acknowledgements, and the ledger says which of them had another fate than a receipt. The rest is (message,
//! connection). Where a connection ended without a goodbye its client can't know what the server's kernel had taken for
//! it by then: there the comparison is with two bounds.

use super::account::Seen;
use super::hall::Hall;
use super::ledger::Ledger;
use super::log::Log;
use super::sayings::{AGAIN, DUPLICATES, REPEATS};
use super::verdict::{Offence, Verdict};

/// How many messages wait for a user in a run that isn't gentle.
const QUEUE: usize = 100;

/// The server's ledger at three times.
pub struct Ledgers {
    /// Before the run.
    pub before: Ledger,
    /// When everybody was home but those who come late, and all had given their receipts.
    pub at_home: Ledger,
    /// In the end.
    pub after: Ledger,
}

/// One comparison.
#[derive(Clone)]
pub struct Comparison {
    /// What is compared.
    pub what: &'static str,
    /// The server's number.
    pub server: u64,
    /// The least that it must be, by what was seen.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Comparison {
    /// Whether it is so.
    pub fn holds(&self) -> bool {
        (self.least..=self.most).contains(&self.server)
    }
}

/// Each user must have got everything but what they were told to have missed.
pub fn hold_users(seen: &Seen, hall: &mut Hall, log: &Log) -> u64 {
    let mut unreached = 0;
    for (user, (due, reached)) in log.users.iter().zip(&seen.reached).enumerate() {
        let never_came: Vec<u64> = due
            .iter()
            .copied()
            .filter(|place| !reached.contains(place))
            .collect();
        unreached += never_came.len() as u64;
        let missed = hall.missed[user].unwrap_or(u64::MAX);
        for place in never_came
            .iter()
            .skip(usize::try_from(missed).unwrap_or(usize::MAX))
        {
            hall.verdict.accuse(Offence::Lost, || {
                format!(
                    "{place} reached no device of user {user}, who was told of {missed} missed ones"
                )
            });
        }
    }
    unreached
}

/// What waits for those who come late, at most; in a gentle run exactly.
pub fn queues(late: &[u16], hall: &Hall, log: &Log) -> u64 {
    let most = if hall.gentle { usize::MAX } else { QUEUE };
    let queues = late
        .iter()
        .map(|&user| log.users[usize::from(user)].len().min(most) as u64);
    queues.sum()
}

/// Compares. In a gentle run all connections ended with a goodbye, and nothing that waited for users was given up.
pub fn compare(ledgers: &Ledgers, late: &[u16], hall: &Hall, log: &Log) -> Vec<Comparison> {
    let mut comparisons = given(ledgers, hall, log).to_vec();
    comparisons.extend(given_up(ledgers, hall));
    let queues = queues(late, hall, log);
    let least = if hall.gentle { queues } else { 0 };
    let Ledgers {
        before,
        at_home,
        after,
    } = ledgers;
    let accepted = after.accepted - before.accepted;
    let fates = after.fates() - before.fates();
    let again = hall.counted(AGAIN) + hall.counted(REPEATS);
    comparisons.extend([
        compared(
            "queued for those who came late",
            at_home.queued,
            least..=queues,
        ),
        compared("queued in the end", after.queued, 0..=0),
        compared("in flight in the end", after.in_flight, 0..=0),
        compared(
            "duplicate",
            ledgers.duplicate(),
            hall.counted(DUPLICATES)..=again,
        ),
        compared("all fates together", fates, accepted..=accepted),
    ]);
    comparisons
}

/// What was to be given, and what was.
fn given(ledgers: &Ledgers, hall: &Hall, log: &Log) -> [Comparison; 2] {
    let Ledgers { before, after, .. } = ledgers;
    let unseen = |unread_only: bool| -> u64 {
        let ends = hall.ends.iter().filter(|end| end.unread || !unread_only);
        ends.map(|end| end.unseen(log)).sum()
    };
    let (missed, all_told) = missed(hall);
    let gone = if all_told { missed } else { ledgers.gone() };
    let delivered = log.user_units().saturating_sub(gone) + hall.heard;
    let taken = log.user_units() + ledgers.duplicate() + hall.heard;
    // With goodbyes only, what wasn't seen wasn't written either.
    let unwritten = if hall.gentle {
        ledgers.dropped("unwritten")
    } else {
        u64::MAX
    };
    let most = taken + unseen(false).min(unwritten) + hall.gaps;
    [
        compared("accepted", after.accepted - before.accepted, taken..=most),
        compared(
            "delivered",
            after.delivered - before.delivered,
            delivered..=delivered + unseen(true),
        ),
    ]
}

/// What was given up for users and told by `missed`, and for connections and told by `gap`.
fn given_up(ledgers: &Ledgers, hall: &Hall) -> [Comparison; 2] {
    let (missed, all_told) = missed(hall);
    let most_missed = if all_told { missed } else { u64::MAX };
    let most_gaps = if hall.gentle { hall.gaps } else { u64::MAX };
    [
        compared(
            "pushed out or expired",
            ledgers.gone(),
            missed..=most_missed,
        ),
        compared(
            "dropped: gap",
            ledgers.dropped("gap"),
            hall.gaps..=most_gaps,
        ),
    ]
}

/// The sum of `missed`, and whether all of it was told.
fn missed(hall: &Hall) -> (u64, bool) {
    let told = hall.missed.iter().flatten().sum();
    (told, hall.missed.iter().all(Option::is_some))
}

fn compared(what: &'static str, server: u64, seen: std::ops::RangeInclusive<u64>) -> Comparison {
    Comparison {
        what,
        server,
        least: *seen.start(),
        most: *seen.end(),
    }
}

impl Ledgers {
    fn dropped(&self, reason: &str) -> u64 {
        self.after.dropped(reason) - self.before.dropped(reason)
    }

    fn duplicate(&self) -> u64 {
        self.after.duplicate - self.before.duplicate
    }

    /// What was given up in the queues of users.
    fn gone(&self) -> u64 {
        let expired = self.after.expired - self.before.expired;
        self.dropped("pushed_out") + self.dropped("queues_full") + expired
    }
}

/// Accuses the server of what doesn't hold.
pub fn accuse(comparisons: &[Comparison], verdict: &mut Verdict) {
    for comparison in comparisons.iter().filter(|comparison| !comparison.holds()) {
        let Comparison {
            what,
            server,
            least,
            most,
        } = comparison;
        verdict.accuse(Offence::Ledger, || {
            format!("{what}: the ledger says {server}, seen were {least} to {most}")
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::record::script::{Message, Script};

    /// One message for everybody at place 1, which two connections saw, and one for users at place 2.
    fn hall() -> (Hall, Log, u64) {
        let mut hall = Hall::new(Script::small(), 1);
        let mut said: Vec<Message> = (0..9).map(|_| hall.say(0)).collect();
        said.retain(|&m| {
            !matches!(
                hall.script.target(m),
                crate::record::script::Target::Room(_)
            )
        });
        (hall.heard, hall.gentle) = (2, true);
        let messages = (1..).zip(said).take(2).collect();
        let log = Log::of(&hall.script, messages);
        let users = log.user_units();
        (hall, log, users)
    }

    fn wrong(change: impl FnOnce(&mut Ledger, &mut Hall)) -> Vec<&'static str> {
        let (mut hall, log, users) = hall();
        let mut after = Ledger {
            accepted: 2 + users,
            delivered: 2 + users,
            ..Ledger::default()
        };
        change(&mut after, &mut hall);
        let ledgers = Ledgers {
            before: Ledger::default(),
            at_home: Ledger::default(),
            after,
        };
        let comparisons = compare(&ledgers, &[], &hall, &log);
        let wrong = comparisons.iter().filter(|comparison| !comparison.holds());
        wrong.map(|comparison| comparison.what).collect()
    }

    #[test]
    fn a_ledger_that_says_what_was_seen_is_fine_and_any_other_is_not() {
        assert!(wrong(|_, _| {}).is_empty());
        assert_eq!(
            wrong(|ledger, _| ledger.accepted += 1),
            ["accepted", "all fates together"]
        );
        assert_eq!(
            wrong(|ledger, _| ledger.delivered -= 1),
            ["delivered", "all fates together"]
        );
        assert_eq!(
            wrong(|ledger, _| (ledger.delivered, ledger.expired) = (ledger.delivered - 1, 1)),
            ["delivered", "pushed out or expired"]
        );
        assert_eq!(
            wrong(|ledger, _| (ledger.delivered, ledger.queued) = (ledger.delivered - 1, 1)),
            ["delivered", "queued in the end"]
        );
        assert_eq!(
            wrong(|ledger, _| (ledger.accepted, ledger.duplicate) = (ledger.accepted + 1, 1)),
            ["duplicate"]
        );
    }

    #[test]
    fn what_a_user_was_told_to_have_missed_is_neither_lost_nor_delivered() {
        let missed_one = |ledger: &mut Ledger, hall: &mut Hall| {
            hall.missed[0] = Some(1);
            ledger.delivered -= 1;
            ledger.dropped = BTreeMap::from([("pushed_out".to_owned(), 1)]);
        };
        assert!(wrong(missed_one).is_empty());
    }

    #[test]
    fn what_reached_no_device_is_lost_unless_it_was_told() {
        let (mut hall, log, users) = hall();
        let mut seen = Seen {
            reached: vec![BTreeSet::new(); 9],
            ..Seen::default()
        };
        assert_eq!(hold_users(&seen, &mut hall, &log), users);
        assert_eq!(hall.verdict.count(Offence::Lost), users);
        hall.missed = vec![Some(1); 9];
        hold_users(&seen, &mut hall, &log);
        assert_eq!(
            hall.verdict.count(Offence::Lost),
            users,
            "no more than before"
        );
        seen.reached = log
            .users
            .iter()
            .map(|places| places.iter().copied().collect())
            .collect();
        assert_eq!(hold_users(&seen, &mut hall, &log), 0);
    }
}
