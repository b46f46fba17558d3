//! Why there is no connection to Redis, in words that say what to do.

use std::fmt;

use redis::{ErrorKind, RedisError};

/// Why there is no connection to Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// Where it was tried, `host:port`.
    pub address: String,
    /// What was wrong there.
    pub reason: Reason,
}

/// What was wrong with a Redis. None of it holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing listens there, or the host has no address; in the system's words.
    Unreachable(String),
    /// The connection isn't taken, or nothing is answered over it, within the time for that.
    NoAnswer,
    /// A password is wanted, and none is configured.
    PasswordWanted,
    /// The user or the password is wrong.
    PasswordRefused,
    /// A password is configured, and Redis has none.
    PasswordUnknown,
    /// It reads its data, and answers when that is done.
    Loading,
    /// A script that doesn't end keeps it from everything else.
    Busy,
    /// It follows this master, `host:port`.
    Replica {
        /// The master.
        master: String,
    },
    /// Its version is too old.
    TooOld {
        /// As it says itself.
        found: String,
    },
    /// It is a Sentinel.
    Sentinel,
    /// It is a node of a Redis Cluster.
    Cluster,
    /// It hasn't the database, in its own words.
    NoDatabase(String),
    /// It takes no more connections.
    Full,
    /// It speaks to its own machine only.
    Protected,
    /// Its access rules forbid what is needed, in its own words.
    Forbidden(String),
    /// Whatever else it said.
    Other(String),
}

/// Words of the other side are cut here: an HTTP server's page is no log line.
const LONGEST_WORDS: usize = 200;

impl Reason {
    /// What an error of the Redis crate says.
    pub(super) fn of(error: &RedisError) -> Self {
        match error.code() {
            Some("NOAUTH") => return Self::PasswordWanted,
            Some("WRONGPASS") => return Self::PasswordRefused,
            Some("LOADING") => return Self::Loading,
            Some("BUSY") => return Self::Busy,
            Some("DENIED") => return Self::Protected,
            Some("NOPERM") => return Self::Forbidden(words(error)),
            _ => {}
        }
        let said = error.to_string();
        if error.is_timeout() {
            Self::NoAnswer
        } else if said.contains("without any password configured") {
            Self::PasswordUnknown
        } else if said.contains("max number of clients") {
            Self::Full
        } else if error.kind() == ErrorKind::AuthenticationFailed {
            Self::PasswordRefused
        } else if error.is_io_error() {
            Self::Unreachable(words(error))
        } else {
            Self::Other(words(error))
        }
    }
}

/// What was said, in one short line.
pub(super) fn words(error: &RedisError) -> String {
    let said = error
        .detail()
        .map_or_else(|| error.to_string(), str::to_owned);
    let line = said.lines().next().unwrap_or_default();
    line.chars().take(LONGEST_WORDS).collect()
}

impl std::error::Error for OpenError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {} {}", self.address, self.reason)
    }
}

/// As a sentence that goes on after the address.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(said) => write!(f, "can't be reached: {said}"),
            Self::NoAnswer => f.write_str("doesn't answer within a second"),
            Self::PasswordWanted => {
                f.write_str("wants a password: set redis.password_file, or write it into redis.url")
            }
            Self::PasswordRefused => f.write_str("refuses the user or the password that is configured"),
            Self::PasswordUnknown => f.write_str(
                "has no password for its default user, and one is configured: take it out here, or set requirepass there",
            ),
            Self::Loading => f.write_str("is still loading its data; it answers when that is done"),
            Self::Busy => f.write_str(
                "is held up by a script that doesn't end (BUSY): SCRIPT KILL ends one that has written nothing",
            ),
            Self::Replica { master } => write!(
                f,
                "is a replica; wshub writes to the master, which is {master}: name that in redis.url"
            ),
            Self::TooOld { found } => write!(f, "is version {found}; wshub needs 6.2 or newer"),
            Self::Sentinel => f.write_str("is a Sentinel, which this version of wshub can't ask yet: name the master"),
            Self::Cluster => f.write_str("is a node of a Redis Cluster, which this version of wshub can't use yet"),
            Self::NoDatabase(said) => write!(f, "hasn't the database that redis.url names: {said}"),
            Self::Full => f.write_str("takes no more connections: raise its maxclients"),
            Self::Protected => {
                f.write_str("speaks to its own machine only (protected mode): give it a password, and a bind address")
            }
            Self::Forbidden(said) => write!(f, "doesn't let its user do what wshub needs: {said}"),
            Self::Other(said) => write!(f, "answers what wshub can't use: {said}"),
        }
    }
}
