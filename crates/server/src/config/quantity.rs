//! Lengths of time and amounts of bytes as people write them: `"10s"`, `"1.5h"`, `"512KiB"`.
//!
//! A length of time needs its unit, since a bare 10 is seconds to one reader and milliseconds to
//! the next. A bare number of bytes is just that. Both are exact: what isn't a whole number of
//! milliseconds or bytes is refused instead of rounded.

use std::time::Duration;

/// How a length of time is written, for the sentences that refuse one.
pub(super) const DURATION_FORM: &str =
    r#"a length of time with its unit, like "250ms", "10s", "2m" or "1.5h""#;

/// How an amount of bytes is written, for the sentences that refuse one.
pub(super) const SIZE_FORM: &str =
    r#"a number of bytes, or a size with its unit, like "512KiB", "1MiB" or "4MB""#;

/// Units of time in milliseconds, the largest first, so that printing finds the shortest form.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of bytes. Printing uses the powers of two only; a disk vendor's megabyte may be read.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// Reads `"10s"`; `None` for anything without a known unit or with a fraction of a millisecond.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_at_unit(text);
    let (_, scale) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    scaled(number, *scale).map(Duration::from_millis)
}

/// Reads `"512KiB"` or `"524288"`; `None` for an unknown unit or a fraction of a byte.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_at_unit(text);
    if unit.is_empty() {
        return scaled(number, 1);
    }
    let (_, scale) = SIZE_UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    scaled(number, *scale)
}

/// Writes a length of time in the largest unit that divides it.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    in_largest_unit(millis, &TIME_UNITS)
}

/// Writes an amount of bytes in the largest power of two that divides it.
pub(super) fn size_text(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    in_largest_unit(bytes, &SIZE_UNITS[..5])
}

fn in_largest_unit(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, scale)| amount >= *scale && amount.is_multiple_of(*scale))
        .map_or_else(
            || amount.to_string(),
            |(unit, scale)| format!("{}{unit}", amount / scale),
        )
}

fn split_at_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start_matches(' '))
}

/// A decimal number times `scale`, in whole numbers only: a float would make 1.1MB something else.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let divisor = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u64>().ok()?.checked_mul(scale)?;
    part.is_multiple_of(divisor)
        .then(|| whole.checked_add(part / divisor))?
}

/// A `Duration` in the configuration is text with a unit on both ways, so that what `check` prints
/// can be read again.
pub(super) mod as_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::duration_text(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        super::duration(&text).ok_or_else(|| D::Error::custom(super::DURATION_FORM))
    }
}

/// An amount of bytes in the configuration; a plain number has become text by the time serde sees
/// it.
pub(super) mod as_size {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &usize, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::size_text(*value as u64))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        let text = String::deserialize(from)?;
        super::size(&text)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| D::Error::custom(super::SIZE_FORM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_a_number_and_its_unit() {
        let read = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(read("250ms"), Some(250));
        assert_eq!(read("10s"), Some(10_000));
        assert_eq!(read("2m"), Some(120_000));
        assert_eq!(read("1.5h"), Some(5_400_000));
        assert_eq!(read("1 d"), Some(86_400_000));
    }

    #[test]
    fn a_length_of_time_without_unit_or_with_a_strange_one_is_not_guessed() {
        for text in [
            "10",
            "",
            "s",
            "10 minutes",
            "-1s",
            "1e3s",
            "1.s",
            ".5s",
            "1.2.3s",
            "10S",
            "1m30s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_would_have_to_be_rounded_or_overflows_is_refused() {
        assert_eq!(duration("0.5ms"), None);
        assert_eq!(size("1.5B"), None);
        assert_eq!(duration("99999999999999999999s"), None);
        assert_eq!(size("18446744073709551615TiB"), None);
        assert_eq!(size("0.00000000000000000000001MiB"), None);
    }

    #[test]
    fn a_size_may_have_a_unit_of_either_kind_or_none() {
        assert_eq!(size("512KiB"), Some(524_288));
        assert_eq!(size("4MB"), Some(4_000_000));
        assert_eq!(size("1.5mib"), Some(1_572_864));
        assert_eq!(size("700"), Some(700));
        assert_eq!(
            size("4M"),
            None,
            "4M is 4,000,000 to some and 4,194,304 to others"
        );
    }

    #[test]
    fn printed_quantities_read_back_the_same() {
        for millis in [0, 1, 999, 1_000, 60_000, 90_000, 5_400_000, 86_400_000] {
            let value = Duration::from_millis(millis);
            assert_eq!(duration(&duration_text(value)), Some(value));
        }
        for bytes in [0, 1, 1_023, 1_024, 524_288, 4_000_000, 1 << 40] {
            assert_eq!(size(&size_text(bytes)), Some(bytes));
        }
    }
}
