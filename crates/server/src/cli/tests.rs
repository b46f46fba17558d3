//! What operators type, and the command it becomes.

use std::path::PathBuf;

use clap::CommandFactory;
use wshub_protocol::UserId;
use wshub_protocol::client_message::Target;

use super::*;

/// Nobody keeps a `wshub.toml` here.
const NOWHERE: &str = "/nonexistent";

fn typed(arguments: &[&str]) -> Result<Invocation, Refusal> {
    typed_with(arguments, &[])
}

fn typed_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, Refusal> {
    let line = CommandLine::try_parse_from([&["wshub"], arguments].concat()).unwrap();
    let environment = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    read(line, environment, Path::new(NOWHERE))
}

fn refused(arguments: &[&str]) -> String {
    typed(arguments).expect_err("it was accepted").to_string()
}

#[test]
fn the_command_line_is_put_together_soundly() {
    CommandLine::command().debug_assert();
}

#[test]
fn without_a_command_a_node_is_served() {
    let alone = typed(&[]).unwrap();
    assert_eq!(alone.command, Command::Serve(Config::default()));
    assert_eq!(alone, typed(&["serve"]).unwrap());
    assert_eq!(
        typed(&["--shards", "2"]),
        typed(&["serve", "--shards", "2"])
    );
}

#[test]
fn flags_reach_the_configuration() {
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::1]:0",
        "--node",
        "n1",
        "--shards",
        "3",
    ];
    let more = [
        "--set",
        "limits.queue_messages=9",
        "--set",
        "log.retention=1m",
    ];
    let Command::Serve(config) = typed(&[&arguments[..], &more[..]].concat())
        .unwrap()
        .command
    else {
        panic!("a node was asked for")
    };
    assert_eq!(config.listen, Listen::loopback(0));
    assert_eq!((config.node.as_str(), config.shards), ("n1", 3));
    assert_eq!(config.limits.queue_messages, 9);
}

#[test]
fn check_prints_the_configuration_and_refuses_what_serve_refuses() {
    let Command::Check(text) = typed(&["check", "--node", "n1"]).unwrap().command else {
        panic!("the configuration was asked for")
    };
    assert!(text.contains("node = \"n1\"  # --node\n"), "{text}");
    let told = refused(&["check", "--set", "limits.mesage_bytes=5"]);
    assert!(
        told.contains("did you mean limits.message_bytes?"),
        "{told}"
    );
}

#[test]
fn a_password_file_is_read_for_check_as_for_serve() {
    for command in ["check", "serve"] {
        let set = "redis.password_file=nowhere";
        let told = refused(&[command, "--redis", "cache:6379", "--set", set]);
        assert!(
            told.starts_with("redis.password_file = \"nowhere\""),
            "{told}"
        );
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let told = refused(&["--config", "missing.toml"]);
    assert!(
        told.starts_with("the configuration file missing.toml can't be read"),
        "{told}"
    );
    assert_eq!(
        typed(&["--config", "missing.toml"]).unwrap_err(),
        Refusal::Config(ConfigError::Unreadable {
            path: PathBuf::from("missing.toml"),
            reason: std::fs::read_to_string("/nonexistent/missing.toml")
                .unwrap_err()
                .to_string(),
        })
    );
}

#[test]
fn the_log_filter_comes_from_the_flag_or_else_from_the_environment() {
    let level = |text: &str| text.parse::<LogFilter>().unwrap();
    let variable = [("WSHUB_LOG", "debug")];
    assert_eq!(typed(&[]).unwrap().log, LogFilter::default());
    assert_eq!(typed_with(&[], &variable).unwrap().log, level("debug"));
    assert_eq!(
        typed_with(&["echo", "--log", "warn"], &variable)
            .unwrap()
            .log,
        level("warn")
    );
    assert!(refused(&["--log", "loud"]).starts_with("--log must be error, warn, info"));
    let told = typed_with(&[], &[("WSHUB_LOG", "loud")])
        .unwrap_err()
        .to_string();
    assert!(told.starts_with("WSHUB_LOG must be"), "{told}");
}

#[test]
fn echo_listens_on_loopback_only_and_has_room_for_large_messages() {
    let Command::Echo(echo) = typed(&["echo"]).unwrap().command else {
        panic!("the echo was asked for")
    };
    assert_eq!(echo.config.listen, Listen::parse(&[ECHO_ADDRESS]).unwrap());
    assert!(echo.config.limits.message_bytes >= 64 << 20);
    let told = refused(&["echo", "--listen", "0.0.0.0:0"]);
    assert!(told.contains("0.0.0.0:0 isn't loopback"), "{told}");
    assert!(refused(&["echo", "--listen", "here"]).starts_with("--listen must be an IP address"));
}

#[test]
fn echo_does_not_read_the_configuration_of_a_node() {
    assert!(typed_with(&["echo"], &[("WSHUB_LISTEN", "0.0.0.0:1")]).is_ok());
}

#[test]
fn the_help_of_each_command_names_its_flags() {
    let help = |arguments: &[&str]| {
        let asked = [&["wshub"], arguments, &["--help"]].concat();
        CommandLine::try_parse_from(asked).unwrap_err().to_string()
    };
    for flag in [
        "--listen", "--shards", "--node", "--redis", "--config", "--set", "--log", "check", "echo",
    ] {
        assert!(help(&[]).contains(flag), "{flag}");
    }
    assert!(help(&["check"]).contains("where it came from"));
    assert!(help(&["echo"]).contains("127.0.0.1:9001"));
    for flag in [
        "--user",
        "--room",
        "--history",
        "--after",
        "--raw",
        "--peek",
        "--count",
        DEFAULT_URL,
    ] {
        assert!(help(&["tail"]).contains(flag), "{flag}");
    }
    for flag in [
        "--room",
        "--user",
        "--broadcast",
        "--text",
        "--key",
        "--user-id",
        "--progress",
        DEFAULT_URL,
    ] {
        assert!(help(&["publish"]).contains(flag), "{flag}");
    }
}

#[test]
fn a_tail_is_of_a_user_or_of_one_of_its_own() {
    let tail = |arguments: &[&str]| match typed(arguments).unwrap().command {
        Command::Tail(tail) => tail,
        other => panic!("{other:?}"),
    };
    let ann = tail(&[
        "tail", "hub:80", "--user", "ann", "--room", "a", "--room", "b,c", "--raw",
    ]);
    assert_eq!(
        (ann.url.as_str(), ann.user.as_str(), ann.raw),
        ("hub:80", "ann", true)
    );
    assert_eq!(ann.rooms, ["a", "b,c"]);
    let one = tail(&["tail"]);
    assert_eq!(one.url, DEFAULT_URL);
    assert_ne!(one.user, tail(&["tail"]).user);
}

#[test]
fn a_tail_of_nothing_is_refused() {
    for (arguments, named) in [
        (&["tail", "https://hub"][..], "TLS"),
        (&["tail", "--user", ""], "--user"),
        (&["tail", "--room", "a\nb"], "--room"),
        (&["tail", "--after", "yesterday"], "--after"),
        (&["tail", "--room", "a", "--history", "101"], "--room"),
    ] {
        let told = refused(arguments);
        assert!(told.contains(named), "{told}");
    }
}

#[test]
fn a_publish_says_for_whom_it_is_or_its_lines_do() {
    let publish =
        |arguments: &[&str]| match typed(&[&["publish"], arguments].concat()).unwrap().command {
            Command::Publish(publish) => publish,
            other => panic!("{other:?}"),
        };
    let users = publish(&["--user", "a", "--user", "b", "--user", "a", "1"]);
    let Some(Target::Users(named)) = users.form.target else {
        panic!("it is for users")
    };
    assert_eq!(
        named.iter().map(UserId::as_str).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(users.data.as_deref(), Some("1"));
    let lines = publish(&[]);
    assert_eq!((lines.data, lines.form.target), (None, None));
}

#[test]
fn a_publish_for_nobody_or_by_nobody_is_refused() {
    let many: Vec<String> = (0..101).map(|number| format!("--user=u{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (arguments, named) in [
        (&["1"][..], "--room, --user or --broadcast"),
        (&["--text"], "--room, --user or --broadcast"),
        (&["--room", "", "1"], "--room"),
        (&["--user", "a\tb", "1"], "--user"),
        (&["--broadcast", "--user-id", "", "1"], "--user-id"),
        (&["--broadcast", "--url", "wss://hub", "1"], "TLS"),
        (&["--broadcast", "--key", "a b", "1"], "--key"),
        (&many[..], "101 users"),
    ] {
        let told = refused(&[&["publish"], arguments].concat());
        assert!(told.contains(named), "{told}");
    }
}
