//! UTF-8 checked piece by piece: what can no longer become valid is told at once (Autobahn's "fail fast").

use simdutf8::compat::from_utf8;

/// The text so far is not UTF-8 and cannot become it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

/// A validator that remembers at most the three bytes of an unfinished character.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8 {
    unfinished: [u8; 4],
    length: u8,
}

impl Utf8 {
    /// Checks one more piece of the text.
    ///
    /// # Errors
    /// As soon as no continuation could make the text valid.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.length > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.unfinished[usize::from(self.length)] = byte;
            self.length += 1;
            match from_utf8(&self.unfinished[..usize::from(self.length)]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NotUtf8),
            }
        }
        match from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let tail = &piece[error.valid_up_to()..];
                self.unfinished[..tail.len()].copy_from_slice(tail);
                self.length = tail.len() as u8;
                Ok(())
            }
            Err(_) => Err(NotUtf8),
        }
    }

    /// Says that the text ends here.
    ///
    /// # Errors
    /// If it ends within a character.
    pub fn finish(self) -> Result<(), NotUtf8> {
        if self.length == 0 {
            Ok(())
        } else {
            Err(NotUtf8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(bytes: &[u8], size: usize) -> Result<(), NotUtf8> {
        let mut text = Utf8::default();
        bytes.chunks(size).try_for_each(|piece| text.push(piece))?;
        text.finish()
    }

    #[test]
    fn the_verdict_does_not_depend_on_where_the_text_is_cut() {
        let texts: [&[u8]; 6] = [
            "κόσμε 𝄞 ✓ plain".as_bytes(),
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"a\xc0\xaf",
            b"\xe2\x82",
            b"\xf0\x9d\x84\x9e",
        ];
        for text in texts {
            let verdict = std::str::from_utf8(text).map(|_| ()).map_err(|_| NotUtf8);
            for size in 1..=text.len() {
                assert_eq!(
                    in_pieces(text, size),
                    verdict,
                    "{text:x?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn a_hopeless_prefix_fails_before_its_character_is_complete() {
        let mut text = Utf8::default();
        assert_eq!(text.push(b"\xf4"), Ok(()));
        assert_eq!(text.push(b"\x90"), Err(NotUtf8));
    }
}
