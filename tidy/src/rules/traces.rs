//! No traces of one machine: the repository names no registry's host and no path that exists at one place only.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Finding, SourceFile};

/// Registries by host. `crates.io` by itself is a name, and Cargo's own index id in a lock file is one, too.
static REGISTRY: LazyLock<Regex> = LazyLock::new(|| {
    let hosts = [
        r"(index|static)\.crates\.io",
        r"pypi\.org",
        r"pythonhosted\.org",
        r"registry\.(npmjs|yarnpkg)\.\w+",
        r"(deb|security)\.debian\.org",
        r"artifactory",
    ];
    Regex::new(&hosts.join("|")).expect("the patterns here are fixed")
});

/// Folders at the root of a developer's or a CI's machine.
static MACHINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(^|[^\w.\-/>}*])/(work|root|home/\w+)/[\w.]").expect("the pattern here is fixed")
});

/// No file names a registry's host or a folder of one machine.
pub fn no_traces_of_a_machine(file: &SourceFile) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if file.path != "tidy/src/rules/traces.rs" && REGISTRY.is_match(line) {
            let says = "names a registry's host: leave the choice to the machine's own settings \
                        (npm: omit-lockfile-registry-resolved=true in .npmrc, then lock again)";
            found.push(file.finding(index + 1, says));
        }
        if MACHINE.is_match(line) {
            let says = "names a folder of one machine: say it from the root of the repository, or ask for it";
            found.push(file.finding(index + 1, says));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        no_traces_of_a_machine(&SourceFile::new("docs/operations.md", text)).len()
    }

    #[test]
    fn a_registry_and_a_machines_folder_are_found() {
        assert_eq!(
            found(concat!(
                "\"resolved\": \"https://registry.npm",
                "js.org/ws\""
            )),
            1
        );
        assert_eq!(found(concat!("cd /wo", "rk/main")), 1);
        assert_eq!(found(concat!("(see `/ro", "ot/.cargo`)")), 1);
    }

    #[test]
    fn other_paths_and_names_are_fine() {
        assert_eq!(
            found("source = \"registry+https://github.com/rust-lang/crates.io-index\""),
            0
        );
        assert_eq!(
            found("GET https://example.org/work/items, docs/work/plan.md, $root/work/x"),
            0
        );
    }
}
