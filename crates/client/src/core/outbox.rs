//! Publishes that wait for their answer: each has an id, and is sent again on every new connection until the server has
//! answered it or no longer knows ids that old.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use wshub_protocol::MessageId;
use wshub_protocol::client_message::Publish;

use super::Now;
use crate::backoff;
use crate::event::Refused;
use crate::limits::{GIVEN_UP_AFTER, OUTBOX_BYTES, OUTBOX_MESSAGES, RETRY_AFTER};
use crate::say;

/// A publish, by the order in which it was handed in.
pub(crate) type Ticket = u64;

/// What the server says of a publish that it has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The id by which the message is known.
    pub id: String,
    /// Its place in the log; none for an ephemeral one.
    pub cursor: Option<String>,
    /// It was in the log before: an earlier attempt had gone through.
    pub duplicate: bool,
}

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpublished {
    /// The server has refused it.
    Refused(Refused),
    /// It is larger than a message may be, in bytes.
    TooLarge(usize),
    /// As much waits for its answer as may.
    Full,
    /// It is ephemeral, and there is no connection.
    NotConnected,
    /// It was not sent before the client was closed, or there was no connection for too long.
    NotSent,
    /// It was sent, and whether it was taken is not known: the connection of an ephemeral message ended, the client was
    /// closed, or the server hasn't answered for so long that a repeat might have a second effect.
    Unknown,
}

impl fmt::Display for Unpublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::TooLarge(bytes) => write!(f, "{bytes} bytes are over what a message may have"),
            Self::Full => f.write_str("as many publishes wait for their answer as may"),
            Self::NotConnected => f.write_str("there is no connection, and it is for now or never"),
            Self::NotSent => f.write_str("it was not sent"),
            Self::Unknown => f.write_str("it was sent, but whether it was published is not known"),
        }
    }
}

impl std::error::Error for Unpublished {}

/// A publish that was answered, or given up.
pub(crate) type Settled = (Ticket, Result<Receipt, Unpublished>);

#[derive(Debug)]
struct Entry {
    id: MessageId,
    text: Box<str>,
    ephemeral: bool,
    since: Now,
    /// It may have reached the server.
    sent: bool,
    /// It was sent on this connection.
    on_wire: bool,
}

/// All publishes that wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    entries: BTreeMap<Ticket, Entry>,
    /// Those that are to be sent on this connection.
    unsent: VecDeque<Ticket>,
    /// Those that found the server full, and when each is tried again.
    later: Vec<(Now, Ticket)>,
    bytes: usize,
    message_bytes: usize,
    next: Ticket,
    /// What the ids of this client begin with.
    mark: u64,
}

impl Outbox {
    /// An empty one, whose ids begin with `mark`.
    pub(crate) fn new(mark: u64, message_bytes: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            unsent: VecDeque::new(),
            later: Vec::new(),
            bytes: 0,
            message_bytes,
            next: 0,
            mark,
        }
    }

    /// Takes a publish in.
    ///
    /// # Errors
    /// Where there is no room, or it is larger than a message may be.
    pub(crate) fn take(&mut self, now: Now, mut publish: Publish) -> Result<Ticket, Unpublished> {
        let ticket = self.next;
        let own = || {
            MessageId::parse(&format!("{:016x}-{ticket}", self.mark)).expect("digits and a dash")
        };
        let id = publish.id.get_or_insert_with(own).clone();
        let text = say::publish(&publish).into_boxed_str();
        if text.len() > self.message_bytes {
            return Err(Unpublished::TooLarge(text.len()));
        }
        // One that is larger than all that may wait still goes through alone.
        let too_many = self.bytes + text.len() > OUTBOX_BYTES && !self.entries.is_empty();
        if self.entries.len() == OUTBOX_MESSAGES || too_many {
            return Err(Unpublished::Full);
        }
        self.next += 1;
        self.bytes += text.len();
        self.unsent.push_back(ticket);
        let ephemeral = publish.ephemeral;
        let entry = Entry {
            id,
            text,
            ephemeral,
            since: now,
            sent: false,
            on_wire: false,
        };
        self.entries.insert(ticket, entry);
        Ok(ticket)
    }

    /// A new connection stands: all that waits is sent on it, in its order.
    pub(crate) fn begin(&mut self) {
        for entry in self.entries.values_mut() {
            entry.on_wire = false;
        }
        self.later.clear();
        self.unsent = self.entries.keys().copied().collect();
    }

    /// The connection is over: what is for now or never was sent on it or never will be.
    pub(crate) fn cut(&mut self) -> Vec<Settled> {
        let passing = self.entries.iter().filter(|(_, entry)| entry.ephemeral);
        let gone: Vec<_> = passing.map(|(ticket, _)| *ticket).collect();
        gone.into_iter()
            .filter_map(|ticket| self.give_up(ticket))
            .collect()
    }

    /// The next text to send.
    pub(crate) fn next_text(&mut self) -> Option<String> {
        while let Some(ticket) = self.unsent.pop_front() {
            if let Some(entry) = self.entries.get_mut(&ticket) {
                entry.sent = true;
                entry.on_wire = true;
                return Some(entry.text.clone().into_string());
            }
        }
        None
    }

    /// The server has taken the publish of this id.
    pub(crate) fn acked(&mut self, receipt: Receipt) -> Option<Settled> {
        let ticket = self.find(&receipt.id)?;
        self.remove(ticket)?;
        Some((ticket, Ok(receipt)))
    }

    /// The server has refused the publish of this id, for now or for good.
    pub(crate) fn refused(
        &mut self,
        now: Now,
        id: &str,
        refused: Refused,
        retry_after: Option<Duration>,
    ) -> Option<Settled> {
        let ticket = self.find(id)?;
        let entry = self.entries.get_mut(&ticket)?;
        if backoff::passes(&refused.code) && !entry.ephemeral {
            entry.on_wire = false;
            self.later
                .push((now + retry_after.unwrap_or(RETRY_AFTER), ticket));
            return None;
        }
        self.remove(ticket)?;
        Some((ticket, Err(Unpublished::Refused(refused))))
    }

    /// The server has ended the connection because of a message too big for it: if one of these was, the largest was.
    pub(crate) fn refuse_largest(&mut self) -> Option<Settled> {
        let sent = self.entries.iter().filter(|(_, entry)| entry.on_wire);
        let (ticket, bytes) = sent
            .map(|(ticket, entry)| (*ticket, entry.text.len()))
            .max_by_key(|sent| sent.1)?;
        self.remove(ticket)?;
        Some((ticket, Err(Unpublished::TooLarge(bytes))))
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<Now> {
        let oldest = self.entries.values().next();
        let given_up = oldest.map(|entry| entry.since + GIVEN_UP_AFTER);
        self.later.iter().map(|(at, _)| *at).chain(given_up).min()
    }

    /// Has what waited long enough sent again, and gives up what has waited too long.
    pub(crate) fn tick(&mut self, now: Now) -> Vec<Settled> {
        let (due, later) = self.later.drain(..).partition(|(at, _)| *at <= now);
        self.later = later;
        let due: Vec<(Now, Ticket)> = due;
        self.unsent
            .extend(due.into_iter().map(|(_, ticket)| ticket));
        let mut settled = Vec::new();
        while let Some((&ticket, entry)) = self.entries.iter().next()
            && entry.since + GIVEN_UP_AFTER <= now
        {
            settled.extend(self.give_up(ticket));
        }
        settled
    }

    /// Gives up all that waits.
    pub(crate) fn end(&mut self) -> Vec<Settled> {
        let all: Vec<_> = self.entries.keys().copied().collect();
        all.into_iter()
            .filter_map(|ticket| self.give_up(ticket))
            .collect()
    }

    fn give_up(&mut self, ticket: Ticket) -> Option<Settled> {
        let entry = self.remove(ticket)?;
        let why = match (entry.sent, entry.ephemeral) {
            (true, _) => Unpublished::Unknown,
            (false, true) => Unpublished::NotConnected,
            (false, false) => Unpublished::NotSent,
        };
        Some((ticket, Err(why)))
    }

    /// Answers come in about the order of the questions, so the one they are for is among the first.
    fn find(&self, id: &str) -> Option<Ticket> {
        let mut entries = self.entries.iter();
        entries
            .find(|(_, entry)| entry.on_wire && entry.id.as_str() == id)
            .map(|(ticket, _)| *ticket)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Entry> {
        let entry = self.entries.remove(&ticket)?;
        self.bytes -= entry.text.len();
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
