//! Finds the frames in what a server sent, and writes the frames of a client. A long payload is counted, not kept: the
//! loader must not become the slow consumer that it isn't there to measure.

use crate::trouble::Trouble;

/// How much of a payload is kept to be looked at; the envelope, the stamp and a compressed kilobyte fit with room to spare.
pub const KEPT: usize = 4096;

/// Opcode of a text frame.
pub const TEXT: u8 = 1;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping frame.
pub const PING: u8 = 9;
/// Opcode of a pong frame.
pub const PONG: u8 = 10;

/// One whole frame of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The opcode of RFC 6455.
    pub opcode: u8,
    /// RSV1: the payload is deflated.
    pub compressed: bool,
    /// How long the payload is.
    pub length: usize,
    /// The payload's beginning: all of it up to [`KEPT`] bytes.
    pub head: &'a [u8],
}

impl Frame<'_> {
    /// A text or binary message, not a control frame.
    pub fn is_message(&self) -> bool {
        self.opcode < CLOSE
    }
}

struct Header {
    opcode: u8,
    compressed: bool,
    at: usize,
    length: usize,
}

/// A frame whose end is still to come and that is too long to keep.
struct Long {
    opcode: u8,
    compressed: bool,
    length: usize,
    missing: usize,
}

/// Cuts a server's byte stream into frames, however the stream is split.
#[derive(Default)]
pub struct Scanner {
    partial: Vec<u8>,
    long: Option<Long>,
}

impl Scanner {
    /// Takes the next bytes of the stream and shows every frame that ends in them.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>),
    ) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            if self.long.is_some() {
                bytes = self.skip(bytes, &mut each);
            } else if !self.partial.is_empty() {
                bytes = self.complete(bytes, &mut each)?;
            } else {
                bytes = self.scan(bytes, &mut each)?;
            }
        }
        Ok(())
    }

    /// The way nearly all frames take: whole in the buffer, shown in place.
    fn scan<'b>(
        &mut self,
        bytes: &'b [u8],
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<&'b [u8], Trouble> {
        let mut at = 0;
        while let Some(header) = header(&bytes[at..])? {
            let start = at + header.at;
            let end = start.saturating_add(header.length);
            if end > bytes.len() {
                break;
            }
            let head = &bytes[start..start + header.length.min(KEPT)];
            each(Frame {
                opcode: header.opcode,
                compressed: header.compressed,
                length: header.length,
                head,
            });
            at = end;
        }
        self.partial.extend_from_slice(&bytes[at..]);
        self.go_long()?;
        Ok(&[])
    }

    /// Adds to a begun frame no more than it lacks, so that what follows is scanned in place again.
    fn complete<'b>(
        &mut self,
        bytes: &'b [u8],
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<&'b [u8], Trouble> {
        let wanted = match header(&self.partial)? {
            None => self.partial.len() + 1,
            Some(header) => header.at + header.length,
        };
        let taken = (wanted - self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..taken]);
        self.go_long()?;
        if self.long.is_none()
            && let Some(header) = header(&self.partial)?
            && self.partial.len() == header.at + header.length
        {
            let head = &self.partial[header.at..][..header.length.min(KEPT)];
            each(Frame {
                opcode: header.opcode,
                compressed: header.compressed,
                length: header.length,
                head,
            });
            // Given back rather than kept: thousands of idle clients share one memory.
            self.partial = Vec::new();
        }
        Ok(&bytes[taken..])
    }

    /// Turns a begun frame that is too long to keep, and of which the kept part is there, into a count of what is missing.
    fn go_long(&mut self) -> Result<(), Trouble> {
        let Some(header) = header(&self.partial)? else {
            return Ok(());
        };
        let there = self.partial.len() - header.at;
        if there < header.length && there >= KEPT {
            self.partial.drain(..header.at);
            self.partial.truncate(KEPT);
            let Header {
                opcode,
                compressed,
                length,
                ..
            } = header;
            self.long = Some(Long {
                opcode,
                compressed,
                length,
                missing: length - there,
            });
        }
        Ok(())
    }

    fn skip<'b>(&mut self, bytes: &'b [u8], each: &mut impl FnMut(Frame<'_>)) -> &'b [u8] {
        let Some(long) = &mut self.long else {
            return bytes;
        };
        let taken = long.missing.min(bytes.len());
        long.missing -= taken;
        if long.missing == 0 {
            each(Frame {
                opcode: long.opcode,
                compressed: long.compressed,
                length: long.length,
                head: &self.partial,
            });
            self.long = None;
            self.partial = Vec::new();
        }
        &bytes[taken..]
    }
}

/// The header at the front of `bytes`, if all of it is there.
fn header(bytes: &[u8]) -> Result<Option<Header>, Trouble> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err(Trouble::Garbled("a server's frame is not masked"));
    }
    let (at, length) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
        }
        (126 | 127, _) => return Ok(None),
        (length, _) => (2, u64::from(length)),
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|&n| n <= 1 << 30)
        .ok_or(Trouble::Garbled("a frame of over 1 GiB"))?;
    Ok(Some(Header {
        opcode: first & 0x0f,
        compressed: first & 0x40 != 0,
        at,
        length,
    }))
}

/// Appends a client's frame. The masking key is fixed: what it protects against isn't on a loopback.
pub fn write_client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    write_header(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&KEY);
    out.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
}

/// Appends a server's frame.
pub fn write_server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    write_header(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

fn write_header(out: &mut Vec<u8>, opcode: u8, length: usize, mask: u8) {
    out.push(0x80 | opcode);
    match length {
        n @ 0..=125 => out.push(mask | n as u8),
        n @ 126..=65_535 => {
            out.push(mask | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(mask | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(u8, bool, usize, Vec<u8>)>;

    fn seen_in_pieces(stream: &[u8], piece: usize) -> Seen {
        let mut scanner = Scanner::default();
        let mut seen = Seen::new();
        for bytes in stream.chunks(piece) {
            scanner
                .feed(bytes, |f| {
                    seen.push((f.opcode, f.compressed, f.length, f.head.to_vec()))
                })
                .expect("these are frames of a server");
        }
        assert!(
            scanner.partial.is_empty() && scanner.long.is_none(),
            "the stream ends with a frame"
        );
        seen
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_split() {
        let mut stream = Vec::new();
        let lengths = [0, 5, 125, 126, 300, KEPT, KEPT + 1, 65_535, 65_536, 3];
        for length in lengths {
            write_server_frame(&mut stream, TEXT, &vec![b'x'; length]);
        }
        let whole = seen_in_pieces(&stream, stream.len());
        assert_eq!(whole.iter().map(|f| f.2).collect::<Vec<_>>(), lengths);
        assert!(whole.iter().all(|f| f.3.len() == f.2.min(KEPT)));
        for piece in [1, 2, 3, 7, 128, KEPT - 1, KEPT, 65_536] {
            assert_eq!(
                seen_in_pieces(&stream, piece),
                whole,
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_deflated_frame_is_told_from_a_plain_one() {
        let seen = seen_in_pieces(&[0xc1, 1, 7, 0x81, 1, 8], 6);
        assert_eq!(seen, [(TEXT, true, 1, vec![7]), (TEXT, false, 1, vec![8])]);
    }

    #[test]
    fn a_masked_frame_is_no_servers() {
        let fed = Scanner::default().feed(&[0x81, 0x81, 0, 0, 0, 0, 1], |_| {});
        assert!(matches!(fed, Err(Trouble::Garbled(_))));
    }

    #[test]
    fn a_length_beyond_reason_is_told_not_waited_for() {
        let fed = Scanner::default().feed(&[0x81, 127, 0x7f, 0, 0, 0, 0, 0, 0, 0], |_| {});
        assert!(matches!(fed, Err(Trouble::Garbled(_))));
    }

    #[test]
    fn a_clients_frame_is_masked_and_has_the_shortest_length() {
        for (length, header) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            write_client_frame(&mut out, TEXT, &vec![b'x'; length]);
            assert_eq!(out.len(), header + 4 + length);
            assert_eq!(out[1] & 0x80, 0x80);
            assert_eq!(out[header + 4] ^ out[header], b'x');
        }
    }
}
