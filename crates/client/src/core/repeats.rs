//! Which messages were heard before: what a connection was given without a receipt comes again on the next one, and
//! what a publisher repeats after the log was lost comes under a new place.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use wshub_protocol::Cursor;

use crate::event::Message;
use crate::limits::{REMEMBERED, REPEAT_WINDOW};

/// Clocks of a log that was lost and of the next one may differ by so much.
const CLOCKS_APART: Duration = Duration::from_secs(30);

/// The last messages that were heard, by publisher and id.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    heard: HashMap<Box<str>, (Cursor, u64)>,
    order: VecDeque<Box<str>>,
}

impl Repeats {
    /// Whether the message was heard before; it counts as heard from now on. Those without a place, ephemeral ones and
    /// those from outside, are never known again: nothing repeats them, and their ids may be used twice.
    pub(crate) fn heard_before(&mut self, message: &Message) -> bool {
        let Some(cursor) = message.cursor() else {
            return false;
        };
        // A control character can't be in either of the two.
        let key = format!("{}\n{}", message.from(), message.id()).into_boxed_str();
        let news = (*cursor, message.timestamp());
        if let Some(known) = self.heard.get_mut(&key) {
            let repeated = is_repeat(*known, news);
            *known = news;
            return repeated;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.heard.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.heard.insert(key, news);
        false
    }
}

/// Within one epoch the log itself knows ids again, so another place there is another message: its publisher has used
/// the id once more, after its time. From one epoch to the next only the times tell.
fn is_repeat((known, said): (Cursor, u64), (cursor, says): (Cursor, u64)) -> bool {
    if known.epoch == cursor.epoch && known.partition == cursor.partition {
        return known.offset == cursor.offset;
    }
    said.abs_diff(says) <= (REPEAT_WINDOW + CLOCKS_APART).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(from: &str, id: &str, cursor: &str, timestamp: u64) -> Message {
        let place = if cursor.is_empty() {
            String::new()
        } else {
            format!(r#","cursor":"{cursor}""#)
        };
        let text = format!(
            r#"{{"type":"user","id":"{id}"{place},"from":"{from}","timestamp":{timestamp},"data":1}}"#
        );
        Message::read(&text).unwrap()
    }

    fn repeats(heard: &[(&str, &str, &str, u64)]) -> Vec<bool> {
        let mut repeats = Repeats::default();
        let of = |&(from, id, cursor, at): &(&str, &str, &str, u64)| {
            repeats.heard_before(&message(from, id, cursor, at))
        };
        heard.iter().map(of).collect()
    }

    #[test]
    fn what_is_given_again_is_known_by_publisher_and_id() {
        let heard = [
            ("ann", "1", "1.a:0:1", 5),
            ("bob", "1", "1.a:0:2", 5),
            ("ann", "1", "1.a:0:1", 5),
        ];
        assert_eq!(repeats(&heard), [false, false, true]);
    }

    #[test]
    fn an_id_that_is_used_again_after_its_time_is_another_message() {
        let heard = [
            ("ann", "1", "1.a:0:1", 5),
            ("ann", "1", "1.a:0:9", 5 + 301),
            ("ann", "1", "2.b:0:3", 5000),
        ];
        assert_eq!(repeats(&heard), [false, false, false]);
    }

    #[test]
    fn what_a_publisher_said_again_after_the_log_was_lost_is_a_repeat() {
        let heard = [("ann", "1", "1.a:0:900", 5), ("ann", "1", "2.b:0:1", 200)];
        assert_eq!(repeats(&heard), [false, true]);
    }

    #[test]
    fn messages_without_a_place_are_never_repeats() {
        assert_eq!(
            repeats(&[("ann", "1", "", 5), ("ann", "1", "", 5)]),
            [false, false]
        );
    }

    #[test]
    fn no_more_is_remembered_than_the_bound_says() {
        let mut repeats = Repeats::default();
        for number in 0..=REMEMBERED as u64 {
            let id = number.to_string();
            assert!(!repeats.heard_before(&message("", &id, &format!("1.a:0:{number}"), 1)));
        }
        assert_eq!(repeats.heard.len(), REMEMBERED);
        assert!(repeats.heard_before(&message("", "1", "1.a:0:1", 1)));
        assert!(!repeats.heard_before(&message("", "0", "1.a:0:0", 1)));
    }
}
