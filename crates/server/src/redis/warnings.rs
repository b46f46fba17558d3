//! What an operator should know of a Redis that works, but not as a hub's should.

use super::report::Report;

/// One sentence for each setting that may lose acknowledged messages or stop the hub. `appendfsync` is `None` where
/// nobody may ask for it.
pub(super) fn of(report: &Report, appendfsync: Option<&str>, address: &str) -> Vec<String> {
    [memory(report), persistence(report, appendfsync)]
        .into_iter()
        .flatten()
        .map(|sentence| format!("Redis at {address} {sentence}"))
        .collect()
}

fn memory(report: &Report) -> Option<String> {
    if report.number("maxmemory")? == 0 {
        return Some(
            "has no maxmemory: if it fills the machine, the kernel kills it. Set maxmemory to what the hub may \
             use, with maxmemory-policy noeviction; publishes are then refused instead, until there is room"
                .to_owned(),
        );
    }
    let policy = report.field("maxmemory_policy")?;
    (policy != "noeviction").then(|| {
        format!(
            "has maxmemory-policy {policy}: when it is full it throws messages and queues away without a word. Set \
             maxmemory-policy noeviction; publishes are then refused instead, until there is room"
        )
    })
}

fn persistence(report: &Report, appendfsync: Option<&str>) -> Option<String> {
    if report.field("aof_enabled")? == "0" {
        return Some(
            "keeps no append-only file (appendonly no): if it restarts, messages that were acknowledged are lost, all \
             since its last snapshot. Set appendonly yes, and appendfsync always if none may be lost"
                .to_owned(),
        );
    }
    let lost = match appendfsync? {
        "everysec" => "up to the last two seconds of messages that were acknowledged are",
        "no" => "up to the last minute of messages that were acknowledged is",
        _ => return None,
    };
    let setting = appendfsync?;
    Some(format!(
        "has appendfsync {setting}: if its machine crashes or loses power, {lost} lost. Set appendfsync always if none \
         may be; each write then waits for the disk"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "maxmemory:100\nmaxmemory_policy:noeviction\naof_enabled:1";

    fn warned(lines: &str, appendfsync: Option<&str>) -> Vec<String> {
        of(&Report(lines.to_owned()), appendfsync, "cache:6379")
    }

    #[test]
    fn a_redis_that_keeps_everything_is_not_warned_of() {
        assert_eq!(warned(SOUND, Some("always")), [""; 0]);
    }

    #[test]
    fn each_setting_that_can_lose_messages_has_its_sentence() {
        for (instead, of, said) in [
            ("maxmemory:0", "maxmemory:100", "has no maxmemory"),
            (
                "policy:allkeys-lru",
                "policy:noeviction",
                "has maxmemory-policy allkeys-lru",
            ),
            (
                "aof_enabled:0",
                "aof_enabled:1",
                "keeps no append-only file",
            ),
        ] {
            let warned = warned(&SOUND.replace(of, instead), Some("always"));
            assert_eq!(warned.len(), 1, "{warned:?}");
            assert!(
                warned[0].starts_with(&format!("Redis at cache:6379 {said}")),
                "{warned:?}"
            );
        }
        for setting in ["everysec", "no"] {
            let warned = warned(SOUND, Some(setting));
            assert!(
                warned[0].contains(&format!("appendfsync {setting}")),
                "{warned:?}"
            );
        }
    }

    #[test]
    fn the_policy_of_a_redis_without_a_bound_does_not_matter() {
        let lines = "maxmemory:0\nmaxmemory_policy:allkeys-lru\naof_enabled:1";
        assert_eq!(warned(lines, Some("always")).len(), 1);
    }

    #[test]
    fn of_what_a_redis_keeps_to_itself_nothing_is_said() {
        assert_eq!(warned(SOUND, None), [""; 0]);
        assert_eq!(warned("redis_version:7.0.15", None), [""; 0]);
    }
}
