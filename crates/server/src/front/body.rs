//! Bodies as they come: counted by `Content-Length` or cut in chunks, bounded in everything.

/// What the extensions and trailers of one body may take altogether. (Plain size lines need no bound
/// of their own: each has at most 16 digits and is followed by at least one byte that counts.)
const EXTRAS_BYTES: usize = 16 * 1024;

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is, or says that it will be, longer than allowed.
    TooLarge,
    /// Its chunks break RFC 9112 section 7.1.
    BadChunk,
}

/// Where in a body the reader stands.
#[derive(Debug)]
pub(super) struct BodyReader {
    at: At,
    /// The decoded bytes that may still come.
    allowed: usize,
    /// The bytes of extensions and trailers that may still come.
    extras: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a body of known length: so many bytes to come.
    Counted(usize),
    /// In the hexadecimal digits of a chunk's size.
    Size { size: usize, digits: u8 },
    /// In what may follow a chunk's size, up to its CR.
    Extension { size: usize },
    /// Before the LF that ends a chunk's size line.
    SizeEnd { size: usize },
    /// In a chunk: so many bytes to come.
    Chunk(usize),
    /// Before the CR behind a chunk.
    ChunkCr,
    /// Before the LF behind a chunk.
    ChunkLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    /// In a trailer line, which is read and dropped.
    Trailer,
    /// Before the LF of a trailer line.
    TrailerLf,
    /// Before the LF that ends the body.
    LastLf,
    /// Behind the last byte.
    Done,
}

impl BodyReader {
    /// A body of `length` bytes.
    pub(super) fn counted(length: u64, limit: usize) -> Result<Self, BodyError> {
        let length = usize::try_from(length).map_err(|_| BodyError::TooLarge)?;
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        let at = if length == 0 {
            At::Done
        } else {
            At::Counted(length)
        };
        Ok(Self {
            at,
            allowed: length,
            extras: 0,
        })
    }

    /// A body in chunks, of at most `limit` bytes.
    pub(super) fn chunked(limit: usize) -> Self {
        let at = At::Size { size: 0, digits: 0 };
        Self {
            at,
            allowed: limit,
            extras: EXTRAS_BYTES,
        }
    }

    /// Whether the body is complete.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Decodes from `input` into `body` and returns how many bytes of `input` are used up.
    pub(super) fn take(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, BodyError> {
        let mut used = 0;
        while used < input.len() && self.at != At::Done {
            used += match self.at {
                At::Counted(left) | At::Chunk(left) => {
                    let part = left.min(input.len() - used);
                    body.extend_from_slice(&input[used..used + part]);
                    self.at = match self.at {
                        At::Counted(_) if part == left => At::Done,
                        At::Counted(_) => At::Counted(left - part),
                        _ if part == left => At::ChunkCr,
                        _ => At::Chunk(left - part),
                    };
                    part
                }
                _ => {
                    self.at = self.line_byte(input[used])?;
                    1
                }
            };
        }
        Ok(used)
    }

    /// One byte of what stands between chunks. A bare LF is no line end here: where two readers
    /// disagree on that, one request can hide in another.
    fn line_byte(&mut self, byte: u8) -> Result<At, BodyError> {
        if matches!(
            self.at,
            At::Extension { .. } | At::TrailerStart | At::Trailer
        ) {
            self.extras = self.extras.checked_sub(1).ok_or(BodyError::TooLarge)?;
        }
        Ok(match (self.at, byte) {
            (At::Size { digits: 1.., size } | At::Extension { size }, b'\r') => {
                At::SizeEnd { size }
            }
            (At::Size { digits: 1.., size }, b';' | b' ' | b'\t') => At::Extension { size },
            (At::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char)
                    .to_digit(16)
                    .map_or(0, |digit| digit as usize);
                let size = size.checked_mul(16).map(|size| size + digit);
                let size = size.filter(|size| digits < 16 && *size <= self.allowed);
                At::Size {
                    size: size.ok_or(BodyError::TooLarge)?,
                    digits: digits + 1,
                }
            }
            (At::Extension { size }, b) if b != b'\n' => At::Extension { size },
            (At::SizeEnd { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeEnd { size }, b'\n') => {
                self.allowed -= size;
                At::Chunk(size)
            }
            (At::ChunkCr, b'\r') => At::ChunkLf,
            (At::ChunkLf, b'\n') => At::Size { size: 0, digits: 0 },
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerStart | At::Trailer, b) if b != b'\n' => At::Trailer,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            (At::LastLf, b'\n') => At::Done,
            _ => return Err(BodyError::BadChunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what is left behind it, read in pieces of every length.
    fn chunked(input: &[u8], limit: usize) -> Result<(Vec<u8>, usize), BodyError> {
        let read = |piece: usize| {
            let (mut reader, mut body, mut used) = (BodyReader::chunked(limit), Vec::new(), 0);
            for part in input.chunks(piece) {
                if !reader.is_done() {
                    used += reader.take(part, &mut body)?;
                }
            }
            Ok((
                body,
                if reader.is_done() {
                    input.len() - used
                } else {
                    usize::MAX
                },
            ))
        };
        let whole = read(input.len());
        for piece in 1..input.len().min(20) {
            assert_eq!(read(piece), whole, "in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn chunks_are_joined_and_extensions_and_trailers_dropped() {
        let input = b"3;a=\"b\"\r\nabc\r\n0A \r\n0123456789\r\n0\r\nX: y\r\n\r\nGET";
        assert_eq!(chunked(input, 13), Ok((b"abc0123456789".to_vec(), 3)));
    }

    #[test]
    fn a_chunked_body_ends_with_its_empty_line_and_not_before() {
        assert_eq!(
            chunked(b"1\r\na\r\n0\r\n\r", 9),
            Ok((b"a".to_vec(), usize::MAX))
        );
        assert_eq!(chunked(b"0\r\n\r\n", 0), Ok((Vec::new(), 0)));
    }

    #[test]
    fn a_chunk_beyond_the_limit_is_too_large_before_it_has_come() {
        assert_eq!(chunked(b"5\r\n", 4), Err(BodyError::TooLarge));
        assert_eq!(chunked(b"3\r\nabc\r\n2\r\n", 4), Err(BodyError::TooLarge));
        assert_eq!(
            chunked(b"fffffffffffffffffffff\r\n", 4),
            Err(BodyError::TooLarge)
        );
    }

    #[test]
    fn chunks_that_break_the_rules_are_refused() {
        let inputs = [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "1\na\r\n",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
        ];
        for input in inputs {
            assert_eq!(
                chunked(input.as_bytes(), 9),
                Err(BodyError::BadChunk),
                "{input:?}"
            );
        }
        assert_eq!(chunked(b"1;x\n\r\n", 9), Err(BodyError::BadChunk));
        assert_eq!(chunked(b"0\r\nX: y\n\r\n", 9), Err(BodyError::BadChunk));
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        for start in ["1;", "0\r\nX: "] {
            let input = format!("{start}{}", "x".repeat(EXTRAS_BYTES + 2));
            assert_eq!(chunked(input.as_bytes(), 9), Err(BodyError::TooLarge));
        }
    }

    #[test]
    fn a_counted_body_is_refused_by_its_announced_length() {
        assert_eq!(BodyReader::counted(5, 4).err(), Some(BodyError::TooLarge));
        assert_eq!(
            BodyReader::counted(u64::MAX, 4).err(),
            Some(BodyError::TooLarge)
        );
        assert!(BodyReader::counted(0, 4).is_ok_and(|body| body.is_done()));
    }
}
