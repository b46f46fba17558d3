//! A configuration together with where its values came from, and how it is printed.

use std::collections::BTreeMap;
use std::fmt::Write;

use toml::{Table, Value};

use super::Config;
use super::error::ConfigError;
use super::keys::{KEYS, Key};
use super::layers::Origin;

/// A configuration that was accepted, and the origin of all that isn't a default.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What the node runs with.
    pub config: Config,
    /// Where each value came from that isn't the default, by key.
    pub origins: BTreeMap<&'static str, Origin>,
}

impl Resolved {
    /// The whole configuration as TOML that `wshub serve` reads back, each value that isn't the
    /// default with its origin behind it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        self.print(KEYS)
    }

    /// Puts the chosen values over the defaults.
    pub(super) fn merge(
        chosen: BTreeMap<&'static str, (Value, Origin)>,
    ) -> Result<Self, ConfigError> {
        let mut table = Table::new();
        let mut origins = BTreeMap::new();
        for (key, (value, origin)) in chosen {
            match key.split_once('.') {
                None => table.insert(key.to_owned(), value),
                Some((section, inner)) => {
                    let empty = || Value::Table(Table::new());
                    let section = table.entry(section.to_owned()).or_insert_with(empty);
                    section
                        .as_table_mut()
                        .and_then(|s| s.insert(inner.to_owned(), value))
                }
            };
            origins.insert(key, origin);
        }
        // Each value has its form by now; should serde still disagree, its words are better than a
        // panic.
        let config = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::Together {
                sentence: error.message().to_owned(),
            })?;
        Ok(Self { config, origins })
    }

    /// A key with its value and its origin, for the sentences that speak of it.
    pub(super) fn describe(&self, key: &str) -> String {
        let value =
            value_of(&self.as_table(), key).map_or_else(|| "off".to_owned(), |v| v.to_string());
        match self.origins.get(key) {
            Some(origin) => format!("{key} = {value} ({origin})"),
            None => format!("{key} = {value} (default)"),
        }
    }

    fn print(&self, keys: &[Key]) -> String {
        let table = self.as_table();
        let mut text = String::from("# What isn't marked is the default.\n");
        let mut current = "";
        for key in keys {
            let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if section != current {
                let _ = writeln!(text, "\n[{section}]");
                current = section;
            }
            let value = value_of(&table, key.name);
            let _ = match value {
                None => write!(text, "# {name} is off"),
                Some(value) => write!(text, "{name} = {value}"),
            };
            if let Some(origin) = self.origins.get(key.name) {
                // A path may hold a newline, which would end the comment.
                let _ = write!(text, "  # {}", origin.to_string().escape_debug());
            }
            text.push('\n');
        }
        text
    }

    fn as_table(&self) -> Table {
        // A configuration is text, numbers, switches and lists of text or tables: all of it is TOML.
        Table::try_from(&self.config).expect("a configuration is always TOML")
    }
}

fn value_of<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, name)) => table.get(section)?.get(name),
    }
}
