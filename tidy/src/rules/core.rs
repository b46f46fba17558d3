//! The core without I/O: only the server has sockets, threads and a clock, so that the simulator can run the rest.

use crate::rust::RustFile;
use crate::{Finding, SourceFile};

/// The crates that talk to the outside.
const OUTSIDE: [&str; 2] = ["crates/server/", "crates/client/"];

/// What only they may mention, and what to do instead.
const THEIRS: [(&str, &str); 6] = [
    (
        "std::net",
        "return an effect and let the server's driver act on it; an address as data is core::net::IpAddr",
    ),
    (
        "std::thread",
        "return an effect and let the server's driver act on it",
    ),
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime::now", "take the Unix time as an argument"),
    (
        "tokio",
        "the core has no async: return an effect and the next deadline",
    ),
    ("mio", "the core has no sockets: take bytes, return bytes"),
];

/// The crates besides the server mention no socket, no thread and no clock.
pub fn core_without_io(file: &SourceFile) -> Vec<Finding> {
    if !file.path.starts_with("crates/") || OUTSIDE.iter().any(|place| file.path.starts_with(place))
    {
        return Vec::new();
    }
    let Some(rust) = RustFile::parse(file) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (what, instead) in THEIRS {
        let mut lines = lines_naming(&rust, what);
        // A test may watch what a rule does to a thread's stack; a clock or a socket it has no use for.
        lines.retain(|line| what != "std::thread" || !rust.is_test_line(*line));
        lines.sort_unstable();
        lines.dedup();
        let says = format!("only the server may use {what}: {instead}");
        found.extend(
            lines
                .into_iter()
                .map(|line| file.finding(line, says.clone())),
        );
    }
    found
}

fn lines_naming(rust: &RustFile, what: &str) -> Vec<usize> {
    let begins = |path: &str| {
        path.strip_prefix(what)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let imported = rust
        .imports
        .iter()
        .filter(|(path, _)| begins(path))
        .map(|(_, line)| *line);
    // A whole crate is meant by its name only in front of a path: a field may be called the same.
    let code = if what.contains("::") {
        what.to_owned()
    } else {
        format!("{what}::")
    };
    imported.chain(rust.lines_with(&code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        core_without_io(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn a_clock_a_socket_a_thread_and_a_runtime_are_found_in_the_core() {
        let hub = |text| found("crates/hub/src/shard.rs", text);
        assert_eq!(hub("fn f() { let now = std::time::Instant::now(); }"), 1);
        assert_eq!(hub("fn f() { let now = SystemTime::now(); }"), 1);
        assert_eq!(hub("use std::{fmt, net::TcpStream};"), 1);
        assert_eq!(hub("fn f() { std::thread::spawn(g); }"), 1);
        assert_eq!(hub("async fn f() { tokio::spawn(g); }"), 1);
        assert_eq!(hub("use mio::Poll;"), 1);
    }

    #[test]
    fn a_test_may_have_a_thread_but_no_clock() {
        let test = |text| found("crates/hub/tests/stories.rs", text);
        assert_eq!(test("fn f() { std::thread::Builder::new(); }"), 0);
        assert_eq!(test("fn f() { Instant::now(); }"), 1);
    }

    #[test]
    fn the_server_may_and_a_comment_or_an_argument_is_no_clock() {
        assert_eq!(found("crates/server/src/shard.rs", "use mio::Poll;"), 0);
        assert_eq!(
            found(
                "crates/hub/src/shard.rs",
                "// Instant::now() is the server's\nfn f(now: Instant) {}"
            ),
            0
        );
        assert_eq!(
            found("crates/hub/src/shard.rs", "use core::net::IpAddr;"),
            0
        );
    }
}
