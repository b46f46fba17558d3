//! The command line: which command, with which configuration.
//!
//! [`parse`] is for `main`: it answers with a command that is ready to run, or ends the process
//! with one line on stderr. [`read`] is the same without the process, for tests.

mod publish;
mod tail;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{
    Compression, Config, ConfigError, ConfigFile, Drain, Heartbeat, Limits, Listen, Resolved,
    Sources,
};
use crate::logs::{FilterError, LogFilter};
pub use publish::{Form, PublishConfig};
use publish::{PUBLISH_HELP, PublishArgs};
pub use tail::TailConfig;
use tail::{TAIL_HELP, TailArgs};

/// The status of a process whose configuration or command line was refused.
const REFUSED: i32 = 2;

/// Where `wshub echo` listens unless told otherwise: the port that conformance suites try by
/// default.
const ECHO_ADDRESS: &str = "127.0.0.1:9001";

/// Where `wshub tail` and `wshub publish` look for a hub: a node's own default.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// What the process was asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The command with all it needs.
    pub command: Command,
    /// Which log lines are wanted.
    pub log: LogFilter,
}

/// One of the things that `wshub` does.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Run a node.
    Serve(Config),
    /// Print this text, the resolved configuration.
    Check(String),
    /// Run the echo for conformance suites.
    Echo(EchoConfig),
    /// Print what is said.
    Tail(TailConfig),
    /// Say something.
    Publish(PublishConfig),
}

/// What `wshub echo` runs with: a node's configuration whose limits leave room for what conformance
/// suites send.
#[derive(Debug, Clone, PartialEq)]
pub struct EchoConfig {
    /// Listens on loopback only. Its values may lie beyond the bounds of a node's.
    pub config: Config,
}

/// Reads the process's command line, environment and working directory. Answers `--help` and
/// `--version`, and ends the process with status 2 where something is refused.
#[must_use]
pub fn parse() -> Invocation {
    let arguments = CommandLine::parse();
    read(arguments, std::env::vars_os().collect(), Path::new("")).unwrap_or_else(|refusal| {
        // One line whatever a file name or a value holds.
        eprintln!("wshub: {}", crate::logs::one_line(&refusal.to_string()));
        exit(REFUSED)
    })
}

/// The command that the command line asks for.
///
/// # Errors
/// When the configuration, the log filter or an address is refused.
pub fn read(
    line: CommandLine,
    environment: Vec<(OsString, OsString)>,
    directory: &Path,
) -> Result<Invocation, Refusal> {
    let chosen = line.command.unwrap_or(Subcommands::Serve(line.node));
    let log = log_filter(chosen.log(), &environment)?;
    let command = match chosen {
        Subcommands::Serve(node) => Command::Serve(node.resolve(environment, directory)?.config),
        Subcommands::Check(node) => Command::Check(node.resolve(environment, directory)?.to_toml()),
        Subcommands::Echo(echo) => Command::Echo(echo.configuration()?),
        Subcommands::Tail(tail) => Command::Tail(tail.configuration()?),
        Subcommands::Publish(publish) => Command::Publish(publish.configuration()?),
    };
    Ok(Invocation { command, log })
}

/// Why a command line is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The configuration.
    Config(ConfigError),
    /// The log filter, from `--log` or `WSHUB_LOG`.
    Log(&'static str, FilterError),
    /// Where `wshub echo` was told to listen.
    Echo(String),
    /// An argument of `wshub tail` or `wshub publish`.
    Argument(String),
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Log(source, error) => write!(f, "{source} {error}"),
            Self::Echo(sentence) | Self::Argument(sentence) => f.write_str(sentence),
        }
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// A highly available WebSocket hub.
///
/// Without a command it starts a node, as `wshub serve` does. On a fresh machine that is all: it
/// listens on http://127.0.0.1:8080 and shows a page to try it on.
#[derive(Debug, Parser)]
#[command(name = "wshub", version, args_conflicts_with_subcommands = true, after_help = LAYERS)]
pub struct CommandLine {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: Option<Subcommands>,
}

const LAYERS: &str = "\
A value is taken from the last of these that has it: the defaults, the file wshub.toml in the working
directory (or --config), the environment (WSHUB_LISTEN, WSHUB_LIMITS__MESSAGE_BYTES), --set, the other flags.
`wshub check` prints what comes out and where each value came from.";

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Start a node
    #[command(after_help = LAYERS)]
    Serve(NodeArgs),
    /// Read the configuration and print it, without starting anything
    ///
    /// The output is TOML that a node reads; a comment behind a value says where it came from.
    /// Exits with 0 when a node would start with it, with 2 and one line on stderr otherwise.
    #[command(after_help = LAYERS)]
    Check(NodeArgs),
    /// Connect to a hub and print the messages of a user and of rooms
    #[command(after_help = TAIL_HELP)]
    Tail(TailArgs),
    /// Publish one message, or one for each line of stdin
    #[command(after_help = PUBLISH_HELP)]
    Publish(PublishArgs),
    /// Answer each WebSocket message with itself, for conformance suites such as Autobahn
    ///
    /// The front, frames, deflate and outboxes are a node's, the limits are lifted. It reads no
    /// configuration and listens on loopback only.
    Echo(EchoArgs),
}

impl Subcommands {
    fn log(&self) -> Option<&str> {
        match self {
            Self::Serve(node) | Self::Check(node) => node.log.as_deref(),
            Self::Echo(echo) => echo.log.as_deref(),
            Self::Tail(_) | Self::Publish(_) => None,
        }
    }
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// Read this file instead of wshub.toml
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Set one key, e.g. --set limits.message_bytes=1MiB; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Listen here, e.g. 127.0.0.1:8080 or localhost:8080; may be repeated
    #[arg(long, value_name = "IP:PORT")]
    listen: Vec<String>,
    /// Name of this node [default: the host name]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Number of shard threads [default: one per core]
    #[arg(long, value_name = "N")]
    shards: Option<String>,
    /// Be a node of a cluster over this Redis, e.g. 127.0.0.1:6379 or redis://user:password@host:port/database
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    #[arg(long, value_name = "FILTER", help = LOG_HELP)]
    log: Option<String>,
}

#[derive(Debug, Args)]
struct EchoArgs {
    /// Listen here, on loopback only
    #[arg(long, value_name = "IP:PORT", default_value = ECHO_ADDRESS)]
    listen: Vec<String>,
    #[arg(long, value_name = "FILTER", help = LOG_HELP)]
    log: Option<String>,
}

const LOG_HELP: &str = "Log lines to show: error, warn, info, debug, trace or off, \
    also by module (info,wshub::front=debug) [env: WSHUB_LOG] [default: info]";

impl NodeArgs {
    fn resolve(
        self,
        environment: Vec<(OsString, OsString)>,
        directory: &Path,
    ) -> Result<Resolved, ConfigError> {
        let file = ConfigFile::find(self.config.as_deref(), directory)?;
        let Self {
            set,
            listen,
            node,
            shards,
            redis,
            ..
        } = self;
        Sources {
            file,
            environment,
            set,
            listen,
            node,
            shards,
            redis,
            program: Vec::new(),
        }
        .resolve()?
        .with_files(directory)
    }
}

impl EchoArgs {
    /// The largest message of a suite is 16 MiB (Autobahn 9), and it sends the next ones before it
    /// has read the last. The limits are still limits: a suite that goes wrong must not take the
    /// machine.
    fn configuration(self) -> Result<EchoConfig, Refusal> {
        const MIB: usize = 1 << 20;
        let refused = |sentence: String| Refusal::Echo(format!("--listen {sentence}"));
        let listen = Listen::parse(&self.listen).map_err(refused)?;
        if let Some(address) = listen.beyond_loopback() {
            return Err(refused(format!(
                "{address} isn't loopback, and `wshub echo` has no limits worth the name: use {ECHO_ADDRESS}"
            )));
        }
        let limits = Limits {
            message_bytes: 64 * MIB,
            queue_messages: 1 << 20,
            queue_bytes: 256 * MIB,
            outbox_total_bytes: 1024 * MIB,
            partial_bytes: 1024 * MIB,
            inbox_bytes: 1024 * MIB,
            ..Limits::default()
        };
        // A suite may think for minutes between two frames, and takes a ping for a wrong answer.
        let heartbeat = Heartbeat {
            interval: Duration::from_hours(1),
            timeout: Duration::from_hours(2),
        };
        // Suites look at compression with small messages too, and speak over one connection at a
        // time: one shard then has all the room.
        let compression = Compression {
            threshold: 0,
            ..Compression::default()
        };
        // Nobody is told to come back elsewhere.
        let drain = Drain {
            timeout: Duration::ZERO,
            ..Drain::default()
        };
        Ok(EchoConfig {
            config: Config {
                listen,
                drain,
                shards: 1,
                limits,
                compression,
                heartbeat,
                ..Config::default()
            },
        })
    }
}

fn log_filter(
    flag: Option<&str>,
    environment: &[(OsString, OsString)],
) -> Result<LogFilter, Refusal> {
    const VARIABLE: &str = "WSHUB_LOG";
    let variable = environment.iter().find(|(name, _)| name == VARIABLE);
    let (source, text) = match (flag, variable) {
        (Some(flag), _) => ("--log", flag.to_owned()),
        (None, Some((_, value))) => (VARIABLE, value.to_string_lossy().into_owned()),
        (None, None) => return Ok(LogFilter::default()),
    };
    // An empty variable is one that isn't set, here as for the configuration.
    if source == VARIABLE && text.is_empty() {
        return Ok(LogFilter::default());
    }
    text.parse().map_err(|error| Refusal::Log(source, error))
}

#[cfg(test)]
mod tests;
