//! Cursors: names of places in the log, `<epoch>:<partition>:<offset>`, opaque to clients.

use std::fmt;
use std::str::FromStr;

/// The most cursors in one list: one for each partition, of which a log has a few. 64 of the longest are 4,863 bytes,
/// so that a query with all of them keeps within the 8 KiB of a request line.
pub const CURSORS: usize = 64;

/// One life of the log. Offsets are compared within one epoch only.
///
/// The ordinal says which life it is, the random part makes it unlike any other log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// 1 for the first life, one more for each that follows.
    pub ordinal: u32,
    /// Drawn at random when the life begins.
    pub random: u64,
}

impl Epoch {
    /// The offset of an entry of this life in a log that several nodes share, where entries count from 1.
    #[must_use]
    pub fn offset(self, number: u64) -> Offset {
        Offset {
            major: self.ordinal.into(),
            minor: number,
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}", self.ordinal, self.random)
    }
}

/// A place in one partition of the log: a counter (`minor` 0), or the two halves of a Redis Stream id, which are the
/// ordinal of the epoch and a counter from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset {
    /// The counter, or a Stream id's first half.
    pub major: u64,
    /// 0, or a Stream id's second half.
    pub minor: u64,
}

/// Bits of a place that count within one life of the log: a million entries a second for twelve days, and any real rate
/// for longer than a log lives. What is above them is the ordinal.
const COUNTER_BITS: u32 = 40;

impl Offset {
    /// The place a counter names.
    #[must_use]
    pub fn counter(major: u64) -> Self {
        Self { major, minor: 0 }
    }

    /// The offset as one number, which is in the order of the log, also across its lives: one more for each entry. What
    /// no log of ours names is beyond all places.
    #[must_use]
    pub fn place(self) -> u64 {
        let (ordinal, counter) = match (self.major, self.minor) {
            (counter, 0) => (0, counter),
            (0, _) => return u64::MAX,
            halves => halves,
        };
        if ordinal >> (64 - COUNTER_BITS) != 0 || counter >> COUNTER_BITS != 0 {
            return u64::MAX;
        }
        ordinal << COUNTER_BITS | counter
    }

    /// The offset of such a number.
    #[must_use]
    pub fn at(place: u64) -> Self {
        let counter = place & ((1 << COUNTER_BITS) - 1);
        match place >> COUNTER_BITS {
            0 => Self::counter(counter),
            ordinal => Self {
                major: ordinal,
                minor: counter,
            },
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(f, "{}", self.major),
            minor => write!(f, "{}-{minor}", self.major),
        }
    }
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the log that the place belongs to.
    pub epoch: Epoch,
    /// The partition, from 0.
    pub partition: u16,
    /// The place within the partition.
    pub offset: Offset,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.epoch, self.partition, self.offset)
    }
}

/// The places up to which a client that comes back has seen everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// What was handed in names no places.
    Unreadable,
    /// These places, 1 to [`CURSORS`] of them as they were named: which lives and partitions the log has, and whether
    /// one is named twice, is not looked at here.
    Places(Box<[Cursor]>),
}

/// Why a text names no places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorError {
    /// It, or a part of it between commas, is not a cursor as the log writes it.
    NotACursor,
    /// It names over [`CURSORS`] places.
    TooMany,
}

impl Cursor {
    /// Reads a cursor as its `Display` writes it, and in no other form: every place has one name. So there are no
    /// leading zeros, no signs and no blanks, hexadecimal digits are lower case, and a second half of 0 is left out.
    ///
    /// # Errors
    /// [`CursorError::NotACursor`] where `text` is anything else, or has a number beyond its type.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        Self::read(text).ok_or(CursorError::NotACursor)
    }

    /// Reads 1 to [`CURSORS`] cursors with commas between them, in their order. Reading stops at the first that is
    /// none or one too many, so that a text of any length costs no more than one look at it.
    ///
    /// # Errors
    /// The first thing that is wrong; an empty text is [`CursorError::NotACursor`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, CursorError> {
        let mut cursors = Vec::new();
        for cursor in text.split(',') {
            if cursors.len() == CURSORS {
                return Err(CursorError::TooMany);
            }
            cursors.push(Self::parse(cursor)?);
        }
        Ok(cursors)
    }

    fn read(text: &str) -> Option<Self> {
        let (epoch, place) = text.split_once(':')?;
        let (partition, offset) = place.split_once(':')?;
        let (ordinal, random) = epoch.split_once('.')?;
        let (major, minor) = match offset.split_once('-') {
            None => (offset, 0),
            Some((_, "0")) => return None,
            Some((major, minor)) => (major, decimal(minor)?),
        };
        Some(Self {
            epoch: Epoch {
                ordinal: decimal(ordinal)?,
                random: hexadecimal(random)?,
            },
            partition: decimal(partition)?,
            offset: Offset {
                major: decimal(major)?,
                minor,
            },
        })
    }
}

impl After {
    /// Reads what a client hands in as `after`: `None` where `text` is empty, which is what a client sends that has
    /// seen nothing yet. What can't be read is a value here, since it refuses nobody: the client just isn't resumed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        Some(
            Cursor::parse_list(text).map_or(Self::Unreadable, |cursors| {
                Self::Places(cursors.into_boxed_slice())
            }),
        )
    }
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACursor => f.write_str("holds what is not a cursor"),
            Self::TooMany => write!(f, "holds over {CURSORS} cursors"),
        }
    }
}

impl std::error::Error for CursorError {}

/// `from_str` takes signs and leading zeros, which the log never writes.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && has_no_leading_zero(text);
    plain.then(|| text.parse().ok()).flatten()
}

fn hexadecimal(text: &str) -> Option<u64> {
    let plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && has_no_leading_zero(text);
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn has_no_leading_zero(digits: &str) -> bool {
    digits.len() == 1 || !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: &str =
        "4294967295.ffffffffffffffff:65535:18446744073709551615-18446744073709551615";

    fn listed(count: usize) -> String {
        vec![LONGEST; count].join(",")
    }

    #[test]
    fn a_cursor_reads_epoch_partition_offset() {
        let epoch = Epoch {
            ordinal: 2,
            random: 0xbeef,
        };
        let at = |offset| {
            Cursor {
                epoch,
                partition: 0,
                offset,
            }
            .to_string()
        };
        assert_eq!(at(Offset::counter(17)), "2.beef:0:17");
        assert_eq!(at(Offset { major: 5, minor: 3 }), "2.beef:0:5-3");
    }

    #[test]
    fn offsets_compare_as_numbers_first_half_first() {
        assert!(
            Offset { major: 9, minor: 7 }
                < Offset {
                    major: 10,
                    minor: 0
                }
        );
        assert!(
            Offset {
                major: 10,
                minor: 2
            } < Offset {
                major: 10,
                minor: 11
            }
        );
    }

    #[test]
    fn an_offset_is_one_number_in_the_order_of_the_log_across_its_lives() {
        let offset = |major, minor| Offset { major, minor };
        let ascending = [
            offset(0, 0),
            offset(17, 0),
            offset((1 << 40) - 1, 0),
            offset(1, 1),
            offset(1, (1 << 40) - 1),
            offset(2, 1),
        ];
        for (before, after) in ascending.iter().zip(&ascending[1..]) {
            assert!(before.place() < after.place(), "{before} {after}");
        }
        for known in ascending {
            assert_eq!(Offset::at(known.place()), known);
        }
        assert_eq!(Offset::at(offset(3, 8).place() + 1), offset(3, 9));
    }

    #[test]
    fn what_no_log_names_is_beyond_all_places() {
        let offset = |major, minor| Offset { major, minor };
        for strange in [
            offset(0, 5),
            offset(1 << 40, 0),
            offset(1 << 24, 1),
            offset(1, 1 << 40),
            offset(u64::MAX, u64::MAX),
        ] {
            assert_eq!(strange.place(), u64::MAX, "{strange}");
        }
    }

    #[test]
    fn a_cursor_is_read_only_as_it_is_written() {
        for text in [
            "1.0:0:0",
            "2.beef:0:17",
            "2.beef:0:5-3",
            "0.f:1:0-1",
            LONGEST,
        ] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            ":",
            "::",
            "1.0:0",
            "1.0:0:",
            "1.0::0",
            "1:0:0",
            "1.:0:0",
            ".0:0:0",
            "1.0:0:0:0",
            "1.0.0:0:0",
            "01.0:0:0",
            "1.00:0:0",
            "1.0:00:0",
            "1.0:0:00",
            "1.0:0:1-",
            "1.0:0:-1",
            "1.0:0:1-0",
            "1.0:0:1-01",
            "1.0:0:1-2-3",
            "+1.0:0:0",
            "1.+0:0:0",
            "1.0:+0:0",
            "1.0:0:+0",
            "1.0:0:1-+1",
            "-1.0:0:0",
            " 1.0:0:0",
            "1.0:0:0 ",
            "1.0:0:0\n",
            "1.BEEF:0:0",
            "1.0x1:0:0",
            "1.g:0:0",
            "1.0:a:0",
            "1.0:0:\u{661}",
            "1.0:0:0\0",
            "1.0:0:0,",
            "4294967296.0:0:0",
            "1.10000000000000000:0:0",
            "1.0:65536:0",
            "1.0:0:18446744073709551616",
            "1.0:0:0-18446744073709551616",
        ] {
            assert_eq!(Cursor::parse(bad), Err(CursorError::NotACursor), "{bad:?}");
        }
    }

    #[test]
    fn a_list_has_1_to_64_cursors_in_their_order() {
        let two = Cursor::parse_list("2.beef:1:4,2.beef:0:5-3").unwrap();
        assert_eq!((two[0].partition, two[1].partition), (1, 0));
        assert_eq!(Cursor::parse_list(&listed(64)).map(|all| all.len()), Ok(64));
        assert_eq!(Cursor::parse_list(&listed(65)), Err(CursorError::TooMany));
        for bad in [
            "",
            ",",
            "1.0:0:0,",
            ",1.0:0:0",
            "1.0:0:0,,1.0:1:0",
            "1.0:0:0, 1.0:1:0",
        ] {
            assert_eq!(
                Cursor::parse_list(bad),
                Err(CursorError::NotACursor),
                "{bad:?}"
            );
        }
        assert_eq!(listed(64).len(), 4_863);
    }

    #[test]
    fn after_is_nothing_unreadable_or_places() {
        assert_eq!(After::parse(""), None);
        for bad in [" ", "0", "1.0:0:0;1.0:1:0", &listed(65)] {
            assert_eq!(After::parse(bad), Some(After::Unreadable), "{bad:?}");
        }
        let place = Cursor::parse("2.beef:0:17").unwrap();
        assert_eq!(
            After::parse("2.beef:0:17"),
            Some(After::Places(Box::new([place])))
        );
    }

    #[test]
    fn half_a_mebibyte_is_unreadable_whatever_it_is_made_of() {
        const BYTES: usize = 512 << 10;
        for piece in [
            "1", "0", "f", ":", ",", "-", ".", "1.0:0:0,", "1.0:0:0", "é",
        ] {
            let texts = [
                piece.repeat(BYTES / piece.len()),
                format!("1.0:0:{}", piece.repeat(BYTES / piece.len())),
                format!("1.{}", piece.repeat(BYTES / piece.len())),
            ];
            for text in texts {
                assert_eq!(After::parse(&text), Some(After::Unreadable), "{piece}");
            }
        }
    }

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        let small_or_any = || prop_oneof![0..20u64, any::<u64>()];
        let parts = (
            any::<u32>(),
            small_or_any(),
            any::<u16>(),
            small_or_any(),
            small_or_any(),
        );
        parts.prop_map(|(ordinal, random, partition, major, minor)| Cursor {
            epoch: Epoch { ordinal, random },
            partition,
            offset: Offset { major, minor },
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(cursors in prop::collection::vec(any_cursor(), 1..=CURSORS)) {
            let texts: Vec<String> = cursors.iter().map(Cursor::to_string).collect();
            prop_assert_eq!(Cursor::parse(&texts[0]), Ok(cursors[0]));
            prop_assert_eq!(Cursor::parse_list(&texts.join(",")), Ok(cursors));
        }

        #[test]
        fn what_is_read_is_written_the_same(
            text in "[0-9]{1,2}[.:][0-9a-f]{1,2}:[0-9+]{1,2}:[0-9 ]{1,2}(-[0-9]{1,2})?",
        ) {
            if let Ok(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            _ = After::parse(&text);
        }
    }
}
