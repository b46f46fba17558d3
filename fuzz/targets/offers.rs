//! Offers of extensions: whatever stands in the headers, an answer is itself a valid offer of the
//! same, and a field that is broken never keeps the next one from being accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wshub_protocol::extensions::accept_deflate;

// Each line is a field of its own.
fuzz_target!(|input: &str| {
    let accepted = accept_deflate(input.lines());
    if let Some(deflate) = accepted {
        let bits = deflate.server_window_bits;
        assert!((10..=15).contains(&bits));
        assert!(deflate.may_compress(1 << bits));
        assert_eq!(deflate.may_compress((1 << bits) + 1), bits == 15);
        let answer = deflate.to_string();
        assert_eq!(
            accept_deflate([answer.as_str()].into_iter()),
            accepted,
            "{answer}"
        );
        assert!(
            input.contains("permessage-deflate"),
            "an answer to no offer"
        );
    } else {
        let fallback = accept_deflate(input.lines().chain(["permessage-deflate"]));
        assert_eq!(fallback.map(|deflate| deflate.server_window_bits), Some(15));
    }
});
