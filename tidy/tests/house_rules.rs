//! Holds the repository against the house rules. Each failure lists where, and what to do.

use std::path::Path;

use wshub_tidy::rules::{allowances, arrows, core, names, opening, size, traces, waiting};
use wshub_tidy::{Finding, Kind, SourceFile, project_files};

/// Fails with every finding of the rule in the whole repository.
fn hold(rule: fn(&SourceFile) -> Vec<Finding>) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let findings: Vec<_> = project_files(root).iter().flat_map(rule).collect();
    let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert!(
        findings.is_empty(),
        "{} to mend:\n{}\n",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn files_are_short() {
    hold(size::short_files);
}

#[test]
fn functions_are_short() {
    hold(size::short_functions);
}

#[test]
fn names_tell_something() {
    hold(names::telling_names);
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(opening::says_what_it_is_for);
}

#[test]
fn no_test_sleeps() {
    hold(waiting::no_sleep_in_tests);
}

#[test]
fn no_test_has_a_fixed_port() {
    hold(waiting::no_fixed_port_in_tests);
}

#[test]
fn the_core_has_no_io() {
    hold(core::core_without_io);
}

#[test]
fn dependencies_point_one_way() {
    hold(arrows::arrows_point_one_way);
}

#[test]
fn nothing_tells_of_one_machine() {
    hold(traces::no_traces_of_a_machine);
}

#[test]
fn no_lint_is_silenced_for_a_whole_crate() {
    hold(allowances::no_blanket_allow);
}

#[test]
fn unsafe_stays_where_it_is_listed() {
    hold(allowances::unsafe_is_listed);
}

#[test]
fn every_file_listed_for_unsafe_is_there() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut listed = allowances::UNSAFE.iter().map(|(path, _)| path);
    assert_eq!(
        listed.find(|path| !root.join(path).is_file()),
        None,
        "take it off UNSAFE in tidy"
    );
}

#[test]
fn all_rust_can_be_read_by_the_rules() {
    let unreadable = |file: &SourceFile| {
        let read = file.kind != Kind::Rust || wshub_tidy::rust::RustFile::parse(file).is_some();
        if read {
            Vec::new()
        } else {
            vec![file.finding(1, "not valid Rust, so no rule could look at it")]
        }
    };
    hold(unreadable);
}

#[test]
fn the_chinese_readme_has_the_headings_and_the_code_of_the_english_one() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let read = |name| std::fs::read_to_string(root.join(name)).expect("a README");
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(read);
    assert_eq!(
        wshub_tidy::translation::skeleton(&english),
        wshub_tidy::translation::skeleton(&chinese),
        "change README.zh-CN.md as README.md was changed"
    );
}
