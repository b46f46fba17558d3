//! Where a hub is reached: a URL taken apart, and the paths below it.

use std::fmt;

/// A hub's address, from a URL such as `http://127.0.0.1:8080`, `ws://hub.example/ws` or just `127.0.0.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    /// What stands before `/ws` and `/publish`, where a proxy serves the hub below a path; without a slash at its end.
    base: String,
}

/// Why a text is not the address of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// `https` or `wss`.
    Tls,
    /// Any other scheme that isn't `http` or `ws`.
    Scheme,
    /// There is no host, or it has characters that none has.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// There is a query or a fragment, or a character that a path can't have.
    Path,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => {
                "TLS isn't spoken here yet: use http or ws, or a proxy beside you that adds it"
            }
            Self::Scheme => "a hub is reached by http or ws, as in http://127.0.0.1:8080",
            Self::Host => "names no host: write it as in http://127.0.0.1:8080",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Path => "has more behind the host than a path",
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Takes a URL apart. Without a scheme `http` is meant; a path that ends in `/ws` is that of the socket itself.
    ///
    /// # Errors
    /// What of it isn't the address of a hub.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let rest = match url.split_once("://") {
            None => url,
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "http" | "ws" => rest,
                "https" | "wss" => return Err(AddressError::Tls),
                _ => return Err(AddressError::Scheme),
            },
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let visible = |byte: u8| matches!(byte, b'!'..=b'~');
        if !path.bytes().all(visible) || path.contains(['?', '#']) {
            return Err(AddressError::Path);
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The last colon of an address of IPv6 is inside its brackets.
            Some((host, port)) if !port.ends_with(']') => (host, read_port(port)?),
            _ => (authority, 80),
        };
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let numbered = |host: &str| {
            host.bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        };
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let proper = bracketed.map_or_else(|| host.bytes().all(named), numbered);
        if host.is_empty() || !proper {
            return Err(AddressError::Host);
        }
        let base = path.trim_end_matches('/');
        Ok(Self {
            host: host.to_owned(),
            port,
            base: base.strip_suffix("/ws").unwrap_or(base).to_owned(),
        })
    }

    /// The path of something the hub serves.
    #[must_use]
    pub fn path(&self, of: &str) -> String {
        format!("{}{of}", self.base)
    }

    /// Host and port as they stand in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Host and port as a name to look up, where an address of IPv6 has no brackets.
    #[must_use]
    pub(crate) fn to_dial(&self) -> (&str, u16) {
        (self.host.trim_matches(['[', ']']), self.port)
    }
}

fn read_port(text: &str) -> Result<u16, AddressError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(AddressError::Port),
    }
}

/// Appends `text` as it stands in a query, where only what needs no escape stays as it is.
pub(crate) fn write_query(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 0xf] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (String, u16, String) {
        let Address { host, port, base } = Address::parse(url).unwrap();
        (host, port, base)
    }

    #[test]
    fn a_hub_is_reached_by_several_forms_of_a_url() {
        let plain = ("hub".to_owned(), 8080, String::new());
        for url in [
            "http://hub:8080",
            "ws://hub:8080/",
            "WS://hub:8080/ws",
            "hub:8080",
            "http://hub:8080/ws/",
        ] {
            assert_eq!(parts(url), plain, "{url}");
        }
        assert_eq!(parts("http://hub"), ("hub".to_owned(), 80, String::new()));
        assert_eq!(parts("ws://hub/live/ws").2, "/live");
        let address = Address::parse("http://[::1]:9/below").unwrap();
        assert_eq!(address.authority(), "[::1]:9");
        assert_eq!(address.to_dial(), ("::1", 9));
        assert_eq!(address.path("/publish"), "/below/publish");
    }

    #[test]
    fn what_is_no_address_of_a_hub_is_told_from_one() {
        use AddressError::*;
        for (url, why) in [
            ("https://hub", Tls),
            ("wss://hub/ws", Tls),
            ("ftp://hub", Scheme),
            ("", Host),
            ("http://", Host),
            ("http://:80", Host),
            ("http://a@b", Host),
            ("http://a b", Host),
            ("http://[::1", Host),
            ("http://hub:0", Port),
            ("http://hub:+80", Port),
            ("http://hub:65536", Port),
            ("http://hub:", Port),
            ("http://hub/?a=b", Path),
            ("http://hub#top", Path),
            ("http://hub/a\r\nb", Path),
        ] {
            assert_eq!(Address::parse(url), Err(why), "{url:?}");
        }
    }

    #[test]
    fn a_query_keeps_every_byte() {
        let mut query = String::new();
        write_query(&mut query, "a b+&=,%/ü:1");
        assert_eq!(query, "a%20b%2B%26%3D%2C%25%2F%C3%BC:1");
    }
}
