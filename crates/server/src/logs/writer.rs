//! The bounded buffer between those who log and the one thread that waits for stderr.
//!
//! Two buffers change places: lines are appended to one while the thread writes the other. The lock
//! is held for the copy of a line or a swap, never while something is written, so whoever logs
//! waits for no one's terminal. Both together never hold more than twice [`BUFFER_BYTES`].

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines may wait: some thousand lines, a second's worth of a node in trouble.
const BUFFER_BYTES: usize = 1 << 20;

/// Lines on their way to stderr. Clones are the same buffer.
#[derive(Debug, Clone, Default)]
pub(super) struct LineBuffer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something waits to be written.
    filled: Condvar,
    /// Nothing waits and nothing is being written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    writing: bool,
}

impl LineBuffer {
    /// Starts the thread that writes the lines. It ends with the process.
    pub(super) fn write_to(&self, mut out: impl Write + Send + 'static) {
        let buffer = self.clone();
        let run = move || {
            let mut lines = Vec::new();
            loop {
                let dropped = buffer.swap(&mut lines);
                // Where stderr is closed there is nobody to tell.
                let _ = write_batch(&mut out, &lines, dropped);
            }
        };
        // Without the thread lines are dropped and counted, which is no reason not to serve.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(run);
    }

    /// Adds a line, or counts it where there is no room for it.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > BUFFER_BYTES {
            waiting.dropped += 1;
            return;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Waits for lines, then takes them all and leaves the written buffer in their place. Returns
    /// how many lines were dropped behind the last of them.
    fn swap(&self, written: &mut Vec<u8>) -> u64 {
        written.clear();
        let mut waiting = self.lock();
        waiting.writing = false;
        if waiting.lines.is_empty() {
            self.shared.emptied.notify_all();
        }
        let idle = |waiting: &mut Waiting| waiting.lines.is_empty();
        waiting = self
            .shared
            .filled
            .wait_while(waiting, idle)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.writing = true;
        std::mem::swap(&mut waiting.lines, written);
        std::mem::take(&mut waiting.dropped)
    }

    /// Waits until everything is written, or until the time is over.
    pub(super) fn flush(&self, at_most: Duration) {
        let busy = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        let waiting = self.lock();
        drop(
            self.shared
                .emptied
                .wait_timeout_while(waiting, at_most, busy),
        );
    }

    /// A thread that panicked while it logged leaves whole lines behind: the lock's poison says
    /// nothing.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_batch(out: &mut impl Write, lines: &[u8], dropped: u64) -> io::Result<()> {
    out.write_all(lines)?;
    if dropped > 0 {
        let notice =
            format!("{dropped} log lines were dropped here: stderr takes them too slowly\n");
        out.write_all(notice.as_bytes())?;
    }
    out.flush()
}

/// tracing-subscriber formats an event to its end and writes it with one call, so each is one line.
impl Write for LineBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineBuffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A terminal that takes one write for each permission it is given.
    struct Terminal {
        permissions: Receiver<()>,
        screen: Sender<String>,
    }

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self
                .screen
                .send(String::from_utf8_lossy(bytes).into_owned());
            self.permissions.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct World {
        buffer: LineBuffer,
        permit: Sender<()>,
        screen: Receiver<String>,
    }

    impl World {
        fn with_terminal() -> Self {
            let (permit, permissions) = channel();
            let (shown, screen) = channel();
            let buffer = LineBuffer::default();
            buffer.write_to(Terminal {
                permissions,
                screen: shown,
            });
            Self {
                buffer,
                permit,
                screen,
            }
        }

        fn log(&mut self, line: &str) {
            self.buffer.write_all(line.as_bytes()).unwrap();
        }

        /// What the terminal shows next; it then stands still until it is permitted to go on.
        fn shows(&self) -> String {
            self.screen.recv_timeout(PATIENCE).unwrap()
        }

        fn go_on(&self) {
            self.permit.send(()).unwrap();
        }
    }

    #[test]
    fn a_terminal_that_stands_still_holds_up_nobody_and_the_loss_is_told_later() {
        let mut world = World::with_terminal();
        world.log("first\n");
        assert_eq!(world.shows(), "first\n");
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..BUFFER_BYTES / 1024 + 7 {
            world.log(&line);
        }
        world.go_on();
        assert_eq!(world.shows().len(), BUFFER_BYTES);
        world.go_on();
        assert_eq!(
            world.shows(),
            "7 log lines were dropped here: stderr takes them too slowly\n"
        );
        world.go_on();
        world.log("last\n");
        assert_eq!(world.shows(), "last\n");
    }

    #[test]
    fn a_flush_waits_until_the_last_line_is_out() {
        let mut world = World::with_terminal();
        world.go_on();
        world.log("the end\n");
        world.buffer.flush(PATIENCE);
        assert_eq!(world.screen.try_recv().as_deref(), Ok("the end\n"));
    }

    #[test]
    fn a_flush_gives_up_on_a_terminal_that_stands_still() {
        let mut world = World::with_terminal();
        world.log("unseen\n");
        world.buffer.flush(Duration::from_millis(1));
    }
}
