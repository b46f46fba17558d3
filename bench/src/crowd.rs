//! Many clients under one poll, in one thread: they are gathered, as a rule a few at a time, then turned through, message
//! by message.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use socket2::{Domain, Socket, Type};

use crate::client::{Client, Phase, Wish};
use crate::frames::Frame;
use crate::trouble::{Trouble, while_doing};

/// How many clients may be connecting at once.
const CONNECTING: usize = 64;
/// How many clients share a source address: well under the ports that one address has.
const PER_ADDRESS: usize = 8_000;
/// What is read at once; more than a socket holds, so that one read empties it.
const READ: usize = 256 * 1024;
/// How long a crowd may take to gather.
const GATHERING: Duration = Duration::from_secs(120);

/// The token of the publisher with this number; clients have their own number.
pub fn publisher_token(number: usize) -> Token {
    Token((1 << 24) + number)
}

/// Clients that all stay.
pub struct Crowd {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    ready: usize,
    gone: usize,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Result<Crowd, Trouble> {
        Ok(Crowd {
            poll: Poll::new().map_err(while_doing("making a poll"))?,
            events: Events::with_capacity(4096),
            buffer: vec![0; READ],
            clients: Vec::new(),
            ready: 0,
            gone: 0,
        })
    }

    /// Connects `count` clients and returns once all of them are ready.
    pub fn gather(
        server: SocketAddr,
        count: usize,
        wish: impl Fn(usize) -> Wish,
    ) -> Result<Crowd, Trouble> {
        let mut crowd = Crowd::new()?;
        let deadline = Instant::now() + GATHERING;
        while crowd.ready < count {
            while crowd.len() < count && crowd.len() - crowd.ready < CONNECTING {
                crowd.add(server, wish(crowd.len()))?;
            }
            crowd.turn(Duration::from_millis(20), |_, _| {})?;
            if Instant::now() > deadline {
                return Err(Trouble::Stalled(format!(
                    "{} of {count} clients are ready",
                    crowd.ready
                )));
            }
        }
        Ok(crowd)
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Where publishers register, so that their sockets end a wait too.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Lets a client say something.
    pub fn say(&mut self, client: usize, text: &str) {
        self.clients[client].say(text);
    }

    /// Sends what a client has said.
    pub fn flush(&mut self, client: usize) {
        self.clients[client].flush();
    }

    /// Waits for events, at most `timeout`, and shows every message with the number of the client that got it.
    pub fn turn(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(usize, &Frame<'_>),
    ) -> Result<(), Trouble> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                return Err(Trouble::Io("polling", e));
            }
            _ => {}
        }
        for event in &self.events {
            let number = event.token().0;
            let Some(client) = self.clients.get_mut(number) else {
                continue;
            };
            let before = client.phase();
            if event.is_writable() {
                client.writable()?;
            }
            if event.is_readable() {
                client.readable(&mut self.buffer, &mut |frame| each(number, frame))?;
            }
            let after = client.phase();
            if before != after {
                self.ready += usize::from(after == Phase::Ready);
                self.gone += usize::from(after == Phase::Gone);
            }
        }
        if self.gone > 0 {
            Err(Trouble::Gone(self.gone))
        } else {
            Ok(())
        }
    }

    /// Turns for this long, showing nothing: what is still on its way comes in, pings are answered.
    pub fn rest(&mut self, time: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left.min(Duration::from_millis(20)), |_, _| {})?;
        }
        Ok(())
    }

    /// Begins to connect one more client; its number is how many there were.
    pub fn add(&mut self, server: SocketAddr, wish: Wish) -> Result<(), Trouble> {
        let number = self.clients.len();
        let mut socket = connecting(server, source(number))?;
        self.poll
            .registry()
            .register(
                &mut socket,
                Token(number),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(while_doing("watching a client"))?;
        self.clients.push(Client::new(socket, wish));
        Ok(())
    }
}

/// The address a client comes from: another one every few thousand clients, and others in the next process, so that
/// neither the range of ports nor what the last run left in TIME_WAIT is a limit.
fn source(number: usize) -> SocketAddr {
    let process = 1 + (std::process::id() % 250) as u8;
    let block = (number / PER_ADDRESS) as u8;
    (Ipv4Addr::new(127, process, 1, 2 + block), 0).into()
}

fn connecting(server: SocketAddr, source: SocketAddr) -> Result<TcpStream, Trouble> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(while_doing(
        "making a socket (is the fd limit high enough?)",
    ))?;
    socket
        .set_nonblocking(true)
        .map_err(while_doing("making a socket non-blocking"))?;
    socket
        .set_tcp_nodelay(true)
        .map_err(while_doing("setting TCP_NODELAY"))?;
    socket
        .bind(&source.into())
        .map_err(while_doing("binding a source address"))?;
    match socket.connect(&server.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => {
            Err(Trouble::Io("connecting a client", e))
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}
