//! A POST rendered once and sent many times: only stamps and user ids are written anew, so that making a message costs
//! the loader next to nothing of the core it has.

use crate::dialect::USER_LENGTH;
use crate::payload::Payload;
use crate::stamp;

/// The bytes of one request, and the places in them that change.
#[derive(Default, Clone)]
pub struct Request {
    bytes: Vec<u8>,
    stamps: Vec<usize>,
    users: Vec<usize>,
}

impl Request {
    /// The request, every stamp in it set to `now`.
    pub fn stamped(&mut self, now: u64) -> &[u8] {
        for &at in &self.stamps {
            stamp::write(&mut self.bytes[at..], now);
        }
        &self.bytes
    }

    /// Sets the user at `index`, over all messages.
    pub fn address(&mut self, index: usize, user: &str) {
        let at = self.users[index];
        self.bytes[at..at + USER_LENGTH].copy_from_slice(user.as_bytes());
    }

    pub(crate) fn push(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(body);
    }

    pub(crate) fn push_payload(&mut self, payload: &Payload) {
        self.stamps.push(self.bytes.len() + payload.stamp_at);
        self.push(&payload.json);
    }

    pub(crate) fn push_user(&mut self) {
        self.users.push(self.bytes.len());
        self.push(&[b'-'; USER_LENGTH]);
    }

    /// Puts the head before the body, which is complete by now.
    pub(crate) fn head(&mut self, path: &str, content_type: &str) {
        let length = self.bytes.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.bytes.splice(..0, head.bytes());
        self.stamps
            .iter_mut()
            .chain(&mut self.users)
            .for_each(|at| *at += head.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Audience, Dialect, user};

    #[test]
    fn an_array_of_user_messages_is_json_with_each_user_and_stamp_in_place() {
        let mut request = Dialect::Wshub.publish(Audience::Users(1), &Payload::text(64), 3);
        (0..3).for_each(|i| request.address(i, &user("user", 7 * i)));
        let text = String::from_utf8(request.stamped(42).to_vec()).expect("requests are text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let items: Vec<serde_json::Value> =
            serde_json::from_str(body).expect("the body is an array");
        let users: Vec<_> = items
            .iter()
            .map(|item| item["target_ids"][0].as_str())
            .collect();
        assert_eq!(
            users,
            [Some("user00000"), Some("user00007"), Some("user00014")]
        );
        let clock = stamp::Clock::default();
        assert!(
            items
                .iter()
                .all(|item| clock.find(item["data"].to_string().as_bytes()) == Some(42))
        );
    }

    #[test]
    fn a_single_message_is_an_object_and_to_the_bare_server_just_its_payload() {
        let body = |mut request: Request| {
            let text = String::from_utf8(request.stamped(1).to_vec()).expect("requests are text");
            let (_, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            serde_json::from_str::<serde_json::Value>(body).expect("the body is JSON")
        };
        let payload = Payload::text(64);
        assert_eq!(
            body(Dialect::Wshub.publish(Audience::Everybody, &payload, 1))["type"],
            "broadcast"
        );
        assert_eq!(
            body(Dialect::Wshub.publish(Audience::Room("r"), &payload, 1))["room_id"],
            "r"
        );
        assert!(body(Dialect::Bare.publish(Audience::Everybody, &payload, 1)).is_string());
    }
}
