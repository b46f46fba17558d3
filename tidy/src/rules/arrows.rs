//! Dependencies point one way: protocol ← hub ← engine ← server, and the clients know the protocol only.

use toml::{Table, Value};

use crate::{Finding, Kind, SourceFile};

/// Each crate below `crates/` and which of ours it may stand on.
const ARROWS: [(&str, &[&str]); 5] = [
    ("wshub-protocol", &[]),
    ("wshub-hub", &["wshub-protocol"]),
    ("wshub-engine", &["wshub-protocol", "wshub-hub"]),
    ("wshub-client", &["wshub-protocol"]),
    (
        "wshub",
        &[
            "wshub-protocol",
            "wshub-hub",
            "wshub-engine",
            "wshub-client",
        ],
    ),
];

/// Crates that bring sockets or a runtime, and the crates of ours that may have them.
const RUNTIMES: [&str; 2] = ["tokio", "mio"];
const WITH_RUNTIME: [&str; 2] = ["wshub", "wshub-client"];

/// A crate depends on those of ours that stand below it, and on no other. What only its tests use is free.
pub fn arrows_point_one_way(file: &SourceFile) -> Vec<Finding> {
    if file.kind != Kind::Manifest || !file.path.starts_with("crates/") {
        return Vec::new();
    }
    let manifest = match file.text.parse::<Table>() {
        Ok(manifest) => manifest,
        Err(error) => return vec![file.finding(1, format!("not a manifest: {}", error.message()))],
    };
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(Value::as_str);
    let Some((name, allowed)) = ARROWS.into_iter().find(|(known, _)| Some(*known) == name) else {
        let says =
            "a crate without a place in the design: add it to ARROWS in tidy/src/rules/arrows.rs";
        return vec![file.finding(1, says)];
    };
    let mut found = Vec::new();
    for dependency in dependencies(&manifest) {
        let ours = dependency == "wshub" || dependency.starts_with("wshub-");
        if ours && !allowed.contains(&dependency.as_str()) {
            let says = format!(
                "{name} may not depend on {dependency}: move what it needs to the side the arrows point to, \
                 or take it as an argument"
            );
            found.push(file.finding(line_of(file, &dependency), says));
        }
        if RUNTIMES.contains(&dependency.as_str()) && !WITH_RUNTIME.contains(&name) {
            let says = format!(
                "{name} may not depend on {dependency}: only the server and the client have sockets and threads"
            );
            found.push(file.finding(line_of(file, &dependency), says));
        }
    }
    found
}

/// What the crate is built on, for every target, under the names the packages really have.
fn dependencies(manifest: &Table) -> Vec<String> {
    let for_targets = manifest.get("target").and_then(Value::as_table).into_iter();
    let for_targets = for_targets.flat_map(|targets| targets.values().filter_map(Value::as_table));
    let tables = std::iter::once(manifest).chain(for_targets);
    let lists = tables.flat_map(|table| {
        ["dependencies", "build-dependencies"].map(|kind| table.get(kind).and_then(Value::as_table))
    });
    let entries = lists.flatten().flatten();
    entries
        .map(|(key, value)| {
            value
                .get("package")
                .and_then(Value::as_str)
                .unwrap_or(key)
                .to_owned()
        })
        .collect()
}

fn line_of(file: &SourceFile, dependency: &str) -> usize {
    let mut lines = file.text.lines();
    lines
        .position(|line| line.contains(dependency) && !line.starts_with("name"))
        .map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, rest: &str) -> Vec<Finding> {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        arrows_point_one_way(&SourceFile::new("crates/x/Cargo.toml", &text))
    }

    #[test]
    fn an_arrow_against_the_stream_is_found() {
        assert_eq!(
            found(
                "wshub-protocol",
                "[dependencies]\nwshub-hub.workspace = true"
            )
            .len(),
            1
        );
        assert_eq!(
            found(
                "wshub-hub",
                "[dependencies]\nwshub-engine = { path = \"../engine\" }"
            )[0]
            .line,
            4
        );
        assert_eq!(
            found(
                "wshub-hub",
                "[build-dependencies]\nx = { package = \"wshub\" }"
            )
            .len(),
            1
        );
        assert_eq!(
            found(
                "wshub-engine",
                "[target.'cfg(unix)'.dependencies]\nwshub = {}"
            )
            .len(),
            1
        );
        assert_eq!(
            found("wshub-hub", "[dependencies]\nmio.workspace = true").len(),
            1
        );
        assert_eq!(
            found("wshub-client", "[dependencies]\nwshub-hub.workspace = true").len(),
            1
        );
        assert_eq!(found("wshub-plugins", "").len(), 1);
    }

    #[test]
    fn the_arrows_of_the_design_and_those_of_tests_are_fine() {
        assert_eq!(
            found(
                "wshub-hub",
                "[dependencies]\nwshub-protocol.workspace = true"
            ),
            []
        );
        assert_eq!(
            found(
                "wshub-hub",
                "[dev-dependencies]\nwshub-engine.workspace = true"
            ),
            []
        );
        assert_eq!(
            found(
                "wshub-client",
                "[dependencies]\nwshub-protocol.workspace = true\ntokio.workspace = true"
            ),
            []
        );
        assert_eq!(
            found("wshub", "[dependencies]\nwshub-client.workspace = true"),
            []
        );
        assert_eq!(
            found(
                "wshub",
                "[dependencies]\nwshub-engine.workspace = true\nmio.workspace = true"
            ),
            []
        );
    }
}
