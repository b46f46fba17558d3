//! Why a configuration was refused. Each reads as one line that names the key and where it stands.

use std::fmt;
use std::path::PathBuf;

use super::layers::Origin;

/// A configuration that a node doesn't start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The file can't be read, or was named and isn't there.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file isn't TOML.
    Syntax {
        /// The file and the line.
        origin: Origin,
        /// What the parser said.
        message: String,
    },
    /// `--set` without a `=`, or an environment variable that isn't Unicode.
    Unassignable {
        /// What was given.
        origin: Origin,
        /// How it should look.
        form: &'static str,
    },
    /// A key that doesn't exist.
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// Where it was written.
        origin: Origin,
        /// What was most likely meant.
        nearest: Option<&'static str>,
    },
    /// A section where a value is given to it as if it were a key.
    Section {
        /// The section.
        section: String,
        /// Where it was written.
        origin: Origin,
    },
    /// A value of the wrong type or out of its bounds.
    Value {
        /// The key.
        key: &'static str,
        /// Where the value stands.
        origin: Origin,
        /// What it must be, as a sentence that goes on after the key.
        wrong: String,
        /// What was found.
        found: String,
    },
    /// Values that are fine alone and not together, or not on this address.
    Together {
        /// The whole sentence; it names the keys, their values and where they stand.
        sentence: String,
    },
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(
                    f,
                    "the configuration file {} can't be read: {reason}",
                    path.display()
                )
            }
            Self::Syntax { origin, message } => write!(f, "{origin} isn't TOML: {message}"),
            Self::Unassignable { origin, form } => write!(f, "{origin}: write {form}"),
            Self::UnknownKey {
                key,
                origin,
                nearest,
            } => {
                write!(f, "unknown key {key} ({origin}); ")?;
                match nearest {
                    Some(nearest) => write!(f, "did you mean {}?", as_written_in(origin, nearest)),
                    None => f.write_str("`wshub check` prints all that exist"),
                }
            }
            Self::Section { section, origin } => {
                write!(f, "{section} is a section ({origin}): set one of its keys")
            }
            Self::Value {
                key,
                origin,
                wrong,
                found,
            } => {
                write!(f, "{key} {wrong}; it is {found} ({origin})")
            }
            Self::Together { sentence } => f.write_str(sentence),
        }
    }
}

/// Somebody who sets variables should be able to copy the answer.
fn as_written_in(origin: &Origin, key: &str) -> String {
    match origin {
        Origin::Environment(_) => {
            format!(
                "{key}, that is WSHUB_{}",
                key.replace('.', "__").to_uppercase()
            )
        }
        _ => key.to_owned(),
    }
}
