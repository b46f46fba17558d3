//! One connection's state, all of it.

use wshub_protocol::extensions::Deflate;
use wshub_protocol::reader::Reader;
use wshub_protocol::{CloseCode, SessionId};

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
    /// When the last frame came.
    pub(crate) heard: Tick,
    /// When the last ping went out.
    pub(crate) pinged: Tick,
    /// When a blocked socket last took something.
    pub(crate) progress: Tick,
    /// When a closing connection is given up.
    pub(crate) until: Tick,
    /// The low half of the millisecond at which it was last written to.
    pub(crate) written_ms: u32,
}
