//! How a node knows that the log gives it everything: each entry names its place, which is one more than the one before.

use wshub_protocol::Epoch;
use xxhash_rust::xxh3::xxh3_64;

use super::entry::Entry;

/// How far a node has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The life of the log.
    pub epoch: Epoch,
    /// The place of the entry read last.
    pub place: u64,
    /// A hash of what that said: after a failover another entry may stand in its place. None where it wasn't read.
    pub print: Option<u64>,
}

/// What an entry is to a node that has read up to some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next one.
    Follows,
    /// One that was read before.
    Known,
    /// Others are missing before it.
    Gap,
    /// The first that is read of another life of the log.
    OtherLife,
}

impl Reached {
    /// What an entry is.
    #[must_use]
    pub fn judge(&self, entry: &Entry) -> Next {
        match entry.place {
            _ if entry.epoch.ordinal > self.epoch.ordinal => Next::OtherLife,
            place if place <= self.place => Next::Known,
            _ if entry.epoch != self.epoch => Next::OtherLife,
            place if place == self.place + 1 => Next::Follows,
            _ => Next::Gap,
        }
    }
}

/// A hash of an entry's text.
#[must_use]
pub fn print_of(text: &[u8]) -> u64 {
    xxh3_64(text)
}

/// Whether the log still is what a node has read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It is.
    Yes,
    /// It has let go of what comes next for this node.
    FellBehind,
    /// It has lost what the node has read: its life is over.
    Lost,
}

/// What a node finds of the log when it looks.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The place of its end, by its own book.
    pub end: u64,
    /// The hash of the entry at the place that the node has read up to, if it is there.
    pub print: Option<u64>,
    /// The place of the first entry, if there is one.
    pub first: Option<u64>,
}

impl Found {
    /// Whether it holds what a node has read. Only an entry that can have been trimmed may be missing.
    #[must_use]
    pub fn holds(&self, reached: &Reached) -> Holds {
        if self.end < reached.place {
            return Holds::Lost;
        }
        match (self.print, self.first) {
            (Some(print), _) if reached.print.is_none_or(|known| known == print) => Holds::Yes,
            (Some(_), _) => Holds::Lost,
            // A node that was told where to begin has read nothing yet.
            (None, Some(first)) if first == reached.place + 1 => Holds::Yes,
            (None, Some(first)) if first > reached.place => Holds::FellBehind,
            (None, None) if self.end == reached.place && reached.print.is_none() => Holds::Yes,
            (None, _) => Holds::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use wshub_protocol::Offset;

    use super::*;

    fn epoch(ordinal: u32) -> Epoch {
        Epoch { ordinal, random: 7 }
    }

    fn place(ordinal: u64, number: u64) -> u64 {
        Offset {
            major: ordinal,
            minor: number,
        }
        .place()
    }

    fn reached() -> Reached {
        Reached {
            epoch: epoch(2),
            place: place(2, 50),
            print: Some(1),
        }
    }

    fn entry(of: Epoch, number: u64) -> Entry {
        Entry {
            place: place(of.ordinal.into(), number),
            epoch: of,
            unix_ms: 0,
            what: None,
        }
    }

    #[test]
    fn an_entry_follows_only_right_behind_the_one_read_last() {
        let judge = |of, number| reached().judge(&entry(of, number));
        assert_eq!(judge(epoch(2), 51), Next::Follows);
        assert_eq!(judge(epoch(2), 50), Next::Known);
        assert_eq!(judge(epoch(1), 90), Next::Known);
        assert_eq!(judge(epoch(2), 52), Next::Gap);
        assert_eq!(judge(epoch(3), 1), Next::OtherLife);
        let strange = Epoch {
            ordinal: 2,
            random: 8,
        };
        assert_eq!(judge(strange, 51), Next::OtherLife);
    }

    #[test]
    fn what_was_read_may_be_missing_only_where_it_can_have_been_trimmed() {
        let holds = |end, print, first: Option<u64>| {
            let found = Found {
                end: place(2, end),
                print,
                first: first.map(|first| place(2, first)),
            };
            found.holds(&reached())
        };
        assert_eq!(holds(50, Some(1), Some(40)), Holds::Yes);
        assert_eq!(holds(80, Some(1), Some(50)), Holds::Yes);
        assert_eq!(holds(80, None, Some(51)), Holds::Yes, "nothing is missing");
        assert_eq!(holds(80, None, Some(52)), Holds::FellBehind);
        assert_eq!(holds(49, None, Some(1)), Holds::Lost, "it ends before");
        assert_eq!(
            holds(80, Some(2), Some(40)),
            Holds::Lost,
            "another stands there"
        );
        assert_eq!(holds(80, None, Some(40)), Holds::Lost, "it was taken out");
        assert_eq!(holds(50, None, None), Holds::Lost, "the Stream is gone");
    }
}
