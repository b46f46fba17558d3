//! How connections come, and how those that missed something catch up: they are given it from the log as their outbox
//! drains, and only then what is said live. So a backlog is held nowhere twice, and catching up is not being slow.

use std::collections::BTreeSet;
use std::sync::Arc;

use wshub_protocol::client_message::{Refusal, Target};
use wshub_protocol::frame::{self, Opcode};
use wshub_protocol::ids::NAME_BYTES;
use wshub_protocol::server_message::{self, ResetReason};
use wshub_protocol::{CloseCode, Cursor, ErrorCode, RoomId, SessionId};

use super::delivery::Tally;
use super::{Effect, Mode, Shard, Token};
use crate::connection::{CatchingUp, Connection, Leaves, NONE, Phase, Stage};
use crate::frames::Shared;
use crate::message::{Arrival, Message};
use crate::question::{Admission, Question};
use crate::receipts;
use crate::resume::{Barred, Behind, Entrance, Names, PIECE_ENTRIES, Piece, PieceState, Wanted};
use crate::rooms::{Memberships, Owner};
use crate::time::{Now, Tick};

impl<S> Shard<S> {
    pub(super) fn connect(&mut self, now: Now, arrival: Arrival<S>) -> Token {
        let Arrival {
            socket,
            user,
            session,
            handed,
            after,
            acks,
            deflate,
            rooms,
            answer,
            mut early,
        } = arrival;
        self.generation = self.generation.wrapping_add(1);
        let mut connection = Connection::new(socket, self.generation, session, now);
        (connection.deflate, connection.acks) = (deflate, acks);
        let index = self.connections.insert(connection) as u32;
        let token = Token::new(index, self.generation);
        self.counters.opened.add(1);
        self.counters.sockets.set(self.connections.len() as u64);
        self.send(now, index, answer.into());
        match user {
            _ if self.stopped => self.close(now, index, CloseCode::GoingAway),
            _ if self.mode == Mode::Echo => {}
            None => self.refuse_stranger(now, index),
            Some(user) => {
                let wanted = Wanted {
                    user,
                    session,
                    handed,
                    after,
                    acks,
                    deflates: deflate.is_some(),
                    again: None,
                    rooms: self.bar_surplus(rooms),
                };
                self.ask_to_enter(now, token, wanted);
            }
        }
        self.arm(index);
        if !early.is_empty() {
            self.receive(now, token, &mut early);
        }
        token
    }

    /// Refuses the rooms that are more than a connection may be in, so that they aren't even asked for: whoever was let
    /// in and had to leave at once would be seen to come and go. The rest is asked for at once, under one lock of the
    /// tail: 1,000 rooms are some 100 µs, and a request head names no more than 4,000.
    fn bar_surplus(&self, rooms: Vec<Result<RoomId, String>>) -> Vec<Result<RoomId, Barred>> {
        let most = self.limits.rooms_per_connection as usize;
        let mut distinct = BTreeSet::new();
        let bar = |room: Result<RoomId, String>| {
            let room = room.map_err(Barred::Name)?;
            if !distinct.contains(&room) && distinct.len() == most {
                return Err(Barred::Surplus(room));
            }
            distinct.insert(room.clone());
            Ok(room)
        };
        rooms.into_iter().map(bar).collect()
    }

    /// Makes the connection one of its user's, and asks for what it missed.
    fn ask_to_enter(&mut self, now: Now, token: Token, mut wanted: Wanted) {
        let index = token.index();
        let key = self.users.enter(&wanted.user);
        if self.users.get(key).connections >= self.limits.connections_per_user {
            return self.close(now, index, CloseCode::TooManyConnections);
        }
        if let Some(handed) = wanted.handed
            && !self.is_held(key, handed)
        {
            wanted.session = handed;
        }
        let connection = &mut self.connections[index as usize];
        connection.session = wanted.session;
        connection.user = key;
        connection.next_of_user = self.users.attach(key, index);
        connection.catching_up = Some(CatchingUp::from(0, Stage::Entering).into());
        self.counters.users.set(self.users.connected() as u64);
        for room in wanted.rooms.iter().flatten() {
            self.joins.asked(room, &wanted.user);
        }
        self.want(token, wanted);
    }

    fn want(&mut self, token: Token, wanted: Wanted) {
        if !self.received.is_empty() {
            // What a device of the user has just received doesn't wait for this one.
            let received = std::mem::take(&mut self.received);
            self.effects.push_back(Effect::Receive(received));
        }
        self.effects.push_back(Effect::Enter(token, wanted.into()));
    }

    /// Whether a live connection of the user goes by this label.
    fn is_held(&self, user: u32, session: SessionId) -> bool {
        let mut index = self.users.get(user).first;
        while index != NONE {
            let connection = &self.connections[index as usize];
            if connection.session == session {
                return true;
            }
            index = connection.next_of_user;
        }
        false
    }

    /// A connection is in: it is told so, and is given what waits for it. One that was in before has lost its place.
    pub(super) fn entered(&mut self, now: Now, token: Token, mut entrance: Entrance) {
        for (room, _) in entrance.rooms.iter().flatten() {
            self.joins.came_back(room, &entrance.user);
        }
        self.end = Some(entrance.end);
        self.outgoing.epoch = entrance.end.epoch;
        if !self.is_open(token) {
            for (room, _) in entrance.rooms.iter().flatten() {
                self.was_not_let_in(room, &entrance.user);
            }
            return;
        }
        let index = token.index();
        // While the log is away nobody knows whether its end is what this node has read.
        let at_end = !entrance.degraded && entrance.place == entrance.end.offset.place();
        let connection = &mut self.connections[index as usize];
        let greeted = std::mem::replace(&mut connection.greeted, true);
        connection.told = connection.told.max(entrance.place);
        connection.told_at = now.tick();
        let early = self.begin_to_catch_up(index, &mut entrance);
        self.json.clear();
        match entrance.again {
            // It is told when the log is back: it would else reload twice.
            Some(_) if entrance.degraded => {}
            Some(reason) => {
                server_message::write_reset(&mut self.json, reason, &entrance.cursor);
                let reset = Shared::Reset(frame::encode(Opcode::Text, false, &self.json));
                let connection = &mut self.connections[index as usize];
                self.outgoing.queue_shared(now, index, connection, reset);
                self.evict_slow(now);
            }
            None => self.say_connected(now, index, &entrance),
        }
        for room in entrance.rooms {
            match room {
                Ok((room, members)) => {
                    let user = entrance.user.clone();
                    let admission = Admission::plain(room, user, entrance.cursor, members);
                    self.join_at_once(now, token, &admission);
                }
                Err(barred) if self.is_open(token) => self.tell_barred(now, index, barred),
                Err(_) => {}
            }
        }
        self.feed(now, index, at_end);
        self.arm(index);
        if self.drains && !greeted {
            self.send_away(now, index, 0);
        }
        // One that was in before may be half through a message, which its reader holds.
        if !greeted && self.is_open(token) {
            self.hear_early(now, token, early);
        }
    }

    /// Has a connection be given what waits for its user, but for what it was given before; what it has sent meanwhile.
    fn begin_to_catch_up(&mut self, index: u32, entrance: &mut Entrance) -> Vec<u8> {
        let connection = &mut self.connections[index as usize];
        let stage = if entrance.degraded {
            Stage::Away(entrance.again.unwrap_or(ResetReason::NodeBehind))
        } else {
            Stage::Ready
        };
        let mut catching_up = CatchingUp::from(entrance.place, stage);
        catching_up.waiting = std::mem::take(&mut entrance.waiting).into();
        let (account, since) = (
            self.accounts.get(connection.receipts),
            connection.given_since,
        );
        catching_up.waiting.retain(|message| {
            let has_had = account.is_some_and(|account| account.has(message.place()));
            !has_had && message.is_new_to(since)
        });
        self.outgoing.aside += catching_up.waiting_bytes();
        let before = connection.catching_up.replace(catching_up.into());
        self.outgoing.aside -= before.as_ref().map_or(0, |before| before.waiting_bytes());
        before.map(|before| before.early).unwrap_or_default()
    }

    fn say_connected(&mut self, now: Now, index: u32, entrance: &Entrance) {
        let connection = &self.connections[index as usize];
        let connected = server_message::Connected {
            session_id: &connection.session.text(),
            user_id: self.users.get(connection.user).id.as_str(),
            timestamp: now.unix_seconds(),
            node: &self.node,
            cursor: &entrance.cursor.to_string(),
            resumed: entrance.resumed,
            pending: entrance.pending as u32,
            missed: entrance.missed,
            degraded: entrance.degraded,
        };
        connected.write(&mut self.json);
        self.counters.clients.add(1);
        self.send_json(now, index);
    }

    fn tell_barred(&mut self, now: Now, index: u32, barred: Barred) {
        match barred {
            Barred::Name(text) => self.refuse_room_name(now, index, text),
            Barred::Surplus(room) => self.refuse_room(now, index, &room),
        }
    }

    fn refuse_room_name(&mut self, now: Now, index: u32, mut text: String) {
        text.truncate(text.floor_char_boundary(NAME_BYTES));
        let sentence = "a room in the query has 1 to 128 bytes and no control characters";
        let mut refusal = Refusal::new(ErrorCode::InvalidMessage, sentence);
        refusal.room_id = Some(text);
        self.tell_refusal(now, index, &refusal);
    }

    /// Has a connection catch up with a room from a place of its own, and only then with what is live.
    pub(super) fn catch_up_with(
        &mut self,
        now: Now,
        index: u32,
        room: u32,
        place: u64,
        end: Cursor,
    ) {
        let connection = &mut self.connections[index as usize];
        connection.live = false;
        let catching_up = connection
            .catching_up
            .get_or_insert_with(|| CatchingUp::from(end.offset.place(), Stage::Ready).into());
        catching_up.set_room(room, place);
        self.feed(now, index, false);
    }

    /// Takes the next part of what a connection catches up with.
    pub(super) fn caught_up(&mut self, now: Now, token: Token, piece: Piece) {
        self.end = Some(piece.end);
        let index = token.index();
        let Some(connection) = self
            .connections
            .get(index as usize)
            .filter(|connection| connection.generation == token.generation())
        else {
            return;
        };
        let Some(catching_up) = &connection.catching_up else {
            return;
        };
        if piece.state == PieceState::Lost {
            return self.enter_anew(token, ResetReason::NodeBehind);
        }
        // It may have joined rooms since it asked: what stands behind their places comes with them, in order. It may
        // have left others, and even come back.
        let unasked = catching_up.first_unasked();
        let mut place = unasked.map_or(piece.place, |unasked| unasked.min(piece.place));
        let mut at_end = piece.state == PieceState::End && unasked.is_none();
        let is_due = |message: &Arc<Message>| match &message.target {
            _ if message.place() > place || !message.is_for(&connection.session) => false,
            _ if !message.is_new_to(connection.given_since) => false,
            Target::Room(room) => self.rooms.find(room.as_str()).is_some_and(|key| {
                let owner = Owner::Connection(index);
                self.rooms.contains(key, owner, &connection.rooms)
                    && !catching_up.is_unasked(key)
                    && message.place() > catching_up.place_in(key)
            }),
            Target::Everybody | Target::Users(_) => true,
        };
        let due: Vec<_> = piece.messages.into_iter().filter(is_due).collect();
        let mut next_bytes = 0;
        for message in due {
            let bytes = message.frame.plain().len();
            if !self.may_give(index, bytes) {
                // What has no room is in the log still, and is asked for again when it has.
                (place, at_end, next_bytes) = (message.place() - 1, false, bytes);
                break;
            }
            self.give(now, index, message);
            if self.connections[index as usize].catching_up.is_none() {
                // It was given up for what waits for all together: nothing comes behind its close frame.
                return;
            }
        }
        if let Some(catching_up) = &mut self.connections[index as usize].catching_up {
            catching_up.advance(place);
            catching_up.next_bytes = next_bytes;
            self.feed(now, index, at_end);
        }
    }

    fn may_give(&self, index: u32, bytes: usize) -> bool {
        let connection = &self.connections[index as usize];
        self.outgoing.has_room_for(connection, bytes)
    }

    /// Has connections that have lost their places enter once more: all that are in, or those to whom the log was away.
    pub(super) fn all_enter_anew(&mut self, reason: Option<ResetReason>, end: Cursor) {
        self.end = Some(end);
        self.outgoing.epoch = end.epoch;
        let away = |connection: &Connection<S>| {
            let stage = connection.catching_up.as_ref()?.stage;
            match stage {
                Stage::Away(reason) => Some(reason),
                Stage::Entering | Stage::Asked | Stage::Ready => None,
            }
        };
        let lost: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.greeted && connection.phase == Phase::Open)
            .filter_map(|(index, connection)| {
                let reason = reason.or_else(|| away(connection))?;
                Some((Token::new(index as u32, connection.generation), reason))
            })
            .collect();
        for (token, reason) in lost {
            self.enter_anew(token, reason);
        }
    }

    /// What a connection asked for as it came can't be found out in time.
    pub(super) fn not_in_time(&mut self, now: Now, token: Token, wanted: &Wanted) {
        if self.is_open(token) {
            self.close(now, token.index(), CloseCode::TryAgainLater);
        }
        for room in wanted.rooms.iter().flatten() {
            self.joins.came_back(room, &wanted.user);
            self.was_not_let_in(room, &wanted.user);
        }
    }

    /// The log has let go of what a connection hadn't got yet: it goes on from the end, with what its queue still holds.
    fn enter_anew(&mut self, token: Token, reason: ResetReason) {
        let connection = &mut self.connections[token.index() as usize];
        if !connection.live {
            connection.given_since = Tick::NEVER;
        }
        connection.live = false;
        let anew = CatchingUp::from(0, Stage::Entering);
        let before = connection.catching_up.replace(anew.into());
        self.outgoing.aside -= before.map_or(0, |before| before.waiting_bytes());
        let wanted = Wanted {
            user: self.users.get(connection.user).id.clone(),
            session: connection.session,
            handed: None,
            after: None,
            acks: connection.acks,
            deflates: connection.deflate.is_some(),
            again: Some(reason),
            rooms: Vec::new(),
        };
        self.want(token, wanted);
    }

    /// Gives a connection that catches up what waited for its user, as far as its outbox has room for it, and asks for
    /// more when that is done. `at_end` says that nothing stands behind it in the log: given all, it is live.
    pub(super) fn feed(&mut self, now: Now, index: u32, at_end: bool) {
        while let Some(catching_up) = &self.connections[index as usize].catching_up
            && let Some(message) = catching_up.waiting.front()
        {
            let bytes = message.frame.plain().len();
            if !self.may_give(index, bytes) {
                return;
            }
            self.outgoing.aside -= bytes;
            let next = self.connections[index as usize].catching_up.as_mut();
            if let Some(message) = next.and_then(|next| next.waiting.pop_front()) {
                self.give(now, index, message);
            }
        }
        let connection = &mut self.connections[index as usize];
        let Some(catching_up) = &mut connection.catching_up else {
            return;
        };
        let (stage, next_bytes) = (catching_up.stage, catching_up.next_bytes);
        if at_end && catching_up.rooms.is_empty() {
            connection.catching_up = None;
            connection.live = true;
            connection.given_since = connection.given_since.min(now.tick());
        } else if stage == Stage::Ready && self.may_give(index, next_bytes) {
            self.ask_for_more(index);
        }
    }

    fn ask_for_more(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        let token = Token::new(index, connection.generation);
        let Some(catching_up) = &mut connection.catching_up else {
            return;
        };
        let end = self.end.map_or(0, |end| end.offset.place());
        let left = end.saturating_sub(catching_up.place);
        let (names, rooms) = if left <= PIECE_ENTRIES.min(connection.rooms.rooms.into()) {
            let own = catching_up.rooms.iter();
            let own = own.filter(|(_, own)| own.place < catching_up.place);
            let own = own.map(|(&key, own)| (self.rooms.id(key).clone(), own.place));
            (Names::Behind, own.collect())
        } else {
            let all = self.rooms.of(&connection.rooms);
            let all = all.map(|(key, room)| (room.clone(), catching_up.place_in(key)));
            (Names::All, all.collect())
        };
        let behind = Behind {
            user: self.users.get(connection.user).id.clone(),
            place: catching_up.place,
            rooms,
            names,
        };
        catching_up.ask();
        self.ask(Question::CatchUp(token, behind.into()));
    }

    /// Queues a message to one connection.
    fn give(&mut self, now: Now, index: u32, message: Arc<Message>) {
        let place = message.place();
        let key = self.outgoing.hold(Shared::Message(Arc::clone(&message)));
        let connection = &mut self.connections[index as usize];
        let queued = self
            .outgoing
            .queue_message(now, index, connection, key, &message);
        self.outgoing.release(key);
        let tally = Tally {
            receivers: 1,
            queued: u64::from(queued),
        };
        self.count_out(&message, &tally);
        if queued && !message.is_counted_by_connection() {
            self.note_given(index, place);
        }
        self.evict_slow(now);
    }
}

impl<S> Connection<S> {
    fn new(socket: S, generation: u32, session: SessionId, now: Now) -> Self {
        Self {
            socket,
            generation,
            user: NONE,
            next_of_user: NONE,
            session,
            deflate: None,
            phase: Phase::Open,
            live: false,
            greeted: false,
            leaves: Leaves::Not,
            acks: false,
            catching_up: None,
            told: 0,
            told_at: now.tick(),
            receipts: receipts::NONE,
            asked: Tick::default(),
            closed_with: None,
            blocked: false,
            ping_owed: false,
            queued: false,
            half_closed: false,
            reader: Default::default(),
            held_bytes: 0,
            outbox: Default::default(),
            rooms: Memberships::default(),
            since: now.tick(),
            given_since: Tick::NEVER,
            heard: now.tick(),
            pinged: now.tick(),
            progress: now.tick(),
            until: now.tick(),
            written_ms: (now.elapsed_ms as u32).wrapping_sub(u32::MAX / 2),
        }
    }
}
