//! A simulated TCP connection: two pipes with a kernel's bounded buffers, which deliver late and in pieces.

use std::collections::VecDeque;

use fastrand::Rng;
use wshub_hub::Token;

/// One direction of a link.
pub(crate) struct Pipe {
    /// Bytes that may be under way or unread.
    pub(crate) capacity: usize,
    held: usize,
    pieces: VecDeque<Piece>,
    /// The writer has closed it.
    pub(crate) ended: bool,
    /// The reader is gone: writing fails.
    pub(crate) cut: bool,
    /// A writer was told that there is no room.
    wants_room: bool,
    last_arrival: u64,
    /// What a reset took with it, though the writer's kernel had it.
    swallowed: Vec<u8>,
}

struct Piece {
    arrives_ms: u64,
    bytes: Vec<u8>,
    read: usize,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            held: 0,
            pieces: VecDeque::new(),
            ended: false,
            cut: false,
            wants_room: false,
            last_arrival: 0,
            swallowed: Vec::new(),
        }
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.held)
    }

    /// Says that the writer found no room.
    pub(crate) fn refuse(&mut self) {
        self.wants_room = true;
    }

    pub(crate) fn write(&mut self, arrives_ms: u64, bytes: Vec<u8>) {
        // What was sent later never overtakes.
        self.last_arrival = self.last_arrival.max(arrives_ms);
        self.held += bytes.len();
        self.pieces.push_back(Piece {
            arrives_ms: self.last_arrival,
            bytes,
            read: 0,
        });
    }

    pub(crate) fn has_bytes(&self, now_ms: u64) -> bool {
        self.pieces
            .front()
            .is_some_and(|piece| piece.arrives_ms <= now_ms)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.ended && self.pieces.is_empty()
    }

    /// When the next bytes come that aren't there yet.
    pub(crate) fn next_arrival_ms(&self, now_ms: u64) -> Option<u64> {
        self.pieces
            .front()
            .map(|piece| piece.arrives_ms)
            .filter(|&at| at > now_ms)
    }

    /// What has arrived, at most `most` bytes.
    pub(crate) fn read(&mut self, now_ms: u64, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < most && self.has_bytes(now_ms) {
            let piece = &mut self.pieces[0];
            let end = piece.bytes.len().min(piece.read + most - out.len());
            out.extend_from_slice(&piece.bytes[piece.read..end]);
            piece.read = end;
            if end == piece.bytes.len() {
                self.pieces.pop_front();
            }
        }
        self.held -= out.len();
        out
    }

    /// Has all that is under way swallowed.
    fn reset(&mut self) {
        self.swallowed = self.rest();
        self.pieces.clear();
        self.held = 0;
    }

    /// All that was written and not read, whether or not it can be.
    pub(crate) fn rest(&self) -> Vec<u8> {
        let unread = self
            .pieces
            .iter()
            .flat_map(|piece| &piece.bytes[piece.read..]);
        self.swallowed.iter().chain(unread).copied().collect()
    }

    /// Whether the writer is to be told of room: like Linux, when a third of the buffer is free.
    pub(crate) fn tells_room(&mut self) -> bool {
        let tells = self.wants_room && self.room() * 3 >= self.capacity;
        self.wants_room &= !tells;
        tells
    }
}

/// A link between a client and its shard.
pub(crate) struct Link {
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    pub(crate) shard: usize,
    pub(crate) token: Option<Token>,
    /// The server holds its socket.
    pub(crate) open: bool,
    /// The server was told that its peer closed.
    pub(crate) end_told: bool,
    /// The kernel has an event for the server: there is room again.
    pub(crate) writable: bool,
    pub(crate) latency_ms: u64,
    /// Nothing gets through, and nobody is told.
    pub(crate) lost: bool,
}

impl Link {
    pub(crate) fn new(buffer: usize, latency_ms: u64) -> Self {
        Self {
            up: Pipe::new(buffer),
            down: Pipe::new(buffer),
            shard: 0,
            token: None,
            open: true,
            end_told: false,
            writable: false,
            latency_ms,
            lost: false,
        }
    }

    /// The server drops its socket. Like Linux it resets the connection where something was left unread: then what
    /// the client hasn't read may be lost, and here always is.
    pub(crate) fn close_by_server(&mut self) {
        if self.up.held > 0 {
            self.down.reset();
        }
        self.open = false;
        self.down.ended = true;
        self.up.cut = true;
    }

    pub(crate) fn can_be_read(&self, now_ms: u64) -> bool {
        let ends = self.up.is_at_end() && !self.end_told;
        self.open && self.token.is_some() && (self.up.has_bytes(now_ms) || ends)
    }
}

/// How many of `most` bytes go at once: often all, sometimes a few.
pub(crate) fn piece(rng: &mut Rng, most: usize) -> usize {
    let upper = match rng.u8(0..8) {
        0 => 3,
        1 => 100,
        _ => return most,
    };
    rng.usize(1..=upper).min(most)
}
