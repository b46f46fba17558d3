//! How messages look on stdout, and what is said of the rest on stderr.

use std::time::Duration;

use wshub_client::{Addressee, Event, Message};

use crate::logs::one_line;

/// Appends the message as it came over the wire, on one line. Raw ends of lines stand between JSON's tokens only, never
/// inside a string, so a blank means the same.
pub(super) fn write_raw(page: &mut Vec<u8>, message: &Message) {
    let blank = |byte| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            byte
        }
    };
    page.extend(message.text().bytes().map(blank));
    page.push(b'\n');
}

/// Appends the message for people: when (UTC), where, who, what. Nothing that somebody sent reaches the terminal as
/// anything but text.
pub(super) fn write_pretty(page: &mut Vec<u8>, message: &Message, user: &str) {
    let (hours, minutes, seconds) = time_of_day(message.timestamp());
    let whom = match message.addressee() {
        Addressee::Everybody => "*".to_owned(),
        Addressee::User => format!("@{user}"),
        Addressee::Room(room) => format!("#{room}"),
    };
    let from = if message.from().is_empty() {
        "-"
    } else {
        message.from()
    };
    let line = format!(
        "{hours:02}:{minutes:02}:{seconds:02} {whom} {from}: {}",
        words(message.data())
    );
    page.extend_from_slice(one_line(&line).as_bytes());
    page.push(b'\n');
}

/// A text without its quotes; any other JSON as it is.
fn words(data: &str) -> String {
    serde_json::from_str(data).unwrap_or_else(|_| data.replace(['\n', '\r', '\t'], " "))
}

fn time_of_day(timestamp: u64) -> (u64, u64, u64) {
    (timestamp / 3600 % 24, timestamp / 60 % 60, timestamp % 60)
}

/// What is told of an event that is no message; none where there is nothing to say.
pub(super) fn note_of(event: &Event) -> Option<String> {
    Some(match event {
        Event::Connected(connected) => {
            let (node, user) = (&connected.node, &connected.user);
            let mut words = match (connected.came_back, connected.resumed, connected.degraded) {
                (false, ..) => format!("connected to {node} as {user}"),
                (true, true, _) => format!("connected again to {node}: what was missed follows"),
                (true, false, true) => format!(
                    "connected again to {node}: its log is away, what was missed follows later"
                ),
                (true, false, false) => {
                    format!(
                        "connected again to {node}: messages may be missing here, its log doesn't know them"
                    )
                }
            };
            if connected.pending > 0 {
                words += &format!("; {} that waited follow", connected.pending);
            }
            if connected.missed > 0 {
                words += &format!("; {} that waited are lost", connected.missed);
            }
            words
        }
        Event::Gap {
            dropped,
            room: None,
        } => format!("{dropped} messages are missing here: this was too slow"),
        Event::Gap {
            dropped,
            room: Some(room),
        } => {
            format!("{dropped} messages of {room} are missing here: this was too slow")
        }
        // A room with a place of its own may be further behind than what the connection resumes from.
        Event::Joined(joined) if joined.resumed == Some(false) => {
            let room = &joined.room;
            format!("messages of {room} may be missing here: its log doesn't know them")
        }
        Event::Reset { reason } => format!("messages may be missing here: {reason}"),
        Event::Draining { delay } => {
            format!("the node drains: going to another in {} s", seconds(*delay))
        }
        Event::Disconnected { end, wait } => format!("{end}: trying again in {} s", seconds(*wait)),
        Event::Refused(refused) => match &refused.room {
            Some(room) => format!("refused for {room}: {refused}"),
            None => format!("refused: {refused}"),
        },
        _ => return None,
    })
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use wshub_client::{Connected, End, Joined};

    use super::*;

    fn message(fields: &str) -> Message {
        Message::read(&format!(r#"{{"id":"m","timestamp":1700000000,{fields}}}"#)).unwrap()
    }

    fn pretty(fields: &str) -> String {
        let mut page = Vec::new();
        write_pretty(&mut page, &message(fields), "ann");
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn people_see_when_where_who_and_what() {
        assert_eq!(
            pretty(r#""type":"room","room_id":"news","from":"bob","data":"hi""#),
            "22:13:20 #news bob: hi\n"
        );
        assert_eq!(
            pretty(r#""type":"user","from":"","data":{"a":1}"#),
            "22:13:20 @ann -: {\"a\":1}\n"
        );
        assert_eq!(
            pretty(r#""type":"broadcast","from":"bob","data":[1]"#),
            "22:13:20 * bob: [1]\n"
        );
    }

    #[test]
    fn nothing_that_was_sent_moves_the_cursor_of_a_terminal() {
        assert_eq!(
            pretty(r#""type":"broadcast","from":"\u001b[2J","data":"a\nb\u0007\u009b""#),
            "22:13:20 * \\u{1b}[2J: a\\nb\\u{7}\\u{9b}\n"
        );
        assert_eq!(
            pretty("\"type\":\"broadcast\",\"from\":\"b\",\"data\":[ 1,\n2]"),
            "22:13:20 * b: [ 1, 2]\n"
        );
    }

    #[test]
    fn a_raw_message_is_one_line_and_means_the_same() {
        let mut page = Vec::new();
        write_raw(
            &mut page,
            &message("\"type\":\"broadcast\",\"data\":[ 1,\r\n\"a\\n\"]"),
        );
        let line = String::from_utf8(page).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("\"data\":[ 1,  \"a\\n\"]}\n"), "{line}");
    }

    #[test]
    fn each_place_where_something_may_be_missing_is_told() {
        let back = Connected {
            came_back: true,
            node: "n1".to_owned(),
            ..Connected::default()
        };
        let lost = Event::Connected(back.clone());
        assert!(note_of(&lost).unwrap().contains("may be missing"));
        let resumed = Event::Connected(Connected {
            resumed: true,
            missed: 3,
            ..back
        });
        let words = note_of(&resumed).unwrap();
        assert!(
            !words.contains("may be missing") && words.contains("3 that waited are lost"),
            "{words}"
        );
        let gap = Event::Gap {
            dropped: 7,
            room: Some("r".to_owned()),
        };
        assert!(
            note_of(&gap)
                .unwrap()
                .starts_with("7 messages of r are missing")
        );
        assert!(
            note_of(&Event::Reset {
                reason: "log_lost".to_owned()
            })
            .unwrap()
            .contains("log_lost")
        );
        let room = Event::Joined(Joined {
            room: "r".to_owned(),
            resumed: Some(false),
            ..Joined::default()
        });
        let words = note_of(&room).unwrap();
        assert!(words.starts_with("messages of r may be missing"), "{words}");
        let end = End {
            code: Some(4008),
            reason: "too_slow".to_owned(),
        };
        let gone = Event::Disconnected {
            end,
            wait: Duration::from_millis(1250),
        };
        assert_eq!(
            note_of(&gone).unwrap(),
            "too_slow (4008): trying again in 1.2 s"
        );
        assert_eq!(note_of(&Event::Position), None);
    }
}
