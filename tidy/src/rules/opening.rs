//! Every code file opens with a sentence or two on what it is for, so that nobody has to guess from its name.

use crate::{Finding, Kind, SourceFile};

/// Letters that a first comment must have to say anything at all.
const LEAST: usize = 15;

/// Every code file opens with a comment: in Rust `//!`.
pub fn says_what_it_is_for(file: &SourceFile) -> Vec<Finding> {
    if !file.kind.is_code() || file.text.trim().is_empty() {
        return Vec::new();
    }
    let mut lines = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| !is_directive(line));
    let (at, first) = lines.next().unwrap_or((0, ""));
    let (marks, how): (&[&str], _) = match file.kind {
        Kind::Rust => (&["//!"], "with `//!`"),
        Kind::JavaScript => (&["//", "/*"], "in a comment"),
        Kind::Python => (&["\"\"\"", "#"], "in a docstring"),
        _ => (&["#"], "in a comment"),
    };
    let opens = marks.iter().any(|mark| first.starts_with(mark));
    // A comment may begin on the line after its mark, as in `/**`.
    let rest = lines.take(2).map(|(_, line)| line);
    let letters = std::iter::once(first)
        .chain(rest)
        .flat_map(str::chars)
        .filter(|c| c.is_alphabetic());
    if opens && letters.count() >= LEAST {
        return Vec::new();
    }
    vec![file.finding(
        at + 1,
        format!("open the file {how}: a sentence or two on what it is for"),
    )]
}

/// What must stand on the first lines for a tool's sake.
fn is_directive(line: &str) -> bool {
    line.starts_with("#!/") || line.starts_with("// @ts-") || line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        says_what_it_is_for(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn a_file_that_starts_with_code_is_found() {
        assert_eq!(found("crates/hub/src/room.rs", "use std::fmt;\n"), 1);
        assert_eq!(
            found("crates/hub/src/room.rs", "// Rooms and who is in them.\n"),
            1
        );
        assert_eq!(
            found("clients/js/backoff.js", "export const base = 1000;\n"),
            1
        );
        assert_eq!(found("bench/draw.py", "import json\n"), 1);
        assert_eq!(found("fuzz/run", "#!/usr/bin/env bash\nset -eu\n"), 1);
    }

    #[test]
    fn one_sentence_is_enough() {
        assert_eq!(
            found("crates/hub/src/room.rs", "//! Rooms and who is in them.\n"),
            0
        );
        assert_eq!(
            found(
                "clients/js/backoff.js",
                "// @ts-check\n/**\n * How long to wait between tries.\n */"
            ),
            0
        );
        assert_eq!(
            found(
                "bench/draw.py",
                "\"\"\"Draws the table of the benchmarks.\"\"\"\n"
            ),
            0
        );
        assert_eq!(
            found(
                "fuzz/run",
                "#!/usr/bin/env bash\n# Runs the fuzz targets.\n"
            ),
            0
        );
        assert_eq!(found("bench/__init__.py", ""), 0);
    }
}
