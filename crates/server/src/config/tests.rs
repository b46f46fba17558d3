//! What operators write, and what comes of it: layers, refusals, and the printed whole.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::keys::KEYS;
use super::*;

/// An operator's machine: a file, an environment, a command line.
#[derive(Default)]
pub(super) struct Operator {
    sources: Sources,
}

impl Operator {
    pub(super) fn file(mut self, text: &str) -> Self {
        let path = PathBuf::from("wshub.toml");
        self.sources.file = Some(ConfigFile {
            path,
            text: text.to_owned(),
        });
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    pub(super) fn set(mut self, assignment: &str) -> Self {
        self.sources.set.push(assignment.to_owned());
        self
    }

    pub(super) fn flags(mut self, change: impl FnOnce(&mut Sources)) -> Self {
        change(&mut self.sources);
        self
    }

    pub(super) fn runs(self) -> Config {
        self.resolved().config
    }

    pub(super) fn resolved(self) -> Resolved {
        self.sources
            .resolve()
            .unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    /// The sentence the operator is told, which is one line whatever is wrong.
    pub(super) fn hears(self) -> String {
        let sentence = self
            .sources
            .resolve()
            .expect_err("it was accepted")
            .to_string();
        assert!(!sentence.contains('\n'), "more than one line: {sentence}");
        sentence
    }
}

pub(super) fn operator() -> Operator {
    Operator::default()
}

#[test]
fn without_a_word_a_node_listens_on_loopback_with_the_documented_limits() {
    let config = operator().runs();
    assert_eq!(config, Config::default());
    assert_eq!(config.listen, Listen::loopback(8080));
    assert!(
        config.listen.addresses()[1].optional,
        "a machine may lack IPv6"
    );
    assert_eq!(config.limits.message_bytes, 524_288);
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let file = || operator().file("shards = 2");
    assert_eq!(file().runs().shards, 2);
    let variable = || file().variable("WSHUB_SHARDS", "3");
    assert_eq!(variable().runs().shards, 3);
    let set = || variable().set("shards=4");
    assert_eq!(set().runs().shards, 4);
    assert_eq!(set().set("shards=5").runs().shards, 5);
    assert_eq!(
        set()
            .flags(|flags| flags.shards = Some("6".to_owned()))
            .runs()
            .shards,
        6
    );
}

#[test]
fn a_layer_changes_only_what_it_names() {
    let config = operator()
        .file("[limits]\nqueue_messages = 64\nqueue_bytes = \"2MiB\"")
        .variable("WSHUB_LIMITS__QUEUE_MESSAGES", "32")
        .runs();
    assert_eq!(config.limits.queue_messages, 32);
    assert_eq!(config.limits.queue_bytes, 2 << 20);
    assert_eq!(config.limits.connections_per_user, 1000);
}

#[test]
fn a_value_that_is_not_toml_is_a_string() {
    let config = operator()
        .set("log.retention=90s")
        .set("limits.queue_bytes = 4MB")
        .set("limits.connections=5000")
        .set("auth.allowed_origins=https://a.example")
        .variable("WSHUB_LISTEN", "127.0.0.1:9000")
        .runs();
    assert_eq!(config.log.retention, Duration::from_secs(90));
    assert_eq!(config.limits.queue_bytes, 4_000_000);
    assert_eq!(config.limits.connections, Some(5000));
    assert_eq!(config.auth.allowed_origins, ["https://a.example"]);
    assert_eq!(config.listen, Listen::parse(&["127.0.0.1:9000"]).unwrap());
}

#[test]
fn a_node_may_be_called_by_a_number() {
    assert_eq!(operator().set("node=7").runs().node, "7");
    assert_eq!(
        operator().set("node=\"n 7\"").hears().split(' ').next(),
        Some("node")
    );
    assert_eq!(
        operator().variable("WSHUB_NODE", "true").runs().node,
        "true"
    );
}

#[test]
fn several_addresses_are_a_list_or_a_flag_given_twice() {
    let both = Listen::parse(&["127.0.0.1:1", "127.0.0.2:1"]).unwrap();
    let list = r#"["127.0.0.1:1", "127.0.0.2:1"]"#;
    assert_eq!(
        operator().file(&format!("listen = {list}")).runs().listen,
        both
    );
    assert_eq!(
        operator().variable("WSHUB_LISTEN", list).runs().listen,
        both
    );
    let given = vec!["127.0.0.1:1".to_owned(), "127.0.0.2:1".to_owned()];
    assert_eq!(
        operator().flags(|flags| flags.listen = given).runs().listen,
        both
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_known_one_and_its_place() {
    let told = operator()
        .file("shards = 2\n[limits]\nmesage_bytes = 5")
        .hears();
    assert_eq!(
        told,
        "unknown key limits.mesage_bytes (wshub.toml:3); did you mean limits.message_bytes?"
    );
    let told = operator()
        .variable("WSHUB_LIMITS_MESSAGE_BYTES", "5")
        .hears();
    assert_eq!(
        told,
        "unknown key limits_message_bytes (environment variable WSHUB_LIMITS_MESSAGE_BYTES); \
         did you mean limits.message_bytes, that is WSHUB_LIMITS__MESSAGE_BYTES?"
    );
    let told = operator().set("hartbeat.timeout=5s").hears();
    assert!(
        told.ends_with("(--set hartbeat.timeout); did you mean heartbeat.timeout?"),
        "{told}"
    );
}

#[test]
fn unknown_sections_and_strange_nesting_are_refused_too() {
    for (text, key) in [
        ("[limit]\nmessage_bytes = 5", "limit.message_bytes"),
        ("[[fast.room]]\npattern = 'x'", "fast.room"),
        ("[[slow]]\npolicy = 'drop'", "slow is a section"),
        ("[limits.extra]\nx = 1", "limits.extra"),
        ("[nothing]", "nothing"),
        ("[shards]\nx = 1", "shards"),
        ("limits = 5", "limits is a section"),
        ("\"a\\nb\" = 1", "unknown key"),
    ] {
        let told = operator()
            .file(text)
            .sources
            .resolve()
            .unwrap_err()
            .to_string();
        assert!(told.contains(key), "{text}: {told}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_key_its_place_and_what_it_must_be() {
    let told = operator().file("\n[heartbeat]\ninterval = 10").hears();
    assert_eq!(
        told,
        "heartbeat.interval must be a length of time with its unit, like \"250ms\", \"10s\", \"2m\" or \
         \"1.5h\"; it is 10 (wshub.toml:3)"
    );
    let told = operator().variable("WSHUB_SHARDS", "129").hears();
    assert!(
        told.starts_with("shards must be 1 to 128: a shard is a thread"),
        "{told}"
    );
    assert!(
        told.ends_with("it is 129 (environment variable WSHUB_SHARDS)"),
        "{told}"
    );
    let told = operator()
        .flags(|flags| flags.shards = Some("many".to_owned()))
        .hears();
    assert_eq!(
        told,
        "shards must be a whole number, 1 to 128; it is \"many\" (--shards)"
    );
}

#[test]
fn every_key_refuses_the_wrong_type_and_both_sides_of_its_bounds() {
    for assignment in [
        "listen=5",
        "listen=[]",
        "listen=[1]",
        "node=",
        "node=a b",
        "shards=0",
        "shards=-1",
        "shards=2.5",
        "auth.mode=none",
        "auth.allowed_origins=example.org",
        "auth.trust_network=yes",
        "offline.messages=0",
        "offline.messages=10001",
        "offline.ttl=1800",
        "offline.ttl=999ms",
        "offline.ttl=8d",
        "offline.user_bytes=1023",
        "offline.user_bytes=2GiB",
        "offline.total_bytes=1023",
        "offline.total_bytes=1TiB",
        "log.retention=1ms",
        "log.retention=25h",
        "log.bytes=1KiB",
        "heartbeat.interval=0s",
        "heartbeat.interval=2h",
        "heartbeat.timeout=1d",
        "drain.timeout=20",
        "drain.timeout=2h",
        "drain.delay=0",
        "drain.delay=11m",
        "compression.enabled=1",
        "compression.threshold=2MiB",
        "compression.threshold=-1",
        "limits.message_bytes=1023",
        "limits.message_bytes=5MiB",
        "limits.message_bytes=4M",
        "limits.queue_messages=0",
        "limits.queue_bytes=2GiB",
        "limits.outbox_total_bytes=1023",
        "limits.outbox_total_bytes=1TiB",
        "limits.write_timeout=10",
        "limits.handshake_timeout=1h",
        "limits.http_idle_timeout=forever",
        "limits.connections_per_user=0",
        "limits.rooms_per_connection=0",
        "limits.connections=0",
        "limits.connections=off",
        "limits.partial_bytes=1",
        "limits.inbox_bytes=1",
        "slow.policy=",
        "slow.policy=1",
        "slow.policy=Drop",
        "slow.room=7",
        "slow.room={}",
        "slow.room=[1]",
    ] {
        let told = operator().set(assignment).hears();
        let key = assignment.split('=').next().unwrap();
        assert!(told.starts_with(&format!("{key} ")), "{assignment}: {told}");
        assert!(told.contains("--set"), "{assignment}: {told}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line() {
    let told = operator().file("shards = 2\nnode = \n").hears();
    assert!(told.starts_with("wshub.toml:2 isn't TOML: "), "{told}");
    let told = operator().file("shards = 2\nshards = 3").hears();
    assert!(told.starts_with("wshub.toml:2 isn't TOML: "), "{told}");
}

#[test]
fn a_mistake_is_refused_where_it_stands_even_if_a_later_layer_overrides_it() {
    let told = operator().file("shards = 0").set("shards=4").hears();
    assert!(told.contains("wshub.toml:1"), "{told}");
}

#[test]
fn a_value_of_several_lines_is_shown_in_one() {
    let told = operator().file("node = \"a\\nb\"").hears();
    assert!(
        told.contains(r#"it is """a\nb""" (wshub.toml:1)"#),
        "{told}"
    );
    let told = operator().set("listen=[\"a\\nb\", 1]").hears();
    assert!(told.ends_with("(--set listen)"), "{told}");
}

#[test]
fn an_assignment_without_a_value_hears_how_one_looks() {
    assert!(
        operator()
            .set("shards")
            .hears()
            .contains("--set section.key=value")
    );
}

#[test]
fn variables_of_other_programs_empty_ones_and_the_log_filter_are_no_keys() {
    let config = operator()
        .variable("WSHUB_SERVICE_HOST", "10.0.0.1")
        .variable("WSHUB_SERVICE_PORT_HTTP", "80")
        .variable("WSHUB_PORT", "tcp://10.0.0.1:80")
        .variable("WSHUB_PORT_80_TCP_ADDR", "10.0.0.1")
        .variable("WSHUB_REDIS_SERVICE_HOST", "10.0.0.2")
        .variable("WSHUB_REDIS_SERVICE_PORT", "6379")
        .variable("WSHUB_REDIS_PORT", "tcp://10.0.0.2:6379")
        .variable("WSHUB_REDIS_PORT_6379_TCP", "tcp://10.0.0.2:6379")
        .variable("WSHUB_REDIS_PORT_6379_TCP_PROTO", "tcp")
        .variable("WSHUB_REDIS_PORT_6379_TCP_PORT", "6379")
        .variable("WSHUB_REDIS_PORT_6379_TCP_ADDR", "10.0.0.2")
        .variable("WSHUB_BIN", "target/release/wshub")
        .variable("WSHUB_LOG", "debug")
        .variable("WSHUB_NODE", "")
        .variable("HOME", "/root")
        .runs();
    assert_eq!(config, Config::default());
}

#[test]
fn trusted_beyond_loopback_needs_an_explicit_word() {
    let told = operator().set("listen=0.0.0.0:8080").hears();
    for way_out in [
        "listen on 127.0.0.1:8080",
        "auth.trust_network = true",
        "proxy that authenticates",
    ] {
        assert!(told.contains(way_out), "{told}");
    }
    let listening = operator()
        .set("listen=0.0.0.0:8080")
        .set("auth.trust_network=true")
        .runs();
    assert!(listening.listen.beyond_loopback().is_some());
}

#[test]
fn jwt_is_not_there_yet_and_says_so() {
    let told = operator().file("[auth]\nmode = \"jwt\"").hears();
    assert!(told.starts_with("auth.mode can't be \"jwt\" yet"), "{told}");
}

#[test]
fn a_ping_needs_time_to_be_answered() {
    let told = operator().set("heartbeat.timeout=50s").hears();
    assert!(
        told.starts_with(
            "heartbeat.interval = \"50s\" (default) must be shorter than heartbeat.timeout"
        ),
        "{told}"
    );
}

#[test]
fn a_node_may_stop_at_once() {
    let drain = operator().set("drain.timeout=0s").runs().drain;
    assert_eq!(
        (drain.timeout, drain.delay),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn every_bound_of_bytes_has_room_for_one_message() {
    for key in [
        "limits.queue_bytes",
        "limits.outbox_total_bytes",
        "limits.partial_bytes",
        "limits.inbox_bytes",
        "offline.user_bytes",
    ] {
        let told = operator().set(&format!("{key}=100KiB")).hears();
        assert!(told.contains("one message has to fit"), "{told}");
    }
}

#[test]
fn what_waits_for_all_users_has_room_for_what_waits_for_one() {
    let with_total = |total: &str| {
        let operator = operator().set("offline.user_bytes=2MiB");
        operator.set(&format!("offline.total_bytes={total}"))
    };
    assert_eq!(with_total("2MiB").runs().offline.total_bytes, 2 << 20);
    assert_eq!(
        with_total("1MiB").hears(),
        "offline.total_bytes = \"1MiB\" (--set offline.total_bytes) must not be less than \
         offline.user_bytes = \"2MiB\" (--set offline.user_bytes): what waits for one user has to fit"
    );
}

#[test]
fn what_the_shards_share_has_room_for_a_message_in_each() {
    let with_shards = |shards: usize| {
        let operator = operator()
            .set("limits.inbox_bytes=2MiB")
            .set("limits.message_bytes=1MiB");
        operator.set(&format!("shards={shards}"))
    };
    assert_eq!(with_shards(2).runs().shards, 2);
    let told = with_shards(3).hears();
    assert!(
        told.contains("shards = 3 (--set shards) times limits.message_bytes"),
        "{told}"
    );
}

#[test]
fn the_defaults_go_together_on_the_largest_machine() {
    assert_eq!(operator().set("shards=128").runs().shards, 128);
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    let origins = |list: &str| operator().set(&format!("auth.allowed_origins={list}"));
    for good in [
        "https://a.example",
        "http://localhost:3000",
        "http://[::1]:8080",
        "app://x",
    ] {
        assert_eq!(origins(good).runs().auth.allowed_origins, [good]);
    }
    for bad in [
        "*",
        "null",
        "https://",
        "https://a.example/",
        "https://A.example",
        "https://a.example:443",
    ] {
        assert!(
            origins(bad).hears().contains("as a browser sends them"),
            "{bad}"
        );
    }
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let resolved = operator()
        .file("node = \"n1\"\nlisten = \"localhost:9000\"")
        .set("limits.connections=10")
        .resolved();
    let printed = resolved.to_toml();
    assert_eq!(operator().file(&printed).runs(), resolved.config);
    assert_eq!(
        operator().file(&operator().resolved().to_toml()).runs(),
        Config::default()
    );
}

#[test]
fn what_is_printed_says_where_each_value_came_from() {
    let printed = operator()
        .file("node = \"n1\"")
        .variable("WSHUB_SHARDS", "3")
        .set("limits.queue_messages=7")
        .resolved()
        .to_toml();
    for line in [
        "listen = [\"127.0.0.1:8080\", \"[::1]:8080\"]",
        "node = \"n1\"  # wshub.toml:1",
        "shards = 3  # environment variable WSHUB_SHARDS",
        "queue_messages = 7  # --set limits.queue_messages",
        "# connections is off",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line} is not in:\n{printed}"
        );
    }
}

#[test]
fn the_table_of_keys_and_the_struct_have_the_same_keys() {
    let mut config = Config::default();
    config.limits.connections = Some(1);
    config.redis.url = RedisUrl::parse("cache").ok();
    config.redis.password_file = Some(PathBuf::from("password"));
    let table = toml::Table::try_from(&config).unwrap();
    let of_struct: BTreeSet<String> = table
        .iter()
        .flat_map(|(section, value)| match value {
            toml::Value::Table(keys) => keys.keys().map(|key| format!("{section}.{key}")).collect(),
            _ => vec![section.clone()],
        })
        .collect();
    let of_table: BTreeSet<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    assert_eq!(of_struct, of_table);
}

#[test]
fn a_file_is_read_where_it_stands_and_must_be_there_only_if_it_was_named() {
    let directory = std::env::temp_dir().join(format!("wshub-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    assert_eq!(ConfigFile::find(None, &directory), Ok(None));
    let named = ConfigFile::find(Some(&directory.join("other.toml")), &directory).unwrap_err();
    assert!(
        named.to_string().contains("other.toml can't be read"),
        "{named}"
    );
    std::fs::write(directory.join("wshub.toml"), "shards = 2").unwrap();
    let found = ConfigFile::find(None, &directory).unwrap().unwrap();
    assert_eq!(
        (found.path, found.text.as_str()),
        (PathBuf::from("wshub.toml"), "shards = 2")
    );
    std::fs::remove_dir_all(&directory).unwrap();
}
