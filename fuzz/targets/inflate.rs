//! Payloads of compressed messages: the limit holds, nothing is left behind for the next message,
//! and what is taken means the same to another inflater.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use wshub_protocol::deflate::{Deflater, InflateError, Inflater};

thread_local! {
    /// Used by all runs, so that one that leaves something behind spoils a later one.
    static LASTING: RefCell<(Deflater, Inflater)> =
        RefCell::new((Deflater::new(), Inflater::new()));
}

// The first two bytes are the limit, the rest is the payload.
fuzz_target!(|input: &[u8]| {
    let [high, low, payload @ ..] = input else {
        return;
    };
    let limit = usize::from(u16::from_be_bytes([*high, *low]));
    LASTING.with_borrow_mut(|(deflater, inflater)| {
        let mut message = b"before".to_vec();
        let outcome = inflater.inflate(payload, limit, &mut message);
        let plain = message
            .strip_prefix(b"before")
            .expect("what was there stays");
        match outcome {
            Ok(()) => {
                assert!(plain.len() <= limit);
                assert_eq!(others(payload, limit).as_deref(), Some(plain));
                round_trip(deflater, inflater, plain);
            }
            Err(error) => {
                assert!(plain.is_empty());
                if error == InflateError::TooBig {
                    assert_ne!(
                        others(payload, limit).map(|plain| plain.len() <= limit),
                        Some(true)
                    );
                }
            }
        }
        round_trip(deflater, inflater, payload);
    });
});

fn round_trip(deflater: &mut Deflater, inflater: &mut Inflater, plain: &[u8]) {
    let (mut deflated, mut back) = (Vec::new(), Vec::new());
    deflater.compress(plain, &mut deflated);
    assert_eq!(inflater.inflate(&deflated, plain.len(), &mut back), Ok(()));
    assert_eq!(back, plain);
    if let Some(tight) = plain.len().checked_sub(1) {
        let outcome = inflater.inflate(&deflated, tight, &mut Vec::new());
        assert_eq!(outcome, Err(InflateError::TooBig));
    }
}

/// The message as miniz reads it, final blocks included, with the tail of RFC 7692 section 7.2.2.
fn others(payload: &[u8], limit: usize) -> Option<Vec<u8>> {
    let whole = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut plain = Vec::new();
    let mut rest = whole.as_slice();
    while whole.len() - rest.len() < payload.len() {
        // One stream, up to its final block or the end of the bytes.
        let mut piece = vec![0; limit + 1];
        let (status, taken, made) = decompress(
            &mut DecompressorOxide::new(),
            rest,
            &mut piece,
            0,
            TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT,
        );
        plain.extend_from_slice(&piece[..made]);
        rest = &rest[taken..];
        match status {
            TINFLStatus::Done => {}
            TINFLStatus::NeedsMoreInput if rest.is_empty() => break,
            _ => return None,
        }
    }
    Some(plain)
}
