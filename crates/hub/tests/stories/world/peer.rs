//! A client at the far end of a link: what it is about to send, what it was told, how it behaves.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use wshub_protocol::extensions::Deflate;

use super::wire::{self, Ear, Frame};

/// A message from the server.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) room_id: Option<String>,
    pub(crate) members: Option<u64>,
    pub(crate) code: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) resumed: Option<bool>,
    pub(crate) pending: Option<u64>,
    pub(crate) missed: Option<u64>,
    pub(crate) dropped: Option<u64>,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) duplicate: Option<bool>,
    pub(crate) event: Option<String>,
    pub(crate) users: Option<Vec<String>>,
    pub(crate) history: Option<Vec<Said>>,
    pub(crate) history_complete: Option<bool>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) data: Option<Box<RawValue>>,
}

/// A `null` is a value like any other.
fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}

pub(crate) fn offset_of(cursor: &str) -> u64 {
    let offset = cursor.rsplit(':').next();
    let offset = offset.and_then(|offset| offset.parse().ok());
    offset.unwrap_or_else(|| panic!("{cursor:?} is no cursor"))
}

impl Said {
    /// The place in the log that it names.
    pub(crate) fn offset(&self) -> u64 {
        let cursor = self.cursor.as_deref();
        offset_of(cursor.unwrap_or_else(|| panic!("{} has no cursor", self.kind)))
    }

    /// Whether somebody said it, rather than the server.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "broadcast" | "user" | "room")
    }

    /// Whether it was said in passing: it has no place in the log.
    pub(crate) fn is_passing(&self) -> bool {
        self.is_message() && self.cursor.is_none()
    }

    pub(crate) fn data(&self) -> &str {
        self.data.as_ref().map_or("", |data| data.get())
    }
}

/// What a join asks for beside the room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) after: Option<String>,
    pub(crate) history: Option<usize>,
    pub(crate) presence: bool,
}

impl Wish {
    /// The place behind which it wants what was said, where that reads as one.
    pub(crate) fn place(&self) -> Option<u64> {
        let after = self.after.as_deref();
        after.filter(|after| after.starts_with("1.")).map(offset_of)
    }
}

pub(crate) struct Peer {
    /// Who it says it is; `None` for somebody without identity.
    pub(crate) user: Option<String>,
    pub(crate) deflate: Option<Deflate>,
    /// What it names as `rooms`, `session_id` and `after` in its query.
    pub(crate) rooms: String,
    pub(crate) session: String,
    pub(crate) after: String,
    /// What it asked for with each join it sent.
    pub(crate) joins: Vec<Wish>,
    /// It acknowledges `user` messages itself.
    pub(crate) acks: bool,
    /// The newest place it keeps, as a cursor.
    pub(crate) place: Option<String>,
    /// Bytes sent together with the upgrade.
    pub(crate) early: Vec<u8>,
    pub(crate) outgoing: VecDeque<u8>,
    /// At most so many bytes are sent in one piece.
    pub(crate) most_at_once: usize,
    pub(crate) ear: Ear,
    pub(crate) said: Vec<Said>,
    /// Every byte it was given, where it keeps them.
    pub(crate) recording: Option<Vec<u8>>,
    /// Texts and echoes as they came, where it keeps them.
    pub(crate) texts: Vec<(u8, Vec<u8>)>,
    pub(crate) keeps_texts: bool,
    pub(crate) compressed_frames: usize,
    pub(crate) pings: usize,
    pub(crate) last_ping: Vec<u8>,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// The code and reason of the server's close frame; no code is 1005.
    pub(crate) close: Option<(u16, String)>,
    pub(crate) said_close: bool,
    /// It did so before it read a close of the server's.
    pub(crate) closed_first: bool,
    /// The server's half of the link has ended.
    pub(crate) saw_end: bool,
    pub(crate) reads: bool,
    pub(crate) answers_pings: bool,
    pub(crate) answers_close: bool,
}

impl Peer {
    pub(crate) fn new(user: Option<String>) -> Self {
        Self {
            user,
            deflate: None,
            rooms: String::new(),
            session: String::new(),
            after: String::new(),
            joins: Vec::new(),
            acks: false,
            place: None,
            early: Vec::new(),
            outgoing: VecDeque::new(),
            most_at_once: usize::MAX,
            ear: Ear::default(),
            said: Vec::new(),
            recording: None,
            texts: Vec::new(),
            keeps_texts: false,
            compressed_frames: 0,
            pings: 0,
            last_ping: Vec::new(),
            pongs: Vec::new(),
            close: None,
            said_close: false,
            closed_first: false,
            saw_end: false,
            reads: true,
            answers_pings: true,
            answers_close: true,
        }
    }

    /// Makes out what came. The answer is what it has to send for it: pongs and a close.
    pub(crate) fn hear(&mut self, bytes: &[u8], mask: [u8; 4]) {
        if let Some(recording) = &mut self.recording {
            recording.extend_from_slice(bytes);
        }
        self.ear.hear(bytes);
        while let Some(frame) = self.ear.next_frame() {
            assert!(
                self.close.is_none(),
                "the server spoke after its close frame"
            );
            self.take(frame, mask);
        }
    }

    fn take(&mut self, frame: Frame, mask: [u8; 4]) {
        match frame.opcode {
            wire::TEXT | wire::BINARY => self.take_message(frame),
            wire::PING => {
                self.pings += 1;
                frame.payload.clone_into(&mut self.last_ping);
                if self.answers_pings && !self.said_close {
                    self.send(wire::PONG | wire::FIN, &frame.payload, mask);
                }
            }
            wire::PONG => self.pongs.push(frame.payload),
            wire::CLOSE => {
                let code = frame
                    .payload
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code));
                let reason = frame.payload.get(2..).unwrap_or_default().to_vec();
                let reason = String::from_utf8(reason).expect("a reason is UTF-8");
                self.close = Some((code, reason));
                if self.answers_close && !self.said_close {
                    self.say_close(code, mask);
                }
            }
            other => panic!("the server sent opcode {other:x}"),
        }
    }

    fn take_message(&mut self, frame: Frame) {
        self.compressed_frames += usize::from(frame.compressed);
        assert!(
            !frame.compressed || self.deflate.is_some(),
            "compression wasn't agreed on"
        );
        let payload = if frame.compressed {
            wire::inflate(&frame.payload)
        } else {
            frame.payload
        };
        if self.keeps_texts {
            self.texts.push((frame.opcode, payload));
            return;
        }
        let said = serde_json::from_slice(&payload);
        let said: Said =
            said.unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&payload)));
        self.keep_place(&said);
        self.said.push(said);
    }

    /// Keeps the newest place, by the rules of the contract.
    fn keep_place(&mut self, said: &Said) {
        let starts_anew = said.kind == "connected" && said.resumed == Some(false);
        let moves = matches!(said.kind.as_str(), "position" | "gap" | "reset") || said.is_message();
        if said.kind == "connected" && said.resumed == Some(true) {
            self.place = Some(self.after.clone());
        }
        if starts_anew || said.kind == "reset" {
            self.place = said.cursor.clone();
        } else if moves && said.cursor.is_some() {
            let known = self.place.as_deref().map_or(0, offset_of);
            if said.offset() > known {
                self.place = said.cursor.clone();
            }
        }
    }

    pub(crate) fn send(&mut self, first: u8, payload: &[u8], mask: [u8; 4]) {
        self.outgoing.extend(wire::frame(first, payload, mask));
    }

    pub(crate) fn say_close(&mut self, code: u16, mask: [u8; 4]) {
        self.said_close = true;
        self.send(wire::CLOSE | wire::FIN, &wire::close(code), mask);
    }
}
