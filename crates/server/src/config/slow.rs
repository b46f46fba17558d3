//! Section `slow`: what becomes of a connection behind whose socket more waits than may wait.

use serde::{Deserialize, Serialize};

/// Section `slow`. A connection is slow only by what waits after its kernel takes no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slow {
    /// For all messages. Never [`SlowPolicy::Latest`].
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
}
