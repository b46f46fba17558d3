//! What a program decides about its hub before it starts.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

use toml::Value;
use wshub_hub::Mode;

use super::Hub;
use crate::config::Sources;
use crate::descriptors;
use crate::node::Reached;
use crate::running::Running;

/// Keys of the configuration that say how connections come and who they are: both are the program's own affair.
const NOT_THE_HUBS: [&str; 5] = [
    "listen",
    "auth.mode",
    "auth.trust_network",
    "limits.handshake_timeout",
    "limits.http_idle_timeout",
];

/// A hub before its start. What isn't decided has the default that the program `wshub` has; no file and no environment
/// variable is read.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    said: Vec<(String, String)>,
}

/// Why a hub didn't start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A key or a value is refused; the sentence names it and says what it must be.
    Configuration(String),
    /// There is no tokio runtime: start it within one.
    NoRuntime,
    /// The system gives no thread or no poll.
    System(io::Error),
}

impl Builder {
    /// How many shards, 1 to 128: threads that own the connections. One for each core unless set.
    #[must_use]
    pub fn shards(self, shards: usize) -> Self {
        self.set("shards", shards)
    }

    /// This hub's name, which clients are told in `connected`. The host's name unless set.
    #[must_use]
    pub fn node(self, name: &str) -> Self {
        self.set("node", name)
    }

    /// Web origins whose pages may connect, as browsers send them (`https://chat.example.org`), beside those of the
    /// host that a request names. What was said before is replaced.
    #[must_use]
    pub fn origins<'a>(self, origins: impl IntoIterator<Item = &'a str>) -> Self {
        let origins = origins.into_iter().map(Value::from).collect();
        self.set("auth.allowed_origins", Value::Array(origins))
    }

    /// Any key of docs/configuration.md, with a value as it stands in `wshub.toml` or behind `--set`:
    /// `("limits.message_bytes", "64KiB")`, `("limits.queue_messages", 64)`. The last one said wins.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.said.push((key.to_owned(), value.to_string()));
        self
    }

    /// Starts the hub on the current tokio runtime. Its shards are threads of their own.
    ///
    /// It holds as many connections as the process may have files open, less 64, or `limits.connections` where that is
    /// less. The limit on open files is left as it is: raise it before, the usual 1,024 are few.
    ///
    /// # Errors
    /// A key or value is refused, there is no runtime, or the system gives too little.
    pub fn start(self) -> Result<Hub, StartError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StartError::NoRuntime);
        }
        if let Some((key, _)) = self
            .said
            .iter()
            .find(|(key, _)| NOT_THE_HUBS.contains(&&**key))
        {
            let sentence = format!(
                "{key} is not the hub's to decide: the program around it brings the connections"
            );
            return Err(StartError::Configuration(sentence));
        }
        let sources = Sources {
            program: self.said,
            ..Sources::default()
        };
        let resolved = sources
            .resolve()
            .and_then(|resolved| resolved.with_files(Path::new("")));
        let resolved = resolved.map_err(|error| StartError::Configuration(error.to_string()))?;
        let descriptors = descriptors::limit_now();
        Running::start(resolved.config, Mode::Hub, Reached::ByItsName, descriptors)
            .map(|mut running| {
                running.look_for_redis();
                Hub::of(running)
            })
            .map_err(StartError::System)
    }
}

impl Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(sentence) => f.write_str(sentence),
            Self::NoRuntime => {
                f.write_str("a hub starts within a tokio runtime, and there is none")
            }
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}
