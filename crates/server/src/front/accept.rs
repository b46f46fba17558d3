//! The listeners: who comes in, and what happens when the process has no descriptor left.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::answer::{Answer, Form};
use super::scratch::with_scratch;

/// What a listener brought.
#[derive(Debug)]
pub(super) enum Knock {
    /// A connection: non-blocking and registered nowhere.
    Guest(TcpStream, SocketAddr),
    /// A connection that was refused, because there was a descriptor only for saying so.
    Refused,
    /// Nothing can be accepted now: trying again at once would only burn the processor.
    Pause(io::Error),
}

/// The listeners of a front and the descriptor that it keeps for a rainy day.
pub(super) struct Doors {
    listeners: Vec<AsyncFd<mio::net::TcpListener>>,
    /// The listener that is asked first, so that a busy one doesn't starve the others.
    turn: usize,
    spare: Option<File>,
    full: Vec<u8>,
}

impl Doors {
    /// Takes the listeners over from tokio, which would register each connection at once: one that
    /// has sent its upgrade already goes to its shard without ever being registered here.
    pub(super) fn new(listeners: Vec<tokio::net::TcpListener>) -> io::Result<Self> {
        let listeners = listeners
            .into_iter()
            .map(adopt)
            .collect::<io::Result<_>>()?;
        let mut full = Vec::new();
        Answer::overloaded("this node has no room for another connection")
            .write_to(&mut full, Form::LAST);
        Ok(Self {
            listeners,
            turn: 0,
            spare: open_spare(),
            full,
        })
    }

    /// Waits for the next connection.
    pub(super) async fn knock(&mut self) -> Knock {
        poll_fn(|context| self.poll_knock(context)).await
    }

    /// The next connection, if one is there already.
    pub(super) async fn knock_at_hand(&mut self) -> Option<Knock> {
        poll_fn(|context| match self.poll_knock(context) {
            Poll::Ready(knock) => Poll::Ready(Some(knock)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn poll_knock(&mut self, context: &mut Context<'_>) -> Poll<Knock> {
        for _ in 0..self.listeners.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.listeners.len();
            while let Poll::Ready(ready) = self.listeners[turn].poll_read_ready(context) {
                let mut ready = match ready {
                    Ok(ready) => ready,
                    Err(error) => return Poll::Ready(Knock::Pause(error)),
                };
                match accept(ready.get_inner(), &mut self.spare, &self.full) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                    Ok(knock) => return Poll::Ready(knock),
                    Err(error) => return Poll::Ready(Knock::Pause(error)),
                }
            }
        }
        Poll::Pending
    }

    /// Refuses a connection with 503, if that can be said without waiting.
    pub(super) fn refuse(&self, guest: &TcpStream) {
        refuse(guest, &self.full);
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose `as_raw_fd` may lie"
)]
fn adopt(listener: tokio::net::TcpListener) -> io::Result<AsyncFd<mio::net::TcpListener>> {
    let listener = mio::net::TcpListener::from_std(listener.into_std()?);
    AsyncFd::with_interest(listener, Interest::READABLE)
}

fn accept(
    listener: &mio::net::TcpListener,
    spare: &mut Option<File>,
    full: &[u8],
) -> io::Result<Knock> {
    loop {
        match listener.accept() {
            Ok((guest, peer)) => return Ok(Knock::Guest(guest.into(), peer)),
            // The peer left while it waited to be accepted.
            Err(error) if is_the_guests(&error) => {}
            Err(error) if !is_out_of_descriptors(&error) => return Err(error),
            Err(error) => {
                // Without a spare one (somebody else was quicker) only waiting helps.
                if spare.take().is_none() {
                    *spare = open_spare();
                    return Err(error);
                }
                let knock = listener.accept().map(|(guest, _)| {
                    refuse(&guest.into(), full);
                    Knock::Refused
                });
                *spare = open_spare();
                return knock;
            }
        }
    }
}

/// The request is read, as far as it is there, since the client would lose the answer to the reset
/// that follows a close with unread bytes.
fn refuse(mut guest: &TcpStream, full: &[u8]) {
    with_scratch(|scratch| {
        let _ = guest.read(scratch);
    });
    say_last(guest, full);
}

/// Writes what the socket takes now, and ends it.
pub(super) fn say_last(mut guest: &TcpStream, answer: &[u8]) {
    let _ = guest.write(answer);
    let _ = guest.shutdown(Shutdown::Write);
}

fn open_spare() -> Option<File> {
    File::open("/dev/null").ok()
}

fn is_the_guests(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    /// `ENFILE` and `EMFILE`, the same on every Unix.
    const TABLE_FULL: [i32; 2] = [23, 24];
    error
        .raw_os_error()
        .is_some_and(|code| TABLE_FULL.contains(&code))
}
