//! Section `redis`: the Redis that makes several nodes one hub.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::redis_url::{RedisUrl, Secret};
use super::resolved::Resolved;

/// The prefix stands in every key and goes over the wire with each of them, so it is short.
const LONGEST_PREFIX: usize = 64;

/// A password that is longer is not the file that was meant.
const LONGEST_PASSWORD: u64 = 4096;

/// Section `redis`. With a `url` the node keeps log, queues and facts there; without one in its own memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// Where it listens. `None` is a node on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<RedisUrl>,
    /// A file that holds the password and nothing else. It beats the one of the URL: a URL gets into process lists and
    /// shell histories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// What all names in Redis begin with, so that several hubs, or other programs, can share one.
    pub prefix: String,
    /// Whether the node refuses to start while Redis can't be reached.
    pub required: bool,
    /// What stood in the file at start.
    #[serde(skip)]
    from_file: Option<Secret>,
}

impl Redis {
    /// The password to speak with.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        let of_url = || self.url.as_ref()?.password.as_ref();
        self.from_file.as_ref().or_else(of_url)
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            prefix: "websocket:".to_owned(),
            required: true,
            from_file: None,
        }
    }
}

impl Resolved {
    /// Reads the files that the configuration names; `directory` is where a relative path begins.
    ///
    /// # Errors
    /// A file can't be read, or holds no password, or there is none at all for the user that the URL names.
    pub fn with_files(mut self, directory: &Path) -> Result<Self, ConfigError> {
        if let Some(path) = &self.config.redis.password_file {
            let read = password_in(&directory.join(path));
            let password = read.map_err(|wrong| ConfigError::Together {
                sentence: format!("{} {wrong}", self.describe("redis.password_file")),
            })?;
            self.config.redis.from_file = Some(password);
        }
        let redis = &self.config.redis;
        let named = redis.url.as_ref().is_some_and(|url| url.user.is_some());
        if named && redis.password().is_none() {
            return Err(ConfigError::Together {
                sentence: format!(
                    "{} names a user without a password: add it, redis://user:password@host:port, or set redis.password_file",
                    self.describe("redis.url")
                ),
            });
        }
        Ok(self)
    }
}

fn password_in(path: &Path) -> Result<Secret, String> {
    let unreadable = |error: &dyn Display| format!("can't be read: {error}");
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut text = String::new();
    let mut bounded = file.take(LONGEST_PASSWORD + 1);
    bounded
        .read_to_string(&mut text)
        .map_err(|error| unreadable(&error))?;
    if text.len() as u64 > LONGEST_PASSWORD {
        return Err(format!(
            "must hold a password and nothing else; it is over {LONGEST_PASSWORD} bytes long"
        ));
    }
    // An editor ends the last line; a password that ends like that itself would be one too strange to type.
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| {
        line.strip_suffix('\r').unwrap_or(line)
    });
    if password.is_empty() {
        return Err("must hold a password; it is empty".to_owned());
    }
    Secret::new(password.to_owned())
}

/// The rule for `redis.prefix`. Braces would choose a hash slot, and stars match other keys than meant.
pub(super) fn prefix_rule(prefix: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":._-/".contains(&byte);
    if (1..=LONGEST_PREFIX).contains(&prefix.len()) && prefix.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "must be 1 to {LONGEST_PREFIX} ASCII letters, digits and : . _ - /, like \"websocket:\""
    ))
}

/// The rule for `redis.password_file`.
pub(super) fn path_rule(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("must be the path of a file that holds the password".to_owned());
    }
    Ok(())
}

/// A password for no Redis: the URL was forgotten, and the node would be one on its own.
pub(super) fn a_password_for_somebody(resolved: &Resolved) -> Option<String> {
    let redis = &resolved.config.redis;
    redis
        .password_file
        .as_ref()
        .filter(|_| redis.url.is_none())?;
    Some(format!(
        "{} needs redis.url: without it this node uses no Redis",
        resolved.describe("redis.password_file")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::operator;
    use super::*;

    /// A folder of a test's own that holds a file `password`, and goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn with(test: &str, password: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wshub-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("password"), password).unwrap();
            Self(path)
        }

        /// What comes of a URL and this file.
        fn read(&self, url: &str) -> Result<Resolved, String> {
            let operator = operator().set(&format!("redis.url={url}"));
            let resolved = operator.set("redis.password_file=password").resolved();
            resolved
                .with_files(&self.0)
                .map_err(|refusal| refusal.to_string())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn password(resolved: &Resolved) -> Option<&str> {
        resolved.config.redis.password().map(Secret::reveal)
    }

    #[test]
    fn a_node_is_on_its_own_unless_it_is_told_of_a_redis() {
        assert_eq!(operator().runs().redis, Redis::default());
        let url = operator()
            .variable("WSHUB_REDIS__URL", "cache:7000")
            .runs()
            .redis
            .url;
        assert_eq!(url.map(|url| url.address()).as_deref(), Some("cache:7000"));
        let flag = operator().flags(|flags| flags.redis = Some("cache:7001".to_owned()));
        let url = flag.set("redis.url=cache:7000").runs().redis.url;
        assert_eq!(url.map(|url| url.address()).as_deref(), Some("cache:7001"));
    }

    #[test]
    fn the_files_password_beats_the_urls_and_loses_its_line_end() {
        for (content, expected) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" s3\ncret ", " s3\ncret "),
        ] {
            let folder = Folder::with("beats", content);
            let read = folder.read("redis://hub:other@cache").unwrap();
            assert_eq!(password(&read), Some(expected));
            assert!(!format!("{read:?}").contains("cret"), "{read:?}");
            assert!(!read.to_toml().contains("cret"), "{}", read.to_toml());
        }
        let alone = operator().set("redis.url=redis://:other@cache").resolved();
        assert_eq!(
            password(&alone.with_files(Path::new("")).unwrap()),
            Some("other")
        );
    }

    #[test]
    fn a_file_without_a_password_is_refused() {
        let refused = |content: &str| Folder::with("refused", content).read("cache").unwrap_err();
        let named = "redis.password_file = \"password\" (--set redis.password_file) ";
        assert_eq!(
            refused("\n"),
            format!("{named}must hold a password; it is empty")
        );
        assert!(refused(&"x".repeat(4097)).contains("over 4096 bytes"));
        let gone = Folder::with("gone", "");
        std::fs::remove_file(gone.0.join("password")).unwrap();
        let told = gone.read("cache").unwrap_err();
        assert!(
            told.starts_with(&format!("{named}can't be read: No such file")),
            "{told}"
        );
    }

    #[test]
    fn a_user_has_a_password() {
        let nowhere = operator().set("redis.url=redis://hub@cache").resolved();
        let told = nowhere.with_files(Path::new("")).unwrap_err().to_string();
        assert!(
            told.starts_with(
                "redis.url = \"redis://hub@cache:6379\" (--set redis.url) names a user"
            ),
            "{told}"
        );
        let folder = Folder::with("user", "s3cret");
        assert_eq!(
            password(&folder.read("redis://hub@cache").unwrap()),
            Some("s3cret")
        );
    }

    #[test]
    fn what_can_be_no_url_path_or_prefix_is_refused_by_its_key() {
        for assignment in [
            "redis.url=7",
            "redis.url=6379",
            "redis.password_file=",
            "redis.prefix=",
            "redis.prefix={websocket}:",
            "redis.prefix=web socket:",
            "redis.prefix=\"web\\tsocket:\"",
            "redis.prefix=*:",
            "redis.required=no",
        ] {
            let told = operator().set(assignment).hears();
            let key = assignment.split('=').next().unwrap();
            assert!(told.starts_with(&format!("{key} ")), "{assignment}: {told}");
        }
        let longest = "x".repeat(LONGEST_PREFIX);
        let with = |prefix: &str| operator().set(&format!("redis.prefix={prefix}"));
        assert_eq!(with(&longest).runs().redis.prefix, longest);
        assert!(with(&format!("{longest}x")).hears().contains("1 to 64"));
    }

    #[test]
    fn a_password_without_a_redis_is_an_oversight() {
        let told = operator().set("redis.password_file=/run/password").hears();
        assert!(
            told.contains("(--set redis.password_file) needs redis.url"),
            "{told}"
        );
    }

    #[test]
    fn check_hides_the_password_and_shows_the_rest() {
        let file = "[redis]\nurl = \"redis://hub:s3cret@cache/2\"\nprefix = \"a/b:\"";
        let printed = operator().file(file).resolved().to_toml();
        let line = "url = \"redis://hub:(hidden)@cache:6379/2\"  # wshub.toml:2";
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
        assert!(printed.contains("prefix = \"a/b:\""), "{printed}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn a_refused_url_tells_its_place_and_not_its_password() {
        let told = operator()
            .set("redis.url=rediss://hub:s3cret@cache:6379")
            .hears();
        assert_eq!(
            told,
            "redis.url can't be TLS (rediss://) yet, this version speaks to one Redis over plain TCP: write \
             redis://host:port; it is \"rediss://(hidden)@cache:6379\" (--set redis.url)"
        );
        let told = operator()
            .flags(|flags| flags.redis = Some("cache:port".to_owned()))
            .hears();
        assert!(told.ends_with("it is \"(hidden)\" (--redis)"), "{told}");
    }
}
