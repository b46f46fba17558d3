//! Short files and short functions: what is larger has a second subject in it that wants a name of its own.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::rust::RustFile;
use crate::{Finding, SourceFile};

/// Lines that a file of code may have.
const FILE_LINES: usize = 500;
/// Lines that a file of tests may have: tests are read one at a time.
const TEST_FILE_LINES: usize = 600;
/// Lines that a Rust function may have, from its signature to its last brace.
const FUNCTION_LINES: usize = 70;

/// Code files are at most 500 lines long, test files 600.
pub fn short_files(file: &SourceFile) -> Vec<Finding> {
    if !file.kind.is_code() {
        return Vec::new();
    }
    let most = if file.is_test() {
        TEST_FILE_LINES
    } else {
        FILE_LINES
    };
    let lines = file.text.lines().count();
    if lines <= most {
        return Vec::new();
    }
    let says =
        format!("{lines} lines, at most {most}: move one of its subjects into a file named for it");
    vec![file.finding(most + 1, says)]
}

/// Rust functions are at most 70 lines long.
pub fn short_functions(file: &SourceFile) -> Vec<Finding> {
    let Some(rust) = RustFile::parse(file) else {
        return Vec::new();
    };
    let mut functions = Functions::default();
    functions.visit_file(&rust.tree);
    let too_long = functions
        .found
        .into_iter()
        .filter(|(_, _, lines)| *lines > FUNCTION_LINES);
    too_long
        .map(|(name, line, lines)| {
            let says = format!(
                "`{name}` has {lines} lines, at most {FUNCTION_LINES}: \
                 give its steps names and make each a function"
            );
            file.finding(line, says)
        })
        .collect()
}

/// Name, first line and number of lines of each function with a body.
#[derive(Default)]
struct Functions {
    found: Vec<(String, usize, usize)>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let last = block.span().end().line;
        self.found
            .push((signature.ident.to_string(), first, last + 1 - first));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(number: usize) -> String {
        "    f();\n".repeat(number)
    }

    #[test]
    fn a_file_of_501_lines_is_too_long_and_a_test_of_601() {
        let found = |path, number| short_files(&SourceFile::new(path, &lines(number))).len();
        assert_eq!(found("crates/hub/src/room.rs", 500), 0);
        assert_eq!(found("crates/hub/src/room.rs", 501), 1);
        assert_eq!(found("clients/js/client.js", 501), 1);
        assert_eq!(found("tests/interop/python/test_rooms.py", 600), 0);
        assert_eq!(found("tests/interop/python/test_rooms.py", 601), 1);
        assert_eq!(found("docs/protocol.md", 900), 0);
    }

    #[test]
    fn a_function_of_71_lines_is_too_long_wherever_it_stands() {
        let found = |number: usize| {
            let body = format!("{{\n{}}}\n", lines(number - 2));
            let text = format!(
                "fn a() {body} struct S; impl S {{ fn b() {body} }} trait T {{ fn c() {body} }}"
            );
            short_functions(&SourceFile::new("crates/hub/src/room.rs", &text)).len()
        };
        assert_eq!(found(70), 0);
        assert_eq!(found(71), 3);
    }
}
