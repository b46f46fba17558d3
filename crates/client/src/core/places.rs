//! The place that a client keeps: how far it has heard each partition of the log.

use wshub_protocol::Cursor;

/// One place for each partition that `connected` or `reset` has named, or that was handed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<Cursor>);

impl Places {
    /// The places that a text names, comma-separated; none where it can't be read.
    #[must_use]
    pub(crate) fn read(text: &str) -> Option<Self> {
        Cursor::parse_list(text).ok().map(Self)
    }

    /// Whether no place is known.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts these places in the stead of those kept of the same partitions, newer or not: a `reset` says where to go on.
    pub(crate) fn put(&mut self, named: &Self) {
        for new in &named.0 {
            match self.of_partition(new.partition) {
                Some(kept) => *kept = *new,
                None => self.0.push(*new),
            }
        }
    }

    /// Moves on to `cursor` if it is newer than what is kept; returns whether it is. An epoch that is not kept is passed
    /// over: a queue may hold messages of a log that is no more.
    pub(crate) fn advance(&mut self, cursor: &Cursor) -> bool {
        let known = self.0.iter().any(|kept| kept.epoch == cursor.epoch);
        match self.of_partition(cursor.partition) {
            Some(kept) if kept.epoch == cursor.epoch && kept.offset < cursor.offset => {
                *kept = *cursor
            }
            None if known => self.0.push(*cursor),
            _ => return false,
        }
        true
    }

    /// Goes back to these places where they are older and of the same epochs.
    pub(crate) fn fall_back(&mut self, older: &Self) {
        for kept in &mut self.0 {
            let same_log =
                |place: &&Cursor| place.partition == kept.partition && place.epoch == kept.epoch;
            if let Some(place) = older.0.iter().find(same_log) {
                kept.offset = kept.offset.min(place.offset);
            }
        }
    }

    /// Each place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Cursor> {
        self.0.iter()
    }

    /// Whether the kept place of this cursor's partition is of the same epoch and at or behind it.
    #[must_use]
    pub(crate) fn covers(&self, cursor: &Cursor) -> bool {
        let mut kept = self.0.iter();
        kept.any(|kept| {
            kept.partition == cursor.partition
                && kept.epoch == cursor.epoch
                && kept.offset >= cursor.offset
        })
    }

    fn of_partition(&mut self, partition: u16) -> Option<&mut Cursor> {
        self.0.iter_mut().find(|kept| kept.partition == partition)
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, cursor) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{cursor}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: &str, heard: &[&str]) -> String {
        let mut places = Places::read(start).unwrap();
        for cursor in heard {
            places.advance(&Cursor::parse(cursor).unwrap());
        }
        places.to_string()
    }

    #[test]
    fn the_newest_place_of_each_partition_is_kept() {
        assert_eq!(
            after("1.a:0:5,1.a:1:9", &["1.a:0:7", "1.a:1:8", "1.a:0:6"]),
            "1.a:0:7,1.a:1:9"
        );
        assert_eq!(
            after("1.a:0:9-2", &["1.a:0:10-1", "1.a:0:10-11", "1.a:0:10-3"]),
            "1.a:0:10-11"
        );
    }

    #[test]
    fn an_epoch_that_nobody_named_moves_nothing() {
        assert_eq!(
            after("2.b:0:5", &["1.a:0:7", "3.c:0:9", "3.c:1:1"]),
            "2.b:0:5"
        );
    }

    #[test]
    fn partitions_may_be_in_different_epochs() {
        assert_eq!(
            after("2.b:0:5,1.a:1:5", &["1.a:0:9", "2.b:1:9", "1.a:1:6"]),
            "2.b:0:5,1.a:1:6"
        );
    }

    #[test]
    fn a_partition_of_a_known_epoch_is_taken_up() {
        assert_eq!(after("2.b:0:5", &["2.b:1:3"]), "2.b:0:5,2.b:1:3");
    }

    #[test]
    fn a_reset_puts_its_places_even_where_they_are_older() {
        let mut places = Places::read("1.a:0:5,1.a:1:9").unwrap();
        places.put(&Places::read("2.b:1:0").unwrap());
        assert_eq!(places.to_string(), "1.a:0:5,2.b:1:0");
        assert!(places.covers(&Cursor::parse("1.a:0:5").unwrap()));
        assert!(!places.covers(&Cursor::parse("1.a:1:5").unwrap()));
        assert_eq!(Places::read("yesterday"), None);
    }
}
