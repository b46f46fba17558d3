//! The forms a value may have, and the check that a value has its form.
//!
//! Values are checked one by one while it is still known where each came from, so that a refusal
//! can name the key and the line. Deserializing the merged table can then no longer fail.

use std::fmt;
use std::time::Duration;

use toml::Value;

use super::quantity::{DURATION_FORM, SIZE_FORM, duration, duration_text, size, size_text};

/// A rule for a text: a sentence that goes on after the key's name, when it is broken.
type TextRule = fn(&str) -> Result<(), String>;

/// A rule for a list of texts.
type ListRule = fn(&[&str]) -> Result<(), String>;

/// A rule for a list of tables. It refuses what is no such list, too: how one looks is best told by an example.
type TablesRule = fn(&Value) -> Result<(), String>;

/// The form of a key's value, and its bounds.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A length of time with its unit.
    Duration {
        /// The shortest that is accepted.
        least: Duration,
        /// The longest that is accepted.
        most: Duration,
    },
    /// An amount of bytes.
    Size {
        /// The fewest bytes that are accepted.
        least: usize,
        /// The most bytes that are accepted.
        most: usize,
    },
    /// A whole number of things.
    Count {
        /// The fewest that are accepted.
        least: usize,
        /// The most that are accepted.
        most: usize,
    },
    /// `true` or `false`.
    Switch,
    /// A text under a rule.
    Text(TextRule),
    /// A list of texts under a rule; one text alone is a list of one.
    List(ListRule),
    /// A list of tables under a rule.
    Tables(TablesRule),
}

/// A value as a layer holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// From the file, or from a flag that was given several times: already TOML.
    Toml(Value),
    /// From a place that knows only text: TOML if it reads as such, else a string.
    Text(String),
}

impl Form {
    /// The value in the form that serde expects, or a sentence that goes on after the key's name.
    pub(super) fn accept(&self, given: &Given, why: &str) -> Result<Value, String> {
        let value = self.typed(given);
        let refused = |form: &str| format!("must be {form}");
        match (*self, value) {
            (Self::Duration { least, most }, Value::String(text)) => {
                let read = duration(&text).ok_or_else(|| refused(DURATION_FORM))?;
                self.within(read, least, most, why)?;
                Ok(Value::String(text))
            }
            (Self::Duration { .. }, _) => Err(refused(DURATION_FORM)),
            (Self::Size { least, most }, Value::String(text)) => {
                let read = size(&text).ok_or_else(|| refused(SIZE_FORM))?;
                self.within(read, least as u64, most as u64, why)?;
                Ok(Value::String(text))
            }
            (Self::Size { least, most }, Value::Integer(bytes)) => {
                self.within(usize::try_from(bytes).ok(), Some(least), Some(most), why)?;
                Ok(Value::String(bytes.to_string()))
            }
            (Self::Size { .. }, _) => Err(refused(SIZE_FORM)),
            (Self::Count { least, most }, Value::Integer(count)) => {
                // A negative number becomes `None`, which is less than any number.
                self.within(usize::try_from(count).ok(), Some(least), Some(most), why)?;
                Ok(Value::Integer(count))
            }
            (Self::Count { .. }, _) => Err(refused(&format!("a whole number, {self}"))),
            (Self::Switch, value @ Value::Boolean(_)) => Ok(value),
            (Self::Switch, _) => Err(refused("true or false")),
            (Self::Text(rule), Value::String(text)) => rule(&text).map(|()| Value::String(text)),
            (Self::Text(_), _) => Err(refused("a string")),
            (Self::List(rule), value) => list(rule, value),
            (Self::Tables(rule), value) => rule(&value).map(|()| value),
        }
    }

    /// Text that stands for itself where a text is wanted: a node called `7` is not a number. For
    /// all other forms what reads as TOML is TOML.
    fn typed(&self, given: &Given) -> Value {
        let raw = match given {
            Given::Toml(value) => return value.clone(),
            Given::Text(raw) => raw,
        };
        let as_string = || Value::String(raw.clone());
        match (self, raw.parse::<Value>()) {
            (Self::Text(_), Ok(value @ Value::String(_)))
            | (Self::List(_), Ok(value @ (Value::String(_) | Value::Array(_)))) => value,
            (Self::Text(_) | Self::List(_), _) => as_string(),
            (_, parsed) => parsed.unwrap_or_else(|_| as_string()),
        }
    }

    fn within<T: PartialOrd>(&self, read: T, least: T, most: T, why: &str) -> Result<(), String> {
        if least <= read && read <= most {
            return Ok(());
        }
        Err(format!("must be {self}: {why}"))
    }
}

/// The bounds in words, as the documentation and the refusals write them.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration { least, most } => {
                write!(f, "{} to {}", duration_text(*least), duration_text(*most))
            }
            Self::Size { least, most } => {
                write!(
                    f,
                    "{} to {}",
                    size_text(*least as u64),
                    size_text(*most as u64)
                )
            }
            Self::Count { least, most } => write!(f, "{least} to {most}"),
            Self::Switch => f.write_str("true or false"),
            Self::Text(_) => f.write_str("string"),
            Self::List(_) => f.write_str("string or list of strings"),
            Self::Tables(_) => f.write_str("list of tables"),
        }
    }
}

fn list(rule: ListRule, value: Value) -> Result<Value, String> {
    let items = match value {
        Value::Array(items) => items,
        one => vec![one],
    };
    let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    rule(&texts.ok_or("must be a string or a list of strings")?)?;
    Ok(Value::Array(items))
}
