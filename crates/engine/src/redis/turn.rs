//! The call of a turn: its keys and arguments in the order in which `turn.lua` reads them.

use std::collections::BTreeMap;

use wshub_hub::Publication;
use wshub_hub::dedupe::Fingerprint;
use wshub_hub::members::Incarnation;
use wshub_hub::queues::QueueLimits;
use wshub_hub::resume::Wanted;
use wshub_hub::tail::Change;
use wshub_protocol::client_message::Target;
use wshub_protocol::{Epoch, Offset, SessionId};

use super::entry;
use super::keys::Keys;

/// What is the same in every turn of a node.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The names in Redis.
    pub keys: Keys,
    /// What the queues may hold.
    pub queues: QueueLimits,
    /// How long a publisher's id is remembered, in milliseconds.
    pub id_ms: u64,
    /// What all ids may take in Redis, in bytes.
    pub id_bytes: usize,
    /// What a message of another program may take, in bytes.
    pub message_bytes: usize,
}

/// One call of the script.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The keys.
    pub keys: Vec<Vec<u8>>,
    /// The arguments.
    pub args: Vec<Vec<u8>>,
    parts: usize,
}

/// What stands at the head of a call.
pub(crate) struct Opening<'a> {
    pub(crate) node: &'a str,
    pub(crate) number: u64,
    pub(crate) epoch: Epoch,
    /// Places up to here are of no use to anybody any more.
    pub(crate) dropped: u64,
}

impl Call {
    pub(crate) fn open(terms: &Terms, opening: &Opening<'_>) -> Self {
        let Terms { keys, queues, .. } = terms;
        let offset = Offset::at(opening.dropped + 1);
        let first = if offset.major == u64::from(opening.epoch.ordinal) {
            offset.minor.to_string()
        } else {
            String::new()
        };
        let mut call = Self::default();
        let node = opening.node;
        for key in [
            keys.log(),
            keys.meta(),
            keys.lane(node),
            keys.queues(),
            keys.members(node),
        ] {
            call.key(key);
        }
        for arg in [
            opening.number.to_string(),
            opening.epoch.to_string(),
            first,
            queues.ttl_ms.to_string(),
            queues.messages.to_string(),
            queues.user_bytes.to_string(),
        ] {
            call.arg(arg);
        }
        call
    }

    /// Parts it has.
    pub(crate) fn parts(&self) -> usize {
        self.parts
    }

    fn key(&mut self, key: impl Into<Vec<u8>>) {
        self.keys.push(key.into());
    }

    fn arg(&mut self, arg: impl Into<Vec<u8>>) {
        self.args.push(arg.into());
    }

    /// A part is its letter, how many keys and arguments it has, and those.
    fn part(&mut self, letter: &str, fill: impl FnOnce(&mut Self)) {
        self.parts += 1;
        self.arg(letter);
        let (keys, at) = (self.keys.len(), self.args.len());
        self.arg("");
        self.arg("");
        fill(self);
        self.args[at] = (self.keys.len() - keys).to_string().into();
        self.args[at + 1] = (self.args.len() - at - 2).to_string().into();
    }

    pub(crate) fn publish(
        &mut self,
        terms: &Terms,
        deadline_ms: u64,
        id: &str,
        publication: &Publication,
    ) {
        let publish = &publication.publish;
        let print = Fingerprint::of(&publication.from, publish);
        let users: &[_] = match &publish.target {
            Target::Users(users) => users,
            Target::Everybody | Target::Room(_) => &[],
        };
        self.part("p", |call| {
            call.arg(deadline_ms.to_string());
            match &print {
                Some(print) => {
                    call.key(terms.keys.id(&publication.from, id));
                    call.arg(terms.id_ms.to_string());
                    call.arg(print.content().to_be_bytes());
                }
                None => {
                    call.arg("0");
                    call.arg("");
                }
            }
            call.arg(entry::message_head(id, publication));
            call.arg(publish.data.as_bytes());
            let letter = (!users.is_empty()).then(|| super::looking::letter(id, publication));
            call.arg(letter.unwrap_or_default());
            call.arg(users.len().to_string());
            for user in users {
                call.key(terms.keys.queue(user.as_str()));
                call.key(terms.keys.account(user.as_str()));
                call.arg(user.as_str());
            }
        });
    }

    pub(crate) fn members(&mut self, node: Incarnation, changes: &[Change]) {
        // The script adds and then removes, so that of each member only the last word may be there.
        let mut last: BTreeMap<_, bool> = BTreeMap::new();
        for change in changes {
            let member = format!("{}\n{}", change.room.as_str(), change.user.as_str());
            last.insert(member, change.is_in);
        }
        let of = |is_in: bool| {
            let theirs = last.iter().filter(move |(_, last)| **last == is_in);
            theirs.map(|(member, _)| member.as_str())
        };
        self.part("m", |call| {
            call.arg(entry::members_head(node, changes));
            call.arg(of(true).count().to_string());
            call.arg(of(false).count().to_string());
            of(true)
                .chain(of(false))
                .for_each(|member| call.arg(member));
        });
    }

    pub(crate) fn control(&mut self, head: &str) {
        self.part("c", |call| call.arg(head));
    }

    pub(crate) fn passes_by(&mut self, channel: &str, said: &[u8]) {
        self.part("e", |call| {
            call.arg(channel);
            call.arg(said);
        });
    }

    pub(crate) fn receipt(&mut self, terms: &Terms, user: &str, plain: &[Vec<u8>], places: &[u64]) {
        self.part("r", |call| {
            call.key(terms.keys.queue(user));
            call.key(terms.keys.account(user));
            call.arg(plain.len().to_string());
            call.arg(places.len().to_string());
            plain.iter().for_each(|value| call.arg(value.clone()));
            for &place in places {
                call.arg(Offset::at(place).to_string());
            }
        });
    }

    pub(crate) fn look(&mut self, terms: &Terms, wanted: &Wanted, goes_on: Option<SessionId>) {
        let user = wanted.user.as_str();
        self.part("q", |call| {
            call.key(terms.keys.queue(user));
            call.key(terms.keys.account(user));
            call.arg(if wanted.again.is_some() { "0" } else { "1" });
            call.arg(goes_on.map_or_else(String::new, |session| session.text()));
        });
    }

    pub(crate) fn end_node(&mut self, terms: &Terms, node: Incarnation) {
        let name = super::node_name(node);
        self.part("g", |call| {
            call.key(terms.keys.lease(&name));
            call.key(terms.keys.members(&name));
            call.key(terms.keys.nodes());
            call.arg(entry::end_of_node_head(node));
            call.arg(name);
        });
    }
}
