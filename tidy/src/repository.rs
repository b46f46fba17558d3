//! The files of the repository as the rules see them: what git tracks, and what it neither tracks nor ignores.

use std::fmt;
use std::path::Path;
use std::process::Command;

/// One breach of a rule: where it is, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path from the root of the repository.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.says)
    }
}

/// What a file is, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rust source.
    Rust,
    /// JavaScript or TypeScript source.
    JavaScript,
    /// Python source, by its ending or its first line.
    Python,
    /// A shell script, by its ending or its first line.
    Shell,
    /// A crate's `Cargo.toml`.
    Manifest,
    /// Any other text.
    Text,
}

impl Kind {
    fn of(path: &str, text: &str) -> Self {
        let first_line = text.lines().next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "rs" => Self::Rust,
            "js" | "mjs" | "cjs" | "ts" => Self::JavaScript,
            "py" => Self::Python,
            "sh" | "bash" => Self::Shell,
            _ if name == "Cargo.toml" => Self::Manifest,
            _ if !first_line.starts_with("#!") => Self::Text,
            _ if first_line.contains("python") => Self::Python,
            _ if first_line.contains("node") => Self::JavaScript,
            _ if first_line.ends_with("sh") => Self::Shell,
            _ => Self::Text,
        }
    }

    /// True for what people write and read as code.
    pub fn is_code(self) -> bool {
        matches!(
            self,
            Self::Rust | Self::JavaScript | Self::Python | Self::Shell
        )
    }
}

/// One text file of the repository.
#[derive(Debug)]
pub struct SourceFile {
    /// Path from the root of the repository, with `/` between its parts.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

impl SourceFile {
    /// A file at `path` with this text.
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            kind: Kind::of(path, text),
        }
    }

    /// True for a file that holds nothing but tests and what they stand on.
    pub fn is_test(&self) -> bool {
        let (folders, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        folders
            .split('/')
            .any(|folder| folder == "tests" || folder == "test")
            || name == "tests.rs"
            || name.starts_with("test_")
            || name.contains(".test.")
    }

    /// A finding in this file.
    pub fn finding(&self, line: usize, says: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            says: says.into(),
        }
    }

    /// The lines that aren't wholly a comment, with their numbers.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let comment = match self.kind {
            Kind::Rust | Kind::JavaScript => ["//", "*", "/*"].as_slice(),
            _ => ["#"].as_slice(),
        };
        let numbered = self
            .text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| {
            !comment
                .iter()
                .any(|mark| line.trim_start().starts_with(mark))
        })
    }
}

/// All text files below `root` that git tracks, or neither tracks nor ignores.
pub fn project_files(root: &Path) -> Vec<SourceFile> {
    let listing = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ])
        .current_dir(root)
        .output()
        .expect("the house rules ask git for the files: install git");
    assert!(
        listing.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listing.stderr)
    );
    let paths = String::from_utf8(listing.stdout).expect("paths here are UTF-8");
    // A file that was removed but is still in the index can't be read, and a picture isn't text: both are passed over.
    let read = |path| {
        Some(SourceFile::new(
            path,
            &std::fs::read_to_string(root.join(path)).ok()?,
        ))
    };
    paths.split_terminator('\0').filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_an_ending_is_known_by_its_first_line() {
        assert_eq!(
            SourceFile::new("fuzz/run", "#!/usr/bin/env bash\n").kind,
            Kind::Shell
        );
        assert_eq!(
            SourceFile::new("bench/draw", "#!/usr/bin/env python3\n").kind,
            Kind::Python
        );
        assert_eq!(
            SourceFile::new("LICENSE-MIT", "Permission is granted\n").kind,
            Kind::Text
        );
    }

    #[test]
    fn a_test_is_known_by_its_folder_or_its_name() {
        let is_test = |path| SourceFile::new(path, "").is_test();
        assert!(is_test("crates/hub/tests/stories/rooms.rs"));
        assert!(is_test("crates/hub/src/shard/tests.rs"));
        assert!(is_test("clients/js/test/backoff.test.mjs"));
        assert!(!is_test("crates/hub/src/shard/mod.rs"));
        assert!(!is_test("test"));
    }

    #[test]
    fn the_repository_lists_this_very_file() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let found = project_files(root)
            .into_iter()
            .any(|file| file.path == "tidy/src/repository.rs");
        assert!(found, "git doesn't list tidy/src/repository.rs");
    }
}
