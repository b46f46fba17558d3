//! The frame reader: however the bytes were cut into reads it says the same, holds no more than a
//! message may have, and agrees with tungstenite on every frame that both take.
#![no_main]

use std::io::{self, Cursor, Read, Write};

use libfuzzer_sys::fuzz_target;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};
use wshub_protocol::frame::FrameError;
use wshub_protocol::reader::{Event, Inflation, ReadError, Reader, Rules};

/// Message limits worth trying: just a control frame's size, a middle one, one beyond 16-bit lengths.
const LIMITS: [usize; 3] = [125, 1_000, 70_000];

/// What a peer said, whoever read it.
#[derive(Debug, PartialEq)]
enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Why tungstenite reads no further.
#[derive(Debug, PartialEq)]
enum TheirEnd {
    /// It wants more bytes, or was told goodbye.
    Open,
    Protocol,
    NotUtf8,
    TooBig,
}

// The first byte chooses the rules, the second how the rest is cut into reads.
fuzz_target!(|input: &[u8]| {
    let [choice, cut, stream @ ..] = input else {
        return;
    };
    let rules = Rules {
        message_bytes: LIMITS[usize::from(choice / 2) % LIMITS.len()],
        deflate: choice % 2 == 1,
    };
    let whole = read(stream, stream.len().max(1), rules);
    let cut = read(stream, usize::from(*cut).max(1), rules);
    assert_eq!(whole, cut, "the same bytes in other pieces");
    if !rules.deflate {
        compare(whole, read_theirs(stream, rules));
    }
});

fn read(stream: &[u8], piece: usize, rules: Rules) -> (Vec<Said>, Option<ReadError>) {
    // Both the assembled bytes and what was inflated may double while they grow.
    let most = 4 * rules.message_bytes + 4_096;
    let (mut reader, mut inflation) = (Reader::default(), Inflation::default());
    let mut said = Vec::new();
    for piece in stream.chunks(piece) {
        let mut piece = piece.to_vec();
        let mut input = piece.as_mut_slice();
        loop {
            match reader.next(&mut input, rules, &mut inflation) {
                Ok(None) => break,
                Ok(Some(event)) => said.push(heard(event, rules)),
                Err(error) => return (said, Some(error)),
            }
            if matches!(said.last(), Some(Said::Close(_))) {
                return (said, None);
            }
        }
        assert!(
            reader.held_bytes() <= most,
            "{} bytes are held",
            reader.held_bytes()
        );
    }
    (said, None)
}

fn heard(event: Event<'_>, rules: Rules) -> Said {
    match event {
        Event::Message { text, payload } => {
            assert!(payload.len() <= rules.message_bytes);
            if text {
                assert!(str::from_utf8(payload).is_ok());
                Said::Text(payload.to_vec())
            } else {
                Said::Binary(payload.to_vec())
            }
        }
        Event::Ping(payload) => Said::Ping(payload.to_vec()),
        Event::Pong(payload) => Said::Pong(payload.to_vec()),
        Event::Close(code) => Said::Close(code),
    }
}

/// Holds what we read against what tungstenite read.
///
/// We are stricter in one thing, the shortest form of a length, and earlier in many: it judges a frame
/// once all of it is there, and its size before all else. It doesn't know close code 1014, which is
/// registered since RFC 6455.
fn compare(ours: (Vec<Said>, Option<ReadError>), theirs: (Vec<Said>, TheirEnd)) {
    let (mut ours, our_end) = ours;
    let (theirs, their_end) = theirs;
    // A control frame's length has one form only; theirs may have said a small one in a long form.
    let stricter = matches!(
        our_end,
        Some(ReadError::Frame(
            FrameError::LengthNotShortest | FrameError::ControlTooLong
        ))
    );
    if stricter {
        assert!(
            theirs.starts_with(&ours),
            "{ours:?} is no beginning of {theirs:?}"
        );
        return;
    }
    if ours.last() == Some(&Said::Close(Some(1014))) && their_end == TheirEnd::Protocol {
        ours.pop();
        assert_eq!(ours, theirs);
        return;
    }
    assert_eq!(ours, theirs, "read until {our_end:?} and {their_end:?}");
    let agree = match (our_end, &their_end) {
        (_, TheirEnd::Open) => true,
        (None, _) => false,
        (Some(_), TheirEnd::TooBig) => true,
        (Some(ReadError::Frame(_)), TheirEnd::Protocol) => true,
        (Some(ReadError::NotUtf8), TheirEnd::NotUtf8) => true,
        // The announced length is known before the bytes that are no text.
        (Some(ReadError::TooBig), TheirEnd::NotUtf8) => true,
        // We look at the code of a close frame first, they at its reason.
        (Some(ReadError::Frame(FrameError::BadClose)), TheirEnd::NotUtf8) => true,
        _ => false,
    };
    assert!(agree, "{our_end:?} and {their_end:?}");
}

fn read_theirs(stream: &[u8], rules: Rules) -> (Vec<Said>, TheirEnd) {
    let config = WebSocketConfig::default()
        .read_buffer_size(1_024)
        .max_frame_size(Some(rules.message_bytes))
        .max_message_size(Some(rules.message_bytes));
    let socket = DeafPeer(Cursor::new(stream.to_vec()));
    let mut socket = WebSocket::from_raw_socket(socket, Role::Server, Some(config));
    let mut said = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => said.push(Said::Text(text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => said.push(Said::Binary(bytes.to_vec())),
            Ok(Message::Ping(payload)) => said.push(Said::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => said.push(Said::Pong(payload.to_vec())),
            Ok(Message::Close(frame)) => return told_goodbye(said, frame),
            Ok(Message::Frame(_)) => unreachable!("only written, never read"),
            Err(Error::Utf8(_)) => return (said, TheirEnd::NotUtf8),
            Err(Error::Capacity(_)) => return (said, TheirEnd::TooBig),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return (said, TheirEnd::Open),
            Err(Error::Protocol(_)) => return (said, TheirEnd::Protocol),
            Err(error) => unreachable!("{error}"),
        }
    }
}

fn told_goodbye(mut said: Vec<Said>, frame: Option<CloseFrame>) -> (Vec<Said>, TheirEnd) {
    match frame {
        // How it hands on a close frame whose code may not be sent.
        Some(frame) if frame.reason.as_str() == "Protocol violation" => (said, TheirEnd::Protocol),
        frame => {
            said.push(Said::Close(frame.map(|frame| frame.code.into())));
            (said, TheirEnd::Open)
        }
    }
}

/// A peer that has said all it will say, and doesn't listen to the pongs.
struct DeafPeer(Cursor<Vec<u8>>);

impl Read for DeafPeer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for DeafPeer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
