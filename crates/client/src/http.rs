//! Publishing over HTTP: one connection that is kept, one request at a time.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::limits::{HTTP_ANSWER_BYTES, HTTP_HEAD_BYTES, HTTP_WITHIN};

/// Headers of an answer that are read.
const HEADERS: usize = 64;

/// Posts to a hub's `/publish`.
#[derive(Debug)]
pub struct Poster {
    address: Address,
    key: Option<String>,
    connection: Option<TcpStream>,
}

/// What a hub, or whatever stands before it, has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long to wait before the next attempt, where it says so.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. Whether the request was followed is then not known, unless it could not be sent.
#[derive(Debug)]
pub enum PostError {
    /// There is no connection.
    Unreachable(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// No answer came in time.
    Late,
    /// What came is no answer of HTTP/1.1, or too long for one of a hub.
    NoAnswer,
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "can't be reached: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Late => f.write_str("no answer came in time"),
            Self::NoAnswer => f.write_str("what came back is no answer of a hub"),
        }
    }
}

impl std::error::Error for PostError {}

impl Poster {
    /// Posts to the hub at this address, with an API key where it wants one.
    #[must_use]
    pub fn new(address: Address, key: Option<String>) -> Self {
        Self {
            address,
            key,
            connection: None,
        }
    }

    /// Posts one body: a message, or an array of them.
    ///
    /// # Errors
    /// Why there is no answer. The next call opens a new connection.
    pub async fn post(&mut self, body: &[u8]) -> Result<Answer, PostError> {
        let posted = timeout(HTTP_WITHIN, self.exchange(body)).await;
        posted.unwrap_or(Err(PostError::Late))
    }

    async fn exchange(&mut self, body: &[u8]) -> Result<Answer, PostError> {
        // It is put back only once an answer is complete, so that no later request reads what is left of this one's.
        let mut connection = match self.connection.take().filter(is_idle) {
            Some(connection) => connection,
            None => self.dial().await.map_err(PostError::Unreachable)?,
        };
        let head = self.head(body.len());
        // A server that refuses may answer and close before it has read the whole body.
        let sent = match connection.write_all(head.as_bytes()).await {
            Ok(()) => connection.write_all(body).await,
            broken => broken,
        };
        let (answer, keeps) = match read_answer(&mut connection).await {
            Err(PostError::Broken(error)) => {
                return Err(PostError::Broken(sent.err().unwrap_or(error)));
            }
            answer => answer?,
        };
        if keeps && sent.is_ok() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address.to_dial()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn head(&self, length: usize) -> String {
        let (path, authority) = (self.address.path("/publish"), self.address.authority());
        let key = self
            .key
            .as_ref()
            .map(|key| format!("Authorization: Bearer {key}\r\n"));
        format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n{}Content-Length: {length}\r\n\r\n",
            key.unwrap_or_default()
        )
    }
}

/// A connection that was closed meanwhile, or has something to say that nobody asked for, is of no use any more.
fn is_idle(connection: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(connection.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Reads an answer; also whether the connection is good for another request.
async fn read_answer(connection: &mut TcpStream) -> Result<(Answer, bool), PostError> {
    let mut read = Vec::new();
    loop {
        if let Some(head) = read_head(&read)? {
            let rest = read.split_off(head.bytes);
            // An early hint, or the leave to send a body that was sent already.
            if (100..200).contains(&head.status) {
                read = rest;
                continue;
            }
            let body = read_body(connection, &head.framing, rest).await?;
            let keeps = head.keeps && head.framing != Framing::ToTheEnd;
            let Head {
                status,
                retry_after,
                ..
            } = head;
            return Ok((
                Answer {
                    status,
                    retry_after,
                    body,
                },
                keeps,
            ));
        }
        if read.len() > HTTP_HEAD_BYTES {
            return Err(PostError::NoAnswer);
        }
        more(connection, &mut read).await?;
    }
}

struct Head {
    status: u16,
    retry_after: Option<Duration>,
    framing: Framing,
    keeps: bool,
    bytes: usize,
}

/// How the end of a body is told.
#[derive(PartialEq)]
enum Framing {
    Length(usize),
    Chunks,
    ToTheEnd,
}

fn read_head(bytes: &[u8]) -> Result<Option<Head>, PostError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(size) = answer.parse(bytes).map_err(|_| PostError::NoAnswer)?
    else {
        return Ok(None);
    };
    let header = |name: &str| {
        let mut all = answer.headers.iter();
        let found = all.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(str::trim)
    };
    let framing = match (header("Transfer-Encoding"), header("Content-Length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunks,
        (Some(_), _) => return Err(PostError::NoAnswer),
        (None, Some(length)) => Framing::Length(length.parse().map_err(|_| PostError::NoAnswer)?),
        (None, None) => Framing::ToTheEnd,
    };
    Ok(Some(Head {
        status: answer.code.ok_or(PostError::NoAnswer)?,
        retry_after: header("Retry-After")
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs),
        framing,
        keeps: answer.version == Some(1)
            && header("Connection").is_none_or(|word| !word.eq_ignore_ascii_case("close")),
        bytes: size,
    }))
}

/// Reads a body of which `read` has come with the head.
async fn read_body(
    connection: &mut TcpStream,
    framing: &Framing,
    mut read: Vec<u8>,
) -> Result<Vec<u8>, PostError> {
    match framing {
        Framing::Length(length) if *length > HTTP_ANSWER_BYTES => Err(PostError::NoAnswer),
        Framing::Length(length) => {
            while read.len() < *length {
                more(connection, &mut read).await?;
            }
            read.truncate(*length);
            Ok(read)
        }
        Framing::Chunks => {
            let mut body = Vec::new();
            loop {
                let size = match httparse::parse_chunk_size(&read) {
                    Ok(httparse::Status::Complete((at, size))) => {
                        read.drain(..at);
                        usize::try_from(size).map_err(|_| PostError::NoAnswer)?
                    }
                    Ok(httparse::Status::Partial) => {
                        more(connection, &mut read).await?;
                        continue;
                    }
                    Err(_) => return Err(PostError::NoAnswer),
                };
                if size > HTTP_ANSWER_BYTES - body.len() {
                    return Err(PostError::NoAnswer);
                }
                // Behind each chunk, and behind the last one where there are no trailers, is the end of a line.
                while read.len() < size + 2 {
                    more(connection, &mut read).await?;
                }
                body.extend(read.drain(..size + 2).take(size));
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        Framing::ToTheEnd => loop {
            match more(connection, &mut read).await {
                Err(PostError::Broken(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(read);
                }
                more => more?,
            }
        },
    }
}

async fn more(connection: &mut TcpStream, read: &mut Vec<u8>) -> Result<(), PostError> {
    if read.len() > HTTP_HEAD_BYTES + HTTP_ANSWER_BYTES {
        return Err(PostError::NoAnswer);
    }
    match connection.read_buf(read).await {
        Ok(0) => Err(PostError::Broken(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(PostError::Broken(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Posts once for each of the answers, which a server gives on one connection, in pieces of one byte; it hangs up
    /// behind the last.
    async fn posted(answers: &'static [&'static str]) -> Vec<Result<Answer, PostError>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let serving = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            for answer in answers {
                let mut request = Vec::new();
                while !request.ends_with(b"{}") {
                    assert_ne!(
                        socket.read_buf(&mut request).await.unwrap(),
                        0,
                        "the client hung up"
                    );
                }
                for byte in answer.bytes() {
                    socket.write_all(&[byte]).await.unwrap();
                }
            }
        });
        let mut poster = Poster::new(address, Some("key".to_owned()));
        let mut heard = Vec::new();
        for _ in answers {
            heard.push(poster.post(b"{}").await);
        }
        serving.await.unwrap();
        heard
    }

    fn body(answer: &Result<Answer, PostError>) -> (u16, &str) {
        let answer = answer.as_ref().unwrap();
        (answer.status, std::str::from_utf8(&answer.body).unwrap())
    }

    #[tokio::test]
    async fn one_connection_carries_answers_of_either_framing() {
        let heard = posted(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "HTTP/1.1 503 Busy\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
        ])
        .await;
        let bodies: Vec<_> = heard.iter().map(body).collect();
        assert_eq!(
            bodies,
            [(200, "[]"), (200, "abc"), (503, ""), (200, "to the end")]
        );
        assert_eq!(
            heard[2].as_ref().unwrap().retry_after,
            Some(Duration::from_secs(7))
        );
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_none() {
        for cut in [
            &["HTTP/1.1 200 OK\r\nContent-Le"][..],
            &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"],
        ] {
            assert!(
                matches!(posted(cut).await[..], [Err(PostError::Broken(_))]),
                "{cut:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_of_a_hub_is_told_from_one() {
        for wrong in [
            &["SSH-2.0-OpenSSH\r\n"][..],
            &["HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
        ] {
            assert!(
                matches!(posted(wrong).await[..], [Err(PostError::NoAnswer)]),
                "{wrong:?}"
            );
        }
    }
}
