//! Publishes over HTTP on kept connections without ever waiting: requests go out as the socket takes them, answers are
//! read as they come, and one that refuses anything ends the run.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::trouble::{Trouble, while_doing};

/// One connection that publishes.
pub struct Publisher {
    socket: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
    asked: u64,
    answers: Answers,
}

impl Publisher {
    /// Connects. The socket wakes the poll behind `registry` under `token`; nothing needs to look at the event, since
    /// [`Publisher::advance`] tries both directions.
    pub fn connect(
        server: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> Result<Publisher, Trouble> {
        let socket =
            std::net::TcpStream::connect(server).map_err(while_doing("connecting a publisher"))?;
        socket
            .set_nodelay(true)
            .map_err(while_doing("setting TCP_NODELAY"))?;
        socket
            .set_nonblocking(true)
            .map_err(while_doing("making a socket non-blocking"))?;
        let mut socket = TcpStream::from_std(socket);
        registry
            .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
            .map_err(while_doing("watching a publisher"))?;
        Ok(Publisher {
            socket,
            unsent: Vec::new(),
            sent: 0,
            asked: 0,
            answers: Answers::default(),
        })
    }

    /// Takes one more request; it leaves with the next [`Publisher::advance`].
    pub fn ask(&mut self, request: &[u8]) {
        self.unsent.extend_from_slice(request);
        self.asked += 1;
    }

    /// Requests without an answer.
    pub fn open(&self) -> u64 {
        self.asked - self.answers.count
    }

    /// Writes what the socket takes and reads what it has.
    pub fn advance(&mut self) -> Result<(), Trouble> {
        while self.sent < self.unsent.len() {
            match self.socket.write(&self.unsent[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(Trouble::Io("publishing", e)),
            }
        }
        if self.sent == self.unsent.len() {
            self.unsent.clear();
            self.sent = 0;
        }
        let mut buffer = [0; 32 * 1024];
        while self.open() > 0 {
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    return Err(Trouble::Io(
                        "waiting for an answer",
                        ErrorKind::UnexpectedEof.into(),
                    ));
                }
                Ok(n) => self.answers.take(&buffer[..n])?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(Trouble::Io("reading an answer", e)),
            }
        }
        Ok(())
    }
}

/// Counts answers in a byte stream; each must be a success that refuses no item.
#[derive(Default)]
struct Answers {
    pending: Vec<u8>,
    count: u64,
}

impl Answers {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.pending.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(length) = whole_answer(&self.pending[done..])? {
            done += length;
            self.count += 1;
        }
        self.pending.drain(..done);
        Ok(())
    }
}

/// The length of the answer at the front of `bytes`, once all of it is there.
fn whole_answer(bytes: &[u8]) -> Result<Option<usize>, Trouble> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut headers);
    let head = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Trouble::Garbled("an answer is HTTP")),
    };
    let length =
        content_length(answer.headers).ok_or(Trouble::Garbled("an answer has a Content-Length"))?;
    let Some(body) = bytes.get(head..head + length) else {
        return Ok(None);
    };
    let accepted =
        matches!(answer.code, Some(200..=299)) && memmem::find(body, br#""error""#).is_none();
    if !accepted {
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        return Err(Trouble::Refused(format!(
            "{} {shown}",
            answer.code.unwrap_or(0)
        )));
    }
    Ok(Some(head + length))
}

/// What the `Content-Length` of these headers says.
pub(crate) fn content_length(headers: &[httparse::Header<'_>]) -> Option<usize> {
    let header = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
    std::str::from_utf8(header.value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn answers_are_counted_however_they_are_split() {
        for piece in 1..TWO.len() {
            let mut answers = Answers::default();
            for bytes in TWO.chunks(piece) {
                answers.take(bytes).expect("both are successes");
            }
            assert_eq!(
                (answers.count, answers.pending.len()),
                (2, 0),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_words() {
        let refused =
            Answers::default().take(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait");
        assert!(matches!(refused, Err(Trouble::Refused(text)) if text == "503 wait"));
    }

    #[test]
    fn one_refused_item_of_an_array_is_a_refusal() {
        let body = r#"[{"id":"1"},{"error":"no","code":"overloaded"}]"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert!(matches!(
            Answers::default().take(answer.as_bytes()),
            Err(Trouble::Refused(_))
        ));
    }
}
