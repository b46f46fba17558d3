//! Exceptions stay small: no lint is silenced for a whole crate, and `unsafe` lives in a few files that explain it.

use proc_macro2::Span;
use syn::spanned::Spanned;

use crate::rust::{RustFile, tokens_of};
use crate::{Finding, SourceFile};

/// The files that may have `unsafe`, each with its reason. In the file a `// SAFETY:` comment explains each use.
pub const UNSAFE: &[(&str, &str)] = &[
    (
        "bench/src/process.rs",
        "a process's CPU clock and a thread's priority have no safe wrapper in the standard library",
    ),
    (
        "crates/hub/tests/no_allocation_per_delivery.rs",
        "an allocator that counts has no safe form",
    ),
];

/// No `#![allow(…)]` over a whole file or crate.
pub fn no_blanket_allow(file: &SourceFile) -> Vec<Finding> {
    let Some(rust) = RustFile::parse(file) else {
        return Vec::new();
    };
    let blanket = rust.tree.attrs.iter().filter(|attribute| {
        matches!(attribute.style, syn::AttrStyle::Inner(_)) && silences(attribute)
    });
    let says = "silences a lint for the whole file: put `#[expect(…, reason = \"…\")]` on the one item that needs it";
    blanket
        .map(|attribute| file.finding(line(attribute.span()), says))
        .collect()
}

fn silences(attribute: &syn::Attribute) -> bool {
    let is_allow = |name: &str| name == "allow" || name == "expect";
    let path = attribute.path();
    if path.is_ident("cfg_attr") {
        let list = attribute
            .meta
            .require_list()
            .map(|list| list.tokens.to_string())
            .unwrap_or_default();
        return tokens_of(&list).iter().any(|token| is_allow(&token.text));
    }
    path.get_ident()
        .is_some_and(|name| is_allow(&name.to_string()))
}

/// `unsafe` only in the files that are listed for it, with a `SAFETY:` comment for what they do.
pub fn unsafe_is_listed(file: &SourceFile) -> Vec<Finding> {
    let Some(rust) = RustFile::parse(file) else {
        return Vec::new();
    };
    let lines = rust.lines_with("unsafe");
    let listed = UNSAFE.iter().any(|(path, _)| *path == file.path);
    let says = match (listed, lines.is_empty()) {
        (false, _) => {
            "unsafe in a file that isn't listed: do without, or add the file with its reason to UNSAFE in \
             tidy/src/rules/allowances.rs"
        }
        (true, true) => {
            return vec![file.finding(1, "no unsafe left here: take the file off UNSAFE in tidy")];
        }
        (true, false) if file.text.contains("// SAFETY:") => return Vec::new(),
        (true, false) => "unsafe without a word: say in a `// SAFETY:` comment why it is sound",
    };
    lines
        .into_iter()
        .map(|line| file.finding(line, says))
        .collect()
}

fn line(span: Span) -> usize {
    span.start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lint_silenced_for_a_whole_crate_is_found() {
        let found = |text| no_blanket_allow(&SourceFile::new("crates/hub/src/lib.rs", text)).len();
        assert_eq!(found("//! The hub.\n#![allow(dead_code)]\n"), 1);
        assert_eq!(found("#![cfg_attr(test, allow(clippy::unwrap_used))]\n"), 1);
        assert_eq!(
            found("#![forbid(unsafe_code)]\n#[allow(dead_code)]\nfn f() {}\n"),
            0
        );
    }

    #[test]
    fn unsafe_in_a_file_that_is_not_listed_is_found() {
        let found = |text| unsafe_is_listed(&SourceFile::new("crates/hub/src/lib.rs", text)).len();
        assert_eq!(found("fn f() { unsafe { g() } }"), 1);
        assert_eq!(found("unsafe impl Send for S {}"), 1);
        assert_eq!(found("// unsafe is not needed\n#![forbid(unsafe_code)]"), 0);
    }
}
