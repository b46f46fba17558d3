//! Section `slow`: what becomes of a connection behind whose socket more waits than may wait.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use wshub_protocol::RoomId;

/// Entries of `slow.room`. The patterns are tried one after the other, so that their number costs time.
const MOST_ROOMS: usize = 64;

/// Section `slow`. A connection is slow only by what waits after its kernel takes no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slow {
    /// For all messages but those of a room that has a policy of its own. Never [`SlowPolicy::Latest`].
    pub policy: SlowPolicy,
    /// Policies of rooms, at most 64; the first whose pattern matches wins.
    pub room: Vec<SlowRoom>,
}

/// An entry of `slow.room`: the policy of all rooms that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowRoom {
    /// `*` stands for any run of characters, none included, and everything else for itself. Under the rules of a
    /// room's id: 1 to 128 bytes without control characters.
    pub pattern: String,
    /// What the messages of these rooms may come to.
    pub policy: SlowPolicy,
}

/// What happens beyond `limits.queue_messages` and `limits.queue_bytes`. `user` messages are never dropped: if they
/// alone are over the limit the connection is closed (4008), and they stay queued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlowPolicy {
    /// The connection is closed (4008). The client comes back and catches up from the log.
    #[default]
    Disconnect,
    /// The oldest waiting messages go, and a `gap` stands in their place.
    Drop,
    /// Of the room only the newest message waits; of the others a `gap` tells.
    Latest,
}

/// The rule for the general policy.
pub(super) fn policy_rule(policy: &str) -> Result<(), String> {
    match policy {
        "disconnect" | "drop" => Ok(()),
        "latest" => Err(
            "can't be \"latest\", which keeps the newest message of a room; \
                         give it to the rooms it is meant for, by [[slow.room]]"
                .to_owned(),
        ),
        _ => Err("must be \"disconnect\" or \"drop\"".to_owned()),
    }
}

/// The rule for the policies of rooms.
pub(super) fn room_rule(entries: &Value) -> Result<(), String> {
    let tables: Option<Vec<&Table>> = entries
        .as_array()
        .and_then(|entries| entries.iter().map(Value::as_table).collect());
    let tables = tables.ok_or(
        "must be a list of tables, like [{ pattern = \"ticks:*\", policy = \"latest\" }], in a file also [[slow.room]]",
    )?;
    if tables.len() > MOST_ROOMS {
        return Err(format!(
            "must have at most {MOST_ROOMS} entries, since their patterns are tried one after the other, and has {}",
            tables.len()
        ));
    }
    for (entry, place) in tables.into_iter().zip(1..) {
        if let Some(wrong) = wrong_in(entry) {
            return Err(format!("must have {wrong} (entry {place})"));
        }
    }
    Ok(())
}

/// What an entry should have and hasn't.
fn wrong_in(entry: &Table) -> Option<&'static str> {
    let is_pattern = |pattern: &Value| {
        pattern
            .as_str()
            .is_some_and(|text| RoomId::parse(text).is_ok())
    };
    let is_policy = |policy: &Value| {
        let known = ["disconnect", "drop", "latest"];
        policy.as_str().is_some_and(|text| known.contains(&text))
    };
    if !entry.get("pattern").is_some_and(is_pattern) {
        Some("a pattern of 1 to 128 bytes without control characters in each entry")
    } else if !entry.get("policy").is_some_and(is_policy) {
        Some("a policy in each entry, \"disconnect\", \"drop\" or \"latest\"")
    } else if entry.len() > 2 {
        Some("nothing but a pattern and a policy in an entry")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::operator;
    use super::*;

    #[test]
    fn who_is_slow_is_disconnected_unless_told_otherwise() {
        assert_eq!(operator().runs().slow.policy, SlowPolicy::Disconnect);
        let told = operator().file("[slow]\npolicy = \"drop\"").runs();
        assert_eq!(told.slow.policy, SlowPolicy::Drop);
    }

    #[test]
    fn the_newest_message_of_everything_is_no_policy() {
        let told = operator().set("slow.policy=latest").hears();
        assert_eq!(
            told,
            "slow.policy can't be \"latest\", which keeps the newest message of a room; give it to the rooms it is \
             meant for, by [[slow.room]]; it is \"latest\" (--set slow.policy)"
        );
    }

    fn ticks(policy: SlowPolicy) -> SlowRoom {
        let pattern = "ticks:*".to_owned();
        SlowRoom { pattern, policy }
    }

    #[test]
    fn rooms_have_policies_of_their_own_in_the_order_in_which_they_are_written() {
        let file = "[[slow.room]]\npattern = \"ticks:*\"\npolicy = \"latest\"\n\
                    [[slow.room]]\npattern = \"ticks:*\"\npolicy = \"drop\"";
        let slow = operator().file(file).runs().slow;
        assert_eq!(slow.policy, SlowPolicy::Disconnect);
        let written = [ticks(SlowPolicy::Latest), ticks(SlowPolicy::Drop)];
        assert_eq!(slow.room, written);
    }

    #[test]
    fn rooms_are_one_list_that_a_later_layer_replaces() {
        let of = |policy: &str| format!(r#"[{{pattern="ticks:*",policy="{policy}"}}]"#);
        let variable = || operator().variable("WSHUB_SLOW__ROOM", &of("drop"));
        assert_eq!(variable().runs().slow.room, [ticks(SlowPolicy::Drop)]);
        let set = variable().set(&format!("slow.room={}", of("disconnect")));
        assert_eq!(set.runs().slow.room, [ticks(SlowPolicy::Disconnect)]);
        assert_eq!(variable().set("slow.room=[]").runs().slow.room, []);
    }

    #[test]
    fn a_pattern_has_the_form_of_a_rooms_id() {
        let with = |pattern: &str| {
            let entry = format!(r#"{{ pattern = "{pattern}", policy = "drop" }}"#);
            operator().set(&format!("slow.room=[{entry}]"))
        };
        let longest = "é".repeat(64);
        for good in ["*", "**", "ticks:*:eu", "ticks", "a b", "[a-z]?", &longest] {
            assert_eq!(with(good).runs().slow.room[0].pattern, good);
        }
        let too_long = format!("{longest}*");
        for bad in ["", r"a\nb", r"\u007f", r"\u0000", &too_long] {
            let told = with(bad).hears();
            assert!(
                told.starts_with("slow.room must have a pattern of 1 to 128 bytes"),
                "{told}"
            );
        }
    }

    #[test]
    fn an_entry_has_a_pattern_and_a_policy_and_nothing_else() {
        for (entry, wrong) in [
            ("", "a pattern"),
            ("policy = 'drop'", "a pattern"),
            ("pattern = 7\npolicy = 'drop'", "a pattern"),
            ("pattern = 'a'", "a policy"),
            ("pattern = 'a'\npolicy = 'Latest'", "a policy"),
            ("pattern = 'a'\npolicy = { drop = {} }", "a policy"),
            (
                "pattern = 'a'\npolicy = 'drop'\nroom = 'b'",
                "nothing but a pattern",
            ),
        ] {
            let good = "[[slow.room]]\npattern = 'x'\npolicy = 'drop'\n";
            let told = operator()
                .file(&format!("{good}[[slow.room]]\n{entry}"))
                .hears();
            let wanted = format!("slow.room must have {wrong}");
            assert!(
                told.starts_with(&wanted) && told.contains("(entry 2)"),
                "{entry}: {told}"
            );
            assert!(told.ends_with("(wshub.toml:1)"), "{entry}: {told}");
        }
    }

    #[test]
    fn what_is_no_list_of_tables_hears_how_one_looks() {
        let table = operator().file("[slow.room]\npattern = 'a'\npolicy = 'drop'");
        let text = operator().set("slow.room=ticks:*");
        let texts = operator().variable("WSHUB_SLOW__ROOM", "['ticks:*']");
        for told in [table.hears(), text.hears(), texts.hears()] {
            assert!(
                told.starts_with("slow.room must be a list of tables, like [{"),
                "{told}"
            );
        }
    }

    #[test]
    fn more_rooms_than_can_be_tried_quickly_are_refused() {
        let rooms = |count: usize| {
            let entries = r#"{pattern="a",policy="drop"},"#.repeat(count);
            operator().set(&format!("slow.room=[{entries}]"))
        };
        assert_eq!(rooms(64).runs().slow.room.len(), 64);
        let told = rooms(65).hears();
        assert!(
            told.starts_with("slow.room must have at most 64 entries"),
            "{told}"
        );
    }

    #[test]
    fn rooms_are_printed_in_a_line_that_can_be_put_into_a_file() {
        let strange =
            r##"slow.room=[{pattern="'\"\\*#",policy="drop"},{pattern="é",policy="latest"}]"##;
        let resolved = operator().set(strange).resolved();
        let printed = resolved.to_toml();
        assert_eq!(operator().file(&printed).runs(), resolved.config);
        let printed = operator()
            .file("[[slow.room]]\npattern = 'ticks:*'\npolicy = 'latest'")
            .resolved()
            .to_toml();
        let line = "\n[slow]\npolicy = \"disconnect\"\n\
                    room = [{ pattern = \"ticks:*\", policy = \"latest\" }]  # wshub.toml:1\n";
        assert!(printed.contains(line), "{printed}");
    }
}
