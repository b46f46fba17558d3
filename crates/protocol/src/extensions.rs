//! The client's offers in `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), and which of them is
//! accepted: permessage-deflate (RFC 7692), always without context takeover, so that no connection
//! holds a compressor and one compressed message serves every receiver.

use std::borrow::Cow;
use std::fmt;

/// The name of the one extension that is accepted.
const NAME: &str = "permessage-deflate";
/// The window of a peer that asks for no smaller one, as a power of two.
const FULL_WINDOW_BITS: u8 = 15;
/// The smallest window that is promised. zlib can't work within 8 bits, and a client with so small
/// a window is better served uncompressed than with the few messages that would fit.
const LEAST_WINDOW_BITS: u8 = 10;

/// The permessage-deflate that was agreed with a client. As text it is the answer's header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// The window the client inflates with, as a power of two: 15 unless it asked for less.
    pub server_window_bits: u8,
    /// Whether the client named the window, since then the answer must name it too.
    asked: bool,
}

/// Chooses the first offer that can be accepted. `values` are the fields in their order.
///
/// An offer with a parameter that is unknown, comes twice or has a bad value is declined, and the
/// next one is looked at: clients offer alternatives that way (RFC 7692 section 5.1). What follows
/// broken syntax in a field is not trusted.
pub fn accept_deflate<'h>(mut values: impl Iterator<Item = &'h str>) -> Option<Deflate> {
    values.find_map(accept_in_field)
}

impl Deflate {
    /// Whether a message of this many bytes, before compression, may be sent compressed.
    ///
    /// All receivers share one compressed form, made with the full window. Since each message is
    /// compressed by itself, no reference in it reaches back further than the message is long: what
    /// fits the receiver's window can be inflated with it. Longer messages go uncompressed.
    #[must_use]
    pub fn may_compress(&self, plain_bytes: usize) -> bool {
        self.server_window_bits >= FULL_WINDOW_BITS || plain_bytes <= 1 << self.server_window_bits
    }
}

impl fmt::Display for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{NAME}; server_no_context_takeover; client_no_context_takeover"
        )?;
        if self.asked {
            write!(f, "; server_max_window_bits={}", self.server_window_bits)?;
        }
        Ok(())
    }
}

fn accept_in_field(field: &str) -> Option<Deflate> {
    let mut text = Text { rest: field };
    loop {
        // RFC 9110 section 5.6.1.2: empty elements of a list are skipped.
        while text.eat(',') {}
        let offer = text.offer()?;
        let more = text.eat(',');
        if !more && !text.rest.is_empty() {
            return None;
        }
        if offer.acceptable {
            let asked = offer.server_window_bits.is_some();
            let server_window_bits = offer.server_window_bits.unwrap_or(FULL_WINDOW_BITS);
            return Some(Deflate {
                server_window_bits,
                asked,
            });
        }
        if !more {
            return None;
        }
    }
}

/// One offer, as far as it has been read.
struct Offer {
    acceptable: bool,
    server_window_bits: Option<u8>,
    client_window_bits: bool,
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
}

impl Offer {
    fn new(name: &str) -> Self {
        Self {
            acceptable: name == NAME,
            server_window_bits: None,
            client_window_bits: false,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
        }
    }

    /// Takes in a parameter (RFC 7692 section 7.1); one that isn't right declines the offer.
    fn parameter(&mut self, name: &str, value: Option<&str>) {
        self.acceptable &= match (name, value) {
            ("server_no_context_takeover", None) => first(&mut self.server_no_context_takeover),
            ("client_no_context_takeover", None) => first(&mut self.client_no_context_takeover),
            // Our inflater has the full window, so that any window of the client's will do.
            ("client_max_window_bits", value) => {
                value.is_none_or(|text| window_bits(text).is_some())
                    && first(&mut self.client_window_bits)
            }
            ("server_max_window_bits", Some(text)) => match window_bits(text) {
                Some(bits) if bits >= LEAST_WINDOW_BITS => {
                    self.server_window_bits.replace(bits).is_none()
                }
                _ => false,
            },
            _ => false,
        };
    }
}

/// Marks a parameter as seen and says whether this was the first time.
fn first(seen: &mut bool) -> bool {
    !std::mem::replace(seen, true)
}

/// A window size: a decimal number from 8 to 15 without leading zeroes.
fn window_bits(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [ones @ b'8'..=b'9'] => Some(ones - b'0'),
        [b'1', ones @ b'0'..=b'5'] => Some(10 + ones - b'0'),
        _ => None,
    }
}

/// What is left to read of a field. White space may stand between any two words of it.
struct Text<'t> {
    rest: &'t str,
}

impl<'t> Text<'t> {
    /// Reads an offer up to the comma behind it; `None` where the syntax is broken.
    fn offer(&mut self) -> Option<Offer> {
        let mut offer = Offer::new(self.token()?);
        while self.eat(';') {
            let name = self.token()?;
            let value = if self.eat('=') {
                Some(self.value()?)
            } else {
                None
            };
            offer.parameter(name, value.as_deref());
        }
        Some(offer)
    }

    fn eat(&mut self, mark: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn token(&mut self) -> Option<&'t str> {
        self.skip_space();
        let end = self.rest.find(|c| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token or a quoted string, without its quotes and backslashes.
    fn value(&mut self) -> Option<Cow<'t, str>> {
        if !self.eat('"') {
            return self.token().map(Cow::Borrowed);
        }
        let end = self.rest.find(['"', '\\'])?;
        if self.rest[end..].starts_with('"') {
            let value = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            return Some(Cow::Borrowed(value));
        }
        let mut value = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                char => value.push(char),
            }
        }
        self.rest = chars.as_str();
        Some(Cow::Owned(value))
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    fn answer(fields: &[&str]) -> Option<String> {
        accept_deflate(fields.iter().copied()).map(|deflate| deflate.to_string())
    }

    #[test]
    fn a_valid_offer_is_answered_without_context_takeover() {
        for field in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=\"15\"",
            "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
            " ,, permessage-deflate\t;  client_max_window_bits = 10 ,",
            "x-webkit-deflate-frame, permessage-deflate",
            "other; odd=\"a, permessage-deflate; b\", permessage-deflate",
        ] {
            assert_eq!(answer(&[field]).as_deref(), Some(PLAIN), "{field}");
        }
    }

    #[test]
    fn a_window_that_was_asked_for_is_in_the_answer() {
        for bits in 10..=15 {
            for quote in ["", "\""] {
                let offer =
                    format!("permessage-deflate; server_max_window_bits={quote}{bits}{quote}");
                let expected = format!("{PLAIN}; server_max_window_bits={bits}");
                assert_eq!(answer(&[&offer]), Some(expected), "{offer}");
            }
        }
        let escaped = "permessage-deflate; server_max_window_bits=\"1\\0\"";
        assert_eq!(
            answer(&[escaped]),
            Some(format!("{PLAIN}; server_max_window_bits=10"))
        );
    }

    #[test]
    fn an_offer_that_is_not_understood_or_too_narrow_is_declined() {
        for parameters in [
            "server_max_window_bits=8",
            "server_max_window_bits=9",
            "server_max_window_bits",
            "server_max_window_bits=16",
            "server_max_window_bits=7",
            "server_max_window_bits=010",
            "server_max_window_bits=+10",
            "server_max_window_bits=",
            "server_max_window_bits=\"\"",
            "server_max_window_bits=\"10",
            "server_max_window_bits=\"10\\",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=16",
            "client_max_window_bits=0",
            "client_max_window_bits; client_max_window_bits",
            "server_no_context_takeover=1",
            "client_no_context_takeover=\"\"",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "unknown",
            "unknown=1",
            "",
            "; client_max_window_bits",
            "client_max_window_bits client_max_window_bits",
            "client_max_window_bits=ü",
        ] {
            assert_eq!(
                answer(&[&format!("permessage-deflate; {parameters}")]),
                None,
                "{parameters}"
            );
        }
        for field in [
            "",
            ",",
            "deflate",
            "Permessage-Deflate",
            "permessage-deflate permessage",
            "=",
            "\"",
        ] {
            assert_eq!(answer(&[field]), None, "{field}");
        }
    }

    #[test]
    fn the_first_offer_that_can_be_accepted_wins() {
        // RFC 7692 section 7.1.2.1 shows the fallback within one field; fields are one list.
        let narrow = "permessage-deflate; server_max_window_bits=8";
        let wide = "permessage-deflate; server_max_window_bits=12";
        let twelve = Some(format!("{PLAIN}; server_max_window_bits=12"));
        assert_eq!(
            answer(&[&format!("{narrow}, {wide}, permessage-deflate")]),
            twelve
        );
        assert_eq!(answer(&["foo", narrow, wide, "permessage-deflate"]), twelve);
        assert_eq!(
            answer(&["permessage-deflate; =", "permessage-deflate"]).as_deref(),
            Some(PLAIN)
        );
        assert_eq!(answer(&["permessage-deflate; =, permessage-deflate"]), None);
    }

    #[test]
    fn a_message_longer_than_the_window_is_not_compressed() {
        let window = |field| accept_deflate([field].into_iter()).unwrap();
        let small = window("permessage-deflate; server_max_window_bits=10");
        assert!(small.may_compress(0));
        assert!(small.may_compress(1_024));
        assert!(!small.may_compress(1_025));
        assert!(window("permessage-deflate").may_compress(usize::MAX));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_one_header_the_next_one_counts(
            field in "[permsag\\-deflt;=,\" \\\\0-9ü]{0,60}",
        ) {
            let beside = accept_deflate([field.as_str(), "permessage-deflate"].into_iter());
            prop_assert!(beside.is_some());
        }
    }
}
