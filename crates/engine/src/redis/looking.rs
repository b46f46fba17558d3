//! A user's queue: how a message stands in it, and what a look into it finds.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wshub_hub::message::Frame;
use wshub_hub::queues::Found;
use wshub_hub::resume::Wanted;
use wshub_hub::tail::fresh_id;
use wshub_hub::{Message, Now, Publication};
use wshub_protocol::client_message::{Target, parse_publish};
use wshub_protocol::{Cursor, Offset, SessionId, UserId, server_message};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::reply::Reply;

/// A message of a queue up to its data, which the script puts behind it, with two braces.
#[derive(Serialize)]
struct Letter<'a> {
    r#type: &'static str,
    id: &'a str,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    except: Option<String>,
}

/// What stands in a queue.
#[derive(Deserialize)]
struct Kept<'a> {
    cursor: &'a str,
    timestamp: u64,
    #[serde(borrow)]
    message: KeptMessage<'a>,
}

#[derive(Deserialize)]
struct KeptMessage<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    from: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    except: Option<&'a str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A message as it stands in a queue, up to its data.
pub(crate) fn letter(id: &str, publication: &Publication) -> String {
    let letter = Letter {
        r#type: "user",
        id,
        from: &publication.from,
        except: publication.except.map(|session| session.text()),
    };
    let mut text = serde_json::to_string(&letter).expect("a letter is plain JSON");
    text.pop();
    text.push_str(",\"data\":");
    text
}

/// What a look into a queue found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What waits, oldest first, what has no cursor before the rest.
    pub found: Found,
    /// What other programs have put there, as it stands: it goes with the next receipt.
    pub plain: Vec<Vec<u8>>,
    /// Sessions that were told to go on from behind what waits, with the number of that place.
    told: Vec<(SessionId, u64)>,
    /// There were more of them than are remembered.
    told_more: bool,
    /// Entries that nobody can read.
    pub unreadable: usize,
}

impl Looked {
    /// Reads the answer to a look at this time: the entries, how many were lost, and who was told what.
    #[must_use]
    pub fn read(user: &UserId, unix_ms: u64, answer: &[Reply]) -> Self {
        let [_, entries, missed, told] = answer else {
            return Self::default();
        };
        let mut looked = Self {
            told_more: told.text().starts_with('*'),
            ..Self::default()
        };
        for pair in told.text().split(' ') {
            let pair = pair.split_once(':');
            let session = pair.and_then(|(session, _)| SessionId::parse(session));
            if let (Some(session), Some((_, place))) = (session, pair) {
                looked.told.push((session, place.parse().unwrap_or(0)));
            }
        }
        looked.found.missed = missed.number();
        let mut twins = HashMap::new();
        for entry in entries.list() {
            let bytes = entry.bytes();
            match read_kept(user, bytes) {
                Some(message) => looked.found.waiting.push(Arc::new(message)),
                None => {
                    let twins = twins.entry(bytes).or_default();
                    looked.read_plain(user, unix_ms, bytes, *twins);
                    *twins += 1;
                }
            }
        }
        looked.found.waiting.sort_by_key(|message| message.place());
        looked
    }

    /// Another program's message has the shape of a client's; so many before it are the same. What can't be read goes
    /// with the next receipt, too.
    fn read_plain(&mut self, user: &UserId, unix_ms: u64, bytes: &[u8], twins: usize) {
        self.plain.push(bytes.to_vec());
        let publish = parse_publish(bytes).ok();
        let Some(publish) = publish.filter(|publish| matches!(publish.target, Target::Users(_)))
        else {
            self.unreadable += 1;
            return;
        };
        let id = publish.id.as_ref();
        let id = id.map_or_else(|| plain_id(bytes, twins), |id| id.as_str().to_owned());
        let time = unix_ms / 1000;
        let message = user_message(user, &id, "", time, None, None, &publish.data);
        self.found.waiting.push(Arc::new(message));
    }

    /// Takes out what a client that has seen `place` has surely seen, and says which places those are: it is a receipt.
    pub fn take_received(&mut self, wanted: &Wanted, place: u64) -> Vec<u64> {
        let number = Offset::at(place).minor;
        let proof = wanted.handed.filter(|session| {
            !wanted.acks && !self.told_more && !self.told.contains(&(*session, number))
        });
        let Some(session) = proof else {
            return Vec::new();
        };
        let mut received = Vec::new();
        self.found.waiting.retain(|message| {
            let is_seen =
                message.place() > 0 && message.place() <= place && message.is_for(&session);
            if is_seen {
                received.push(message.place());
            }
            !is_seen
        });
        received
    }
}

/// The id of a message that has none, the same at each look, so that clients know it again.
fn plain_id(bytes: &[u8], twins: usize) -> String {
    let hash = xxh3_128_with_seed(bytes, twins as u64).to_be_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    let never = Now {
        elapsed_ms: 0,
        unix_ms: 0,
    };
    fresh_id(never, &random)
}

fn read_kept(user: &UserId, bytes: &[u8]) -> Option<Message> {
    let kept: Kept<'_> = serde_json::from_slice(bytes).ok()?;
    let cursor = Cursor::parse(kept.cursor).ok()?;
    let message = &kept.message;
    let except = message.except.and_then(SessionId::parse);
    Some(user_message(
        user,
        &message.id,
        &message.from,
        kept.timestamp,
        Some(cursor),
        except,
        message.data.get(),
    ))
}

fn user_message(
    user: &UserId,
    id: &str,
    from: &str,
    timestamp: u64,
    cursor: Option<Cursor>,
    except: Option<SessionId>,
    data: &str,
) -> Message {
    let mut json = Vec::new();
    let kind = server_message::Kind::User;
    server_message::write_message(&mut json, kind, id, cursor.as_ref(), from, timestamp, data);
    Message {
        target: Target::Users([user.clone()].into()),
        offset: cursor.map(|cursor| cursor.offset),
        except,
        heard_at_ms: None,
        reach: Some(1),
        frame: Frame::text(&json),
    }
}
