//! WebSocket frames (RFC 6455 section 5.2): the header of a client's frame, unmasking, and the frames a server writes.

use std::fmt;

/// The longest header a client may send: 2 bytes, 8 of length, 4 of mask.
pub const CLIENT_HEADER_BYTES: usize = 14;
/// The longest header a server writes: it never masks.
pub const SERVER_HEADER_BYTES: usize = 10;
/// The most a control frame carries (RFC 6455 section 5.5).
pub const CONTROL_BYTES: usize = 125;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// One more piece of a message.
    Continuation,
    /// A message of UTF-8 text, or its first piece.
    Text,
    /// A message of bytes, or its first piece.
    Binary,
    /// The close handshake.
    Close,
    /// A question whether the peer is there.
    Ping,
    /// The answer to it.
    Pong,
}

impl Opcode {
    /// The four bits on the wire.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Control frames may stand between the fragments of a message.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }

    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }
}

/// A way to break the framing; each ends the connection with 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// RSV2 or RSV3, or RSV1 where no extension gives it a meaning.
    ReservedBit,
    /// An opcode that RFC 6455 keeps for later.
    ReservedOpcode,
    /// A client's frame without a mask.
    Unmasked,
    /// A length that a shorter form could have said.
    LengthNotShortest,
    /// A length of 2^63 or more.
    LengthTooLarge,
    /// A control frame over 125 bytes.
    ControlTooLong,
    /// A control frame without FIN.
    ControlFragmented,
    /// A continuation of nothing.
    NothingToContinue,
    /// A new message inside an unfinished one.
    MessageUnfinished,
    /// A close frame of one byte, or with a code that may not be sent.
    BadClose,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::Unmasked => "client frame not masked",
            Self::LengthNotShortest => "length not in its shortest form",
            Self::LengthTooLarge => "length of 2^63 or more",
            Self::ControlTooLong => "control frame over 125 bytes",
            Self::ControlFragmented => "control frame in fragments",
            Self::NothingToContinue => "continuation of nothing",
            Self::MessageUnfinished => "new message inside an unfinished one",
            Self::BadClose => "bad close frame",
        })
    }
}

/// The header of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// The message is compressed (RFC 7692); on its first frame only.
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The key its payload is masked with.
    pub mask: [u8; 4],
    /// Bytes of payload.
    pub length: u64,
    /// Bytes of the header itself.
    pub size: usize,
}

/// Reads the header at the start of `bytes`; `None` if it isn't all there yet.
///
/// What can be told from the first two bytes is told at once. Whether RSV1 has a meaning is `rsv1_allowed`.
///
/// # Errors
/// The rule of RFC 6455 section 5 that the header breaks.
pub fn parse_header(bytes: &[u8], rsv1_allowed: bool) -> Result<Option<Header>, FrameError> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(FrameError::ReservedOpcode)?;
    let (fin, rsv1) = (first & 0x80 != 0, first & 0x40 != 0);
    if first & 0x30 != 0
        || rsv1 && !(rsv1_allowed && matches!(opcode, Opcode::Text | Opcode::Binary))
    {
        return Err(FrameError::ReservedBit);
    }
    if second & 0x80 == 0 {
        return Err(FrameError::Unmasked);
    }
    let short = u64::from(second & 0x7f);
    if opcode.is_control() {
        if short > CONTROL_BYTES as u64 {
            return Err(FrameError::ControlTooLong);
        }
        if !fin {
            return Err(FrameError::ControlFragmented);
        }
    }
    let Some((length, rest)) = parse_length(short, rest)? else {
        return Ok(None);
    };
    let Some(&mask) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    let size = bytes.len() - rest.len() + 4;
    Ok(Some(Header {
        fin,
        rsv1,
        opcode,
        mask,
        length,
        size,
    }))
}

fn parse_length(short: u64, rest: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    let (length, least, rest) = match short {
        126 => match rest.split_first_chunk::<2>() {
            Some((b, rest)) => (u64::from(u16::from_be_bytes(*b)), 126, rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((b, rest)) => (u64::from_be_bytes(*b), 0x1_0000, rest),
            // The first byte of the length already tells a number beyond 2^63.
            None if rest.first().is_some_and(|b| b & 0x80 != 0) => {
                return Err(FrameError::LengthTooLarge);
            }
            None => return Ok(None),
        },
        _ => (short, 0, rest),
    };
    if length >> 63 != 0 {
        return Err(FrameError::LengthTooLarge);
    }
    if length < least {
        return Err(FrameError::LengthNotShortest);
    }
    Ok(Some((length, rest)))
}

/// Unmasks `payload` in place; `at` is how many bytes of the frame's payload came before it.
pub fn unmask(payload: &mut [u8], mask: [u8; 4], at: u64) {
    let turn = (at % 4) as usize;
    let key: [u8; 4] = std::array::from_fn(|i| mask[(turn + i) % 4]);
    // Eight bytes at a time: the compiler turns this loop into vector instructions.
    let wide = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (i, byte) in rest.iter_mut().enumerate() {
        *byte ^= key[i % 4];
    }
}

/// Appends the header of a server's whole (unfragmented) frame.
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, compressed: bool, length: usize) {
    out.push(0x80 | if compressed { 0x40 } else { 0 } | opcode.bits());
    match length {
        0..=125 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// One whole server frame in an allocation of exactly its size.
#[must_use]
pub fn encode(opcode: Opcode, compressed: bool, payload: &[u8]) -> Box<[u8]> {
    let header = match payload.len() {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => SERVER_HEADER_BYTES,
    };
    let mut out = Vec::with_capacity(header + payload.len());
    write_header(&mut out, opcode, compressed, payload.len());
    out.extend_from_slice(payload);
    out.into_boxed_slice()
}

/// A close frame with a code and a reason, the reason cut to what fits in a control frame.
#[must_use]
pub fn encode_close(code: u16, reason: &str) -> Box<[u8]> {
    let mut end = reason.len().min(CONTROL_BYTES - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(CONTROL_BYTES);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    encode(Opcode::Close, false, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
        parse_header(bytes, false)
    }

    #[test]
    fn a_header_is_read_as_soon_as_it_is_complete_and_not_before() {
        let whole = [0x81, 0xfe, 0x01, 0x00, 1, 2, 3, 4];
        for cut in 0..whole.len() {
            assert_eq!(header_of(&whole[..cut]), Ok(None), "after {cut} bytes");
        }
        let header = header_of(&whole).unwrap().unwrap();
        assert_eq!(
            (header.length, header.size, header.mask),
            (256, 8, [1, 2, 3, 4])
        );
        assert!(header.fin && !header.rsv1 && header.opcode == Opcode::Text);
    }

    #[test]
    fn each_broken_header_is_refused_for_its_reason() {
        use FrameError::*;
        let table: [(&[u8], FrameError); 12] = [
            (&[0xa1, 0x80], ReservedBit),
            (&[0x91, 0x80], ReservedBit),
            (&[0xc1, 0x80], ReservedBit),
            (&[0x83, 0x80], ReservedOpcode),
            (&[0x8f, 0x80], ReservedOpcode),
            (&[0x81, 0x05], Unmasked),
            (&[0x89, 0xfe], ControlTooLong),
            (&[0x08, 0x80], ControlFragmented),
            (&[0x82, 0xfe, 0, 125], LengthNotShortest),
            (
                &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                LengthNotShortest,
            ),
            (&[0x82, 0xff, 0x80], LengthTooLarge),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], LengthTooLarge),
        ];
        for (bytes, why) in table {
            assert_eq!(header_of(bytes), Err(why), "{bytes:x?}");
        }
    }

    #[test]
    fn rsv1_has_a_meaning_only_on_the_first_frame_of_a_message_and_when_negotiated() {
        assert!(
            parse_header(&[0xc1, 0x80, 0, 0, 0, 0], true)
                .unwrap()
                .unwrap()
                .rsv1
        );
        assert_eq!(
            parse_header(&[0xc0, 0x80], true),
            Err(FrameError::ReservedBit)
        );
        assert_eq!(
            parse_header(&[0xc9, 0x80], true),
            Err(FrameError::ReservedBit)
        );
    }

    #[test]
    fn unmasking_in_pieces_equals_unmasking_at_once() {
        let plain: Vec<u8> = (0..100).collect();
        let mask = [0x11, 0x22, 0x33, 0x44];
        for cut in 0..plain.len() {
            let mut masked: Vec<u8> = plain
                .iter()
                .enumerate()
                .map(|(i, b)| b ^ mask[i % 4])
                .collect();
            let (head, tail) = masked.split_at_mut(cut);
            unmask(head, mask, 0);
            unmask(tail, mask, cut as u64);
            assert_eq!(masked, plain, "cut at {cut}");
        }
    }

    #[test]
    fn server_frames_use_the_shortest_length() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10)] {
            assert_eq!(
                encode(Opcode::Text, false, &vec![b'x'; length]).len(),
                header + length
            );
        }
        assert_eq!(
            &*encode(Opcode::Text, false, b"Hello"),
            [0x81, 5, 0x48, 0x65, 0x6c, 0x6c, 0x6f]
        );
        assert_eq!(encode_close(1000, &"é".repeat(100)).len(), 2 + 2 + 122);
    }
}
