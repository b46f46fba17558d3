//! Which web pages may speak to this node: a browser lets any page that its user opens try.

use std::net::IpAddr;

/// What stands for an `Origin` that is there but not clear: sent more than once, or not as text. It is no origin that a
/// browser could send, and taking it for none would let a page in as if it were a program.
pub const UNCLEAR: &str = "unclear";

/// Whether a request with this `Origin` may connect or publish.
///
/// An unclear one ([`UNCLEAR`], or a list, which is what some proxies make of two fields) never may.
///
/// Without an `Origin` it isn't a page's. On loopback pages of any localhost origin may, and no others, not even those
/// of the host they name: a name that an attacker points at 127.0.0.1 would pass for the same origin (DNS rebinding).
/// Elsewhere pages that the node's own host served may. Origins that the operator allowed always may.
#[must_use]
pub fn may_speak(
    origin: Option<&str>,
    host: Option<&str>,
    on_loopback: bool,
    allowed: &[String],
) -> bool {
    let Some(origin) = origin else { return true };
    if origin == UNCLEAR || origin.contains([',', ' ', '\t']) {
        return false;
    }
    if allowed
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        return true;
    }
    let Some((_scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    if on_loopback {
        is_localhost(authority)
    } else {
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
    }
}

fn is_localhost(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_pages_of_localhost_may_speak() {
        let may = |origin| may_speak(Some(origin), Some("evil.example:8080"), true, &[]);
        for local in [
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://app.localhost",
        ] {
            assert!(may(local), "{local}");
        }
        let strangers = [
            "http://evil.example:8080",
            "null",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "",
        ];
        for stranger in strangers {
            assert!(!may(stranger), "{stranger}");
        }
    }

    #[test]
    fn elsewhere_only_pages_of_the_same_host_may_speak() {
        let may = |origin| may_speak(Some(origin), Some("chat.example:443"), false, &[]);
        assert!(may("https://chat.example:443"));
        assert!(!may("https://other.example"));
        assert!(!may("http://localhost"));
    }

    #[test]
    fn an_unclear_origin_may_speak_nowhere_whatever_is_allowed() {
        let allowed = [UNCLEAR.to_owned(), "http://a, http://a".to_owned()];
        for on_loopback in [true, false] {
            // Two fields that a proxy has joined are as unclear as two.
            for unclear in [
                UNCLEAR,
                "http://localhost:1, http://evil.example",
                "http://a, http://a",
            ] {
                assert!(
                    !may_speak(Some(unclear), Some("a"), on_loopback, &allowed),
                    "{unclear}"
                );
            }
        }
    }

    #[test]
    fn an_allowed_origin_and_a_program_may_speak_anywhere() {
        let allowed = ["https://app.example".to_owned()];
        assert!(may_speak(
            Some("https://app.example"),
            None,
            false,
            &allowed
        ));
        assert!(may_speak(None, None, true, &[]));
    }
}
