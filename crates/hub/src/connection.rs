//! One connection's state, all of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wshub_protocol::extensions::Deflate;
use wshub_protocol::reader::Reader;
use wshub_protocol::server_message::ResetReason;
use wshub_protocol::{CloseCode, SessionId};

use crate::message::Message;
use crate::outbox::Outbox;
use crate::rooms::Memberships;
use crate::time::Tick;

/// No user, no connection.
pub(crate) const NONE: u32 = u32::MAX;

/// Where a connection is between its upgrade and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Messages go both ways.
    Open,
    /// We said good-bye: frames are read only to find the peer's close.
    Leaving,
    /// We said good-bye to a peer whose bytes make no sense any more: they are thrown away until it hangs up.
    Deaf,
    /// Both said good-bye: it ends when all is written.
    Answered,
}

/// Where a connection is while its node drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// It stays.
    Not,
    /// It was told when to leave.
    Told,
    /// Its time has come: it is closed when it can be told where the log ends.
    Due,
}

/// A connection. `S` is its socket, which the core keeps for the driver and never touches.
pub(crate) struct Connection<S> {
    pub(crate) socket: S,
    /// Tells this connection from an earlier one in the same place.
    pub(crate) generation: u32,
    /// The user's key, or [`NONE`] for a connection without identity or one that is closing.
    pub(crate) user: u32,
    /// The next connection of the same user.
    pub(crate) next_of_user: u32,
    pub(crate) session: SessionId,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) phase: Phase,
    /// It is given messages as they come. If not, they are kept for it by the log.
    pub(crate) live: bool,
    /// It was sent `connected`.
    pub(crate) greeted: bool,
    /// How far it is with leaving.
    pub(crate) leaves: Leaves,
    /// It acknowledges `user` messages itself.
    pub(crate) acks: bool,
    /// How far it has caught up, where it isn't live.
    pub(crate) catching_up: Option<Box<CatchingUp>>,
    /// The newest place whose cursor it was given.
    pub(crate) told: u64,
    /// When it was given that.
    pub(crate) told_at: Tick,
    /// Its account of messages without a receipt, if there are any.
    pub(crate) receipts: u32,
    /// When it was last asked for a receipt; the first tick is never.
    pub(crate) asked: Tick,
    /// What we closed it with.
    pub(crate) closed_with: Option<CloseCode>,
    /// The kernel took no more at the last try.
    pub(crate) blocked: bool,
    /// A ping was due while the kernel took nothing.
    pub(crate) ping_owed: bool,
    /// It stands in a queue of those to be written to.
    pub(crate) queued: bool,
    /// Our half of the TCP connection is closed.
    pub(crate) half_closed: bool,
    pub(crate) reader: Reader,
    /// Bytes counted for what the reader holds.
    pub(crate) held_bytes: usize,
    pub(crate) outbox: Outbox,
    pub(crate) rooms: Memberships,
    /// When it came.
    pub(crate) since: Tick,
    /// Since when it has been given everything, also across lives of the log.
    pub(crate) given_since: Tick,
    /// When the last frame came.
    pub(crate) heard: Tick,
    /// When the last ping went out.
    pub(crate) pinged: Tick,
    /// When a blocked socket last took something.
    pub(crate) progress: Tick,
    /// When one that was told to leave is closed, and when a closing one is given up.
    pub(crate) until: Tick,
    /// The low half of the millisecond at which it was last written to.
    pub(crate) written_ms: u32,
}

impl<S> Connection<S> {
    /// A place up to which it was given all that is for it, or is by what waits in its outbox.
    pub(crate) fn surely_given(&self) -> u64 {
        let catching_up = self.catching_up.iter();
        let rooms = catching_up.flat_map(|catching_up| catching_up.rooms.values());
        rooms.fold(self.told, |told, own| told.min(own.place))
    }
}

/// A connection on its way to the log's end.
pub(crate) struct CatchingUp {
    /// Messages of its user's queue that come first.
    pub(crate) waiting: VecDeque<Arc<Message>>,
    /// With those, it was given all up to here.
    pub(crate) place: u64,
    /// Rooms that were given up to another place, by key.
    pub(crate) rooms: BTreeMap<u32, OwnPlace>,
    pub(crate) stage: Stage,
    /// Bytes of the next message, where that is known: it had no room.
    pub(crate) next_bytes: usize,
    /// What the client sent before it was let in.
    pub(crate) early: Vec<u8>,
}

/// Up to where a connection was given what was said in a room, where that isn't the place of the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnPlace {
    pub(crate) place: u64,
    /// The question under way asks from there.
    asked: bool,
}

/// What a connection that catches up waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To be let in.
    Entering,
    /// For the next part of the log.
    Asked,
    /// For room in its outbox.
    Ready,
    /// For the log, which is away; why it is told to reload once that is back.
    Away(ResetReason),
}

impl CatchingUp {
    pub(crate) fn from(place: u64, stage: Stage) -> Self {
        Self {
            waiting: VecDeque::new(),
            place,
            rooms: BTreeMap::new(),
            stage,
            next_bytes: 0,
            early: Vec::new(),
        }
    }

    /// Bytes of the messages that come first.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let frames = self.waiting.iter().map(|message| message.frame.plain());
        frames.map(<[u8]>::len).sum()
    }

    /// Up to where it was given what was said in a room.
    pub(crate) fn place_in(&self, room: u32) -> u64 {
        let own = self.rooms.get(&room);
        own.map_or(self.place, |own| own.place)
    }

    /// Has a room go on from a place of its own, whatever is under way for it.
    pub(crate) fn set_room(&mut self, room: u32, place: u64) {
        let asked = false;
        self.rooms.insert(room, OwnPlace { place, asked });
    }

    /// Has nothing more come of a room.
    pub(crate) fn forget_room(&mut self, room: u32) {
        self.rooms.remove(&room);
    }

    /// Takes in that it is asked for all that isn't given yet.
    pub(crate) fn ask(&mut self) {
        self.stage = Stage::Asked;
        self.rooms.values_mut().for_each(|own| own.asked = true);
    }

    /// Whether a room has come since the question under way was asked.
    pub(crate) fn is_unasked(&self, room: u32) -> bool {
        self.rooms.get(&room).is_some_and(|own| !own.asked)
    }

    /// The first of the places of those rooms.
    pub(crate) fn first_unasked(&self) -> Option<u64> {
        let unasked = self.rooms.values().filter(|own| !own.asked);
        unasked.map(|own| own.place).min()
    }

    /// Takes in that all the question asked for was given up to `place`.
    pub(crate) fn advance(&mut self, place: u64) {
        if self.stage != Stage::Asked {
            return;
        }
        self.stage = Stage::Ready;
        self.place = self.place.max(place);
        let common = self.place;
        self.rooms.retain(|_, own| {
            if own.asked {
                own.place = place.max(own.place);
            }
            !own.asked || own.place != common
        });
    }
}
