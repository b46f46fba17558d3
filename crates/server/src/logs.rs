//! Log lines: one event, one line, on stderr, without ever holding up who writes it.
//!
//! A shard that waits for a terminal or a full pipe delays ten thousand connections, so lines go
//! into a bounded buffer that one thread empties; when it is full lines are dropped and their
//! number is told later. Outside text (a user id, an error of a peer) can't start a line or pass
//! for a field: the format escapes it. So that an attack can't fill the disk either, each kind of
//! trouble has one line per ten seconds ([`Troubles`]) and what goes well is summed up
//! ([`Counters::summary`]).

mod filter;
mod line;
mod summary;
mod troubles;
mod writer;

use std::io::stderr;
use std::panic::{set_hook, take_hook};
use std::time::Duration;

use tracing::subscriber::set_global_default;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

pub use filter::{FilterError, LogFilter};
pub use line::one_line;
pub use summary::{Counters, SUMMARY_EVERY};
pub use troubles::{Admission, MoreLikeIt, Overdue, TROUBLE_EVERY, Troubles};

use line::LineFormat;
use writer::LineBuffer;

/// How long the end of the process, good or bad, may wait for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The running log. Drop it last: it then waits, for a second at most, until what was said is
/// written.
#[derive(Debug)]
pub struct Logs {
    buffer: LineBuffer,
}

/// Sends all events that pass the filter to stderr from now on.
///
/// # Panics
/// When the process has a log already: that is decided in `main`, once.
#[must_use]
pub fn start(filter: &LogFilter) -> Logs {
    let buffer = LineBuffer::default();
    buffer.write_to(stderr());
    let lines = layer()
        .event_format(LineFormat::new(SystemTime))
        .with_writer(buffer.clone());
    set_global_default(registry().with(lines).with(filter.targets()))
        .expect("the log is started once, in main");
    write_out_before_a_panic(buffer.clone());
    Logs { buffer }
}

/// A panic ends the process at once, and what was said just before it is what explains it.
fn write_out_before_a_panic(buffer: LineBuffer) {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        buffer.flush(LAST_LINES);
        report(panic);
    }));
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.buffer.flush(LAST_LINES);
    }
}
