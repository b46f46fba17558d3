//! Cursors: names of places in the log, `<epoch>:<partition>:<offset>`, opaque to clients.

use std::fmt;

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

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}", self.ordinal, self.random)
    }
}

/// A place in one partition of the log: a counter (`minor` 0) or the two halves of a Redis Stream id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset {
    /// The counter, or a Stream id's milliseconds.
    pub major: u64,
    /// 0, or a Stream id's sequence number.
    pub minor: u64,
}

impl Offset {
    /// The place a counter names.
    #[must_use]
    pub fn counter(major: u64) -> Self {
        Self { major, minor: 0 }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
