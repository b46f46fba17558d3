//! The task that has the socket: it carries commands, frames, time and events to and from the rules.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use wshub_protocol::client_message::Publish;
use wshub_protocol::{Cursor, RoomId};

use crate::address::Address;
use crate::core::{Action, Core, Full, Now, Places, Receipt, Ticket, Unpublished, Wish};
use crate::event::Event;
use crate::link::{Heard, Link};

/// An event, and the place from which to go on behind it.
pub(crate) type Told = (Event, Places);
pub(crate) type Outcome = Result<Receipt, Unpublished>;

/// What the application asks for.
pub(crate) enum Command {
    Publish(Publish, oneshot::Sender<Outcome>),
    Join(RoomId, Wish, oneshot::Sender<Result<(), Full>>),
    Leave(RoomId, oneshot::Sender<Result<(), Full>>),
    Acknowledge(Cursor),
    SetToken(String, oneshot::Sender<Result<(), Full>>),
    Close,
}

pub(crate) struct Task {
    core: Core,
    address: Address,
    link: Link,
    start: Instant,
    /// None once nobody holds a client any more.
    commands: Option<mpsc::Receiver<Command>>,
    /// None once nobody listens any more.
    events: Option<mpsc::Sender<Told>>,
    publishers: HashMap<Ticket, oneshot::Sender<Outcome>>,
    /// The last connection, while it is being closed.
    farewell: Option<JoinHandle<()>>,
}

impl Task {
    pub(crate) fn new(
        core: Core,
        address: Address,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Told>,
    ) -> Self {
        Self {
            core,
            address,
            link: Link::None,
            start: Instant::now(),
            commands: Some(commands),
            events: Some(events),
            publishers: HashMap::new(),
            farewell: None,
        }
    }

    /// Runs until the client is closed, or nobody holds an end of it any more.
    pub(crate) async fn run(mut self) {
        loop {
            self.act();
            if self.events.is_none() {
                while self.core.next_event(self.now()).is_some() {}
                if self.commands.is_none() {
                    self.core.close();
                }
            }
            let waits = self.core.has_event();
            if self.core.is_over() && !waits {
                break;
            }
            self.turn(waits).await;
        }
        // A process that ends with the last event has then said its farewell.
        if let Some(farewell) = self.farewell {
            _ = farewell.await;
        }
    }

    /// Waits for the next thing that happens, and has the rules take it. While an event waits for the application, the
    /// socket isn't read: a server sees then that the client is slow.
    async fn turn(&mut self, waits: bool) {
        // Without one the branch is off, and the time is of no matter.
        let deadline = self.core.deadline();
        let at = self.start + deadline.unwrap_or(Duration::ZERO);
        let Self {
            core,
            link,
            commands,
            events,
            ..
        } = self;
        tokio::select! {
            biased;
            room = room(events), if waits => if room { self.tell() } else { self.events = None },
            () = closed(events), if !waits && events.is_some() => self.events = None,
            command = next(commands), if commands.is_some() => match command {
                Some(command) => self.follow(command),
                None => self.commands = None,
            },
            heard = link.exchange(|| core.next_frame()), if !waits => {
                let now = self.start.elapsed();
                match heard {
                    Heard::Text(text) => self.core.heard(now, &text),
                    Heard::Life => self.core.alive(now),
                    Heard::End(end) => self.core.lost(now, end),
                }
            }
            () = sleep_until(at), if deadline.is_some() => self.core.tick(self.start.elapsed()),
        }
    }

    /// Gives the application the next event; there is room for one, and nobody else takes it.
    fn tell(&mut self) {
        if let Some(told) = self.core.next_event(self.now())
            && let Some(events) = &self.events
            && events.try_send(told).is_err()
        {
            self.events = None;
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.core.next_action() {
            match action {
                Action::Dial { path, token } => {
                    self.link.dial(&self.address, &path, token.as_deref())
                }
                Action::HangUp { last } => self.farewell = self.link.hang_up(last),
                Action::Settle(ticket, outcome) => {
                    if let Some(publisher) = self.publishers.remove(&ticket) {
                        // A publisher that went away doesn't want to know.
                        let _ = publisher.send(outcome);
                    }
                }
            }
        }
    }

    fn follow(&mut self, command: Command) {
        let now = self.now();
        // Whoever doesn't wait for the answer doesn't want to know.
        match command {
            Command::Publish(publish, publisher) => match self.core.publish(now, publish) {
                Ok(ticket) => _ = self.publishers.insert(ticket, publisher),
                Err(why) => _ = publisher.send(Err(why)),
            },
            Command::Join(room, wish, tell) => _ = tell.send(self.core.join(&room, wish)),
            Command::Leave(room, tell) => _ = tell.send(self.core.leave(&room)),
            Command::Acknowledge(cursor) => self.core.acknowledge(cursor),
            Command::SetToken(token, tell) => _ = tell.send(self.core.set_token(now, token)),
            Command::Close => self.core.close(),
        }
    }

    fn now(&self) -> Now {
        self.start.elapsed()
    }
}

/// Waits until there is room for an event; false where nobody will take it.
async fn room(events: &Option<mpsc::Sender<Told>>) -> bool {
    match events {
        Some(events) => events.reserve().await.is_ok(),
        None => false,
    }
}

async fn closed(events: &Option<mpsc::Sender<Told>>) {
    if let Some(events) = events {
        events.closed().await;
    }
}

async fn next(commands: &mut Option<mpsc::Receiver<Command>>) -> Option<Command> {
    commands.as_mut()?.recv().await
}
