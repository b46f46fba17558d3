//! Which log lines are wanted: a level for all, and other levels for single modules.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// A filter like `info` or `warn,wshub::front=debug`.
///
/// Stricter than those of the tracing crates, to whom a mistyped level is the name of a module, so
/// that `--log verbose` would silence everything.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFilter {
    targets: Targets,
}

/// A filter that names no level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    part: String,
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "must be error, warn, info, debug, trace or off, alone or behind a module \
             (info,wshub::front=debug); {:?} isn't",
            self.part
        )
    }
}

impl LogFilter {
    pub(super) fn targets(&self) -> Targets {
        self.targets.clone()
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self {
            targets: Targets::new().with_default(LevelFilter::INFO),
        }
    }
}

impl FromStr for LogFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut targets = Self::default().targets;
        for part in text.split(',').map(str::trim) {
            let refused = || FilterError {
                part: part.to_owned(),
            };
            match part.split_once('=') {
                None => targets = targets.with_default(level(part).ok_or_else(refused)?),
                Some((module, of_module)) if !module.is_empty() => {
                    targets = targets.with_target(module, level(of_module).ok_or_else(refused)?);
                }
                Some(_) => return Err(refused()),
            }
        }
        Ok(Self { targets })
    }
}

/// Names only: the crate also reads `3`, which says nothing to who reads a unit file.
fn level(name: &str) -> Option<LevelFilter> {
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn filter(text: &str) -> LogFilter {
        text.parse().unwrap()
    }

    #[test]
    fn a_level_holds_for_all_and_a_module_may_have_its_own() {
        let filter = filter("warn, wshub::front=debug").targets();
        assert!(filter.would_enable("wshub::front", &Level::DEBUG));
        assert!(filter.would_enable("wshub::shard", &Level::WARN));
        assert!(!filter.would_enable("wshub::shard", &Level::INFO));
    }

    #[test]
    fn without_a_word_info_is_shown() {
        let filter = filter("wshub::front=off").targets();
        assert!(filter.would_enable("wshub::shard", &Level::INFO));
        assert!(!filter.would_enable("wshub::shard", &Level::DEBUG));
        assert!(!filter.would_enable("wshub::front", &Level::ERROR));
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_instead_of_silencing_all() {
        for text in [
            "verbose",
            "",
            "wshub=",
            "=info",
            "info,",
            "3",
            "wshub::front",
        ] {
            let error = text.parse::<LogFilter>().unwrap_err().to_string();
            assert!(error.contains("error, warn, info"), "{text}: {error}");
        }
    }
}
