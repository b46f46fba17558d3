//! The two ends of a client that an application holds: one to say things, one to hear them.

use std::fmt;

use tokio::sync::{mpsc, oneshot};
use wshub_protocol::ids::IdError;
use wshub_protocol::{Cursor, RoomId};

use crate::address::{Address, AddressError};
use crate::core::{Core, Full, Places, Receipt, Unpublished, Wish};
use crate::event::Event;
use crate::limits;
use crate::options::{Options, OptionsError, check_history, check_token, read_place};
use crate::say::Draft;
use crate::task::{Command, Outcome, Task, Told};

/// Connects to a hub, and goes on doing so: whatever ends a connection, the client comes back unless the hub has said
/// that it mustn't. The first connection is no different, so nothing has to be there yet.
///
/// # Errors
/// Where `url` isn't the address of a hub.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn connect(url: &str, options: Options) -> Result<(Client, Events), AddressError> {
    let address = Address::parse(url)?;
    let (say, commands) = mpsc::channel(limits::COMMANDS);
    let (tell, events) = mpsc::channel(limits::EVENTS);
    let places = options.after.clone().unwrap_or_default();
    let core = Core::new(options, fastrand::u64(..));
    tokio::spawn(Task::new(core, address, commands, tell).run());
    Ok((Client { commands: say }, Events { events, places }))
}

/// Says things to the hub. Copies share the connection, which ends when the last of them and the [`Events`] are gone.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
}

/// Why a command is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// The client is closed.
    Closed,
    /// As many rooms are joined, or commands wait for the socket, as may.
    Full,
    /// What was handed in is wrong.
    Wrong(OptionsError),
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client is closed"),
            Self::Full => f.write_str("as many rooms are joined, or commands wait, as may"),
            Self::Wrong(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotDone {}

impl From<OptionsError> for NotDone {
    fn from(error: OptionsError) -> Self {
        Self::Wrong(error)
    }
}

impl From<IdError> for NotDone {
    fn from(error: IdError) -> Self {
        Self::Wrong(error.into())
    }
}

impl From<Full> for NotDone {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// A publish on its way.
#[derive(Debug)]
pub struct Publishing(oneshot::Receiver<Outcome>);

impl Publishing {
    /// Waits for the hub's answer, over as many connections as it takes.
    ///
    /// # Errors
    /// Why there is no receipt.
    pub async fn outcome(self) -> Result<Receipt, Unpublished> {
        // The task answers all it has taken before it ends; what it hasn't taken was not sent.
        self.0.await.unwrap_or(Err(Unpublished::NotSent))
    }
}

impl Client {
    /// Publishes and waits for the receipt: the message is then in the hub's log. It is sent again with the same id, over
    /// as many connections as it takes, for four and a half minutes.
    ///
    /// # Errors
    /// Why there is no receipt.
    pub async fn publish(&self, draft: Draft) -> Result<Receipt, Unpublished> {
        self.hand_in(draft).await.outcome().await
    }

    /// Hands a publish in; its answer may be waited for later. Those that are handed in one after the other enter the log
    /// in this order, unless one finds the hub full and is tried again.
    pub async fn hand_in(&self, draft: Draft) -> Publishing {
        let (tell, told) = oneshot::channel();
        // Where the task is gone it drops `tell` with the command, and that is the answer.
        let _ = self.commands.send(Command::Publish(draft.0, tell)).await;
        Publishing(told)
    }

    /// Is in a room from now on, over all reconnects. [`Event::Joined`] tells when, [`Event::Refused`] if not. Where the
    /// hub could not let it in just now, it is asked again.
    ///
    /// # Errors
    /// Where the id is wrong, or there are as many rooms as may be.
    pub async fn join(&self, room: &str) -> Result<(), NotDone> {
        self.join_with(room, None, false, None).await
    }

    /// Is in a room from now on, is given so many of its last messages, is told who comes and goes, or catches up with
    /// what was said in it behind a place first.
    ///
    /// # Errors
    /// Where something of it is wrong, or there are as many rooms as may be.
    pub async fn join_with(
        &self,
        room: &str,
        history: Option<u8>,
        presence: bool,
        after: Option<&str>,
    ) -> Result<(), NotDone> {
        let after = after.map(read_place).transpose()?;
        let wish = Wish {
            history,
            presence,
            after,
        };
        check_history(&wish)?;
        let room = RoomId::parse(room)?;
        self.ask(|tell| Command::Join(room, wish, tell)).await
    }

    /// Is in a room no more. [`Event::Left`] tells when.
    ///
    /// # Errors
    /// Where the id is wrong, or as many commands wait as may.
    pub async fn leave(&self, room: &str) -> Result<(), NotDone> {
        let room = RoomId::parse(room)?;
        self.ask(|tell| Command::Leave(room, tell)).await
    }

    /// Says that this message to the user, and each such that was given before it, is received: they leave the user's
    /// queue. Where there is no connection now, it is said on the next one. Other messages need no receipt.
    pub async fn acknowledge(&self, cursor: &Cursor) {
        let _ = self.commands.send(Command::Acknowledge(*cursor)).await;
    }

    /// Hands in a fresh token, before the old one expires or after [`Event::TokenExpired`].
    ///
    /// # Errors
    /// Where it can't be a token.
    pub async fn set_token(&self, token: &str) -> Result<(), NotDone> {
        let token = check_token(token)?;
        self.ask(|tell| Command::SetToken(token, tell)).await
    }

    /// Leaves for good. Publishes without an answer are told so.
    pub async fn close(&self) {
        let _ = self.commands.send(Command::Close).await;
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), Full>>) -> Command,
    ) -> Result<(), NotDone> {
        let (tell, told) = oneshot::channel();
        self.commands
            .send(command(tell))
            .await
            .map_err(|_| NotDone::Closed)?;
        told.await
            .map_err(|_| NotDone::Closed)?
            .map_err(NotDone::from)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Hears what happens. While nobody takes events, nothing is read and nothing sent either: whoever only publishes drops
/// this.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Told>,
    places: Places,
}

impl Events {
    /// The next event; none once the client is closed. May be dropped while it waits, nothing is lost by that.
    pub async fn next(&mut self) -> Option<Event> {
        let (event, places) = self.events.recv().await?;
        self.places = places;
        Some(event)
    }

    /// The next event if there is one now.
    pub fn next_now(&mut self) -> Option<Event> {
        let (event, places) = self.events.try_recv().ok()?;
        self.places = places;
        Some(event)
    }

    /// The place from which another process goes on behind the last event that was taken, by
    /// [`Options::after`](crate::Options::after); none before the first connection.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        (!self.places.is_empty()).then(|| self.places.to_string())
    }
}
