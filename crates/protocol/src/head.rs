//! The head of an HTTP/1.x request (RFC 9112), bounded and read in place.
//!
//! The front calls [`parse`] each time bytes have come, until it gets a head or an error. What is
//! wrong is said as early as it can be known, so that a peer that never ends its request line is
//! answered before it has filled a buffer.

use std::fmt;

use crate::ErrorCode;

/// The longest request line, without its line end; a longer one is answered 414.
pub const LINE_BYTES: usize = 8 * 1024;
/// The longest head, from the first byte to the blank line; a longer one is answered 431.
pub const HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of a head; more are answered 431.
pub const HEADERS: usize = 100;

/// A whole request head. It borrows from the bytes it was read from and allocates nothing.
pub struct Head<'b> {
    /// The method, as it was sent: methods are case-sensitive.
    pub method: &'b str,
    /// The request target, as it was sent.
    pub target: &'b str,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// How many bytes the head took, leading empty lines and the blank line at its end included.
    /// What follows belongs to the body, or to the WebSocket.
    pub length: usize,
    fields: [httparse::Header<'b>; HEADERS],
    count: usize,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: the next request begins here.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks (RFC 9112 section 7.1).
    Chunked,
}

/// What a head says in a field that may be there once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'b> {
    /// Nothing: there is no such field.
    Absent,
    /// This, in exactly one field.
    Text(&'b str),
    /// Nothing that could be relied on: the field is there more than once or isn't UTF-8. Where a
    /// decision hangs on it this must count as the worst that it could have said.
    Unclear,
}

/// Why bytes are not the head of a request that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The request line is over [`LINE_BYTES`].
    LineTooLong,
    /// The head is over [`HEAD_BYTES`] or has more than [`HEADERS`] fields.
    TooLarge,
    /// It breaks RFC 9112; the sentence says how.
    Malformed(&'static str),
}

/// Reads the head of a request from the beginning of `bytes`.
///
/// `None` means that it is incomplete and still within the limits: call again, with all the bytes,
/// when more have come. It is never the answer once [`HEAD_BYTES`] bytes are there.
///
/// # Errors
/// The bytes can't become a head that is taken, whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Option<Head<'_>>, HeadError> {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
    let skipped = empty_lines(bytes);
    let rest = &bytes[skipped..];
    check_line(rest)?;

    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(rest) {
        Ok(httparse::Status::Complete(length)) => skipped + length,
        Ok(httparse::Status::Partial) if bytes.len() == HEAD_BYTES => {
            return Err(HeadError::TooLarge);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(fault(error, rest)),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(HeadError::Malformed("the request line lacks a part"));
    };
    let count = request.headers.len();
    let head = Head {
        method,
        target,
        minor,
        length,
        fields,
        count,
    };
    head.check_host()?;
    Ok(Some(head))
}

impl<'b> Head<'b> {
    /// The head of a request that another server has read: its method, target and minor version, and its fields.
    ///
    /// # Errors
    /// It has more fields than this server reads, or not the one host that it must have.
    pub fn of(
        method: &'b str,
        target: &'b str,
        minor: u8,
        fields: impl IntoIterator<Item = (&'b str, &'b [u8])>,
    ) -> Result<Self, HeadError> {
        let mut head = Self {
            method,
            target,
            minor,
            length: 0,
            fields: [httparse::EMPTY_HEADER; HEADERS],
            count: 0,
        };
        for (name, value) in fields {
            let place = head.fields.get_mut(head.count);
            *place.ok_or(HeadError::TooLarge)? = httparse::Header { name, value };
            head.count += 1;
        }
        head.check_host()?;
        Ok(head)
    }

    /// The path: the target up to its query, without scheme and authority where it has them
    /// (absolute-form, RFC 9112 section 3.2.2). It is not percent-decoded.
    #[must_use]
    pub fn path(&self) -> &'b str {
        match self.split_target().0 {
            "" => "/",
            path => path,
        }
    }

    /// The query: what stands behind the first `?`, or nothing.
    #[must_use]
    pub fn query(&self) -> &'b str {
        self.split_target().1
    }

    /// The first field of this name. A value that is not UTF-8 counts as absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b str> {
        self.fields(name)
            .next()
            .and_then(|value| str::from_utf8(value).ok())
    }

    /// The field of this name, told apart from one that is there but not clear.
    #[must_use]
    pub fn single(&self, name: &str) -> Single<'b> {
        let mut fields = self.fields(name);
        match (fields.next(), fields.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => str::from_utf8(value).map_or(Single::Unclear, Single::Text),
            (Some(_), Some(_)) => Single::Unclear,
        }
    }

    /// The field of this name if there is exactly one and it is UTF-8.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&'b str> {
        match self.single(name) {
            Single::Text(text) => Some(text),
            Single::Absent | Single::Unclear => None,
        }
    }

    /// All fields of this name that are UTF-8, in their order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'b str> {
        self.fields(name)
            .filter_map(|value| str::from_utf8(value).ok())
    }

    /// Whether a comma-separated list, spread over all fields of this name, holds the token.
    /// Neither the name's nor the token's case counts.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.fields(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// What follows the head.
    ///
    /// This is stricter than RFC 9112 section 6.3 asks for: where a proxy in front could have come
    /// to another answer than we do, a request could be smuggled past it, so nothing is guessed.
    ///
    /// # Errors
    /// The length is said twice, in two ways, or in a way that is not understood.
    pub fn body(&self) -> Result<Body, HeadError> {
        let mut lengths = self.fields("content-length");
        let mut codings = self.fields("transfer-encoding");
        match (lengths.next(), codings.next()) {
            (None, None) => Ok(Body::None),
            (Some(_), Some(_)) => Err(HeadError::Malformed(
                "both Content-Length and Transfer-Encoding are there: send one of them",
            )),
            (Some(length), None) => match lengths.next() {
                None => content_length(length).map(Body::Length),
                Some(_) => Err(HeadError::Malformed(
                    "Content-Length is there more than once: send it once",
                )),
            },
            (None, Some(_)) if self.minor == 0 => Err(HeadError::Malformed(
                "HTTP/1.0 knows no Transfer-Encoding: send a Content-Length, or HTTP/1.1",
            )),
            (None, Some(coding)) => {
                if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
                    Ok(Body::Chunked)
                } else {
                    Err(HeadError::Malformed(
                        "Transfer-Encoding must be exactly `chunked`: send the body unencoded",
                    ))
                }
            }
        }
    }

    /// Whether the peer wants to send another request over this connection (RFC 9112 section 9.3).
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        let close = self.has_token("connection", "close");
        !close && (self.minor == 1 || self.has_token("connection", "keep-alive"))
    }

    /// The raw values: a length or a host that isn't text must be seen and refused, not overlooked.
    fn fields(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        let named = move |field: &&httparse::Header<'b>| field.name.eq_ignore_ascii_case(name);
        self.fields[..self.count]
            .iter()
            .filter(named)
            .map(|field| field.value)
    }

    fn split_target(&self) -> (&'b str, &'b str) {
        let local = without_authority(self.target);
        local.split_once('?').unwrap_or((local, ""))
    }

    /// RFC 9112 section 3.2: two hosts are never right, and HTTP/1.1 has one.
    fn check_host(&self) -> Result<(), HeadError> {
        match self.fields("host").count() {
            1 => Ok(()),
            0 if self.minor == 0 => Ok(()),
            0 => Err(HeadError::Malformed(
                "the Host header is missing: HTTP/1.1 needs one",
            )),
            _ => Err(HeadError::Malformed(
                "Host is there more than once: send it once",
            )),
        }
    }
}

impl HeadError {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::LineTooLong => 414,
            Self::TooLarge => 431,
            Self::Malformed(_) => 400,
        }
    }

    /// The `code` of the answer.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::LineTooLong => ErrorCode::UriTooLong,
            Self::TooLarge => ErrorCode::HeadTooLarge,
            Self::Malformed(_) => ErrorCode::InvalidMessage,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineTooLong => {
                "the request line is over 8 KiB: shorten the path or its parameters"
            }
            Self::TooLarge => {
                "the request head is over 16 KiB or 100 headers: send fewer or shorter headers"
            }
            Self::Malformed(sentence) => sentence,
        })
    }
}

impl std::error::Error for HeadError {}

/// How many bytes of empty lines come first. RFC 9112 section 2.2 asks a server to skip some; they
/// count towards the head's limit.
fn empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [b'\n', ..] => at += 1,
            _ => return at,
        }
    }
}

fn check_line(bytes: &[u8]) -> Result<(), HeadError> {
    // The longest line that is taken has its line feed within this many bytes.
    let longest = LINE_BYTES + b"\r\n".len();
    let too_long = match bytes.iter().take(longest).position(|byte| *byte == b'\n') {
        Some(end) => {
            bytes[..end]
                .strip_suffix(b"\r")
                .unwrap_or(&bytes[..end])
                .len()
                > LINE_BYTES
        }
        None => bytes.len() >= longest,
    };
    if too_long {
        Err(HeadError::LineTooLong)
    } else {
        Ok(())
    }
}

fn fault(error: httparse::Error, bytes: &[u8]) -> HeadError {
    // The first byte of every TLS handshake record (RFC 8446 section 5.1), and of no method.
    const TLS_HANDSHAKE: u8 = 0x16;
    HeadError::Malformed(match error {
        httparse::Error::TooManyHeaders => return HeadError::TooLarge,
        _ if bytes.first() == Some(&TLS_HANDSHAKE) => {
            "this is TLS, and the port speaks plain HTTP: use http:// or ws://"
        }
        httparse::Error::HeaderName => {
            "a header's name is empty or has a character that no name may have"
        }
        httparse::Error::HeaderValue => "a header's value has a control character",
        httparse::Error::NewLine => "a carriage return stands without its line feed",
        httparse::Error::Version => "the version is neither HTTP/1.1 nor HTTP/1.0",
        _ => "the request line is not `METHOD target HTTP/1.1`",
    })
}

fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    // `parse` alone would take a plus sign.
    let digits = value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or(HeadError::Malformed(
            "Content-Length is not one number of bytes within 64 bits",
        ))
}

fn without_authority(target: &str) -> &str {
    let Some((scheme, rest)) = target.split_once("://") else {
        return target;
    };
    let is_scheme = scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !is_scheme || scheme.is_empty() {
        return target;
    }
    rest.find(['/', '?']).map_or("", |at| &rest[at..])
}

#[cfg(test)]
mod tests;
