//! The limit of this kernel's TCP: one thread, one poll, one frame rendered once, one `send` per socket. No routing, no
//! limits, no timers, no back-pressure: a server can come near this and, as long as it sends per message, not pass it.

use std::io::{ErrorKind, Read, Write};

use base64::Engine;
use memchr::memmem;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use sha1_smol::Sha1;
use slab::Slab;

use crate::frames::{TEXT, write_server_frame};
use crate::publisher::content_length;
use crate::trouble::{Trouble, while_doing};

const LISTENER: Token = Token(usize::MAX - 1);
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    upgraded: bool,
}

/// What a request that is whole asks for.
enum Asked {
    /// Speak WebSocket from here on; the `Sec-WebSocket-Accept` to answer with.
    Upgrade(String),
    /// Give this frame to everybody.
    Publish(Vec<u8>),
}

/// Serves for ever: `GET` upgrades, whatever is `POST`ed goes to everybody as one text frame.
pub fn serve(listener: std::net::TcpListener) -> Result<(), Trouble> {
    listener
        .set_nonblocking(true)
        .map_err(while_doing("making a socket non-blocking"))?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new().map_err(while_doing("making a poll"))?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(while_doing("watching the listener"))?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Slab<Connection> = Slab::new();
    let mut receivers: Vec<usize> = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)
            .map_err(while_doing("polling"))?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    let _ = socket.set_nodelay(true);
                    let token = Token(connections.vacant_key());
                    poll.registry()
                        .register(&mut socket, token, Interest::READABLE)
                        .map_err(while_doing("watching a connection"))?;
                    connections.insert(Connection {
                        socket,
                        request: Vec::new(),
                        upgraded: false,
                    });
                }
                continue;
            }
            let key = event.token().0;
            let Some(connection) = connections.get_mut(key) else {
                continue;
            };
            let mut asked = Vec::new();
            if !connection.read(&mut buffer) || !connection.requests(&mut asked) {
                connections.remove(key);
                receivers.retain(|&receiver| receiver != key);
                continue;
            }
            answer(asked, key, &mut connections, &mut receivers);
        }
    }
}

fn answer(
    asked: Vec<Asked>,
    key: usize,
    connections: &mut Slab<Connection>,
    receivers: &mut Vec<usize>,
) {
    for one in asked {
        match one {
            Asked::Upgrade(accept) => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                );
                let _ = connections[key].socket.write(head.as_bytes());
                receivers.push(key);
            }
            Asked::Publish(frame) => {
                let _ = connections[key].socket.write(ANSWER);
                for &receiver in receivers.iter() {
                    // What the kernel doesn't take is lost: this server holds nothing. The loader counts it.
                    let _ = connections[receiver].socket.write(&frame);
                }
            }
        }
    }
}

impl Connection {
    /// Reads all there is; false when the connection has ended. What a WebSocket client says is of no interest here.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return false,
                Ok(n) if !self.upgraded => self.request.extend_from_slice(&buffer[..n]),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }

    /// Takes every whole request; false when one can't be understood.
    fn requests(&mut self, asked: &mut Vec<Asked>) -> bool {
        while !self.upgraded && memmem::find(&self.request, b"\r\n\r\n").is_some() {
            let Some((length, one)) = self.request() else {
                return false;
            };
            if length > self.request.len() {
                break;
            }
            self.request.drain(..length);
            let Some(one) = one else { break };
            self.upgraded = matches!(one, Asked::Upgrade(_));
            asked.push(one);
        }
        if self.request.is_empty() {
            self.request = Vec::new();
        }
        true
    }

    /// The length of the request at the front and, once all of it is there, what it asks for.
    fn request(&self) -> Option<(usize, Option<Asked>)> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(&self.request).ok()? else {
            return None;
        };
        if request.method == Some("POST") {
            let end = head + content_length(request.headers)?;
            let frame = self.request.get(head..end).map(|body| {
                let mut frame = Vec::with_capacity(body.len() + 10);
                write_server_frame(&mut frame, TEXT, body);
                Asked::Publish(frame)
            });
            return Some((end, frame));
        }
        let key = request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"))?;
        let digest = Sha1::from([key.value, GUID].concat()).digest().bytes();
        Some((
            head,
            Some(Asked::Upgrade(
                base64::engine::general_purpose::STANDARD.encode(digest),
            )),
        ))
    }
}
