//! Names that say nothing: a folder or file called `util` becomes the place for whatever has no place.

use syn::visit::{self, Visit};

use crate::rust::RustFile;
use crate::{Finding, SourceFile};

const EMPTY_WORDS: [&str; 9] = [
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "util",
    "utils",
    "utilities",
];

/// No folder, code file or module has a name that says nothing.
pub fn telling_names(file: &SourceFile) -> Vec<Finding> {
    let (folders, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let mut found: Vec<_> = folders
        .split('/')
        .filter_map(|folder| empty_word(folder))
        .map(|word| (1, word))
        .collect();
    if file.kind.is_code() {
        found.extend(empty_word(name).map(|word| (1, word)));
    }
    if let Some(rust) = RustFile::parse(file) {
        let mut modules = Modules::default();
        modules.visit_file(&rust.tree);
        found.extend(modules.found);
    }
    found
        .into_iter()
        .map(|(line, word)| {
            let says = format!(
                "`{word}` says nothing: name it by the thing it holds, or move that to its user"
            );
            file.finding(line, says)
        })
        .collect()
}

fn empty_word(name: &str) -> Option<&'static str> {
    let mut words = name.split(|letter: char| !letter.is_alphanumeric());
    words.find_map(|word| {
        EMPTY_WORDS
            .into_iter()
            .find(|empty| word.eq_ignore_ascii_case(empty))
    })
}

#[derive(Default)]
struct Modules {
    found: Vec<(usize, &'static str)>,
}

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let word = empty_word(&item.ident.to_string());
        self.found
            .extend(word.map(|word| (item.ident.span().start().line, word)));
        visit::visit_item_mod(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        telling_names(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn a_file_a_folder_and_a_module_without_a_subject_are_found() {
        assert_eq!(found("crates/hub/src/util.rs", ""), 1);
        assert_eq!(found("crates/hub/tests/common/mod.rs", ""), 1);
        assert_eq!(found("clients/js/connection-manager.js", ""), 1);
        assert_eq!(found("crates/hub/src/lib.rs", "mod misc;"), 1);
    }

    #[test]
    fn a_word_that_only_contains_one_is_fine() {
        assert_eq!(
            found("crates/hub/src/utility_meter.rs", "mod commonwealth;"),
            0
        );
    }
}
