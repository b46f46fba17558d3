//! The stamp inside a message: a mark that can be found in any envelope, and when it was sent. By it the same loader
//! counts and times the deliveries of servers with different protocols.

use std::time::Instant;

use memchr::memmem::Finder;

const MARK: &[u8] = b"BTS:";
const DIGITS: usize = 16;

/// How long a stamp is: the mark, the digits, and a colon.
pub const LENGTH: usize = MARK.len() + DIGITS + 1;

/// The loader's clock, and the eye for its stamps.
pub struct Clock {
    start: Instant,
    finder: Finder<'static>,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            start: Instant::now(),
            finder: Finder::new(MARK),
        }
    }
}

impl Clock {
    /// Nanoseconds since the loader began.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// The time in the first stamp of `bytes`, if there is one.
    pub fn find(&self, bytes: &[u8]) -> Option<u64> {
        let at = self.finder.find(bytes)? + MARK.len();
        let digits = bytes.get(at..at + DIGITS)?;
        digits.iter().try_fold(0u64, |time, &digit| {
            digit
                .is_ascii_digit()
                .then(|| time * 10 + u64::from(digit - b'0'))
        })
    }
}

/// Writes the stamp of the time `now` over the first [`LENGTH`] bytes of `out`.
pub fn write(out: &mut [u8], now: u64) {
    let (mark, rest) = out.split_at_mut(MARK.len());
    mark.copy_from_slice(MARK);
    let mut left = now;
    for digit in rest[..DIGITS].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    rest[DIGITS] = b':';
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_from_any_envelope() {
        let mut text = [b'-'; 60];
        write(&mut text[20..], 1_234_567_890_123);
        assert_eq!(Clock::default().find(&text), Some(1_234_567_890_123));
    }

    #[test]
    fn what_is_cut_or_no_number_is_no_stamp() {
        let clock = Clock::default();
        assert_eq!(clock.find(b"BTS:12345"), None);
        assert_eq!(clock.find(b"BTS:12345678901234x6:"), None);
        assert_eq!(clock.find(b"nothing here"), None);
    }
}
