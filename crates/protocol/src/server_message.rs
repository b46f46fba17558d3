//! What the server says: each function appends the bytes of exactly one JSON object, in the contract's field order,
//! without a frame around it.

use crate::client_message::Refusal;
use crate::codes::ErrorCode;
use crate::cursor::{Cursor, Offset};
use crate::ids::{RoomId, UserId};
use crate::json::{hex_digit, write_bool, write_integer, write_string};

/// The first message on every connection.
#[derive(Clone, Copy, Debug)]
pub struct Connected<'a> {
    /// The session's label.
    pub session_id: &'a str,
    /// Who the client is.
    pub user_id: &'a str,
    /// Unix seconds.
    pub timestamp: u64,
    /// The name of the node that serves the client.
    pub node: &'a str,
    /// The log's end, as it may be handed in as `after`.
    pub cursor: &'a str,
    /// Whether everything since `after` follows.
    pub resumed: bool,
    /// How many waiting messages follow.
    pub pending: u32,
    /// How many messages were lost to the queue's bounds since the user was last there.
    pub missed: u64,
    /// The log is away: what waits comes once it is back, behind a `reset`.
    pub degraded: bool,
}

impl Connected<'_> {
    /// Appends the `connected` message.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"connected","session_id":"#);
        write_string(out, self.session_id);
        out.extend_from_slice(br#","user_id":"#);
        write_string(out, self.user_id);
        out.extend_from_slice(br#","timestamp":"#);
        write_integer(out, self.timestamp);
        out.extend_from_slice(br#","node":"#);
        write_string(out, self.node);
        out.extend_from_slice(br#","cursor":"#);
        write_string(out, self.cursor);
        out.extend_from_slice(br#","resumed":"#);
        write_bool(out, self.resumed);
        out.extend_from_slice(br#","pending":"#);
        write_integer(out, self.pending);
        out.extend_from_slice(br#","missed":"#);
        write_integer(out, self.missed);
        if self.degraded {
            out.extend_from_slice(br#","degraded":true"#);
        }
        out.push(b'}');
    }
}

/// Which of the three a published message is. Its users are not disclosed, its room is.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// For every connection.
    Broadcast,
    /// For each connection of some users.
    User,
    /// For each connection in this room.
    Room(&'a RoomId),
}

/// Why messages may be missing on a live connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The log has lost what it held.
    LogLost,
    /// The node has fallen behind what the log still holds.
    NodeBehind,
}

impl ResetReason {
    /// The reason as it stands in `reason`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LogLost => "log_lost",
            Self::NodeBehind => "node_behind",
        }
    }
}

/// Appends a published message as its receivers get it; an ephemeral one has no cursor. `data` is a JSON text and goes
/// out byte for byte.
pub fn write_message(
    out: &mut Vec<u8>,
    kind: Kind<'_>,
    id: &str,
    cursor: Option<&Cursor>,
    from: &str,
    timestamp: u64,
    data: &str,
) {
    out.reserve(message_bytes_hint(kind, id, from, data));
    out.extend_from_slice(match kind {
        Kind::Broadcast => br#"{"type":"broadcast","id":"#,
        Kind::User => br#"{"type":"user","id":"#,
        Kind::Room(_) => br#"{"type":"room","id":"#,
    });
    write_string(out, id);
    if let Some(cursor) = cursor {
        write_place(out, cursor);
    }
    out.extend_from_slice(br#","from":"#);
    write_string(out, from);
    out.extend_from_slice(br#","timestamp":"#);
    write_integer(out, timestamp);
    if let Kind::Room(room) = kind {
        out.extend_from_slice(br#","room_id":"#);
        write_string(out, room.as_str());
    }
    out.extend_from_slice(br#","data":"#);
    out.extend_from_slice(data.as_bytes());
    out.push(b'}');
}

/// The bytes a published message may come to: a little more than it does, never less for ids that keep their rules.
#[must_use]
pub fn message_bytes_hint(kind: Kind<'_>, id: &str, from: &str, data: &str) -> usize {
    // The longest form, a room's, with the longest cursor and timestamp.
    const FRAME: usize =
        r#"{"type":"room","id":"","cursor":"","from":"","timestamp":,"room_id":"","data":}"#.len();
    const CURSOR: usize =
        "4294967295.ffffffffffffffff:65535:18446744073709551615-18446744073709551615".len();
    const TIMESTAMP: usize = "18446744073709551615".len();
    let room = if let Kind::Room(room) = kind {
        room.as_str().len()
    } else {
        0
    };
    // Ids hold no control characters, so the worst an escape does is to double a byte.
    FRAME + CURSOR + TIMESTAMP + 2 * (id.len() + from.len() + room) + data.len()
}

/// Appends `ack`: the publish with this `id` is in the log, at these cursors (none for what the log doesn't keep).
pub fn write_ack(out: &mut Vec<u8>, id: &str, cursors: &[Cursor], duplicate: bool) {
    out.extend_from_slice(br#"{"type":"ack","#);
    write_outcome(out, id, cursors, duplicate);
}

/// Appends HTTP's answer to a publish: what `ack` says, without a type.
pub fn write_published(out: &mut Vec<u8>, id: &str, cursors: &[Cursor], duplicate: bool) {
    out.push(b'{');
    write_outcome(out, id, cursors, duplicate);
}

/// The answer to a join.
#[derive(Clone, Debug)]
pub struct Joined<'a, U, H> {
    /// The room.
    pub room: &'a RoomId,
    /// Where the connection is in: what is behind it follows live.
    pub cursor: &'a Cursor,
    /// The room's distinct users.
    pub members: u64,
    /// To a join with `after`: whether everything said in the room since then follows.
    pub resumed: Option<bool>,
    /// The first of the users, where they were asked for.
    pub users: Option<U>,
    /// The newest messages as their receivers got them, oldest first, and whether they are all that there ever were.
    pub history: Option<(H, bool)>,
}

impl<'a, U, H> Joined<'a, U, H>
where
    U: Iterator<Item = &'a str>,
    H: Iterator<Item = &'a [u8]>,
{
    /// Appends `joined`.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"joined","room_id":"#);
        write_membership(out, self.room, self.cursor, self.members);
        if let Some(resumed) = self.resumed {
            out.extend_from_slice(br#","resumed":"#);
            write_bool(out, resumed);
        }
        if let Some(users) = self.users {
            out.extend_from_slice(br#","users":["#);
            write_list(out, users, write_string);
        }
        if let Some((messages, complete)) = self.history {
            out.extend_from_slice(br#","history":["#);
            write_list(out, messages, |out, message| out.extend_from_slice(message));
            out.extend_from_slice(br#","history_complete":"#);
            write_bool(out, complete);
        }
        out.push(b'}');
    }
}

/// Appends what stands in an array, and its end.
fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// What happened in a room, for those who asked who comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceEvent<'a> {
    /// A user came.
    Join(&'a UserId),
    /// A user left.
    Leave(&'a UserId),
    /// So many users are in the room, where they are too many to be named one by one.
    Count(u64),
}

/// Appends `presence`.
pub fn write_presence(out: &mut Vec<u8>, room: &RoomId, event: PresenceEvent<'_>) {
    out.extend_from_slice(br#"{"type":"presence","room_id":"#);
    write_string(out, room.as_str());
    let (name, user) = match event {
        PresenceEvent::Join(user) => ("join", user),
        PresenceEvent::Leave(user) => ("leave", user),
        PresenceEvent::Count(members) => {
            out.extend_from_slice(br#","event":"count","members":"#);
            write_integer(out, members);
            out.push(b'}');
            return;
        }
    };
    out.extend_from_slice(br#","event":"#);
    write_string(out, name);
    out.extend_from_slice(br#","user_id":"#);
    write_string(out, user.as_str());
    out.push(b'}');
}

/// Appends `left`. `members` are the distinct users that remain.
pub fn write_left(out: &mut Vec<u8>, room: &RoomId, cursor: &Cursor, members: u64) {
    out.extend_from_slice(br#"{"type":"left","room_id":"#);
    write_membership(out, room, cursor, members);
    out.push(b'}');
}

/// Appends `position`: the log has moved on to `cursor`, and nothing of it was for this client.
pub fn write_position(out: &mut Vec<u8>, cursor: &Cursor) {
    out.extend_from_slice(br#"{"type":"position""#);
    write_place(out, cursor);
    out.push(b'}');
}

/// Appends `gap`: so many messages were `dropped` at this place, of this room where it concerns but one.
pub fn write_gap(out: &mut Vec<u8>, dropped: u64, cursor: &Cursor, room: Option<&RoomId>) {
    out.extend_from_slice(br#"{"type":"gap","dropped":"#);
    write_integer(out, dropped);
    write_place(out, cursor);
    if let Some(room) = room {
        out.extend_from_slice(br#","room_id":"#);
        write_string(out, room.as_str());
    }
    out.push(b'}');
}

/// Appends `reset`: messages may be missing here, and the client goes on from `cursor`.
pub fn write_reset(out: &mut Vec<u8>, reason: ResetReason, cursor: &Cursor) {
    out.extend_from_slice(br#"{"type":"reset","reason":"#);
    write_string(out, reason.name());
    write_place(out, cursor);
    out.push(b'}');
}

/// Appends `reconnect`: the node drains, and the client comes back once `delay_ms` milliseconds are over.
pub fn write_reconnect(out: &mut Vec<u8>, reason: &str, delay_ms: u64) {
    out.extend_from_slice(br#"{"type":"reconnect","reason":"#);
    write_string(out, reason);
    out.extend_from_slice(br#","delay_ms":"#);
    write_integer(out, delay_ms);
    out.push(b'}');
}

/// Appends the `error` message for a request that was refused; `id` and `room_id` as they stood in it.
pub fn write_error(
    out: &mut Vec<u8>,
    code: ErrorCode,
    sentence: &str,
    id: Option<&str>,
    room_id: Option<&str>,
) {
    out.extend_from_slice(br#"{"type":"error","code":"#);
    write_string(out, code.name());
    out.extend_from_slice(br#","error":"#);
    write_string(out, sentence);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        write_string(out, id);
    }
    if let Some(room_id) = room_id {
        out.extend_from_slice(br#","room_id":"#);
        write_string(out, room_id);
    }
    out.push(b'}');
}

/// Appends the `error` message for a message that could not be taken.
pub fn write_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    write_error(
        out,
        refusal.code,
        &refusal.sentence,
        refusal.id.as_deref(),
        refusal.room_id.as_deref(),
    );
}

/// Appends HTTP's answer to a request that was refused: the sentence and its code.
pub fn write_http_error(out: &mut Vec<u8>, code: ErrorCode, sentence: &str) {
    out.extend_from_slice(br#"{"error":"#);
    write_string(out, sentence);
    out.extend_from_slice(br#","code":"#);
    write_string(out, code.name());
    out.push(b'}');
}

/// Appends `pong`.
pub fn write_pong(out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":"pong"}"#);
}

/// Appends a cursor as its `Display` shows it, without the formatting machinery.
pub fn write_cursor(out: &mut Vec<u8>, cursor: &Cursor) {
    write_integer(out, cursor.epoch.ordinal);
    out.push(b'.');
    write_hex(out, cursor.epoch.random);
    out.push(b':');
    write_integer(out, cursor.partition);
    out.push(b':');
    let Offset { major, minor } = cursor.offset;
    write_integer(out, major);
    if minor != 0 {
        out.push(b'-');
        write_integer(out, minor);
    }
}

fn write_outcome(out: &mut Vec<u8>, id: &str, cursors: &[Cursor], duplicate: bool) {
    out.extend_from_slice(br#""id":"#);
    write_string(out, id);
    for (place, cursor) in cursors.iter().enumerate() {
        out.extend_from_slice(if place == 0 { br#","cursor":""# } else { b"," });
        write_cursor(out, cursor);
    }
    if !cursors.is_empty() {
        out.push(b'"');
    }
    out.extend_from_slice(br#","duplicate":"#);
    write_bool(out, duplicate);
    out.push(b'}');
}

fn write_membership(out: &mut Vec<u8>, room: &RoomId, cursor: &Cursor, members: u64) {
    write_string(out, room.as_str());
    write_place(out, cursor);
    out.extend_from_slice(br#","members":"#);
    write_integer(out, members);
}

fn write_place(out: &mut Vec<u8>, cursor: &Cursor) {
    out.extend_from_slice(br#","cursor":""#);
    write_cursor(out, cursor);
    out.push(b'"');
}

/// Lower case, without leading zeros, as `{:x}` writes it.
fn write_hex(out: &mut Vec<u8>, number: u64) {
    let bits = u64::BITS - (number | 1).leading_zeros();
    let digit = |place: u32| hex_digit((number >> (4 * place) & 0xf) as u8);
    out.extend((0..bits.div_ceil(4)).rev().map(digit));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::Epoch;

    fn cursor(ordinal: u32, random: u64, partition: u16, major: u64, minor: u64) -> Cursor {
        Cursor {
            epoch: Epoch { ordinal, random },
            partition,
            offset: Offset { major, minor },
        }
    }

    #[test]
    fn the_longest_message_is_written_with_one_allocation() {
        let room = RoomId::parse(&"\"".repeat(128)).unwrap();
        let (id, from) = ("\\".repeat(64), "\"".repeat(128));
        let last = cursor(u32::MAX, u64::MAX, u16::MAX, u64::MAX, u64::MAX);
        let mut out = Vec::new();
        write_message(
            &mut out,
            Kind::Room(&room),
            &id,
            Some(&last),
            &from,
            u64::MAX,
            "null",
        );
        let hint = message_bytes_hint(Kind::Room(&room), &id, &from, "null");
        assert!(
            out.len() <= hint && out.capacity() == hint,
            "{} of {hint}",
            out.len()
        );
    }

    proptest! {
        #[test]
        fn a_cursor_is_written_as_it_displays(
            ordinal in any::<u32>(),
            random in prop_oneof![any::<u64>(), 0..300u64],
            partition in any::<u16>(),
            major in any::<u64>(),
            minor in prop_oneof![Just(0), any::<u64>()],
        ) {
            let cursor = cursor(ordinal, random, partition, major, minor);
            let mut out = Vec::new();
            write_cursor(&mut out, &cursor);
            prop_assert_eq!(String::from_utf8(out).unwrap(), cursor.to_string());
        }
    }
}
