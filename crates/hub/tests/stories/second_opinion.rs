//! An independent WebSocket client, tungstenite, reads what the world's own client read.

use std::io::{Cursor, Read, Result, Write};

use tungstenite::protocol::{Role, WebSocket};

use crate::world::World;

/// A stream of recorded bytes that swallows what is written.
struct Recorded(Cursor<Vec<u8>>);

impl Read for Recorded {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.0.read(into)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn tungstenite_reads_what_our_own_client_read() {
    let world = World::with_seed(95).shards(2);
    let ann = world.visitor("ann").recording().comes().join("news");
    for text in ["short", &"x".repeat(200), &"ü".repeat(40_000)] {
        world.publish("news", text);
    }
    ann.sends("no JSON");
    world.advance(120_000);
    ann.closes(1000);
    let stream = Recorded(Cursor::new(ann.recording()));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, None);
    let frames: Vec<_> = std::iter::from_fn(|| socket.read().ok()).collect();
    let texts = frames.iter().filter(|frame| frame.is_text()).count();
    assert_eq!(texts, ann.types().len());
    assert_eq!(
        frames.iter().filter(|frame| frame.is_ping()).count(),
        ann.pings()
    );
    assert!(frames.last().is_some_and(|frame| frame.is_close()));
}

#[test]
fn what_tungstenite_writes_is_heard() {
    let world = World::with_seed(96);
    let ann = world.connect("ann");
    let mut written = WebSocket::from_raw_socket(Cursor::new(Vec::new()), Role::Client, None);
    for text in ["short", &"x".repeat(200), &"ü".repeat(40_000)] {
        let json = format!(r#"{{"type":"broadcast","data":"{text}"}}"#);
        written
            .send(tungstenite::Message::text(json))
            .expect("a vector takes all");
    }
    ann.writes(written.get_ref().get_ref());
    let lengths: Vec<usize> = ann.heard().iter().map(String::len).collect();
    assert_eq!(lengths, [5, 200, 80_000]);
}
