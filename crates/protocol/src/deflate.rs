//! permessage-deflate's payloads (RFC 7692 section 7.2), one whole message at a time.
//!
//! No context is taken over in either direction, so one [`Deflater`] and one [`Inflater`] serve all
//! connections of a shard: each call begins afresh.

use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::CloseCode;

/// What a sync flush ends with; the sender cuts it off (RFC 7692 section 7.2.1).
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// The tail as the receiver appends it, with an empty final block behind it, which tells a whole
/// message from one that was cut: the stream ends right there only if the tail was read as a tail.
const APPENDED: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];
/// How much room each further call of the compressor gets at least. zlib asks for more than six
/// bytes, or it may repeat a flush that just fitted.
const ROOM: usize = 64;
/// How much is inflated between two looks at the limit.
const PIECE: usize = 16 * 1024;

/// Compresses messages. It holds some 300 KiB: keep one per thread, not one per connection.
pub struct Deflater {
    zlib: Compress,
}

/// Inflates messages, never beyond a limit. It holds some 64 KiB: keep one per thread.
pub struct Inflater {
    zlib: Decompress,
    piece: Box<[u8]>,
}

/// Why a payload can't be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// The message is larger than the limit.
    TooBig,
    /// It is not a whole DEFLATE stream (RFC 1951).
    Corrupt,
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflater {
    /// A compressor of level 1: the higher ones cost twice the time for a fifth of the size.
    #[must_use]
    pub fn new() -> Self {
        Self {
            zlib: Compress::new(Compression::fast(), false),
        }
    }

    /// Appends the payload of a compressed message to `out`. It may be longer than `plain`, where
    /// that can't be compressed: compare, and send the shorter.
    ///
    /// # Panics
    /// Never by what `plain` holds: zlib fails only when its own state is broken.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.zlib.reset();
        let mut left = plain;
        let mut room = plain.len() / 2 + ROOM;
        loop {
            out.reserve(room);
            let before = self.zlib.total_in();
            self.zlib
                .compress_vec(left, out, FlushCompress::Sync)
                .expect("a compressor that was reset takes any input");
            left = &left[progress(before, self.zlib.total_in())..];
            // The flush is complete when it left room; until then it wants to be asked again.
            if left.is_empty() && out.len() < out.capacity() {
                break;
            }
            room = left.len() + ROOM;
        }
        debug_assert!(
            out.ends_with(&FLUSH_TAIL),
            "a sync flush ends with its tail"
        );
        out.truncate(out.len() - FLUSH_TAIL.len());
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// An inflater with the full window, which takes what any smaller window made.
    #[must_use]
    pub fn new() -> Self {
        Self {
            zlib: Decompress::new(false),
            piece: vec![0; PIECE].into(),
        }
    }

    /// Appends the message to `out`. `deflated` is its whole payload, all fragments together.
    ///
    /// A final block does not end the message: RFC 7692 section 7.2.3.4 lets more follow, so what
    /// comes behind one is read as a stream of its own. A payload that ends with a final block is
    /// taken too, and so is an empty one, as the empty message: other servers take them.
    ///
    /// # Errors
    /// The message has more than `limit` bytes, which is noticed within 16 KiB of it, or the
    /// payload is corrupt or incomplete. `out` is then as it was.
    pub fn inflate(
        &mut self,
        deflated: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let start = out.len();
        let outcome = self.inflate_whole(deflated, limit, out);
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }

    fn inflate_whole(
        &mut self,
        deflated: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        if deflated.is_empty() {
            return Ok(());
        }
        self.zlib.reset(false);
        let mut left = limit;
        if self.feed(deflated, &mut left, out)? {
            return Ok(());
        }
        // What is appended holds nothing of the message: if it makes a byte, the payload was cut.
        match self.feed(&APPENDED, &mut 0, out) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(InflateError::Corrupt),
        }
    }

    /// Inflates all of `input`, at most `left` bytes. The answer is whether a final block ended
    /// exactly with it.
    fn feed(
        &mut self,
        mut input: &[u8],
        left: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, InflateError> {
        loop {
            let (ins, outs) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self
                .zlib
                .decompress(input, &mut self.piece, FlushDecompress::None)
                .map_err(|_| InflateError::Corrupt)?;
            let taken = progress(ins, self.zlib.total_in());
            let made = progress(outs, self.zlib.total_out());
            *left = left.checked_sub(made).ok_or(InflateError::TooBig)?;
            out.extend_from_slice(&self.piece[..made]);
            input = &input[taken..];
            match status {
                Status::StreamEnd => {
                    self.zlib.reset(false);
                    if input.is_empty() {
                        return Ok(true);
                    }
                }
                _ if taken == 0 && made == 0 => {
                    // With room for its output zlib stands still only for want of input.
                    return if input.is_empty() {
                        Ok(false)
                    } else {
                        Err(InflateError::Corrupt)
                    };
                }
                _ => {}
            }
        }
    }
}

impl InflateError {
    /// The code that the connection is closed with.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::TooBig => CloseCode::TooBig,
            Self::Corrupt => CloseCode::InvalidData,
        }
    }
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooBig => "the message is too big when inflated: send less in one message",
            Self::Corrupt => "the compressed message is not a whole DEFLATE stream",
        })
    }
}

impl std::error::Error for InflateError {}

/// How far one of zlib's counters has come within a call: never further than its buffer is long.
fn progress(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("a call moves within its buffers")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Deflated with a final block, as `Z_FINISH` does it.
    const HELLO_FINAL: [u8; 7] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    fn compress(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Deflater::new().compress(plain, &mut out);
        out
    }

    fn inflate(deflated: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        Inflater::new()
            .inflate(deflated, limit, &mut out)
            .map(|()| out)
    }

    #[test]
    fn the_payloads_of_rfc_7692_section_7_2_3_inflate() {
        let cases: [(&str, &[u8], &[u8]); 6] = [
            (
                "one block",
                &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
                b"Hello",
            ),
            (
                "no compression",
                &[
                    0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
                ],
                b"Hello",
            ),
            (
                "a final block",
                &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
                b"Hello",
            ),
            (
                "two blocks",
                &[
                    0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
                ],
                b"Hello",
            ),
            ("an empty message", &[0x00], b""),
            ("an empty message in a compressed block", &[0x02, 0x00], b""),
        ];
        for (name, deflated, plain) in cases {
            assert_eq!(inflate(deflated, 5).as_deref(), Ok(plain), "{name}");
        }
    }

    #[test]
    fn a_payload_that_leans_on_the_message_before_is_corrupt() {
        // RFC 7692 section 7.2.3.2: the second "Hello" of a connection with context takeover.
        let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
        let mut inflater = Inflater::new();
        let mut out = Vec::new();
        assert_eq!(inflater.inflate(&compress(b"Hello"), 5, &mut out), Ok(()));
        assert_eq!(
            inflater.inflate(&second, 100, &mut out),
            Err(InflateError::Corrupt)
        );
        assert_eq!(
            out, b"Hello",
            "what a refused message began with is taken back"
        );
    }

    #[test]
    fn what_follows_a_final_block_is_read_as_more_blocks() {
        let twice = [HELLO_FINAL, HELLO_FINAL].concat();
        assert_eq!(inflate(&twice, 10).as_deref(), Ok(&b"HelloHello"[..]));
        assert_eq!(inflate(&twice, 9), Err(InflateError::TooBig));
        assert_eq!(inflate(&HELLO_FINAL, 5).as_deref(), Ok(&b"Hello"[..]));
        for junk in [&b"\x07junk"[..], &[0xff], &[0x00, 0x01]] {
            let deflated = [&HELLO_FINAL, junk].concat();
            assert_eq!(
                inflate(&deflated, 100),
                Err(InflateError::Corrupt),
                "{junk:?}"
            );
        }
    }

    #[test]
    fn an_empty_payload_is_the_empty_message() {
        assert_eq!(inflate(&[], 0), Ok(Vec::new()));
        assert_eq!(inflate(&compress(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn a_message_cut_short_is_corrupt() {
        let plain = "{\"type\":\"broadcast\",\"data\":[1,2,3,1,2,3,1,2,3]}".repeat(3);
        let deflated = compress(plain.as_bytes());
        assert_eq!(
            inflate(&deflated, plain.len()).as_deref(),
            Ok(plain.as_bytes())
        );
        for end in 1..deflated.len() {
            assert_eq!(
                inflate(&deflated[..end], 1_000),
                Err(InflateError::Corrupt),
                "at {end}"
            );
        }
    }

    #[test]
    fn what_the_receiver_appends_does_not_complete_a_message() {
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, b'H'];
        let final_block = [0x0b, 0x7c, 0x25, 0xdd, 0xf0, 0x7c];
        for deflated in [stored, final_block] {
            assert_eq!(inflate(&deflated, 1_000), Err(InflateError::Corrupt));
        }
    }

    #[test]
    fn the_limit_is_the_largest_message_that_is_taken() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let plain = vec![b'a'; size];
            assert_eq!(inflate(&compress(&plain), size).as_ref(), Ok(&plain));
            if size > 0 {
                assert_eq!(
                    inflate(&compress(&plain), size - 1),
                    Err(InflateError::TooBig)
                );
            }
        }
    }

    #[test]
    fn a_bomb_costs_no_more_memory_than_the_limit() {
        let bomb = compress(&vec![0; 4 << 20]);
        let limit = 64 * 1024;
        let mut out = Vec::with_capacity(limit);
        let outcome = Inflater::new().inflate(&bomb, limit, &mut out);
        assert_eq!((outcome, out.len()), (Err(InflateError::TooBig), 0));
        assert_eq!(out.capacity(), limit);
    }

    #[test]
    fn bytes_that_do_not_compress_make_a_little_more() {
        let mut seed = 1_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        };
        let plain: Vec<u8> = (0..100_000).map(|_| noise()).collect();
        let deflated = compress(&plain);
        assert!(deflated.len() < plain.len() + plain.len() / 8);
        assert_eq!(inflate(&deflated, plain.len()), Ok(plain));
    }

    #[test]
    fn a_payload_is_appended_to_what_is_there() {
        let mut out = b"head".to_vec();
        Deflater::new().compress(b"Hello", &mut out);
        assert_eq!(&out[..4], b"head");
        assert_eq!(inflate(&out[4..], 5).as_deref(), Ok(&b"Hello"[..]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_compressed_inflates_to_the_same(
            messages in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![4 => Just(b'a'), 1 => any::<u8>()], 0..2_000),
                1..4),
            capacity in 0_usize..300,
        ) {
            let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
            for plain in messages {
                let mut deflated = Vec::with_capacity(capacity);
                deflater.compress(&plain, &mut deflated);
                let mut back = Vec::new();
                prop_assert_eq!(inflater.inflate(&deflated, plain.len(), &mut back), Ok(()));
                prop_assert_eq!(back, plain);
            }
        }

        #[test]
        fn whatever_bytes_come_the_limit_holds(
            deflated in proptest::collection::vec(any::<u8>(), 0..200),
            limit in 0_usize..500,
        ) {
            let mut inflater = Inflater::new();
            let mut out = Vec::new();
            let outcome = inflater.inflate(&deflated, limit, &mut out);
            prop_assert!(out.len() <= limit);
            prop_assert!(outcome.is_ok() || out.is_empty());
            // The next message doesn't suffer from it.
            out.clear();
            prop_assert_eq!(inflater.inflate(&compress(b"Hello"), 5, &mut out), Ok(()));
            prop_assert_eq!(out, b"Hello");
        }
    }
}
