//! A client in the words of stories: what it does, and what it has heard.

use wshub_protocol::frame::Opcode;

use super::peer::{Peer, Said, Wish, offset_of};
use super::turns::Turns;
use super::{World, quoted, wire};

/// A connection of a user.
#[derive(Clone)]
pub(crate) struct Client {
    world: World,
    number: usize,
}

impl Client {
    pub(crate) fn new(world: World, number: usize) -> Self {
        Self { world, number }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    fn with<T>(&self, act: impl FnOnce(&mut Turns, usize) -> T) -> T {
        act(&mut self.world.turns.borrow_mut(), self.number)
    }

    fn look<T>(&self, look: impl FnOnce(&Peer) -> T) -> T {
        look(&self.world.turns.borrow().peers[self.number])
    }

    /// Sends bytes as they are.
    pub(crate) fn writes(&self, bytes: &[u8]) {
        self.with(|turns, at| turns.peers[at].outgoing.extend(bytes));
        self.world.settled();
    }

    /// Sends a frame with this first byte.
    pub(crate) fn sends_frame(&self, first: u8, payload: &[u8]) {
        let mask = self.with(|turns, _| turns.mask());
        self.writes(&wire::frame(first, payload, mask));
    }

    /// Sends a text message.
    pub(crate) fn sends(&self, text: &str) {
        self.sends_frame(wire::TEXT | wire::FIN, text.as_bytes());
    }

    pub(crate) fn broadcasts(&self, text: &str) {
        self.sends(&format!(
            r#"{{"type":"broadcast","data":{}}}"#,
            quoted(text)
        ));
    }

    pub(crate) fn tells(&self, users: &[&str], text: &str) {
        let (users, data) = (serde_json::to_string(users).expect("ids"), quoted(text));
        self.sends(&format!(
            r#"{{"type":"user","target_ids":{users},"data":{data}}}"#
        ));
    }

    pub(crate) fn says(&self, room: &str, text: &str) {
        let (room, data) = (quoted(room), quoted(text));
        self.sends(&format!(
            r#"{{"type":"room","room_id":{room},"data":{data}}}"#
        ));
    }

    pub(crate) fn joins(&self, room: &str) {
        self.joins_with(room, Wish::default());
    }

    /// Joins, and wants to be told who comes and goes.
    pub(crate) fn watches(&self, room: &str) {
        self.joins_with(
            room,
            Wish {
                presence: true,
                ..Wish::default()
            },
        );
    }

    /// Joins, and wants so many of the newest messages.
    pub(crate) fn joins_with_history(&self, room: &str, most: usize) {
        self.joins_with(
            room,
            Wish {
                history: Some(most),
                ..Wish::default()
            },
        );
    }

    /// Joins, and wants what was said there behind this cursor.
    pub(crate) fn joins_after(&self, room: &str, after: &str) {
        self.joins_with(
            room,
            Wish {
                after: Some(after.to_owned()),
                ..Wish::default()
            },
        );
    }

    pub(crate) fn joins_with(&self, room: &str, wish: Wish) {
        let mut join = serde_json::json!({ "type": "join", "room_id": room });
        if let Some(history) = wish.history {
            join["history"] = history.into();
        }
        if let Some(after) = &wish.after {
            join["after"] = after.as_str().into();
        }
        if wish.presence {
            join["presence"] = true.into();
        }
        self.with(|turns, at| turns.peers[at].joins.push(wish));
        self.sends(&join.to_string());
    }

    /// Joins, and is the same client.
    pub(crate) fn join(self, room: &str) -> Self {
        self.joins(room);
        self
    }

    pub(crate) fn leaves(&self, room: &str) {
        self.sends(&format!(r#"{{"type":"leave","room_id":{}}}"#, quoted(room)));
    }

    /// Says something in a room that nobody is to get who isn't there now.
    pub(crate) fn hints(&self, room: &str, text: &str) {
        let (room, data) = (quoted(room), quoted(text));
        self.sends(&format!(
            r#"{{"type":"room","room_id":{room},"ephemeral":true,"data":{data}}}"#
        ));
    }

    /// Says something in a room that it doesn't want to hear itself.
    pub(crate) fn says_to_others(&self, room: &str, text: &str) {
        let (room, data) = (quoted(room), quoted(text));
        self.sends(&format!(
            r#"{{"type":"room","room_id":{room},"to":"others","data":{data}}}"#
        ));
    }

    /// Tells users something that it doesn't want to hear itself.
    pub(crate) fn tells_others(&self, users: &[&str], text: &str) {
        let (users, data) = (serde_json::to_string(users).expect("ids"), quoted(text));
        self.sends(&format!(
            r#"{{"type":"user","target_ids":{users},"to":"others","data":{data}}}"#
        ));
    }

    /// Acknowledges all `user` messages up to this cursor.
    pub(crate) fn acknowledges(&self, cursor: &str) {
        self.sends(&format!(r#"{{"type":"ack","cursor":{}}}"#, quoted(cursor)));
    }

    /// A new connection that goes on where this one was.
    pub(crate) fn comes_back(&self) -> Self {
        self.world.visitor(&self.user()).resuming(self).comes()
    }

    /// The label of its session; the one it handed in where it wasn't told another.
    pub(crate) fn session(&self) -> String {
        let labels = self.each("connected", |said| said.session_id.clone());
        let told = labels.into_iter().flatten().next();
        told.unwrap_or_else(|| self.look(|peer| peer.session.clone()))
    }

    /// The newest place that it keeps.
    pub(crate) fn place(&self) -> String {
        self.look(|peer| peer.place.clone().unwrap_or_default())
    }

    /// The place it handed in, where that reads as one.
    pub(crate) fn came_after(&self) -> Option<u64> {
        self.look(|peer| peer.after.starts_with("1.").then(|| offset_of(&peer.after)))
    }

    /// How many rooms it named in its query.
    pub(crate) fn rooms_in_query(&self) -> usize {
        self.look(|peer| {
            let rooms = peer.rooms.split(',');
            rooms.filter(|room| !room.is_empty()).count()
        })
    }

    /// What it asked for with each join it sent.
    pub(crate) fn asked_to_join(&self) -> Vec<Wish> {
        self.look(|peer| peer.joins.clone())
    }

    /// Who came and went, as it was told: `join ann`, `leave ann`, `count 1001`.
    pub(crate) fn saw(&self) -> Vec<String> {
        self.each("presence", |said| {
            let event = said.event.as_deref().unwrap_or_default();
            match (&said.user_id, said.members) {
                (Some(user), None) => format!("{event} {user}"),
                (None, Some(members)) => format!("{event} {members}"),
                other => panic!("a presence of {other:?}"),
            }
        })
    }

    /// What it was given as history with its last join, and whether that is all.
    pub(crate) fn history(&self) -> (Vec<String>, bool) {
        self.last("joined", |said| {
            let history = said.history.as_ref().expect("a history");
            let texts = history
                .iter()
                .map(|one| one.data().trim_matches('"').to_owned());
            (
                texts.collect(),
                said.history_complete.expect("whether it is all"),
            )
        })
    }

    /// What `connected` said of a resume: whether it is one, how many wait, how many were missed.
    pub(crate) fn found(&self) -> (bool, u64, u64) {
        let found = self.each("connected", |said| {
            (said.resumed, said.pending, said.missed)
        });
        match found[..] {
            [(Some(resumed), Some(pending), Some(missed))] => (resumed, pending, missed),
            ref other => panic!("connected said {other:?}"),
        }
    }

    /// Says good-bye.
    pub(crate) fn closes(&self, code: u16) {
        self.with(|turns, at| {
            let mask = turns.mask();
            turns.peers[at].closed_first = true;
            turns.peers[at].say_close(code, mask);
        });
        self.world.settled();
    }

    pub(crate) fn closes_normally(&self) {
        self.closes(1000);
    }

    /// Sends a frame with an opcode that nobody knows.
    pub(crate) fn breaks_the_rules(&self) {
        self.sends_frame(0x83, b"");
    }

    /// Closes its socket without a word.
    pub(crate) fn hangs_up(&self) {
        self.with(|turns, at| {
            turns.peers[at].reads = false;
            turns.peers[at].outgoing.clear();
            turns.links[at].up.ended = true;
            turns.links[at].down.cut = true;
        });
        self.world.settled();
    }

    /// Is gone, and nobody is told: no byte goes through any more.
    pub(crate) fn vanishes(&self) {
        self.with(|turns, at| turns.links[at].lost = true);
        self.world.settled();
    }

    pub(crate) fn stops_reading(&self) {
        self.with(|turns, at| turns.peers[at].reads = false);
    }

    pub(crate) fn reads_on(&self) {
        self.with(|turns, at| turns.peers[at].reads = true);
        self.world.settled();
    }

    /// Hears what the server's kernel took and the link never brought, though it is over.
    pub(crate) fn hears_what_the_link_holds(&self) {
        self.with(|turns, at| {
            let (rest, mask) = (turns.links[at].down.rest(), turns.mask());
            turns.peers[at].hear(&rest, mask);
        });
    }

    pub(crate) fn ignores_pings(&self) {
        self.with(|turns, at| turns.peers[at].answers_pings = false);
    }

    /// Answers the last of the pings it was given, once, as RFC 6455 section 5.5.3 lets it.
    pub(crate) fn answers_the_last_ping(&self) {
        let ping = self.look(|peer| peer.last_ping.clone());
        self.sends_frame(wire::PONG | wire::FIN, &ping);
    }

    pub(crate) fn ignores_the_close(&self) {
        self.with(|turns, at| turns.peers[at].answers_close = false);
    }

    /// The `data` of all messages it heard, texts without their quotes.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.told(
            |said| said.is_message(),
            |said| said.data().trim_matches('"').to_owned(),
        )
    }

    /// The places of all messages it heard.
    pub(crate) fn places(&self) -> Vec<u64> {
        self.told(|said| said.is_message(), Said::offset)
    }

    /// The types of all it was told, in order.
    pub(crate) fn types(&self) -> Vec<String> {
        self.told(|_| true, |said| said.kind.clone())
    }

    /// The codes of the errors it was told.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.told(
            |said| said.kind == "error",
            |said| said.code.clone().unwrap_or_default(),
        )
    }

    /// Something of each message of a type.
    pub(crate) fn each<T>(&self, kind: &str, look: impl Fn(&Said) -> T) -> Vec<T> {
        self.told(|said| said.kind == kind, look)
    }

    /// Something of the last message of a type.
    pub(crate) fn last<T>(&self, kind: &str, look: impl Fn(&Said) -> T) -> T {
        self.look(|peer| {
            let last = peer.said.iter().rfind(|said| said.kind == kind);
            look(last.unwrap_or_else(|| panic!("was told no {kind}")))
        })
    }

    /// All it was told.
    pub(crate) fn with_all<T>(&self, look: impl FnOnce(&[Said]) -> T) -> T {
        self.look(|peer| look(&peer.said))
    }

    fn told<T>(&self, which: impl Fn(&Said) -> bool, look: impl Fn(&Said) -> T) -> Vec<T> {
        self.look(|peer| {
            peer.said
                .iter()
                .filter(|said| which(said))
                .map(look)
                .collect()
        })
    }

    /// The messages it kept as they came.
    pub(crate) fn texts(&self) -> Vec<(Opcode, String)> {
        self.look(|peer| {
            let text = |(opcode, text): &(u8, Vec<u8>)| {
                let opcode = if *opcode == wire::TEXT {
                    Opcode::Text
                } else {
                    Opcode::Binary
                };
                (opcode, String::from_utf8_lossy(text).into_owned())
            };
            peer.texts.iter().map(text).collect()
        })
    }

    /// Every byte it was given behind the answer to the upgrade.
    pub(crate) fn recording(&self) -> Vec<u8> {
        self.look(|peer| {
            let bytes = peer.recording.as_deref().expect("a visitor that records");
            let head = bytes
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .map_or(0, |at| at + 4);
            bytes[head..].to_vec()
        })
    }

    pub(crate) fn compressed_frames(&self) -> usize {
        self.look(|peer| peer.compressed_frames)
    }

    pub(crate) fn pings(&self) -> usize {
        self.look(|peer| peer.pings)
    }

    /// The payloads of the pongs it was given.
    pub(crate) fn pongs(&self) -> Vec<String> {
        self.look(|peer| {
            peer.pongs
                .iter()
                .map(|pong| String::from_utf8_lossy(pong).into_owned())
                .collect()
        })
    }

    /// The code that the server closed with, or answered its own close with.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.look(|peer| peer.close.as_ref().map(|(code, _)| *code))
    }

    pub(crate) fn close_reason(&self) -> Option<String> {
        self.look(|peer| peer.close.as_ref().map(|(_, reason)| reason.clone()))
    }

    /// Whether the server closed with this code, rather than answer a close.
    pub(crate) fn was_closed_with(&self, code: u16) -> bool {
        self.look(|peer| !peer.closed_first && peer.close.as_ref().is_some_and(|c| c.0 == code))
    }

    pub(crate) fn reads(&self) -> bool {
        self.look(|peer| peer.reads)
    }

    pub(crate) fn user(&self) -> String {
        self.look(|peer| peer.user.clone().unwrap_or_default())
    }

    /// It has seen the server's half of the link end.
    pub(crate) fn saw_the_end(&self) -> bool {
        self.look(|peer| peer.saw_end)
    }

    /// Whether a frame stopped short.
    pub(crate) fn is_left_within_a_frame(&self) -> bool {
        self.look(|peer| peer.ear.is_within_a_frame())
    }

    /// The server holds its socket.
    pub(crate) fn has_a_socket(&self) -> bool {
        self.world.turns.borrow().links[self.number].open
    }

    /// It can still be spoken with: the link is whole and nobody has said good-bye.
    pub(crate) fn is_connected(&self) -> bool {
        let turns = self.world.turns.borrow();
        let (link, peer) = (&turns.links[self.number], &turns.peers[self.number]);
        link.open && !link.lost && !link.up.ended && peer.close.is_none() && !peer.said_close
    }
}
