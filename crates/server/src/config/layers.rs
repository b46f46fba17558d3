//! The layers a configuration is read from, and what each of them says.
//!
//! Nothing here looks at the process: the file's text, the environment and the flags are handed in,
//! so that a test can say "with this file and that variable".

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::error::ConfigError;
use super::form::Given;
use super::redis_url::HIDDEN;
use super::resolved::Resolved;
use super::{keys, nearest, together};

/// The file that is read where it stands in the working directory.
const DEFAULT_FILE: &str = "wshub.toml";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// `--set`, as it was given.
    Set(String),
    /// A flag.
    Flag(&'static str),
    /// The program that the hub is embedded in.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Set(assignment) => write!(f, "--set {assignment}"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Program => f.write_str("set by the program"),
        }
    }
}

/// A configuration file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// As it was named, for messages.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl ConfigFile {
    /// The file that was named, which must be there, or else `wshub.toml` where it stands in
    /// `directory`.
    ///
    /// # Errors
    /// When there is a file and it can't be read.
    pub fn find(named: Option<&Path>, directory: &Path) -> Result<Option<Self>, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(directory.join(path)) {
            Ok(text) => Ok(Some(Self {
                path: path.to_owned(),
                text,
            })),
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

/// All that a configuration is read from besides the defaults, in the order in which it wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<ConfigFile>,
    /// The whole environment; what doesn't begin with `WSHUB_` is passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// The values of `--set`, `section.key=value`.
    pub set: Vec<String>,
    /// `--listen`, each time it was given; all together are one list.
    pub listen: Vec<String>,
    /// `--node`.
    pub node: Option<String>,
    /// `--shards`, as text, so that it is refused in the same words as anywhere else.
    pub shards: Option<String>,
    /// `--redis`.
    pub redis: Option<String>,
    /// What the program that the hub is embedded in says: keys and values, these as behind `--set`.
    pub program: Vec<(String, String)>,
}

/// One key with a value, as some layer says it.
struct Setting {
    key: String,
    given: Given,
    origin: Origin,
}

impl Sources {
    /// The configuration that these sources and the defaults make together.
    ///
    /// # Errors
    /// The first thing that can't be accepted, also where a later layer would override it: what is
    /// wrong in a file stays wrong there.
    pub fn resolve(self) -> Result<Resolved, ConfigError> {
        let mut chosen: BTreeMap<&'static str, (Value, Origin)> = BTreeMap::new();
        for setting in self.settings()? {
            let (key, value) = accepted(&setting)?;
            chosen.insert(key, (value, setting.origin));
        }
        let resolved = Resolved::merge(chosen)?;
        together::check(&resolved)?;
        Ok(resolved)
    }

    fn settings(self) -> Result<Vec<Setting>, ConfigError> {
        let mut settings = match &self.file {
            Some(file) => from_file(file)?,
            None => Vec::new(),
        };
        settings.extend(from_environment(self.environment)?);
        for assignment in self.set {
            settings.push(from_assignment(assignment)?);
        }
        if !self.listen.is_empty() {
            let addresses = self.listen.into_iter().map(Value::String).collect();
            settings.push(from_flag(
                "listen",
                "--listen",
                Given::Toml(Value::Array(addresses)),
            ));
        }
        settings.extend(
            self.node
                .map(|name| from_flag("node", "--node", Given::Text(name))),
        );
        settings.extend(
            self.shards
                .map(|n| from_flag("shards", "--shards", Given::Text(n))),
        );
        settings.extend(
            self.redis
                .map(|url| from_flag("redis.url", "--redis", Given::Text(url))),
        );
        let program = self.program.into_iter().map(|(key, value)| Setting {
            key,
            given: Given::Text(value),
            origin: Origin::Program,
        });
        settings.extend(program);
        Ok(settings)
    }
}

fn accepted(setting: &Setting) -> Result<(&'static str, Value), ConfigError> {
    let origin = setting.origin.clone();
    let Some(key) = keys::find(&setting.key) else {
        if keys::is_section(&setting.key) {
            return Err(ConfigError::Section {
                section: setting.key.clone(),
                origin,
            });
        }
        let nearest = nearest::key(&setting.key);
        return Err(ConfigError::UnknownKey {
            key: setting.key.clone(),
            origin,
            nearest,
        });
    };
    let value = key.form.accept(&setting.given, key.why);
    let value = value.map_err(|wrong| {
        let found = match key.masked {
            Some(masked) => masked_in(&setting.given, masked),
            None => shown(&setting.given),
        };
        ConfigError::Value {
            key: key.name,
            origin,
            wrong,
            found,
        }
    })?;
    Ok((key.name, value))
}

/// A value that is no text has no place for a secret that we know, so nothing of it is shown.
fn masked_in(given: &Given, masked: fn(&str) -> String) -> String {
    match given {
        Given::Toml(Value::String(text)) | Given::Text(text) => format!("{:?}", masked(text)),
        Given::Toml(_) => HIDDEN.to_owned(),
    }
}

fn shown(given: &Given) -> String {
    match given {
        Given::Toml(value) => in_one_line(value),
        Given::Text(text) => text
            .parse::<Value>()
            .map_or_else(|_| format!("{text:?}"), |value| in_one_line(&value)),
    }
}

/// TOML writes a text with line ends over several lines, which would break the one line of a refusal.
fn in_one_line(value: &Value) -> String {
    value
        .to_string()
        .replace("\"\"\"\n", "\"\"\"")
        .replace('\n', "\\n")
}

fn from_flag(key: &str, flag: &'static str, given: Given) -> Setting {
    Setting {
        key: key.to_owned(),
        given,
        origin: Origin::Flag(flag),
    }
}

fn from_assignment(assignment: String) -> Result<Setting, ConfigError> {
    let Some((key, value)) = assignment.split_once('=') else {
        let form = "--set section.key=value, like --set limits.queue_messages=64";
        return Err(ConfigError::Unassignable {
            origin: Origin::Set(assignment),
            form,
        });
    };
    let (key, given) = (key.trim().to_owned(), Given::Text(value.trim().to_owned()));
    // The value is shown on its own where it is refused, and may be a secret.
    Ok(Setting {
        origin: Origin::Set(key.clone()),
        key,
        given,
    })
}

fn from_environment(variables: Vec<(OsString, OsString)>) -> Result<Vec<Setting>, ConfigError> {
    let mut settings = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else {
            continue;
        };
        let origin = Origin::Environment(name.to_owned());
        let Ok(value) = value.into_string() else {
            return Err(ConfigError::Unassignable {
                origin,
                form: "its value as UTF-8",
            });
        };
        // Compose files pass on what isn't set as nothing: an empty variable is one that isn't set.
        if value.is_empty() {
            continue;
        }
        let key = name["WSHUB_".len()..].replace("__", ".").to_lowercase();
        settings.push(Setting {
            key,
            given: Given::Text(value),
            origin,
        });
    }
    // The environment has no order of its own; with this one the first refusal is always the same.
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(settings)
}

/// A variable with a section (`__`) is a setting, and so is one that is a key or nearly one. Others that begin like
/// ours are other programs': Kubernetes gives every container `WSHUB_SERVICE_HOST` and the like for a service called
/// `wshub`, test harnesses say `WSHUB_BIN`; none of these may keep a node from starting.
fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("WSHUB_").filter(|_| name != "WSHUB_LOG") else {
        return false;
    };
    let key = rest.to_lowercase();
    rest.contains("__") || super::keys::find(&key).is_some() || super::nearest::key(&key).is_some()
}

fn from_file(file: &ConfigFile) -> Result<Vec<Setting>, ConfigError> {
    let line_at = |offset: usize| {
        let before = file.text.as_bytes().iter().take(offset);
        Origin::File(
            file.path.clone(),
            1 + before.filter(|byte| **byte == b'\n').count(),
        )
    };
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        origin: line_at(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    };
    let values = file.text.parse::<Table>().map_err(syntax)?;
    let places = DeTable::parse(&file.text).map_err(syntax)?;
    let mut settings = Vec::new();
    for (key, place) in places.get_ref() {
        let origin = line_at(key.span().start);
        let name = key.get_ref().as_ref();
        let value = &values[name];
        match (value, place.get_ref()) {
            (Value::Table(section), DeValue::Table(places)) if keys::is_section(name) => {
                for (inner, _) in places {
                    settings.push(Setting {
                        key: format!("{name}.{}", inner.get_ref()),
                        given: Given::Toml(section[inner.get_ref().as_ref()].clone()),
                        origin: line_at(inner.span().start),
                    });
                }
            }
            // Of an unknown section the first key is the better one to look for its like.
            (Value::Table(section), _) if keys::find(name).is_none() && !section.is_empty() => {
                let (inner, value) = section.iter().next().expect("the section isn't empty");
                let (key, given) = (format!("{name}.{inner}"), Given::Toml(value.clone()));
                settings.push(Setting { key, given, origin });
            }
            _ => settings.push(Setting {
                key: name.to_owned(),
                given: Given::Toml(value.clone()),
                origin,
            }),
        }
    }
    // The parser's table is in alphabetical order; people fix a file from its top.
    settings.sort_by_key(|setting| match &setting.origin {
        Origin::File(_, line) => *line,
        _ => 0,
    });
    Ok(settings)
}
