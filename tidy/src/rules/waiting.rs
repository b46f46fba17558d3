//! Tests wait for events, never for time to pass, and take the port the system gives them: anything else fails
//! on a slow machine, or beside a second run.

use std::sync::LazyLock;

use regex::Regex;

use crate::rust::{RustFile, Token};
use crate::{Finding, Kind, SourceFile};

const SLEEP: &str = "a test doesn't sleep: wait for the event itself, with a deadline, or let the simulator move the time";
const PORT: &str = "a test doesn't choose its port: listen on port 0 and ask which one it got";

/// No test sleeps.
pub fn no_sleep_in_tests(file: &SourceFile) -> Vec<Finding> {
    if let Some(rust) = RustFile::parse(file) {
        let lines =
            ["thread::sleep", "time::sleep", "time::sleep_until"].map(|code| rust.lines_with(code));
        let in_tests = lines
            .into_iter()
            .flatten()
            .filter(|line| rust.is_test_line(*line));
        return in_tests.map(|line| file.finding(line, SLEEP)).collect();
    }
    static PYTHON: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\b(time|asyncio|trio)\.sleep\((?:[^0)]|0\.)"));
    // A bare function as the first argument is a promise resolved by time; a guard that rejects is written out.
    static JAVASCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"setTimeout\(\s*(resolve|done|ok|r|res|next)\b|["'](node:)?timers/promises["']|scheduler\.wait\("#,
        )
    });
    match file.kind {
        Kind::Python => matching(file, &PYTHON, SLEEP),
        Kind::JavaScript => matching(file, &JAVASCRIPT, SLEEP),
        _ => Vec::new(),
    }
}

/// No test listens on or connects to a port that is written down.
pub fn no_fixed_port_in_tests(file: &SourceFile) -> Vec<Finding> {
    if let Some(rust) = RustFile::parse(file) {
        let calls = rust
            .tokens
            .iter()
            .enumerate()
            .filter(|(at, _)| fixes_a_port(&rust.tokens[*at..]));
        let in_tests = calls.filter(|(_, token)| rust.is_test_line(token.line));
        return in_tests
            .map(|(_, token)| file.finding(token.line, PORT))
            .collect();
    }
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"\b(bind|connect|listen|create_connection|open_connection|createConnection)\(\s*\(?\s*",
            r#"((["'][^"']*["']|host|HOST)\s*,\s*)?[1-9]\d{1,4}\b"#,
            r#"|--listen[\s"',=]+[\w.\[\]:]*:[1-9]\d*"#,
        ))
    });
    match file.kind {
        Kind::Python | Kind::JavaScript | Kind::Shell => matching(file, &CALL, PORT),
        _ => Vec::new(),
    }
}

fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("the patterns here are fixed")
}

fn matching(file: &SourceFile, pattern: &Regex, says: &str) -> Vec<Finding> {
    if !file.is_test() {
        return Vec::new();
    }
    let lines = file.code_lines().filter(|(_, line)| pattern.is_match(line));
    lines.map(|(line, _)| file.finding(line, says)).collect()
}

/// True where the tokens begin with `bind("host:port"`, `connect(("host", port)`, or `"--listen", "host:port"`.
fn fixes_a_port(tokens: &[Token]) -> bool {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    match word(0) {
        "bind" | "connect" | "connect_timeout" | "listen" => {}
        "\"--listen\"" => return names_a_port(word(2)),
        _ => return false,
    }
    let opening = tokens
        .iter()
        .skip(1)
        .take_while(|token| ["(", "&"].contains(&token.text.as_str()))
        .count();
    let first = word(1 + opening);
    let port = word(1 + opening + 2)
        .parse::<u16>()
        .is_ok_and(|port| port != 0);
    opening > 0
        && (names_a_port(first) || first.starts_with('"') && word(2 + opening) == "," && port)
}

/// True for a string literal that ends in a port other than 0.
fn names_a_port(literal: &str) -> bool {
    let ending = literal
        .trim_end_matches('"')
        .rsplit_once(':')
        .map_or("", |(_, ending)| ending);
    literal.starts_with('"') && ending.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeps(path: &str, text: &str) -> usize {
        no_sleep_in_tests(&SourceFile::new(path, text)).len()
    }

    fn ports(path: &str, text: &str) -> usize {
        no_fixed_port_in_tests(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn a_sleeping_test_is_found_in_each_language() {
        assert_eq!(
            sleeps(
                "crates/hub/tests/rooms.rs",
                "fn f() { std::thread::sleep(d); }"
            ),
            1
        );
        assert_eq!(
            sleeps(
                "crates/hub/tests/rooms.rs",
                "async fn f() { tokio::time::sleep(d).await }"
            ),
            1
        );
        assert_eq!(
            sleeps(
                "crates/hub/src/a.rs",
                "#[test]\nfn f() {\n thread::sleep(d);\n}"
            ),
            1
        );
        assert_eq!(
            sleeps("tests/interop/python/test_a.py", "time.sleep(0.1)"),
            1
        );
        assert_eq!(
            sleeps("tests/interop/python/test_a.py", "await asyncio.sleep(1)"),
            1
        );
        assert_eq!(
            sleeps(
                "clients/js/test/a.test.mjs",
                "await new Promise((r) => setTimeout(r, 50));"
            ),
            1
        );
        assert_eq!(
            sleeps(
                "clients/js/test/a.test.mjs",
                "import { setTimeout } from 'node:timers/promises';"
            ),
            1
        );
    }

    #[test]
    fn a_deadline_is_no_sleep_and_the_server_may_wait() {
        assert_eq!(
            sleeps(
                "clients/js/test/a.test.mjs",
                "setTimeout(() => reject(new Error('late')), 5000);"
            ),
            0
        );
        assert_eq!(
            sleeps("tests/interop/python/test_a.py", "await asyncio.sleep(0)"),
            0
        );
        assert_eq!(
            sleeps(
                "crates/server/src/redis.rs",
                "async fn f() { tokio::time::sleep(d).await }"
            ),
            0
        );
    }

    #[test]
    fn a_port_that_is_written_down_is_found() {
        let rust = |text| ports("crates/server/tests/front.rs", text);
        assert_eq!(rust("fn f() { TcpListener::bind(\"127.0.0.1:8080\"); }"), 1);
        assert_eq!(
            rust("fn f() { TcpStream::connect((\"localhost\", 8080)); }"),
            1
        );
        assert_eq!(
            rust("fn f() { run([\"--listen\", \"127.0.0.1:9000\"]); }"),
            1
        );
        assert_eq!(
            ports(
                "tests/interop/python/test_a.py",
                "server.bind(('127.0.0.1', 8080))"
            ),
            1
        );
        assert_eq!(
            ports("clients/js/test/a.test.mjs", "server.listen(8080);"),
            1
        );
        assert_eq!(
            ports(
                "tests/autobahn/run",
                "#!/bin/sh\nwshub echo --listen 127.0.0.1:9001"
            ),
            1
        );
    }

    #[test]
    fn port_0_and_an_address_that_is_only_data_are_fine() {
        let rust = |text| ports("crates/server/tests/front.rs", text);
        assert_eq!(rust("fn f() { TcpListener::bind(\"127.0.0.1:0\"); }"), 0);
        assert_eq!(
            rust("fn f() { assert_eq!(config.listen, \"127.0.0.1:8080\"); }"),
            0
        );
        assert_eq!(rust("fn f() { world.connect(\"ann\", node(0)); }"), 0);
        assert_eq!(
            ports(
                "clients/js/test/a.test.mjs",
                "server.listen(0, '127.0.0.1');"
            ),
            0
        );
    }
}
