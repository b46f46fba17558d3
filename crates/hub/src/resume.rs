//! What a connection asks of the log when it comes and while it catches up, and what it is answered.

use std::sync::Arc;

use wshub_protocol::server_message::ResetReason;
use wshub_protocol::{After, Cursor, RoomId, SessionId, UserId};

use crate::message::Message;

/// What a connection wants as it enters.
#[derive(Debug)]
pub struct Wanted {
    /// Who it is.
    pub user: UserId,
    /// The label of its session.
    pub session: SessionId,
    /// The label it handed in, where that was given to this user.
    pub handed: Option<SessionId>,
    /// The newest places it has seen.
    pub after: Option<After>,
    /// It acknowledges `user` messages itself: that it has seen a later place is no receipt.
    pub acks: bool,
    /// It may be written compressed copies.
    pub deflates: bool,
    /// It was in before and has lost its place, for this reason: there is no `connected` that could tell what its user's
    /// queue has lost.
    pub again: Option<ResetReason>,
    /// Rooms to join at once, and in their places those that it is refused.
    pub rooms: Vec<Result<RoomId, Barred>>,
}

/// A room that a connection named and isn't let into.
#[derive(Debug)]
pub enum Barred {
    /// This text is no room's id.
    Name(String),
    /// It would be in too many.
    Surplus(RoomId),
}

/// What a connection finds as it enters.
#[derive(Debug)]
pub struct Entrance {
    /// Who it is.
    pub user: UserId,
    /// The log's end at this moment.
    pub end: Cursor,
    /// The log's end when its user's queue was looked into, which it is told.
    pub cursor: Cursor,
    /// It is in although the log is away: nothing can be given to it until that is back.
    pub degraded: bool,
    /// It was in before and has lost its place, for this reason.
    pub again: Option<ResetReason>,
    /// Whether all that it missed follows.
    pub resumed: bool,
    /// It was given, or is given by `waiting`, all up to here. What lies between here and the end it has to ask for.
    pub place: u64,
    /// Messages from its user's queue that stand at or before `place`, oldest first.
    pub waiting: Vec<Arc<Message>>,
    /// Messages of the queue that follow, those of `waiting` and those that it has to ask for.
    pub pending: usize,
    /// How many the queue has lost since its user was last told.
    pub missed: u64,
    /// The rooms it wanted, in their order, with how many users are in each.
    pub rooms: Vec<Result<(RoomId, u32), Barred>>,
}

/// How far a connection that catches up was given what is for it.
#[derive(Debug)]
pub struct Behind {
    /// Who it is.
    pub user: UserId,
    /// It was given all for its user and for everybody up to here.
    pub place: u64,
    /// Rooms, and up to where it was given what was said there.
    pub rooms: Vec<(RoomId, u64)>,
    /// Which rooms those are.
    pub names: Names,
}

/// Which of its rooms a connection that catches up names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// All of them.
    All,
    /// Those that were given less than the rest. Behind `place` there are few entries: it is given all of them that may
    /// be for it, and knows by itself which rooms it is in.
    Behind,
}

/// The next part of what a connection has to catch up with.
#[derive(Debug)]
pub struct Piece {
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// With them it was given all up to here.
    pub place: u64,
    /// The log's end at this moment.
    pub end: Cursor,
    /// Where that leaves it.
    pub state: PieceState,
}

/// Where a part of the log leaves whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceState {
    /// There is more.
    More,
    /// This was the rest: what comes behind this item is live.
    End,
    /// The log has let go of what would have come next.
    Lost,
}

/// The most messages of one piece: few enough that the log is held for some microseconds only.
pub const PIECE_MESSAGES: usize = 64;
/// A piece of at least this many bytes is enough.
pub const PIECE_BYTES: usize = 256 * 1024;
/// The most entries that are looked at one by one for a piece.
pub const PIECE_ENTRIES: u64 = 256;
