//! Where a node listens: addresses that are known to be addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// How an address to listen on is written, for the sentences that refuse one.
const FORM: &str = r#"an IP address and a port, like "127.0.0.1:8080", "[::1]:8080" or "0.0.0.0:8080" ("localhost:8080" is both loopback addresses)"#;

/// The addresses of a node, at least one, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Listen {
    addresses: Vec<ListenAddress>,
}

/// One address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress {
    /// Where to bind. Port 0 takes any free port.
    pub address: SocketAddr,
    /// The node starts without this one where it can't be bound. True for `[::1]` beside
    /// `127.0.0.1` on the same port: a browser that resolves `localhost` tries both, and a machine
    /// without IPv6 still has the first.
    pub optional: bool,
}

impl Listen {
    /// Both loopback addresses on one port, the second only where IPv6 exists.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        let both = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        Self::of(both.map(|ip| SocketAddr::new(ip, port)).to_vec())
    }

    /// Reads the addresses of a list.
    ///
    /// # Errors
    /// A sentence on what is wrong with it, fit to stand behind the key's name.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, String> {
        let mut addresses = Vec::new();
        for text in texts {
            let read = read_address(text.as_ref())?;
            if let Some(twice) = read
                .iter()
                .find(|a| a.port() != 0 && addresses.contains(*a))
            {
                return Err(format!("names {twice} twice"));
            }
            addresses.extend(read);
        }
        if addresses.is_empty() {
            return Err(format!("must name at least one address: {FORM}"));
        }
        Ok(Self::of(addresses))
    }

    /// The addresses in the order they were given.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The first address that other machines may reach, if there is one.
    #[must_use]
    pub fn beyond_loopback(&self) -> Option<SocketAddr> {
        // A v4 address in v6 clothes (::ffff:127.0.0.1) is the v4 address to the kernel.
        let reachable = |a: &&ListenAddress| !a.address.ip().to_canonical().is_loopback();
        self.addresses.iter().find(reachable).map(|a| a.address)
    }

    fn of(addresses: Vec<SocketAddr>) -> Self {
        let has_twin = |address: &SocketAddr| {
            let twin = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
            address.ip() == Ipv6Addr::LOCALHOST && addresses.contains(&twin)
        };
        let with_need = |a: &SocketAddr| ListenAddress {
            address: *a,
            optional: has_twin(a),
        };
        Self {
            addresses: addresses.iter().map(with_need).collect(),
        }
    }
}

impl TryFrom<Vec<String>> for Listen {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        Self::parse(&texts)
    }
}

impl From<Listen> for Vec<String> {
    fn from(listen: Listen) -> Self {
        listen
            .addresses
            .iter()
            .map(|a| a.address.to_string())
            .collect()
    }
}

/// Names are not resolved: what a name means may change between two starts, and a name that
/// suddenly means a public address would open the node to the world.
fn read_address(text: &str) -> Result<Vec<SocketAddr>, String> {
    if let Some(port) = text
        .strip_prefix("localhost:")
        .and_then(|port| port.parse().ok())
    {
        return Ok(Listen::loopback(port)
            .addresses
            .iter()
            .map(|a| a.address)
            .collect());
    }
    match text.parse() {
        Ok(address) => Ok(vec![address]),
        Err(_) => Err(format!("must be {FORM}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> Vec<(String, bool)> {
        let listen = Listen::parse(texts).unwrap();
        listen
            .addresses()
            .iter()
            .map(|a| (a.address.to_string(), a.optional))
            .collect()
    }

    #[test]
    fn the_v6_loopback_is_optional_beside_its_v4_twin_only() {
        let required = |text: &str| (text.to_owned(), false);
        let optional = |text: &str| (text.to_owned(), true);
        assert_eq!(
            parsed(&["127.0.0.1:8080", "[::1]:8080"]),
            [required("127.0.0.1:8080"), optional("[::1]:8080")]
        );
        assert_eq!(
            parsed(&["localhost:9000"]),
            [required("127.0.0.1:9000"), optional("[::1]:9000")]
        );
        assert_eq!(parsed(&["[::1]:8080"]), [required("[::1]:8080")]);
        assert_eq!(
            parsed(&["127.0.0.1:1", "[::1]:2"]),
            [required("127.0.0.1:1"), required("[::1]:2")]
        );
    }

    #[test]
    fn what_is_no_address_is_told_how_one_looks() {
        for text in [
            "8080",
            ":8080",
            "127.0.0.1",
            "example.org:80",
            "127.0.0.1:99999",
            "::1:80",
            "",
        ] {
            assert!(
                Listen::parse(&[text])
                    .unwrap_err()
                    .contains("\"127.0.0.1:8080\""),
                "{text}"
            );
        }
        assert!(
            Listen::parse::<&str>(&[])
                .unwrap_err()
                .contains("at least one")
        );
    }

    #[test]
    fn an_address_given_twice_is_refused_but_any_free_port_may_be_asked_for_twice() {
        let twice = Listen::parse(&["127.0.0.1:8080", "localhost:8080"]).unwrap_err();
        assert_eq!(twice, "names 127.0.0.1:8080 twice");
        assert_eq!(
            Listen::parse(&["127.0.0.1:0", "127.0.0.1:0"])
                .unwrap()
                .addresses()
                .len(),
            2
        );
    }

    #[test]
    fn loopback_is_known_in_all_its_forms() {
        let reaches = |text| Listen::parse(&[text]).unwrap().beyond_loopback().is_some();
        for inside in [
            "127.0.0.1:1",
            "127.8.9.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(!reaches(inside), "{inside}");
        }
        for outside in [
            "0.0.0.0:1",
            "[::]:1",
            "192.168.1.5:1",
            "[fe80::1]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            assert!(reaches(outside), "{outside}");
        }
    }
}
