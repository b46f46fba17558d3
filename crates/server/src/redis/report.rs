//! What a Redis says of itself (`INFO`), and whether wshub can use it.

use super::opening::Reason;

/// Redis' answer to `INFO`: lines of `field:value`.
pub(super) struct Report(pub(super) String);

/// The oldest Redis whose commands are enough.
const LEAST: (u32, u32) = (6, 2);

impl Report {
    /// The value of a field, if this Redis has it.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').is_some_and(|(field, _)| field == name);
        let line = self.0.lines().find(|line| of(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// The number in a field.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// Why wshub can't use this Redis. What waiting won't change comes first.
    pub(super) fn objection(&self) -> Option<Reason> {
        let version = self.field("redis_version").unwrap_or("unknown");
        if version_of(version).is_none_or(|version| version < LEAST) {
            return Some(Reason::TooOld {
                found: version.to_owned(),
            });
        }
        match self.field("redis_mode") {
            Some("sentinel") => return Some(Reason::Sentinel),
            Some("cluster") => return Some(Reason::Cluster),
            _ => {}
        }
        if self.field("role") == Some("slave") {
            let host = self.field("master_host").unwrap_or("unknown");
            let port = self.field("master_port").unwrap_or("unknown");
            return Some(Reason::Replica {
                master: format!("{host}:{port}"),
            });
        }
        (self.field("loading") == Some("1")).then_some(Reason::Loading)
    }
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &str) -> Report {
        Report(lines.replace('\n', "\r\n"))
    }

    fn of_version(version: &str) -> Option<Reason> {
        report(&format!("# Server\nredis_version:{version}\nrole:master\n")).objection()
    }

    #[test]
    fn a_master_from_6_2_on_will_do() {
        for version in [
            "6.2.0",
            "6.2",
            "7.0.15",
            "8.10.1",
            "10.0.0-rc1",
            "255.255.255",
        ] {
            assert_eq!(of_version(version), None, "{version}");
        }
    }

    #[test]
    fn an_older_one_or_one_without_a_version_will_not() {
        for version in ["6.0.20", "5.0.7", "4", "", "x.y"] {
            let found = version.to_owned();
            assert_eq!(of_version(version), Some(Reason::TooOld { found }));
        }
        let nothing = report("").objection();
        let found = "unknown".to_owned();
        assert_eq!(nothing, Some(Reason::TooOld { found }));
    }

    #[test]
    fn what_is_no_single_master_is_told_apart() {
        let with = |lines: &str| report(&format!("redis_version:7.0.15\n{lines}\n")).objection();
        assert_eq!(with("redis_mode:sentinel"), Some(Reason::Sentinel));
        assert_eq!(
            with("redis_mode:cluster\nrole:slave"),
            Some(Reason::Cluster)
        );
        let master = "10.0.0.1:6379".to_owned();
        let replica =
            "redis_mode:standalone\nrole:slave\nmaster_host:10.0.0.1\nmaster_port:6379\nloading:1";
        assert_eq!(with(replica), Some(Reason::Replica { master }));
        assert_eq!(with("role:master\nloading:1"), Some(Reason::Loading));
        assert_eq!(with("role:master\nloading:0"), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let report = report("used_maxmemory:1\nmaxmemory:2\nmaxmemory_policy:noeviction");
        assert_eq!(report.number("maxmemory"), Some(2));
        assert_eq!(report.field("maxmemory_policy"), Some("noeviction"));
        assert_eq!(report.field("memory"), None);
    }
}
