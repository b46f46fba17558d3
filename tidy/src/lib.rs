//! The house rules of this repository as code: each rule looks at one file and says what to do about what it
//! finds. `tests/house_rules.rs` holds the repository against them; beside each rule stands a test that shows
//! it a small bad example.

pub mod repository;
pub mod rules;
pub mod rust;
pub mod translation;

pub use repository::{Finding, Kind, SourceFile, project_files};
