//! What is said by something that ends the connection: the Redis crate tells only that it ended.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::opening::{CONNECT_TIMEOUT, Reason};

/// Asks by a connection of its own, and tells the reason that is given, if one is.
pub(super) async fn ask_again(host: &str, port: u16) -> Option<Reason> {
    let asking = async {
        let mut socket = TcpStream::connect((host, port)).await.ok()?;
        // A Redis that is full has answered and gone by now.
        let _ = socket.write_all(b"PING\r\n").await;
        let mut said = [0; 256];
        let length = socket.read(&mut said).await.ok()?;
        said.get(..length).and_then(reason_in)
    };
    timeout(CONNECT_TIMEOUT, asking).await.ok().flatten()
}

/// The reason in an answer; there is none in a `+PONG` and in silence.
fn reason_in(said: &[u8]) -> Option<Reason> {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().next()?;
    Some(match line.strip_prefix('-') {
        Some(error) if error.contains("max number of clients") => Reason::Full,
        Some(error) if error.starts_with("DENIED") => Reason::Protected,
        Some(_) => return None,
        None if line.starts_with('+') => return None,
        // TLS, for one, is no text.
        None => Reason::Other(line.escape_debug().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_a_reason_has_one() {
        for (said, reason) in [
            (
                &b"-ERR max number of clients reached\r\n"[..],
                Some(Reason::Full),
            ),
            (
                b"-DENIED Redis is running in protected mode",
                Some(Reason::Protected),
            ),
            (b"-NOAUTH Authentication required.\r\n", None),
            (b"+PONG\r\n", None),
            (b"", None),
            (
                b"\x15\x03\r\n",
                Some(Reason::Other("\\u{15}\\u{3}".to_owned())),
            ),
        ] {
            assert_eq!(reason_in(said), reason, "{said:?}");
        }
    }
}
