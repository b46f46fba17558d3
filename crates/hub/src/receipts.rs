//! Which `user` messages a connection was given and has no receipt for yet.
//!
//! A connection has an account only while there are any; accounts are used again, so that a message to a user allocates
//! nothing. The receipt is the pong to a ping behind the messages, or the client's own `ack`.

use std::collections::VecDeque;

/// No account.
pub(crate) const NONE: u32 = u32::MAX;
/// Places that an account remembers at most, where the configuration asks for no more: a queue keeps no more either.
const KEPT_CAPACITY: usize = 128;

/// What was received: users, and the places of their messages.
#[derive(Debug, Default)]
pub struct Receipts {
    users: String,
    places: Vec<u64>,
    /// Where each user's part of `users` and of `places` ends.
    ends: Vec<(usize, usize)>,
}

impl Receipts {
    /// Adds what one connection of a user received.
    pub(crate) fn add(&mut self, user: &str, places: impl Iterator<Item = u64>) {
        self.users.push_str(user);
        self.places.extend(places);
        self.ends.push((self.users.len(), self.places.len()));
    }

    /// Whether nothing was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each user, and the places of the messages that one of their connections received. A user may come several times.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u64])> {
        let mut from = (0, 0);
        self.ends.iter().map(move |&to| {
            let begin = std::mem::replace(&mut from, to);
            (&self.users[begin.0..to.0], &self.places[begin.1..to.1])
        })
    }
}

/// What one connection was given.
#[derive(Default)]
pub(crate) struct Account {
    /// Places of messages without a receipt, in the order they were given.
    given: VecDeque<u64>,
    /// The number of the ping under way; 0 is none.
    ping: u32,
    /// So many of the first places stand before that ping.
    covered: usize,
    /// It is in the list of those that may be pinged.
    pub(crate) listed: bool,
}

/// The accounts of one shard.
pub(crate) struct Accounts {
    accounts: Vec<Account>,
    unused: Vec<u32>,
    most: usize,
    pings: u32,
}

impl Accounts {
    /// Accounts that remember at most `most` places each.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            accounts: Vec::new(),
            unused: Vec::new(),
            most,
            pings: 0,
        }
    }

    /// Enters a message given to the connection whose account this is, opening one if need be.
    pub(crate) fn enter(&mut self, key: &mut u32, place: u64) {
        if *key == NONE {
            *key = self.unused.pop().unwrap_or_else(|| {
                self.accounts.push(Account::default());
                self.accounts.len() as u32 - 1
            });
        }
        let account = &mut self.accounts[*key as usize];
        if account.given.len() == self.most {
            // The queue has pushed it out, too.
            account.given.pop_front();
            account.covered = account.covered.saturating_sub(1);
        }
        account.given.push_back(place);
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut Account> {
        self.accounts.get_mut(key as usize)
    }

    pub(crate) fn get(&self, key: u32) -> Option<&Account> {
        self.accounts.get(key as usize)
    }

    /// Whether so much waits for a receipt that it is asked for without delay.
    pub(crate) fn fills(&self, account: &Account) -> bool {
        account.given.len() * 2 >= self.most
    }

    /// Says that a ping goes out behind all that was given; its number.
    pub(crate) fn ping(&mut self, key: u32) -> u32 {
        self.pings = self.pings.checked_add(1).unwrap_or(1);
        let account = &mut self.accounts[key as usize];
        account.ping = self.pings;
        account.covered = account.given.len();
        self.pings
    }

    /// Takes out what stands before the ping of this number, if it is the one under way.
    pub(crate) fn pong(&mut self, key: u32, number: u32) -> impl Iterator<Item = u64> {
        let account = self.accounts.get_mut(key as usize);
        let account = account.filter(|account| account.ping == number && number != 0);
        account.into_iter().flat_map(|account| {
            account.ping = 0;
            account.given.drain(..std::mem::take(&mut account.covered))
        })
    }

    /// Takes out what stands at or before `place`.
    pub(crate) fn acknowledge(&mut self, key: u32, place: u64) -> impl Iterator<Item = u64> {
        let account = self.accounts.get_mut(key as usize);
        account.into_iter().flat_map(move |account| {
            // Places ascend, but for those from before a loss.
            let covered = account.given.iter().take_while(|&&given| given <= place);
            let covered = covered.count();
            account.covered = account.covered.saturating_sub(covered);
            account.given.drain(..covered)
        })
    }

    /// Closes an account in which nothing is left, or all of them where the connection is over.
    pub(crate) fn close(&mut self, key: &mut u32, over: bool) {
        let Some(account) = self.accounts.get_mut(*key as usize) else {
            return;
        };
        if over || account.given.is_empty() {
            account.given.clear();
            account.given.shrink_to(KEPT_CAPACITY);
            *account = Account {
                given: std::mem::take(&mut account.given),
                ..Account::default()
            };
            self.unused.push(std::mem::replace(key, NONE));
        }
    }
}

impl Account {
    /// No ping is under way.
    pub(crate) fn may_be_pinged(&self) -> bool {
        self.ping == 0
    }

    /// Whether the message at this place was given and has no receipt.
    pub(crate) fn has(&self, place: u64) -> bool {
        self.given.contains(&place)
    }
}

/// The payload of a ping behind messages: its number in eight hexadecimal digits.
pub(crate) fn payload(number: u32) -> [u8; 8] {
    let mut digits = [0; 8];
    for (at, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (28 - 4 * at) & 0xf) as u8;
        *digit = if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        };
    }
    digits
}

/// The number of such a payload.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(payload)
        .ok()
        .filter(|text| text.len() == 8)?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(places: &[u64]) -> (Accounts, u32) {
        let (mut accounts, mut key) = (Accounts::new(4), NONE);
        for &place in places {
            accounts.enter(&mut key, place);
        }
        (accounts, key)
    }

    #[test]
    fn a_pong_is_the_receipt_for_what_was_given_before_its_ping() {
        let (mut accounts, mut key) = given(&[3, 5]);
        let ping = accounts.ping(key);
        accounts.enter(&mut key, 8);
        assert_eq!(accounts.pong(key, ping + 1).count(), 0);
        assert_eq!(accounts.pong(key, ping).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(accounts.pong(key, ping).count(), 0, "a second pong");
        assert!(accounts.get(key).is_some_and(|account| account.has(8)));
    }

    #[test]
    fn an_ack_takes_what_it_covers_and_a_later_pong_the_rest() {
        let (mut accounts, key) = given(&[3, 5, 8]);
        let ping = accounts.ping(key);
        assert_eq!(accounts.acknowledge(key, 5).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(accounts.pong(key, ping).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn what_a_queue_pushes_out_is_forgotten_here_too() {
        let (mut accounts, mut key) = given(&[1, 2, 3]);
        let ping = accounts.ping(key);
        accounts.enter(&mut key, 4);
        accounts.enter(&mut key, 5);
        assert_eq!(accounts.pong(key, ping).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn accounts_are_used_again() {
        let (mut accounts, mut key) = given(&[1]);
        for place in 2..100 {
            let ping = accounts.ping(key);
            assert_eq!(accounts.pong(key, ping).count(), 1);
            accounts.close(&mut key, false);
            accounts.enter(&mut key, place);
        }
        assert_eq!(accounts.accounts.len(), 1);
    }

    #[test]
    fn a_number_is_read_from_the_payload_it_is_written_to() {
        for it in [1, 0xdead_beef, u32::MAX] {
            assert_eq!(number(&payload(it)), Some(it));
        }
        assert_eq!(number(b""), None);
        assert_eq!(number(b"0000000g"), None);
    }

    #[test]
    fn receipts_name_each_user_with_their_places() {
        let mut receipts = Receipts::default();
        receipts.add("ann", [1, 2].into_iter());
        receipts.add("bob", [7].into_iter());
        let all: Vec<_> = receipts.iter().collect();
        assert_eq!(all, [("ann", [1, 2].as_slice()), ("bob", [7].as_slice())]);
    }
}
