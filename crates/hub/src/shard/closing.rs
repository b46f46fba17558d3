//! How connections end: the close handshake, the slow, the silent, and the end of the shard itself.

use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::{CloseCode, UserId, server_message};

use super::{Effect, Shard, Token};
use crate::connection::{Connection, Leaves, NONE, Phase};
use crate::limits::{CLOSE_MS, EVICT_MS, LEAVE_MS};
use crate::message::Description;
use crate::time::Now;

impl<S> Shard<S> {
    /// Says good-bye with the code's own name as the reason.
    pub(super) fn close(&mut self, now: Now, index: u32, code: CloseCode) {
        self.close_because(now, index, code, code.name());
    }

    /// Says good-bye. What was queued before is written first, except to those who were too slow for it.
    pub(super) fn close_because(&mut self, now: Now, index: u32, code: CloseCode, reason: &str) {
        if self.connections[index as usize].phase != Phase::Open {
            return;
        }
        if tells_position(code) {
            self.tell_position(now, index);
            if self.connections[index as usize].phase != Phase::Open {
                // To be told so was too much for it: it has said good-bye already.
                return;
            }
        }
        self.detach(now, index);
        self.counters.close(code);
        if code == CloseCode::Draining {
            self.counters.moved.add(1);
        }
        let connection = &mut self.connections[index as usize];
        let slow = code == CloseCode::TooSlow;
        if slow {
            let dropped = self
                .outgoing
                .clear_behind_current(&mut connection.outbox, connection.deflate);
            self.counters.ledger.too_slow.add(u64::from(dropped));
        }
        connection.closed_with = Some(code);
        connection.phase = Phase::Leaving;
        connection.until = now.tick().plus_ms(if slow { EVICT_MS } else { CLOSE_MS });
        self.outgoing.queue_last(
            now,
            index,
            connection,
            frame::encode_close(code.number(), reason),
        );
        self.arm(index);
    }

    /// Gives up a connection that stopped within a frame, with the rest of that: kept for the sake of a close frame it
    /// would take as much memory as before, and the next slowest would have to go for it, and the next. Nothing can be
    /// written behind it, so its socket is just closed.
    pub(super) fn give_up(&mut self, now: Now, index: u32) {
        self.detach(now, index);
        self.counters.close(CloseCode::TooSlow);
        let connection = &mut self.connections[index as usize];
        let dropped = self.outgoing.clear(&mut connection.outbox);
        self.counters.ledger.too_slow.add(u64::from(dropped));
        connection.closed_with = Some(CloseCode::TooSlow);
        connection.phase = Phase::Leaving;
        connection.until = now.tick();
        self.arm(index);
    }

    /// The peer says good-bye: it is answered, and the connection ends when that is written.
    pub(super) fn peer_closes(&mut self, now: Now, index: u32, code: Option<u16>) {
        let was = self.connections[index as usize].phase;
        self.drop_reader(index);
        self.detach(now, index);
        let connection = &mut self.connections[index as usize];
        connection.phase = Phase::Answered;
        if was == Phase::Open {
            self.counters.left.add(1);
            if connection.leaves != Leaves::Not && !self.stopped {
                self.counters.moved.add(1);
            }
            let answer = match code {
                Some(code) => frame::encode_close(code, ""),
                None => frame::encode(Opcode::Close, false, b""),
            };
            connection.until = now.tick().plus_ms(CLOSE_MS);
            self.outgoing.queue_last(now, index, connection, answer);
            self.arm(index);
        } else if connection.outbox.is_empty() {
            self.release(index);
        }
    }

    /// Closes all connections with 1001, and every one that still comes. Those that are live are told how far the log
    /// goes first: where it ends now, since what was for others this shard hasn't heard of.
    pub fn stop(&mut self, now: Now) {
        self.stopped = true;
        let all: Vec<u32> = self
            .connections
            .iter()
            .map(|(index, _)| index as u32)
            .collect();
        for index in all {
            let connection = &self.connections[index as usize];
            if connection.live && connection.phase == Phase::Open {
                self.leave_behind_end(now, index);
                self.arm(index);
            } else {
                self.close(now, index, CloseCode::GoingAway);
            }
        }
    }

    /// Has each connection leave, at moments spread evenly over `over_ms`: it is told when, is served until then, and is
    /// closed with 1012 just after.
    pub fn drain(&mut self, now: Now, over_ms: u64) {
        self.drains = true;
        let all: Vec<u32> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.greeted)
            .map(|(index, _)| index as u32)
            .collect();
        let each = over_ms as f64 / all.len().max(1) as f64;
        for (at, index) in all.into_iter().enumerate() {
            self.send_away(now, index, ((at + 1) as f64 * each) as u64);
        }
    }

    /// Tells a connection to come back elsewhere after a while.
    pub(super) fn send_away(&mut self, now: Now, index: u32, delay_ms: u64) {
        let connection = &mut self.connections[index as usize];
        if connection.phase != Phase::Open {
            return;
        }
        connection.leaves = Leaves::Told;
        connection.until = now.tick().plus_ms(delay_ms);
        self.json.clear();
        server_message::write_reconnect(&mut self.json, "draining", delay_ms);
        self.send_json(now, index);
        self.arm(index);
    }

    /// Has a connection whose time to leave has come told how far the log goes, and closed behind that.
    pub(super) fn check_leaving(&mut self, now: Now, index: u32) {
        let connection = &mut self.connections[index as usize];
        if connection.until > now.tick() {
            return;
        }
        match connection.leaves {
            Leaves::Not => {}
            Leaves::Told => self.leave_behind_end(now, index),
            Leaves::Due => self.close(now, index, self.code_to_leave_with()),
        }
    }

    /// Has a connection closed behind the log's end, when that is known.
    fn leave_behind_end(&mut self, now: Now, index: u32) {
        let connection = &mut self.connections[index as usize];
        connection.leaves = Leaves::Due;
        connection.until = now.tick().plus_ms(LEAVE_MS);
        let token = Token::new(index, connection.generation);
        self.want_end(token);
    }

    /// What a connection is closed with whose time to leave has come.
    pub(super) fn code_to_leave_with(&self) -> CloseCode {
        if self.stopped {
            CloseCode::GoingAway
        } else {
            CloseCode::Draining
        }
    }

    /// Closes the connections that a user has now, by an operator's order.
    pub(super) fn disconnect(&mut self, now: Now, user: &UserId) {
        for index in self.connections_of(user) {
            self.close(now, index, CloseCode::Disconnected);
        }
    }

    /// What others may know of the connections that a user has now.
    pub(super) fn describe(&self, now: Now, user: &UserId) -> Vec<Description> {
        let connections = self.connections_of(user).into_iter();
        let connections = connections.map(|index| &self.connections[index as usize]);
        let describe = |connection: &Connection<S>| {
            let here_ms = now.elapsed_ms.saturating_sub(connection.since.elapsed_ms());
            let rooms = self.rooms.of(&connection.rooms);
            Description {
                session: connection.session,
                since: now.unix_ms.saturating_sub(here_ms) / 1000,
                rooms: rooms.map(|(_, room)| room.clone()).collect(),
            }
        };
        connections
            .filter(|connection| connection.greeted)
            .map(describe)
            .collect()
    }

    fn connections_of(&self, user: &UserId) -> Vec<u32> {
        let user = self.users.find(user.as_str());
        let mut at = user.map_or(NONE, |user| self.users.get(user).first);
        let mut connections = Vec::new();
        while at != NONE {
            connections.push(at);
            at = self.connections[at as usize].next_of_user;
        }
        connections
    }

    /// Takes a connection out of its user and its rooms: nothing more is queued to it. The rooms are kept for a while.
    pub(super) fn detach(&mut self, now: Now, index: u32) {
        let user = self.connections[index as usize].user;
        if user == NONE {
            return;
        }
        self.unlink_from_user(index, user);
        let rooms = std::mem::take(&mut self.connections[index as usize].rooms);
        if rooms.rooms > 0 {
            self.keep_rooms(now, user, rooms);
        }
        self.users.remove_if_unused(user);
        let connection = &mut self.connections[index as usize];
        connection.live = false;
        if let Some(catching_up) = connection.catching_up.take() {
            self.outgoing.aside -= catching_up.waiting_bytes();
        }
        self.accounts.close(&mut connection.receipts, true);
        if std::mem::take(&mut connection.greeted) {
            self.counters.clients.set(self.counters.clients.get() - 1);
        }
        self.counters.users.set(self.users.connected() as u64);
    }

    fn unlink_from_user(&mut self, index: u32, user: u32) {
        let connection = &mut self.connections[index as usize];
        connection.user = NONE;
        let next = std::mem::replace(&mut connection.next_of_user, NONE);
        let user = self.users.detach(user);
        if user.first == index {
            user.first = next;
            return;
        }
        let mut at = user.first;
        while self.connections[at as usize].next_of_user != index {
            at = self.connections[at as usize].next_of_user;
        }
        self.connections[at as usize].next_of_user = next;
    }

    pub(super) fn drop_reader(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        self.partial_bytes -= std::mem::take(&mut connection.held_bytes);
        connection.reader = Default::default();
        self.counters.partial_bytes.set(self.partial_bytes as u64);
    }

    /// The end: the socket goes back to the driver.
    pub(super) fn release(&mut self, index: u32) {
        self.drop_reader(index);
        self.timers.disarm(index);
        let Connection {
            socket,
            mut outbox,
            session,
            closed_with,
            ..
        } = self.connections.remove(index as usize);
        let dropped = self.outgoing.clear(&mut outbox);
        self.counters.ledger.unwritten.add(u64::from(dropped));
        self.counters.sockets.set(self.connections.len() as u64);
        self.effects
            .push_back(Effect::Close(socket, session, closed_with));
    }
}

/// A client that comes back at once is told where from: what is behind that place it gets then.
fn tells_position(code: CloseCode) -> bool {
    matches!(
        code,
        CloseCode::GoingAway
            | CloseCode::Draining
            | CloseCode::TokenExpired
            | CloseCode::Disconnected
    )
}
