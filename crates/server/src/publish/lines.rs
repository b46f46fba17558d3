//! Reads lines of bounded length, of which nobody knows how many will come.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line: a body of `POST /publish` may have as many bytes. More would not be taken anyway.
const LINE_BYTES: usize = 4 << 20;
/// So much is read at once.
const READ_BYTES: usize = 64 << 10;

/// One line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// Over [`LINE_BYTES`], of which nothing is kept.
    TooLong,
}

/// The lines of an input, by number. What of a line has come is kept here, so that a wait may be given up and begun
/// again.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    too_long: bool,
    number: u64,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BYTES, input),
            line: Vec::new(),
            too_long: false,
            number: 0,
        }
    }

    /// The next line and its number, from 1; blank ones are passed over. None at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        loop {
            let read = self.input.fill_buf().await?;
            let (piece, used, ended) = match read.iter().position(|byte| *byte == b'\n') {
                Some(at) => (&read[..at], at + 1, true),
                // The last line may lack its end.
                None => (read, read.len(), read.is_empty()),
            };
            let at_the_end = read.is_empty();
            self.too_long |= self.line.len() + piece.len() > LINE_BYTES;
            if self.too_long {
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(piece);
            }
            self.input.consume(used);
            if !ended {
                continue;
            }
            self.number += 1;
            let line = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.too_long) {
                return Ok(Some((self.number, Line::TooLong)));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((self.number, Line::Whole(line))));
            }
            if at_the_end {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of an input that comes in pieces of so many bytes.
    async fn lines_of(input: &[u8], pieces: usize) -> Vec<(u64, Line)> {
        let (mut writer, reader) = tokio::io::duplex(pieces);
        let input = input.to_vec();
        let writing = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &input)
                .await
                .unwrap();
        });
        let mut lines = Lines::new(reader);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        writing.await.unwrap();
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.into())
    }

    #[tokio::test]
    async fn lines_are_numbered_and_blank_ones_passed_over() {
        for pieces in [1, 2, 3, 1000] {
            let all = lines_of(b"a\n\n  \r\nb b\r\nc", pieces).await;
            assert_eq!(all, [(1, whole("a")), (4, whole("b b\r")), (5, whole("c"))]);
        }
        assert_eq!(lines_of(b"", 1).await, []);
        assert_eq!(lines_of(b"\n\n", 1).await, []);
        assert_eq!(lines_of(b"a\n", 1).await, [(1, whole("a"))]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_whole() {
        let mut input = vec![b'x'; LINE_BYTES + 1];
        input.extend_from_slice(b"\nb\n");
        assert_eq!(
            lines_of(&input, 1 << 20).await,
            [(1, Line::TooLong), (2, whole("b"))]
        );
        let longest = vec![b'x'; LINE_BYTES];
        assert_eq!(
            lines_of(&longest, 1 << 20).await,
            [(1, Line::Whole(longest))]
        );
    }
}
