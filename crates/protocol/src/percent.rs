//! Percent-encoding as queries and paths carry it.

/// Decodes a part of a query as the URL Standard's urlencoded parser does, but keeps the bytes, so that what is not
/// UTF-8 can be told from a replacement character that was sent.
#[must_use]
pub fn form_decoded(text: &str) -> Vec<u8> {
    decoded(text, b' ')
}

/// Decodes a segment of a path, once: there `+` is a plus sign.
#[must_use]
pub fn path_decoded(segment: &str) -> Vec<u8> {
    decoded(segment, b'+')
}

fn decoded(text: &str, plus: u8) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => plus,
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = &after[2..];
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_in_a_query_only() {
        assert_eq!(form_decoded("a+b%2Bc"), b"a b+c");
        assert_eq!(path_decoded("a+b%2Bc%2F"), b"a+b+c/");
    }

    #[test]
    fn what_is_no_escape_stays_and_nothing_is_decoded_twice() {
        assert_eq!(path_decoded("%zz%4%"), b"%zz%4%");
        assert_eq!(path_decoded("%2541"), b"%41");
        assert_eq!(path_decoded("%ff"), [0xff]);
    }
}
