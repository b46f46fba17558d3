//! The upgrade of an HTTP request to a WebSocket (RFC 6455 section 4.2): what the client asks for,
//! whether that can be had, and the answer.

mod query;

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};

use crate::ErrorCode;
use crate::extensions::{self, Deflate};
use crate::head::{Body, Head, HeadError};
pub use query::Query;

/// The one subprotocol that is ever selected.
pub const SUBPROTOCOL: &str = "wshub.v1";

/// RFC 6455 section 1.3: what is appended to the key before hashing.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Some clients draw 22 letters instead of encoding 16 bytes; the last one then carries bits that
/// mean nothing. RFC 4648 section 3.5 leaves it to us to take them, and other servers do.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);

/// A valid request to upgrade, and what was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// What the query says.
    pub query: Query,
    /// The compression that was agreed, if any.
    pub deflate: Option<Deflate>,
    /// Whether `wshub.v1` was offered, and so is selected.
    pub v1: bool,
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: [u8; 28],
}

/// Why a request can't be upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeError {
    /// It is not a GET of HTTP/1.1 with `Upgrade: websocket` and `Connection: upgrade`.
    NotAnUpgrade,
    /// Its `Sec-WebSocket-Version` is not 13.
    Version,
    /// It has not exactly one `Sec-WebSocket-Key` of 16 bytes in base64.
    Key,
    /// It has a body: the bytes behind the head could be read as a body or as frames.
    Body,
    /// Its head contradicts itself.
    Head(HeadError),
}

/// Checks a request to upgrade. `deflate` says whether compression may be agreed on.
///
/// # Errors
/// The first requirement that isn't met.
pub fn check(head: &Head<'_>, deflate: bool) -> Result<Upgrade, UpgradeError> {
    let asks = head.method == "GET"
        && head.minor == 1
        && head.has_token("upgrade", "websocket")
        && head.has_token("connection", "upgrade");
    if !asks {
        return Err(UpgradeError::NotAnUpgrade);
    }
    if head.only("sec-websocket-version") != Some("13") {
        return Err(UpgradeError::Version);
    }
    let key = head
        .only("sec-websocket-key")
        .filter(|key| is_key(key))
        .ok_or(UpgradeError::Key)?;
    match head.body().map_err(UpgradeError::Head)? {
        Body::None | Body::Length(0) => {}
        Body::Length(_) | Body::Chunked => return Err(UpgradeError::Body),
    }
    Ok(Upgrade {
        query: Query::parse(head.query()),
        deflate: deflate
            .then(|| extensions::accept_deflate(head.values("sec-websocket-extensions")))
            .flatten(),
        v1: offers_v1(head),
        accept: accept(key),
    })
}

impl Upgrade {
    /// The answer: its bytes, blank line included. WebSocket frames follow it.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let mut answer = Vec::with_capacity(320);
        answer.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        self.each_field(|name, value| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                answer.extend_from_slice(part);
            }
        });
        answer.extend_from_slice(b"\r\n");
        answer
    }

    /// Tells the name and the value of each header field of the answer, for a server that writes it by itself.
    pub fn each_field(&self, mut tell: impl FnMut(&'static str, &[u8])) {
        tell("Upgrade", b"websocket");
        tell("Connection", b"Upgrade");
        tell("Sec-WebSocket-Accept", &self.accept);
        if self.v1 {
            tell("Sec-WebSocket-Protocol", SUBPROTOCOL.as_bytes());
        }
        if let Some(deflate) = self.deflate {
            tell("Sec-WebSocket-Extensions", deflate.to_string().as_bytes());
        }
    }
}

impl UpgradeError {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NotAnUpgrade | Self::Version => 426,
            Self::Key | Self::Body => 400,
            Self::Head(error) => error.status(),
        }
    }

    /// The `code` of the answer.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotAnUpgrade | Self::Version => ErrorCode::UpgradeRequired,
            Self::Key | Self::Body => ErrorCode::InvalidMessage,
            Self::Head(error) => error.code(),
        }
    }

    /// The headers that the answer must have beside the usual ones: RFC 9110 section 15.5.22 wants
    /// `Upgrade` in each 426, RFC 6455 section 4.4 the versions that are spoken.
    #[must_use]
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::NotAnUpgrade => &[("Upgrade", "websocket"), ("Connection", "Upgrade")],
            Self::Version => &[
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Version", "13"),
            ],
            Self::Key | Self::Body | Self::Head(_) => &[],
        }
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnUpgrade => {
                "this path takes WebSocket connections only: send a GET of HTTP/1.1 with \
                 `Upgrade: websocket` and `Connection: Upgrade`"
            }
            Self::Version => "only version 13 is spoken: send one `Sec-WebSocket-Version: 13`",
            Self::Key => "send one `Sec-WebSocket-Key`: 16 random bytes in base64",
            Self::Body => "a request to upgrade has no body: send frames once it is answered 101",
            Self::Head(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for UpgradeError {}

fn is_key(key: &str) -> bool {
    // The decoder wants room for all 24 letters, though two of them are padding.
    let mut bytes = [0; 18];
    key.len() == 24 && KEY_BASE64.decode_slice(key, &mut bytes) == Ok(16)
}

/// RFC 6455 section 4.2.2: the proof that the key was read by a WebSocket server.
fn accept(key: &str) -> [u8; 28] {
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(ACCEPT_GUID);
    let mut text = [0; 28];
    let length = STANDARD.encode_slice(hash.digest().bytes(), &mut text);
    debug_assert_eq!(length, Ok(28), "20 bytes are 28 letters");
    text
}

/// Whether `wshub.v1` is among the offered subprotocols, whose case counts (RFC 6455 section 4.1).
fn offers_v1(head: &Head<'_>) -> bool {
    head.values("sec-websocket-protocol")
        .flat_map(|value| value.split(','))
        .any(|offer| offer.trim_ascii() == SUBPROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head;

    /// The request of RFC 6455 section 1.2, less what concerns browsers.
    const FIELDS: [&str; 5] = [
        "Host: server.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];

    fn request(line: &str, fields: &[&str]) -> Result<Upgrade, UpgradeError> {
        let text = format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n"));
        let head = head::parse(text.as_bytes())
            .expect("a head")
            .expect("a whole head");
        check(&head, true)
    }

    /// The request with one more field.
    fn beside(field: &str) -> Result<Upgrade, UpgradeError> {
        request("GET /ws HTTP/1.1", &[&FIELDS[..], &[field]].concat())
    }

    /// The request with a field in place of that of the same name; without it where it is empty.
    fn instead(name: &str, field: &str) -> Result<Upgrade, UpgradeError> {
        let mut fields = FIELDS.to_vec();
        fields.retain(|other| !other.starts_with(name));
        fields.extend(Some(field).filter(|field| !field.is_empty()));
        request("GET /ws HTTP/1.1", &fields)
    }

    #[test]
    fn the_example_of_rfc_6455_is_answered_as_the_rfc_answers_it() {
        let upgrade = request("GET /ws?user_id=ann HTTP/1.1", &FIELDS).unwrap();
        assert_eq!(upgrade.query.user_id.as_deref(), Some("ann"));
        assert_eq!(
            String::from_utf8(upgrade.response()).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }

    #[test]
    fn what_was_agreed_is_in_the_answer() {
        let offers = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=11";
        let fields = [&FIELDS[..], &[offers, "Sec-WebSocket-Protocol: wshub.v1"]].concat();
        let upgrade = request("GET /ws HTTP/1.1", &fields).unwrap();
        let answer = String::from_utf8(upgrade.response()).unwrap();
        assert!(answer.ends_with(
            "Sec-WebSocket-Protocol: wshub.v1\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover; server_max_window_bits=11\r\n\r\n"
        ));
    }

    #[test]
    fn compression_is_agreed_only_where_it_is_on() {
        let text = format!(
            "GET /ws HTTP/1.1\r\n{}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            FIELDS.join("\r\n")
        );
        let head = head::parse(text.as_bytes()).unwrap().unwrap();
        assert!(check(&head, true).unwrap().deflate.is_some());
        assert!(check(&head, false).unwrap().deflate.is_none());
    }

    #[test]
    fn only_our_subprotocol_is_selected() {
        for (offer, selected) in [
            ("wshub.v1", true),
            ("chat, wshub.v1", true),
            ("bearer.abc,wshub.v1 ,x", true),
            ("x\r\nSec-WebSocket-Protocol: wshub.v1", true),
            ("WSHUB.V1", false),
            ("wshub.v2, wshub", false),
            ("", false),
        ] {
            let upgrade = beside(&format!("Sec-WebSocket-Protocol: {offer}")).unwrap();
            assert_eq!(upgrade.v1, selected, "{offer}");
        }
    }

    #[test]
    fn a_request_that_is_no_upgrade_is_told_what_to_send() {
        for outcome in [
            request("POST /ws HTTP/1.1", &FIELDS),
            request("get /ws HTTP/1.1", &FIELDS),
            request("GET /ws HTTP/1.0", &FIELDS),
            instead("Upgrade", ""),
            instead("Upgrade", "Upgrade: h2c"),
            instead("Connection", ""),
            instead("Connection", "Connection: keep-alive"),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error, UpgradeError::NotAnUpgrade);
            assert_eq!(
                (error.status(), error.code()),
                (426, ErrorCode::UpgradeRequired)
            );
            assert_eq!(
                error.headers(),
                [("Upgrade", "websocket"), ("Connection", "Upgrade")]
            );
        }
        assert!(instead("Connection", "Connection: keep-alive, UPGRADE").is_ok());
        assert!(instead("Upgrade", "Upgrade: h2c, WebSocket").is_ok());
    }

    #[test]
    fn another_version_is_told_which_one_is_spoken() {
        for outcome in [
            instead("Sec-WebSocket-Version", ""),
            instead("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
            instead("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"),
            beside("Sec-WebSocket-Version: 8"),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!((error, error.status()), (UpgradeError::Version, 426));
            assert!(error.headers().contains(&("Sec-WebSocket-Version", "13")));
        }
    }

    #[test]
    fn a_key_is_16_bytes_in_base64_and_there_once() {
        for key in [
            "",
            "Sec-WebSocket-Key:",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub_5jZQ==",
        ] {
            let error = instead("Sec-WebSocket-Key", key).unwrap_err();
            assert_eq!((error, error.status()), (UpgradeError::Key, 400), "{key}");
        }
        assert_eq!(beside(FIELDS[3]), Err(UpgradeError::Key));
        assert!(
            instead(
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Key: abcdefghijklmnopqrstuv=="
            )
            .is_ok()
        );
    }

    #[test]
    fn a_request_to_upgrade_has_no_body() {
        assert!(beside("Content-Length: 0").is_ok());
        assert_eq!(beside("Content-Length: 1"), Err(UpgradeError::Body));
        assert_eq!(
            beside("Transfer-Encoding: chunked"),
            Err(UpgradeError::Body)
        );
        assert!(matches!(
            beside("Content-Length: x"),
            Err(UpgradeError::Head(_))
        ));
    }
}
