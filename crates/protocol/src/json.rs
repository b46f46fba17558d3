//! JSON by hand where `serde_json` does more than is wanted: writing strings and integers straight into the bytes of a
//! message, and measuring how deep a text nests before anything reads it.

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Nearly every text needs no escape at all and is copied in one piece.
    while let Some(at) = rest.iter().position(|&byte| must_be_escaped(byte)) {
        out.extend_from_slice(&rest[..at]);
        write_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `number` in decimal.
pub fn write_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `true` or `false`.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Whether arrays and objects stand more than `deepest` levels inside one another.
///
/// One pass without recursion that stops at the first level too many, whether or not the text is JSON: 100,000
/// brackets cost neither stack nor time.
#[must_use]
pub fn nests_deeper_than(text: &str, deepest: usize) -> bool {
    // So short a text has no room for that many brackets.
    if text.len() <= deepest {
        return false;
    }
    let mut depth = 0;
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'[' | b'{' if depth == deepest => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(after),
            _ => {}
        }
    }
    false
}

fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend([byte >> 4, byte & 0xf].map(hex_digit));
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// The lower-case hexadecimal digit of a number below 16.
pub(crate) fn hex_digit(number: u8) -> u8 {
    match number {
        0..=9 => b'0' + number,
        _ => b'a' + number - 10,
    }
}

/// What follows the string whose opening quote stood before `rest`.
fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        let at = quote_or_backslash(rest);
        match rest.get(at) {
            Some(b'"') => return &rest[at + 1..],
            // The byte after a backslash ends no string, whatever it is.
            Some(_) => rest = rest.get(at + 2..).unwrap_or_default(),
            None => return &[],
        }
    }
}

/// The place of the first quote or backslash, or the length of `bytes`.
fn quote_or_backslash(bytes: &[u8]) -> usize {
    // Eight bytes at a time: most of a large message is the inside of strings.
    let skipped = bytes
        .chunks_exact(8)
        .take_while(|chunk| {
            let word = chunk
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
            !holds_byte(word, b'"') && !holds_byte(word, b'\\')
        })
        .count()
        * 8;
    let found = bytes[skipped..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\'));
    found.map_or(bytes.len(), |at| skipped + at)
}

/// Whether one of the eight bytes of `word` is `byte`: after the exclusive or it is zero, and only a zero byte borrows
/// from its own high bit.
fn holds_byte(word: u64, byte: u8) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_where_equal = word ^ (ONES * u64::from(byte));
    zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).expect("a JSON string is UTF-8")
    }

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(written("plain ü \u{2028}"), "\"plain ü \u{2028}\"");
        assert_eq!(
            written("a\"b\\c/\n\t\r\u{8}\u{c}"),
            r#""a\"b\\c/\n\t\r\b\f""#
        );
        assert_eq!(written("\u{0}\u{1f}\u{7f}"), "\"\\u0000\\u001f\u{7f}\"");
    }

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        assert!(!nests_deeper_than(r#"{"a":["[[[[\"[[[["]}"#, 2));
        assert!(nests_deeper_than(r#"{"a\\":[["]"]]}"#, 2));
        assert!(!nests_deeper_than(r#"[[],[],{},{"a":[]}]"#, 3));
    }

    #[test]
    fn the_deepest_level_allowed_is_allowed() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!nests_deeper_than(&nested(128), 128));
        assert!(nests_deeper_than(&nested(129), 128));
        assert!(nests_deeper_than(&"[".repeat(100_000), 128));
        assert!(!nests_deeper_than(&"]".repeat(100_000), 128));
        assert!(!nests_deeper_than("\"unfinished \\", 3));
    }

    proptest! {
        #[test]
        fn a_written_string_reads_back_as_it_was(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).ok(), Some(text));
        }

        #[test]
        fn the_end_of_a_string_is_found_wherever_it_is(text in "[a-z\"\\\\\u{a2}]{0,40}") {
            let plain = text.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(text.as_bytes()), plain.unwrap_or(text.len()));
        }
    }
}
