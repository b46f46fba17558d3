//! WebSocket as a client speaks it, written apart from the crate under test: frames it sends, frames it is given.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

/// A client's frame: its first byte as it is, the payload masked.
pub(crate) fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = header(first, payload.len() as u64, mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

/// The header of a client's frame that announces `length` bytes.
pub(crate) fn header(first: u8, length: u64, mask: [u8; 4]) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(mask);
    out
}

/// The payload of a close frame.
pub(crate) fn close(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

/// What a client has been given and not yet made out.
#[derive(Default)]
pub(crate) struct Ear {
    bytes: Vec<u8>,
    start: usize,
    upgraded: bool,
}

/// A frame of the server's.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) compressed: bool,
    pub(crate) payload: Vec<u8>,
}

impl Ear {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.start));
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the last frame stopped short.
    pub(crate) fn is_within_a_frame(&self) -> bool {
        self.start < self.bytes.len()
    }

    /// The next whole frame. Panics where the server breaks RFC 6455.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        let rest = &self.bytes[self.start..];
        if !self.upgraded {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            self.upgraded = true;
            self.start += end;
            return self.next_frame();
        }
        let &[first, second, ..] = rest else {
            return None;
        };
        assert_eq!(
            first & 0xb0,
            FIN,
            "a whole frame without RSV2 and RSV3: {first:x}"
        );
        assert_eq!(second & 0x80, 0, "a server doesn't mask");
        let (length, head) = match second {
            126 => (u64::from(u16::from_be_bytes(*rest[2..].first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest[2..].first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let least = [0, 126, 0x1_0000][[2, 4, 10].iter().position(|&h| h == head)?];
        assert!(
            length >= least,
            "a length of {length} in {head} bytes of header"
        );
        let payload = rest.get(head..head + length as usize)?.to_vec();
        self.start += head + payload.len();
        let (opcode, compressed) = (first & 0x0f, first & RSV1 != 0);
        assert!(
            !compressed || opcode == TEXT,
            "only messages are compressed"
        );
        Some(Frame {
            opcode,
            compressed,
            payload,
        })
    }
}

/// Inflates a message as RFC 7692 section 7.2.2 tells a receiver to.
pub(crate) fn inflate(payload: &[u8]) -> Vec<u8> {
    let deflated = [payload, &[0, 0, 0xff, 0xff]].concat();
    let (mut zlib, mut out) = (Decompress::new(false), Vec::new());
    while (zlib.total_in() as usize) < deflated.len() {
        out.reserve(deflated.len() * 4 + 64);
        let rest = &deflated[zlib.total_in() as usize..];
        zlib.decompress_vec(rest, &mut out, FlushDecompress::Sync)
            .expect("a server's deflate");
    }
    out
}

/// Deflates a message as RFC 7692 section 7.2.1 tells a sender to.
pub(crate) fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut zlib = Compress::new(Compression::default(), false);
    let mut out = Vec::with_capacity(payload.len() + 1000);
    zlib.compress_vec(payload, &mut out, FlushCompress::Sync)
        .expect("a vector with room");
    out.truncate(out.len() - 4);
    out
}
