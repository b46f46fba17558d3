//! Rust source taken apart once for all rules: its tokens without comments, the paths it imports, and the lines
//! that are tests.

use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::{Kind, SourceFile};

/// One token and the line it is on. A group is two tokens around those in it.
#[derive(Debug)]
pub struct Token {
    /// As written; a string literal with its quotes.
    pub text: String,
    /// Line, counted from 1.
    pub line: usize,
}

/// A Rust file, parsed.
pub struct RustFile {
    /// The syntax tree.
    pub tree: syn::File,
    /// All tokens in their order.
    pub tokens: Vec<Token>,
    /// What `use` brings in, each as a whole path with its line.
    pub imports: Vec<(String, usize)>,
    tests: Vec<RangeInclusive<usize>>,
}

impl RustFile {
    /// Parses the file; `None` where it isn't Rust, or isn't Rust that compiles.
    pub fn parse(file: &SourceFile) -> Option<Self> {
        if file.kind != Kind::Rust {
            return None;
        }
        let tree = syn::parse_file(&file.text).ok()?;
        let tokens = tokens_of(&file.text);
        let mut walk = Walk::default();
        walk.visit_file(&tree);
        if file.is_test() {
            walk.tests.push(1..=usize::MAX);
        }
        Some(Self {
            tree,
            tokens,
            imports: walk.imports,
            tests: walk.tests,
        })
    }

    /// True where the line belongs to a test.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// The lines on which this piece of code stands, whatever the space between its tokens.
    pub fn lines_with(&self, code: &str) -> Vec<usize> {
        let wanted = tokens_of(code);
        let same = |at: &[Token]| {
            at.iter()
                .zip(&wanted)
                .all(|(token, want)| token.text == want.text)
        };
        self.tokens
            .windows(wanted.len())
            .filter(|at| same(at))
            .map(|at| at[0].line)
            .collect()
    }
}

/// The tokens of a piece of code, comments left out.
pub fn tokens_of(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    flatten(code.parse().unwrap_or_default(), &mut tokens);
    tokens
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        if let TokenTree::Group(group) = tree {
            let (open, close) = match group.delimiter() {
                proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                proc_macro2::Delimiter::Brace => ("{", "}"),
                proc_macro2::Delimiter::Bracket => ("[", "]"),
                proc_macro2::Delimiter::None => ("", ""),
            };
            into.push(Token {
                text: open.to_owned(),
                line,
            });
            flatten(group.stream(), into);
            into.push(Token {
                text: close.to_owned(),
                line: group.span_close().start().line,
            });
        } else {
            into.push(Token {
                text: tree.to_string(),
                line,
            });
        }
    }
}

#[derive(Default)]
struct Walk {
    imports: Vec<(String, usize)>,
    tests: Vec<RangeInclusive<usize>>,
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        spell_out(&item.tree, String::new(), &mut paths);
        let line = item.span().start().line;
        self.imports
            .extend(paths.into_iter().map(|path| (path, line)));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.attrs.iter().any(is_cfg_test) {
            self.tests.push(lines_of(item));
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("test") || is_cfg_test(attribute))
        {
            self.tests.push(lines_of(item));
        }
        visit::visit_item_fn(self, item);
    }
}

fn lines_of(item: &impl Spanned) -> RangeInclusive<usize> {
    item.span().start().line..=item.span().end().line
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let names_test = |list: &syn::MetaList| {
        tokens_of(&list.tokens.to_string())
            .iter()
            .any(|token| token.text == "test")
    };
    attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(names_test)
}

fn spell_out(tree: &syn::UseTree, before: String, paths: &mut Vec<String>) {
    let join = |name: String| {
        if before.is_empty() {
            name
        } else {
            format!("{before}::{name}")
        }
    };
    match tree {
        syn::UseTree::Path(path) => spell_out(&path.tree, join(path.ident.to_string()), paths),
        syn::UseTree::Name(name) => paths.push(join(name.ident.to_string())),
        syn::UseTree::Rename(rename) => paths.push(join(rename.ident.to_string())),
        syn::UseTree::Glob(_) => paths.push(join("*".to_owned())),
        syn::UseTree::Group(group) => {
            group
                .items
                .iter()
                .for_each(|item| spell_out(item, before.clone(), paths));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RustFile {
        RustFile::parse(&SourceFile::new("crates/hub/src/room.rs", text)).expect("this is Rust")
    }

    #[test]
    fn grouped_imports_are_spelt_out() {
        let file = parse("use std::{net::TcpStream, thread as t};");
        let paths: Vec<_> = file.imports.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["std::net::TcpStream", "std::thread"]);
    }

    #[test]
    fn code_is_found_and_comments_and_strings_are_not() {
        let file = parse("// a::b\nfn f() {\n    a :: b();\n    g(\"a::b\");\n}");
        assert_eq!(file.lines_with("a::b"), [3]);
    }

    #[test]
    fn a_test_module_is_known_by_its_attribute() {
        let file = parse("fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}");
        assert!(!file.is_test_line(1));
        assert!(file.is_test_line(4));
        assert!(!file.is_test_line(6));
    }
}
