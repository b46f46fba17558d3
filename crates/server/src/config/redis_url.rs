//! The address of a Redis as operators write it: `host:port`, or `redis://user:password@host:port/database`.
//!
//! The password is text in the middle of it. So nothing here shows the whole text: not `Debug`, not what is serialized
//! for `wshub check`, and not the sentence that refuses one.

use std::fmt;
use std::net::Ipv6Addr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use wshub_protocol::percent::path_decoded;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What stands where a secret would.
pub(super) const HIDDEN: &str = "(hidden)";

/// Where a Redis listens, and as whom to speak to it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// A host name or an IP address, this without brackets.
    pub host: String,
    /// 6379 unless it was said.
    pub port: u16,
    /// The name of Redis' access rules; `None` is Redis' own default user.
    pub user: Option<String>,
    /// As the URL has it. [`super::Redis::password`] knows of the file, too.
    pub password: Option<Secret>,
    /// 0 unless it was said.
    pub database: u16,
}

/// The port that Redis has when nobody says another.
const DEFAULT_PORT: u16 = 6379;

/// What a URL must be, after the key's name.
const FORM: &str = "must be a host and a port, like \"127.0.0.1:6379\", or redis://user:password@host:port/database";

impl RedisUrl {
    /// Reads an address. A scheme that is not there yet is refused by name.
    ///
    /// # Errors
    /// A sentence that goes on after the key's name and tells nothing of a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            None if text.starts_with('/') => return Err(not_there_yet("a Unix socket")),
            None => text,
            Some(("redis", rest)) => rest,
            Some((scheme, _)) => return Err(refused_scheme(scheme)),
        };
        // A password may hold an @, a host can't.
        let (who, place) = match rest.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, rest),
        };
        let (place, database) = match place.split_once('/') {
            Some((place, "")) => (place, 0),
            Some((place, number)) => (place, database(number)?),
            None => (place, 0),
        };
        let (host, port) = host_and_port(place)?;
        let (user, password) = match who {
            Some(who) => user_and_password(who)?,
            None => (None, None),
        };
        Ok(Self {
            host,
            port,
            user,
            password,
            database,
        })
    }

    /// `host:port`, for log lines and refusals.
    #[must_use]
    pub fn address(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

/// The rule for `redis.url`.
pub(super) fn url_rule(text: &str) -> Result<(), String> {
    RedisUrl::parse(text).map(drop)
}

/// The text of a URL as it may be shown, also of one that was refused. What can't be read might have its password
/// anywhere, so nothing of it is shown unless it is a mere name and number.
pub(super) fn shown(text: &str) -> String {
    if let Ok(url) = RedisUrl::parse(text) {
        return url.to_string();
    }
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.rsplit_once('@').map(|(_, place)| place);
            // Without an @ the password is where a port should be.
            match place {
                Some(place) => format!("{scheme}://{HIDDEN}@{place}"),
                None if rest.contains(':') => format!("{scheme}://{HIDDEN}"),
                None => text.to_owned(),
            }
        }
        None if text.contains(['@', ':']) => HIDDEN.to_owned(),
        None => text.to_owned(),
    }
}

fn refused_scheme(scheme: &str) -> String {
    match scheme {
        "rediss" | "valkeys" => not_there_yet("TLS (rediss://)"),
        "redis-sentinel" | "rediss-sentinel" => not_there_yet("Sentinel (redis-sentinel://)"),
        "redis-cluster" | "rediss-cluster" => not_there_yet("Redis Cluster"),
        "unix" | "redis+unix" | "redis-socket" => not_there_yet("a Unix socket"),
        _ => FORM.to_owned(),
    }
}

fn not_there_yet(what: &str) -> String {
    format!(
        "can't be {what} yet, this version speaks to one Redis over plain TCP: write redis://host:port"
    )
}

fn database(number: &str) -> Result<u16, String> {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits);
    number.ok_or_else(|| {
        "must end in the number of a database, 0 to 65535, like redis://host:6379/1".to_owned()
    })
}

fn host_and_port(place: &str) -> Result<(String, u16), String> {
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(FORM)?)),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let is_host = if place.starts_with('[') {
        host.parse::<Ipv6Addr>().is_ok()
    } else {
        is_name(host)
    };
    if !is_host {
        return Err(FORM.to_owned());
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or("must have a port from 1 to 65535 behind its host")?,
    };
    Ok((host.to_owned(), port))
}

/// A bare number is a port whose host was forgotten, not a host.
fn is_name(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=253).contains(&host.len())
        && host.bytes().all(plain)
        && !host.bytes().all(|byte| byte.is_ascii_digit())
}

/// `user:password`, `:password` or `user`; what has a meaning in a URL is percent-encoded.
fn user_and_password(who: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let (user, password) = match who.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (who, None),
    };
    let read = |text: &str| {
        let text = String::from_utf8(path_decoded(text)).ok();
        text.ok_or("must have its user and its password in UTF-8")
    };
    let user = (!user.is_empty()).then(|| read(user)).transpose()?;
    let password = password
        .filter(|password| !password.is_empty())
        .map(read)
        .transpose()?;
    let password = password.map(Secret::new).transpose()?;
    Ok((user, password))
}

/// As it may be shown.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis://")?;
        if let Some(user) = &self.user {
            // Spelled again as it has to stand in a URL.
            for byte in user.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                        write!(f, "{}", char::from(byte))?
                    }
                    _ => write!(f, "%{byte:02X}")?,
                }
            }
        }
        match (&self.user, &self.password) {
            (_, Some(_)) => write!(f, ":{HIDDEN}@")?,
            (Some(_), None) => f.write_str("@")?,
            (None, None) => {}
        }
        f.write_str(&self.address())?;
        match self.database {
            0 => Ok(()),
            number => write!(f, "/{number}"),
        }
    }
}

impl Serialize for RedisUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Secret {
    /// Keeps a password.
    ///
    /// # Errors
    /// It is what `wshub check` puts in the place of one: somebody took its output for a file.
    pub(super) fn new(text: String) -> Result<Self, String> {
        if text == HIDDEN {
            return Err(format!(
                "must have the password where `wshub check` wrote {HIDDEN}, or none and a redis.password_file"
            ));
        }
        Ok(Self(text))
    }

    /// The text itself, for the one place that hands it on.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap_or_else(|refusal| panic!("{text} {refusal}"))
    }

    #[test]
    fn a_host_and_a_port_are_enough() {
        for (text, address) in [
            ("127.0.0.1:6379", "127.0.0.1:6379"),
            ("cache.internal:7000", "cache.internal:7000"),
            ("localhost", "localhost:6379"),
            ("[::1]:7000", "[::1]:7000"),
            ("redis://[::1]", "[::1]:6379"),
            ("redis://cache_1/", "cache_1:6379"),
        ] {
            let url = read(text);
            assert_eq!(url.address(), address, "{text}");
            assert_eq!(
                (url.user, url.password, url.database),
                (None, None, 0),
                "{text}"
            );
        }
    }

    #[test]
    fn a_url_says_who_speaks_and_to_which_database() {
        let url = read("redis://hub:s3cret@cache:7000/12");
        assert_eq!(
            (url.host.as_str(), url.port, url.database),
            ("cache", 7000, 12)
        );
        assert_eq!(url.user.as_deref(), Some("hub"));
        assert_eq!(url.password.as_ref().map(Secret::reveal), Some("s3cret"));
        let url = read("redis://:s3cret@cache");
        assert_eq!((url.user, url.password.is_some()), (None, true));
        let url = read("redis://hub@cache");
        assert_eq!((url.user.as_deref(), url.password), (Some("hub"), None));
    }

    #[test]
    fn a_password_may_hold_what_a_url_has_a_meaning_for() {
        for (text, password) in [
            ("redis://:a%40b%3a%2F@cache", "a@b:/"),
            ("redis://:a@b:/?#@cache", "a@b:/?#"),
            ("redis://:100%@cache", "100%"),
            ("hub:p+q@cache:1", "p+q"),
        ] {
            assert_eq!(
                read(text).password.as_ref().map(Secret::reveal),
                Some(password),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_no_password_is_told() {
        for text in [
            "",
            "6379",
            "redis://",
            ":6379",
            "cache:",
            "cache:0",
            "cache:65536",
            "cache:s3cret",
            "redis://hub:s3cret",
            "redis://:s3cret@",
            "redis://:s3cret@cache:port",
            "redis://:s3cret@cache/one",
            "redis://:s3cret@cache/65536",
            "redis://:s3cret@cache/+1",
            "redis://:s3cret@cache?db=1",
            "redis://:s3cret@ca che",
            "redis://:s3cret%ff@cache",
            "::1:6379",
            "[::1:6379",
            "[::1]6379",
            "[cache]:1",
            "http://:s3cret@cache",
            "s3cret@:1",
        ] {
            let refusal = RedisUrl::parse(text).expect_err(text);
            assert!(refusal.starts_with("must "), "{text}: {refusal}");
            let told = format!("{refusal} {}", shown(text));
            assert!(!told.contains("s3cret"), "{text}: {told}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_refused_by_name() {
        for (text, name) in [
            ("rediss://cache:6379", "TLS"),
            ("redis-sentinel://a:1,b:2/mymaster", "Sentinel"),
            ("redis-cluster://a:1", "Cluster"),
            ("unix:///run/redis.sock", "Unix socket"),
            ("/run/redis.sock", "Unix socket"),
        ] {
            let refusal = RedisUrl::parse(text).expect_err(text);
            assert!(
                refusal.starts_with("can't be ") && refusal.contains(name),
                "{refusal}"
            );
            assert!(refusal.contains("yet"), "{refusal}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_but_for_the_password() {
        for text in [
            "redis://cache:6379",
            "redis://h%40b@[::1]:7000/3",
            "redis://cache:1/1",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
        let secret = read("redis://hub:s3cret@cache");
        assert_eq!(secret.to_string(), "redis://hub:(hidden)@cache:6379");
        assert!(!format!("{secret:?}").contains("s3cret"));
        let copied = RedisUrl::parse(&secret.to_string()).unwrap_err();
        assert!(copied.contains("`wshub check` wrote (hidden)"), "{copied}");
    }
}
