//! One WebSocket client: connects, upgrades, waits for the greeting, joins its rooms. It shows every message, answers
//! pings and otherwise says only what it is told to.

use std::io::{ErrorKind, Read, Write};

use memchr::memmem;
use mio::net::TcpStream;

use crate::frames::{CLOSE, Frame, PING, PONG, Scanner, TEXT, write_client_frame};
use crate::trouble::Trouble;

/// What a client asks for when it connects.
pub struct Wish {
    /// The path with its query.
    pub path: String,
    /// Whether permessage-deflate is offered (and must be accepted).
    pub deflate: bool,
    /// Whether the server greets, so that the client is ready only then.
    pub greeted: bool,
    /// The rooms to join before it is ready.
    pub rooms: Vec<String>,
}

/// How far a client has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Waiting for TCP.
    Connecting,
    /// Waiting for the answer to the upgrade.
    Upgrading,
    /// Waiting for the greeting.
    Greeting,
    /// Waiting for this many rooms.
    Joining(usize),
    /// All is set up.
    Ready,
    /// Ended, by the server or by an error.
    Gone,
}

/// A client and what is under way on its socket.
pub struct Client {
    pub(crate) socket: TcpStream,
    phase: Phase,
    scanner: Scanner,
    unsent: Vec<u8>,
    said_goodbye: bool,
    /// Dropped once the client is ready.
    setting_up: Option<Box<SettingUp>>,
}

struct SettingUp {
    wish: Wish,
    answer: Vec<u8>,
}

impl Client {
    /// A client on a socket that is being connected.
    pub fn new(socket: TcpStream, wish: Wish) -> Client {
        let setting_up = Some(Box::new(SettingUp {
            wish,
            answer: Vec::new(),
        }));
        Client {
            socket,
            phase: Phase::Connecting,
            scanner: Scanner::default(),
            unsent: Vec::new(),
            said_goodbye: false,
            setting_up,
        }
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Sends a text message.
    pub fn say(&mut self, text: &str) {
        self.write(TEXT, text.as_bytes());
    }

    /// Says goodbye; the server's answer ends the connection. Nothing is said after it, not even a pong: to a server that
    /// has closed its socket by then it would be a reason for a reset, which throws away what the client hasn't read yet.
    pub fn say_goodbye(&mut self) {
        self.write(CLOSE, &1000u16.to_be_bytes());
        self.said_goodbye = true;
    }

    fn write(&mut self, opcode: u8, payload: &[u8]) {
        if !self.said_goodbye {
            write_client_frame(&mut self.unsent, opcode, payload);
        }
    }

    /// Writes what the socket takes of what is to be said.
    pub fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.end(),
            }
        }
        self.unsent = Vec::new();
    }

    /// The socket may take bytes.
    pub fn writable(&mut self) -> Result<(), Trouble> {
        if self.phase == Phase::Connecting {
            if let Ok(Some(e)) | Err(e) = self.socket.take_error() {
                return Err(Trouble::Io("connecting a client", e));
            }
            if self.socket.peer_addr().is_err() {
                return Ok(());
            }
            self.phase = Phase::Upgrading;
            if let Some(setting_up) = &self.setting_up {
                self.unsent = upgrade(&setting_up.wish).into_bytes();
            }
        }
        self.flush();
        Ok(())
    }

    /// The socket may have bytes; every message in them is shown, the greeting and the answers to joins too: what a
    /// client missed may stand right behind them.
    pub fn readable(
        &mut self,
        buffer: &mut [u8],
        each: &mut impl FnMut(&Frame<'_>),
    ) -> Result<(), Trouble> {
        while !matches!(self.phase, Phase::Connecting | Phase::Gone) {
            let n = match self.socket.read(buffer) {
                Ok(0) => 0,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => 0,
            };
            if n == 0 {
                self.end();
                break;
            }
            self.take(&buffer[..n], each)?;
            // Less than was asked for: the socket is empty, and a further byte is a further event.
            if n < buffer.len() {
                break;
            }
        }
        self.flush();
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(&Frame<'_>)) -> Result<(), Trouble> {
        if self.phase == Phase::Upgrading {
            return match self.upgraded(bytes)? {
                Some(first_frames) if first_frames.is_empty() => Ok(()),
                Some(first_frames) => self.take(&first_frames, each),
                None => Ok(()),
            };
        }
        let mut scanner = std::mem::take(&mut self.scanner);
        let fed = scanner.feed(bytes, |frame| match frame.opcode {
            CLOSE => self.end(),
            PING => self.write(PONG, frame.head),
            PONG => {}
            _ => {
                self.set_up(&frame);
                each(&frame);
            }
        });
        self.scanner = scanner;
        fed
    }

    /// Adds to the answer to the upgrade; once that is whole, gives what came behind it.
    fn upgraded(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(setting_up) = &mut self.setting_up else {
            return Ok(None);
        };
        setting_up.answer.extend_from_slice(bytes);
        let Some(end) = memmem::find(&setting_up.answer, b"\r\n\r\n") else {
            return Ok(None);
        };
        let frames = setting_up.answer.split_off(end + 4);
        let answer = std::mem::take(&mut setting_up.answer);
        if !answer.starts_with(b"HTTP/1.1 101") {
            return Err(Trouble::Refused(
                String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned(),
            ));
        }
        if setting_up.wish.deflate && memmem::find(&answer, b"permessage-deflate").is_none() {
            return Err(Trouble::Refused("permessage-deflate".to_owned()));
        }
        self.phase = Phase::Greeting;
        if !setting_up.wish.greeted {
            self.ready();
        }
        Ok(Some(frames))
    }

    /// A message before the client is ready: the greeting, or the answer to a `join`.
    fn set_up(&mut self, frame: &Frame<'_>) {
        if self.phase == Phase::Ready {
            return;
        }
        let is = |kind: &[u8]| frame.compressed || memmem::find(frame.head, kind).is_some();
        match self.phase {
            Phase::Greeting if is(br#""type":"connected""#) => {
                let rooms = self
                    .setting_up
                    .as_mut()
                    .map(|s| std::mem::take(&mut s.wish.rooms))
                    .unwrap_or_default();
                self.phase = Phase::Joining(rooms.len());
                for room in &rooms {
                    self.say(&format!(r#"{{"type":"join","room_id":"{room}"}}"#));
                }
            }
            Phase::Joining(left) if is(br#""type":"joined""#) => {
                self.phase = Phase::Joining(left - 1)
            }
            _ => {}
        }
        if self.phase == Phase::Joining(0) {
            self.ready();
        }
    }

    fn ready(&mut self) {
        self.phase = Phase::Ready;
        self.setting_up = None;
    }

    fn end(&mut self) {
        self.phase = Phase::Gone;
        self.unsent = Vec::new();
    }
}

fn upgrade(wish: &Wish) -> String {
    let extension = if wish.deflate {
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
    } else {
        ""
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n",
        wish.path
    )
}
