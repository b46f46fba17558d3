//! The model: from the log and the places a client was told, what it must have heard, message by message.

use std::collections::BTreeSet;

use wshub_protocol::client_message::Target;

use crate::world::{Client, Entry, Said};

/// One client's account.
struct Account<'a> {
    log: &'a [Entry],
    user: String,
    /// Everything up to this place is settled.
    place: u64,
    rooms: BTreeSet<String>,
}

impl Account<'_> {
    fn is_for(&self, entry: &Entry) -> bool {
        match &entry.target {
            Target::Everybody => true,
            Target::Users(users) => users.iter().any(|user| user.as_str() == self.user),
            Target::Room(room) => self.rooms.contains(room.as_str()),
        }
    }

    /// The next message that is due to this client.
    fn next_due(&self) -> Option<&Entry> {
        self.log[self.place as usize..]
            .iter()
            .find(|entry| self.is_for(entry))
    }

    fn settle(&mut self, said: &Said) {
        match said.kind.as_str() {
            "connected" => self.place = said.offset(),
            "joined" | "left" => {
                let at = said.offset();
                let missed = self.next_due().filter(|entry| entry.offset <= at);
                assert!(
                    missed.is_none(),
                    "{} was not given a message before {said:?}",
                    self.user
                );
                assert!(self.place <= at, "{said:?} comes behind a later message");
                self.place = at;
                let room = said.room_id.clone().expect("a room");
                if said.kind == "joined" {
                    self.rooms.insert(room)
                } else {
                    self.rooms.remove(&room)
                };
            }
            _ if said.is_message() => self.settle_message(said),
            _ => {}
        }
    }

    fn settle_message(&mut self, said: &Said) {
        let due = self
            .next_due()
            .unwrap_or_else(|| panic!("nothing was due, but {said:?}"));
        assert_eq!(
            said.offset(),
            due.offset,
            "{} was given {said:?}",
            self.user
        );
        let (kind, room) = match &due.target {
            Target::Everybody => ("broadcast", None),
            Target::Users(_) => ("user", None),
            Target::Room(room) => ("room", Some(room.as_str())),
        };
        assert_eq!((said.kind.as_str(), said.room_id.as_deref()), (kind, room));
        assert_eq!(said.data(), due.data);
        assert_eq!(said.from.as_deref(), Some(due.from.as_str()));
        assert_eq!(said.id.as_deref(), Some(due.id.as_str()));
        self.place = due.offset;
    }
}

/// Holds what a client was told against the log: each message that was due came once and in order, up to some place; for
/// one that is still there that place is the end. Answers the rooms it is in.
pub(crate) fn hold(log: &[Entry], client: &Client) -> BTreeSet<String> {
    client.with_all(|all| {
        let user = client.user();
        let mut account = Account {
            log,
            user,
            place: 0,
            rooms: BTreeSet::new(),
        };
        all.iter().for_each(|said| account.settle(said));
        if client.is_connected() && client.reads() {
            let missed = account.next_due();
            assert!(
                missed.is_none(),
                "{} was not given all: {:?}",
                account.user,
                all.last()
            );
        }
        account.rooms
    })
}

/// Holds the acks of a client against the log: each names the place of the message with its id.
pub(crate) fn hold_acks(log: &[Entry], client: &Client) {
    for (id, offset) in client.each("ack", |said| (said.id.clone(), said.offset())) {
        let entry = &log[offset as usize - 1];
        assert_eq!(
            (Some(&entry.id), &entry.from),
            (id.as_ref(), &client.user())
        );
    }
}
