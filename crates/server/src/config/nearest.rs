//! The known name that somebody who wrote an unknown one most likely meant.

use super::keys::KEYS;

/// The nearest key, if one is near enough that naming it helps. Of several with the same last name the one whose
/// section is nearest.
pub(super) fn key(unknown: &str) -> Option<&'static str> {
    let near = |known: &'static str| {
        let slips = distance_of_keys(unknown, known)?;
        Some((slips, distance(unknown, known), known))
    };
    let (_, _, nearest) = KEYS.iter().filter_map(|key| near(key.name)).min()?;
    Some(nearest)
}

/// A right name in a wrong section is as near as one slip of a finger.
fn distance_of_keys(unknown: &str, known: &str) -> Option<usize> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let in_this_section = tolerable_distance(unknown, known);
    let in_any_section = tolerable_distance(&last(unknown), &last(known)).map(|slips| slips + 1);
    in_this_section.into_iter().chain(in_any_section).min()
}

/// One slip in three letters is a slip; more is another word.
fn tolerable_distance(unknown: &str, known: &str) -> Option<usize> {
    let tolerable = (unknown.len() / 3).clamp(1, 4);
    Some(distance(unknown, known)).filter(|slips| *slips <= tolerable)
}

/// Letters inserted, removed, replaced or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        assert_eq!(key("limits.mesage_bytes"), Some("limits.message_bytes"));
        assert_eq!(key("limits_message_bytes"), Some("limits.message_bytes"));
        assert_eq!(key("hartbeat.intervall"), Some("heartbeat.interval"));
        assert_eq!(key("lisetn"), Some("listen"));
        assert_eq!(key("shard"), Some("shards"));
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found_in_the_right_one() {
        assert_eq!(key("message_bytes"), Some("limits.message_bytes"));
        assert_eq!(key("auth.queue_messages"), Some("limits.queue_messages"));
    }

    #[test]
    fn of_two_keys_with_one_name_the_nearer_section_wins() {
        assert_eq!(key("deduppe.bytes"), Some("dedupe.bytes"));
        assert_eq!(key("logg.bytes"), Some("log.bytes"));
    }

    #[test]
    fn a_name_like_no_other_is_not_answered_with_a_guess() {
        assert_eq!(key("kubernetes.pod"), None);
        assert_eq!(key("x"), None);
        assert_eq!(key(""), None);
    }

    #[test]
    fn swapped_letters_are_one_slip() {
        assert_eq!(distance("listen", "lisetn"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
