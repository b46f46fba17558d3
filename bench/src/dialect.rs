//! The few words in which the hub and the bare server differ: where to connect, what greets, how to publish.

use serde::Serialize;

use crate::payload::Payload;
use crate::request::Request;

/// Whose protocol a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// [`crate::bare`]: whatever is posted goes to everybody.
    Bare,
    /// The contract of docs/protocol.md.
    Wshub,
}

/// Who is to hear a message.
#[derive(Clone, Copy)]
pub enum Audience<'a> {
    /// All connections.
    Everybody,
    /// The members of a room.
    Room(&'a str),
    /// So many users for each message of the request; their ids are filled in by [`Request::address`].
    Users(usize),
}

/// How long every user id is, so that one can be written over another.
pub const USER_LENGTH: usize = 9;

/// The id of the user with this number: four letters, five digits.
pub fn user(kind: &str, number: usize) -> String {
    debug_assert!(kind.len() == 4 && number < 100_000, "ids are of one length");
    format!("{kind}{number:05}")
}

impl Dialect {
    /// The path on which a user connects.
    pub fn path(self, user: &str) -> String {
        match self {
            Dialect::Bare => "/".to_owned(),
            Dialect::Wshub => format!("/ws?user_id={user}"),
        }
    }

    /// Whether the server greets a new connection with a message.
    pub fn greets(self) -> bool {
        self == Dialect::Wshub
    }

    /// The request that publishes `count` messages of this payload: one as an object, more as an array.
    pub fn publish(self, audience: Audience<'_>, payload: &Payload, count: usize) -> Request {
        let mut request = Request::default();
        match self {
            Dialect::Bare => {
                request.push_payload(payload);
                request.head("/", "application/octet-stream");
            }
            Dialect::Wshub => {
                for item in 0..count {
                    request.push(if count == 1 {
                        b""
                    } else if item == 0 {
                        b"["
                    } else {
                        b","
                    });
                    match audience {
                        Audience::Everybody => request.push(br#"{"type":"broadcast","data":"#),
                        Audience::Room(room) => {
                            request.push(
                                format!(r#"{{"type":"room","room_id":"{room}","data":"#).as_bytes(),
                            );
                        }
                        Audience::Users(targets) => {
                            request.push(br#"{"type":"user","target_ids":"#);
                            for target in 0..targets {
                                request.push(if target == 0 {
                                    br#"[""#.as_slice()
                                } else {
                                    br#"",""#
                                });
                                request.push_user();
                            }
                            request.push(br#""],"data":"#);
                        }
                    }
                    request.push_payload(payload);
                    request.push(b"}");
                }
                request.push(if count == 1 { b"" } else { b"]" });
                request.head("/publish", "application/json");
            }
        }
        request
    }
}
