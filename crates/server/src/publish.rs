//! `wshub publish`: one message by arguments, or one for each line of stdin, over HTTP or over a socket.

mod by_http;
mod by_socket;
mod letter;
mod lines;
mod progress;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use tokio::io::stdin;
use wshub_protocol::client_message::{BATCH_MESSAGES, Publish};

use crate::cli::{Form, PublishConfig};
use crate::logs::one_line;
use letter::Letters;
use lines::{Line, Lines};
use progress::Progress;

/// So many bytes go out together at most, but for a single message.
const BATCH_BYTES: usize = 1 << 20;

/// Runs it to its end, which is that of stdin.
#[must_use]
pub fn run(config: PublishConfig) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            note(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let published = runtime.block_on(publish(config));
    // A thread may still wait for stdin.
    runtime.shutdown_background();
    match published {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            note(&why);
            ExitCode::FAILURE
        }
    }
}

/// Says something beside what is published. Where stderr is closed there is nobody to tell.
fn note(what: &str) {
    let _ = writeln!(io::stderr(), "wshub publish: {}", one_line(what));
}

/// Publishes all there is; false where something of it was not published.
async fn publish(config: PublishConfig) -> Result<bool, String> {
    let stdin_is_terminal = config.data.is_none() && io::stdin().is_terminal();
    if stdin_is_terminal {
        note("reading messages, one a line, until Ctrl-D");
    }
    let single = config.data.is_some();
    let shown = config.progress || !single && !stdin_is_terminal && io::stderr().is_terminal();
    let mut progress = Progress::new(shown, io::stderr().is_terminal(), single);
    let source = match &config.data {
        Some(data) => Source::One(Some(data.clone())),
        None => Source::Lines(Box::new(Lines::new(stdin()))),
    };
    let letters = Letters::new(config.form.clone());
    let ended = match &config.sender {
        Some(sender) => by_socket::publish(&config, sender, source, letters, &mut progress).await,
        None => by_http::publish(&config, source, letters, &mut progress).await,
    };
    progress.end();
    ended.map(|()| progress.nothing_failed())
}

/// Where messages come from.
enum Source {
    One(Option<String>),
    Lines(Box<Lines<tokio::io::Stdin>>),
}

impl Source {
    /// The next line, by its number from 1; none at the end.
    async fn next(&mut self) -> Result<Option<(u64, Line)>, String> {
        match self {
            Self::One(data) => Ok(data.take().map(|data| (1, Line::Whole(data.into_bytes())))),
            Self::Lines(lines) => lines
                .next()
                .await
                .map_err(|error| format!("stdin: {error}")),
        }
    }
}

/// A message on its way, and the line that it came from.
struct Letter {
    line: u64,
    publish: Publish,
}
