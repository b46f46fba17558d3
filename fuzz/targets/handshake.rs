//! Request heads and upgrades: whatever comes, the verdict doesn't depend on how it was cut into
//! packets, and an answer is one well-formed head whatever the request held.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tungstenite::handshake::derive_accept_key;
use wshub_protocol::head::{self, HEAD_BYTES, Head, HeadError};
use wshub_protocol::upgrade;

// The first two bytes say where the rest is cut.
fuzz_target!(|input: &[u8]| {
    let [high, low, bytes @ ..] = input else {
        return;
    };
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (bytes.len() + 1);
    let early = verdict(&bytes[..cut]);
    let whole = verdict(bytes);
    match early {
        Ok(None) => {}
        Ok(Some(_)) => assert_eq!(early, whole, "more bytes changed what was read"),
        Err(_) => assert!(whole.is_err(), "more bytes mended what was refused"),
    }
    match head::parse(bytes) {
        Ok(Some(head)) => {
            assert!(head.length <= bytes.len().min(HEAD_BYTES));
            assert_eq!(
                verdict(&bytes[..head.length - 1]),
                Ok(None),
                "a head ends where it ends"
            );
            look_at(&head);
        }
        Ok(None) => assert!(
            bytes.len() < HEAD_BYTES,
            "a full buffer would wait for ever"
        ),
        Err(error) => assert!(matches!(error.status(), 400 | 414 | 431)),
    }
});

fn verdict(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    head::parse(bytes).map(|head| head.map(|head| head.length))
}

fn look_at(head: &Head<'_>) {
    assert!(head.path().len() + head.query().len() <= head.target.len().max("/".len()));
    let _ = (head.body(), head.keep_alive());
    let upgrade = match upgrade::check(head, true) {
        Ok(upgrade) => upgrade,
        Err(error) => {
            assert!(matches!(error.status(), 400 | 426));
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let answer = String::from_utf8(upgrade.response()).expect("an answer is text");
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"));
    // Nothing of the request may come back as a line of its own.
    let lines = 5 + usize::from(upgrade.v1) + usize::from(upgrade.deflate.is_some());
    assert_eq!(answer.matches("\r\n").count(), lines);
    assert_eq!(answer.matches(['\r', '\n']).count(), 2 * lines);
    let key = head
        .header("sec-websocket-key")
        .expect("an upgrade has a key");
    assert_eq!(upgrade.accept, derive_accept_key(key.as_bytes()).as_bytes());
}
