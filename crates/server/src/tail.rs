//! `wshub tail`: prints what a user and some rooms are told, and goes on doing so over all reconnects.

mod page;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Stdout, stdout};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use wshub_client::{Addressee, Client, Event, Events, Joined, Message, connect};
use wshub_protocol::Cursor;

use crate::cli::TailConfig;
use crate::logs::one_line;

/// So much is printed at once while more is there already.
const PAGE_BYTES: usize = 64 << 10;
/// How long a reader that takes no more holds up the end.
const LAST_PAGE: Duration = Duration::from_secs(1);

/// Runs it to its end: Ctrl-C, the last message that was asked for, nobody who reads, or the hub's word.
#[must_use]
pub fn run(config: &TailConfig) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let ended = runtime.block_on(tail(config));
    // A reader that takes no more may hold up a thread that writes.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(why: &str) -> ExitCode {
    note(why);
    ExitCode::FAILURE
}

/// Says something about the messages, beside them. Where stderr is closed there is nobody to tell.
fn note(what: &str) {
    let _ = writeln!(io::stderr(), "wshub tail: {}", one_line(what));
}

async fn tail(config: &TailConfig) -> Result<(), String> {
    let options = config.options().map_err(|error| error.to_string())?;
    let mut interrupts = Interrupts::new()?;
    let (client, mut events) = connect(&config.url, options).map_err(|error| error.to_string())?;
    let mut printer = Printer::new(config);
    let ended = printer
        .print_all(&client, &mut events, &mut interrupts)
        .await;
    if let Some(place) = &printer.place {
        note(&format!("--after {place} goes on from here"));
    }
    client.close().await;
    tokio::select! {
        () = interrupts.next() => {}
        () = async { while events.next().await.is_some() {} } => {}
    }
    match ended {
        // Whoever read has seen enough.
        Err(Stop::Unwritable(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Unwritable(error)) => Err(format!("stdout: {error}")),
        Err(Stop::SentAway(why)) => Err(why),
        Ok(()) => Ok(()),
    }
}

/// Ctrl-C, or a supervisor's word.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    heard: bool,
}

impl Interrupts {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| error.to_string());
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            heard: false,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        self.heard = true;
    }

    /// Waits for the next one, and then for a page that is being printed.
    async fn lose_patience(&mut self) {
        self.next().await;
        sleep(LAST_PAGE).await;
    }
}

/// Why it ends before it was to.
enum Stop {
    Unwritable(io::Error),
    SentAway(String),
}

struct Printer<'a> {
    config: &'a TailConfig,
    stdout: Stdout,
    /// What is to be printed next.
    page: Vec<u8>,
    /// The newest message to the user on it.
    receipt: Option<Cursor>,
    left: Option<u64>,
    /// What was said before is printed.
    place: Option<String>,
    rooms: BTreeSet<String>,
}

impl<'a> Printer<'a> {
    fn new(config: &'a TailConfig) -> Self {
        Self {
            config,
            stdout: stdout(),
            page: Vec::new(),
            receipt: None,
            left: config.count,
            place: config.after.clone(),
            rooms: BTreeSet::new(),
        }
    }

    async fn print_all(
        &mut self,
        client: &Client,
        events: &mut Events,
        interrupts: &mut Interrupts,
    ) -> Result<(), Stop> {
        while self.left != Some(0) && !interrupts.heard {
            let event = tokio::select! {
                () = interrupts.next() => return Ok(()),
                event = events.next() => event,
            };
            let Some(event) = event else {
                return Ok(());
            };
            let mut ended = self.take(event);
            while ended.is_ok()
                && self.left != Some(0)
                && self.page.len() < PAGE_BYTES
                && let Some(event) = events.next_now()
            {
                ended = self.take(event);
            }
            tokio::select! {
                printed = self.print(client) => printed?,
                () = interrupts.lose_patience() => return Ok(()),
            }
            self.place = events.place();
            ended?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Message(message) => self.write(&message),
            Event::Closed(end) => return Err(Stop::SentAway(format!("sent away for good: {end}"))),
            event => {
                if let Some(words) = page::note_of(&event) {
                    note(&words);
                }
                if let Event::Joined(joined) = event {
                    self.take_room(&joined);
                }
            }
        }
        Ok(())
    }

    /// Says once of each room that it is in there.
    fn take_room(&mut self, joined: &Joined) {
        if self.rooms.insert(joined.room.clone()) {
            let users = if joined.members == 1 { "user" } else { "users" };
            note(&format!(
                "in room {} with {} {users}",
                joined.room, joined.members
            ));
        }
        joined
            .history
            .iter()
            .for_each(|message| self.write(message));
    }

    fn write(&mut self, message: &Message) {
        if self.left == Some(0) {
            return;
        }
        self.left = self.left.map(|left| left - 1);
        if self.config.raw {
            page::write_raw(&mut self.page, message);
        } else {
            page::write_pretty(&mut self.page, message, &self.config.user);
        }
        if *message.addressee() == Addressee::User {
            self.receipt = message.cursor().copied();
        }
    }

    /// Prints the page. Only then are the messages on it received.
    async fn print(&mut self, client: &Client) -> Result<(), Stop> {
        if self.page.is_empty() {
            return Ok(());
        }
        self.stdout
            .write_all(&self.page)
            .await
            .map_err(Stop::Unwritable)?;
        self.stdout.flush().await.map_err(Stop::Unwritable)?;
        self.page.clear();
        if let Some(cursor) = self.receipt.take().filter(|_| !self.config.peek) {
            client.acknowledge(&cursor).await;
        }
        Ok(())
    }
}
