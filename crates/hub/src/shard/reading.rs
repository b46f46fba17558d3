//! What a client says: its bytes become events, its messages become effects or an error.

use wshub_protocol::client_message::{self, ClientMessage, Refusal};
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::reader::{Event, ReadError, Reader};
use wshub_protocol::{CloseCode, server_message};

use super::{Effect, Mode, Shard, Token};
use crate::connection::{NONE, Phase};
use crate::message::Publication;
use crate::question::Question;
use crate::time::Now;

/// What an event costs beside the bytes it carries, in bytes that cost as much to handle.
const EVENT_WORK: usize = 64;

/// What a client may send before it is let in, where a message may not be even so large: what one read brings.
const EARLY_BYTES: usize = 16 * 1024;

impl<S> Shard<S> {
    /// Takes bytes that a connection's socket gave; they are unmasked in place.
    pub fn receive(&mut self, now: Now, token: Token, input: &mut [u8]) {
        let Some(connection) = self.get_mut(token) else {
            return;
        };
        if matches!(connection.phase, Phase::Deaf | Phase::Answered) {
            return;
        }
        if connection.user != NONE && !connection.greeted {
            return self.keep_early(now, token, input);
        }
        let deflate = connection.deflate.is_some();
        let mut reader = std::mem::take(&mut connection.reader);
        self.work += input.len();
        let mut inflation = std::mem::take(&mut self.inflation);
        let rules = self.rules(deflate);
        let mut rest = input;
        let failed = loop {
            match reader.next(&mut rest, rules, &mut inflation) {
                Ok(Some(event)) => {
                    if !self.hear(now, token, event) {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        self.inflation = inflation;
        match failed {
            Some(error) => self.fail(now, token, error),
            None => self.keep_reader(now, token, reader),
        }
    }

    /// Keeps what a client sends before it is let in: `connected` is the first that it hears. As much as one message may
    /// take is kept, and counted with those that are half received.
    fn keep_early(&mut self, now: Now, token: Token, input: &[u8]) {
        let most = self.limits.message_bytes;
        let Some(connection) = self.get_mut(token) else {
            return;
        };
        let Some(catching_up) = &mut connection.catching_up else {
            return;
        };
        if catching_up.early.len() + input.len() > most.max(EARLY_BYTES) {
            self.close(now, token.index(), CloseCode::TryAgainLater);
            return self.stop_listening(token.index());
        }
        catching_up.early.extend_from_slice(input);
        connection.held_bytes += input.len();
        self.partial_bytes += input.len();
        self.keep_within_partial_bytes(now);
    }

    /// Hears what a client sent before it was let in.
    pub(super) fn hear_early(&mut self, now: Now, token: Token, mut early: Vec<u8>) {
        self.drop_reader(token.index());
        if !early.is_empty() {
            self.receive(now, token, &mut early);
        }
    }

    fn keep_within_partial_bytes(&mut self, now: Now) {
        self.counters.partial_bytes.set(self.partial_bytes as u64);
        while self.partial_bytes > self.limits.partial_bytes {
            self.drop_largest_partial(now);
        }
    }

    /// The peer hung up, or its socket broke.
    pub fn broken(&mut self, now: Now, token: Token) {
        let Some(connection) = self.get_mut(token) else {
            return;
        };
        if connection.phase == Phase::Open {
            self.counters.left.add(1);
            self.detach(now, token.index());
        }
        self.release(token.index());
    }

    /// Puts the reading state back, unless all half-received messages together take too much.
    fn keep_reader(&mut self, now: Now, token: Token, mut reader: Reader) {
        let held = reader.held_bytes();
        let heard = reader.took_fragment();
        let Some(connection) = self.get_mut(token) else {
            return;
        };
        if matches!(connection.phase, Phase::Deaf | Phase::Answered) {
            return;
        }
        if heard {
            connection.heard = now.tick();
        }
        let before = std::mem::replace(&mut connection.held_bytes, held);
        connection.reader = reader;
        self.partial_bytes = self.partial_bytes + held - before;
        self.keep_within_partial_bytes(now);
    }

    /// Closes the connection that holds most: whoever sends a small message in two pieces is not to pay for those who
    /// hold large ones half sent.
    fn drop_largest_partial(&mut self, now: Now) {
        let all = self.connections.iter();
        let largest = all.max_by_key(|(_, connection)| connection.held_bytes);
        let Some((index, _)) = largest else { return };
        self.drop_reader(index as u32);
        self.close(now, index as u32, CloseCode::TryAgainLater);
        self.stop_listening(index as u32);
    }

    /// What was done for clients since this was last asked, in bytes that cost as much: those received and inflated,
    /// and a share for each event.
    pub fn take_work(&mut self) -> usize {
        std::mem::take(&mut self.work)
    }

    fn fail(&mut self, now: Now, token: Token, error: ReadError) {
        if self.get_mut(token).is_some() {
            self.drop_reader(token.index());
            self.close_because(now, token.index(), error.close_code(), &error.to_string());
            self.stop_listening(token.index());
        }
    }

    /// What still comes begins within a frame and makes no sense by itself: it is thrown away until the peer hangs up.
    fn stop_listening(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        connection.phase = Phase::Deaf;
        if connection.outbox.is_empty() {
            self.all_written(index);
        }
    }

    /// Takes one event; `false` when nothing more is to be read from this connection.
    fn hear(&mut self, now: Now, token: Token, event: Event<'_>) -> bool {
        let index = token.index();
        let connection = &mut self.connections[index as usize];
        connection.heard = now.tick();
        let open = connection.phase == Phase::Open;
        self.work += EVENT_WORK;
        if let Event::Message { payload, .. } = &event {
            self.work += payload.len();
        }
        match event {
            Event::Close(code) => {
                self.peer_closes(now, index, code);
                return false;
            }
            Event::Message { text, payload } if open => match self.mode {
                Mode::Hub => self.hear_message(now, token, payload),
                Mode::Echo => self.echo(now, index, text, payload),
            },
            Event::Ping(payload) if open => {
                self.send(
                    now,
                    index,
                    frame::encode(Opcode::Pong, false, payload).into(),
                );
            }
            Event::Pong(payload) if open => self.hear_pong(index, payload),
            Event::Message { .. } | Event::Ping(_) | Event::Pong(_) => {}
        }
        self.get_mut(token)
            .is_some_and(|connection| matches!(connection.phase, Phase::Open | Phase::Leaving))
    }

    fn hear_message(&mut self, now: Now, token: Token, payload: &[u8]) {
        match client_message::parse(payload) {
            Ok(ClientMessage::Publish(publish)) => {
                let connection = &self.connections[token.index() as usize];
                let publication = Publication {
                    from: self.users.get(connection.user).id.as_str().to_owned(),
                    except: publish.to_others.then_some(connection.session),
                    publish,
                };
                self.effects.push_back(Effect::Publish(token, publication));
            }
            Ok(ClientMessage::Join { room, wish }) => self.ask_to_join(token, room, wish),
            Ok(ClientMessage::Leave { room }) => self.ask(Question::Leave(token, room)),
            Ok(ClientMessage::Ack { cursors }) => self.acknowledge(now, token.index(), &cursors),
            Ok(ClientMessage::Ping) => {
                self.json.clear();
                server_message::write_pong(&mut self.json);
                self.send_json(now, token.index());
            }
            Err(refusal) => self.tell_refusal(now, token.index(), &refusal),
        }
    }

    pub(super) fn tell_refusal(&mut self, now: Now, index: u32, refusal: &Refusal) {
        self.counters.refused.add(1);
        self.json.clear();
        server_message::write_refusal(&mut self.json, refusal);
        self.send_json(now, index);
    }

    fn echo(&mut self, now: Now, index: u32, text: bool, payload: &[u8]) {
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        let deflate = self.connections[index as usize].deflate;
        let frame = self.outgoing.encode_for(deflate, opcode, payload);
        self.send(now, index, frame.into());
    }
}
