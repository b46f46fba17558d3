//! What went on in the last ten seconds, in one line.

use std::fmt::Write;
use std::time::Duration;

/// How often a summary is made.
pub const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// What a node has counted from its start on, read at one moment. Only `connected` goes down again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections there are now.
    pub connected: u64,
    /// Connections that were sent `connected`.
    pub opened: u64,
    /// Connections that ended, for whatever reason.
    pub closed: u64,
    /// Messages taken from clients and over HTTP.
    pub messages_in: u64,
    /// Messages given to connections.
    pub messages_out: u64,
    /// Requests and upgrades that were refused.
    pub refused_requests: u64,
    /// Client messages that were answered by an error.
    pub refused_messages: u64,
    /// Connections ended since they were too slow (4008).
    pub too_slow: u64,
    /// Connections ended since no frame came in time (4000).
    pub heartbeat_missed: u64,
    /// Connections ended since they broke the protocol (1002, 1007, 1009).
    pub broke_protocol: u64,
    /// Connections that could not be accepted for want of file descriptors or memory.
    pub not_accepted: u64,
}

impl Counters {
    /// The line for what happened since `before`, or `None` where nothing did. A node whose clients
    /// are all quiet says nothing at all.
    #[must_use]
    pub fn summary(&self, before: &Self) -> Option<String> {
        // A counter that went back is a bug elsewhere; a log line is no place to panic about it.
        let always = [
            (self.opened.saturating_sub(before.opened), "opened"),
            (self.closed.saturating_sub(before.closed), "closed"),
            (
                self.messages_in.saturating_sub(before.messages_in),
                "messages in",
            ),
            (self.messages_out.saturating_sub(before.messages_out), "out"),
        ];
        let troubles = self.troubles_since(before);
        if always.iter().chain(&troubles).all(|(count, _)| *count == 0) {
            return None;
        }
        let mut line = format!("{} connected", self.connected);
        let worth_telling = troubles.into_iter().filter(|(count, _)| *count > 0);
        for (count, what) in always.into_iter().chain(worth_telling) {
            let _ = write!(line, ", {count} {what}");
        }
        Some(line)
    }

    fn troubles_since(&self, before: &Self) -> [(u64, &'static str); 6] {
        [
            (
                self.refused_requests
                    .saturating_sub(before.refused_requests),
                "requests refused",
            ),
            (
                self.refused_messages
                    .saturating_sub(before.refused_messages),
                "messages refused",
            ),
            (self.too_slow.saturating_sub(before.too_slow), "too slow"),
            (
                self.heartbeat_missed
                    .saturating_sub(before.heartbeat_missed),
                "without heartbeat",
            ),
            (
                self.broke_protocol.saturating_sub(before.broke_protocol),
                "broke the protocol",
            ),
            (
                self.not_accepted.saturating_sub(before.not_accepted),
                "not accepted",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_quiet_clients_says_nothing() {
        let quiet = Counters {
            connected: 5000,
            opened: 9000,
            closed: 4000,
            ..Counters::default()
        };
        assert_eq!(quiet.summary(&quiet), None);
    }

    #[test]
    fn a_busy_node_says_what_changed() {
        let before = Counters {
            connected: 2,
            opened: 2,
            messages_in: 10,
            ..Counters::default()
        };
        let after = Counters {
            connected: 3,
            opened: 4,
            closed: 1,
            messages_in: 15,
            messages_out: 45,
            ..before
        };
        assert_eq!(
            after.summary(&before).as_deref(),
            Some("3 connected, 2 opened, 1 closed, 5 messages in, 45 out")
        );
    }

    #[test]
    fn trouble_is_told_where_there_was_some() {
        let before = Counters::default();
        let after = Counters {
            too_slow: 2,
            refused_messages: 1,
            ..before
        };
        assert_eq!(
            after.summary(&before).as_deref(),
            Some(
                "0 connected, 0 opened, 0 closed, 0 messages in, 0 out, 1 messages refused, 2 too slow"
            )
        );
    }

    #[test]
    fn a_counter_that_went_back_is_no_reason_to_die() {
        let before = Counters {
            messages_out: 7,
            ..Counters::default()
        };
        assert_eq!(Counters::default().summary(&before), None);
    }
}
