//! Proof of receipt: pings behind `user` messages and their pongs, the client's own `ack`, and `position`, which tells a
//! client that nothing was for it how far the log has moved on.

use wshub_protocol::client_message::Refusal;
use wshub_protocol::{Cursor, ErrorCode, server_message};

use super::timing::position_deadline;
use super::{Shard, Token};
use crate::connection::{Connection, Leaves};
use crate::limits::{LONE_RECEIPT_MS, RECEIPT_MS};
use crate::question::Question;
use crate::receipts;
use crate::time::{Now, Tick};

impl<S> Shard<S> {
    /// Remembers that a connection was given a message to its user.
    pub(super) fn note_given(&mut self, index: u32, place: u64) {
        let connection = &mut self.connections[index as usize];
        self.accounts.enter(&mut connection.receipts, place);
        self.list_for_receipt(index);
    }

    /// Lists a connection, once, if it has messages to ask a receipt for and none is asked for.
    pub(super) fn list_for_receipt(&mut self, index: u32) {
        let connection = &self.connections[index as usize];
        let Some(account) = self.accounts.get_mut(connection.receipts) else {
            return;
        };
        if !connection.acks
            && account.may_be_pinged()
            && !std::mem::replace(&mut account.listed, true)
        {
            self.outgoing.list_for_ping(index);
        }
    }

    /// Asks for receipts, now that all messages of this turn are queued: one ping behind those of each connection.
    pub(super) fn ask_for_receipts(&mut self, now: Now) {
        while let Some(index) = self.outgoing.pop_to_ping() {
            let Some(connection) = self.connections.get(index as usize) else {
                continue;
            };
            let Some(account) = self.accounts.get_mut(connection.receipts) else {
                continue;
            };
            account.listed = false;
            let account = &*account;
            if !account.may_be_pinged() || connection.blocked {
                continue;
            }
            let never = connection.asked == Tick::default();
            let fills = self.accounts.get(connection.receipts);
            let fills = fills.is_some_and(|account| self.accounts.fills(account));
            if never || fills || connection.asked.plus_ms(RECEIPT_MS) <= now.tick() {
                self.send_ping(now, index);
            } else {
                self.arm(index);
            }
        }
    }

    /// Sends a ping. Behind messages without a receipt it has a number, so that its pong is one: a peer may answer only
    /// the last of several pings (RFC 6455 section 5.5.3).
    pub(super) fn send_ping(&mut self, now: Now, index: u32) {
        let connection = &mut self.connections[index as usize];
        connection.pinged = now.tick();
        if connection.acks || self.accounts.get(connection.receipts).is_none() {
            return self.send(now, index, self.ping.clone());
        }
        connection.asked = now.tick();
        let number = self.accounts.ping(connection.receipts);
        self.outgoing.queue_ping(now, index, connection, number);
        self.evict_slow(now);
    }

    /// When a receipt is to be asked for by itself, since no message has brought the question along.
    pub(super) fn receipt_deadline(&self, connection: &Connection<S>) -> Option<Tick> {
        let account = self.accounts.get(connection.receipts)?;
        let waits = !connection.acks && !connection.blocked && account.may_be_pinged();
        waits.then(|| connection.asked.plus_ms(LONE_RECEIPT_MS))
    }

    pub(super) fn check_receipt(&mut self, now: Now, index: u32) {
        let due = self.receipt_deadline(&self.connections[index as usize]);
        if due.is_some_and(|at| at <= now.tick()) {
            self.send_ping(now, index);
        }
    }

    /// Takes a pong: with the number of the ping under way it is a receipt for what stood before that.
    pub(super) fn hear_pong(&mut self, index: u32, payload: &[u8]) {
        let connection = &mut self.connections[index as usize];
        let Some(number) = receipts::number(payload) else {
            return;
        };
        if self.accounts.get(connection.receipts).is_none() {
            return;
        }
        let user = self.users.get(connection.user).id.as_str();
        let received = self.accounts.pong(connection.receipts, number);
        self.received.add(user, received);
        self.accounts.close(&mut connection.receipts, false);
        // What was given behind that ping is asked for in its turn.
        self.list_for_receipt(index);
    }

    /// Takes a client's own acknowledgement of all `user` messages up to a place.
    pub(super) fn acknowledge(&mut self, now: Now, index: u32, cursors: &[Cursor]) {
        let connection = &mut self.connections[index as usize];
        let told = self.end.map(|end| (end.epoch, connection.told));
        let was_given = |cursor: &Cursor| {
            cursor.partition == 0
                && told.is_some_and(|(epoch, told)| {
                    // What waits in a queue may be of an earlier life of the log.
                    let is_ours = cursor.epoch == epoch || cursor.epoch.ordinal < epoch.ordinal;
                    is_ours && cursor.offset.place() <= told
                })
        };
        if !cursors.iter().all(was_given) {
            let sentence = "this connection was given nothing at that cursor: acknowledge the \
                            cursor of a message that it was given";
            let refusal = Refusal::new(ErrorCode::BadCursor, sentence);
            return self.tell_refusal(now, index, &refusal);
        }
        if self.accounts.get(connection.receipts).is_none() {
            return;
        }
        let user = self.users.get(connection.user).id.as_str();
        for cursor in cursors {
            let place = cursor.offset.place();
            let received = self.accounts.acknowledge(connection.receipts, place);
            self.received.add(user, received);
        }
        self.accounts.close(&mut connection.receipts, false);
    }

    /// Has the log's end asked for where a connection was given no cursor for long.
    pub(super) fn check_position(&mut self, now: Now, index: u32) {
        let connection = &mut self.connections[index as usize];
        if position_deadline(connection, &self.limits).is_none_or(|at| at > now.tick()) {
            return;
        }
        connection.told_at = now.tick();
        let token = Token::new(index, connection.generation);
        self.want_end(token);
    }

    /// Has the log's end asked for, to tell it to a connection: once for all that wait for it.
    pub(super) fn want_end(&mut self, token: Token) {
        self.to_position.push(token);
        if self.to_position.len() == 1 {
            self.ask(Question::End);
        }
    }

    /// Tells those who wait for it where the log ends, and closes those of them whose time to leave has come.
    pub(super) fn tell_positions(&mut self, now: Now, end: Cursor) {
        self.end = Some(end);
        for token in std::mem::take(&mut self.to_position) {
            if !self.is_open(token) {
                continue;
            }
            if self.connections[token.index() as usize].leaves == Leaves::Due {
                self.close(now, token.index(), self.code_to_leave_with());
            } else {
                self.tell_position(now, token.index());
            }
        }
    }

    /// Tells a connection how far it has come, if that is further than it knows.
    pub(super) fn tell_position(&mut self, now: Now, index: u32) {
        let connection = &mut self.connections[index as usize];
        let Some(end) = self.end.filter(|end| end.offset.place() > connection.told) else {
            return;
        };
        if !connection.live {
            return;
        }
        connection.told = end.offset.place();
        connection.told_at = now.tick();
        self.json.clear();
        server_message::write_position(&mut self.json, &end);
        self.send_json(now, index);
    }
}
