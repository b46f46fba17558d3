//! What becomes of the messages, counted, and told on stderr: refusals by line, and how far it has come.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::note;

/// How often the progress is told at most.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// Goes to the beginning of a terminal's line and empties it.
const ANEW: &str = "\r\u{1b}[K";

/// The counts of one run.
pub(super) struct Progress {
    shown: bool,
    terminal: bool,
    /// There is one message and no line.
    single: bool,
    published: u64,
    duplicates: u64,
    failed: u64,
    begun: Instant,
    told: Instant,
}

impl Progress {
    pub(super) fn new(shown: bool, terminal: bool, single: bool) -> Self {
        let now = Instant::now();
        Self {
            shown,
            terminal,
            single,
            published: 0,
            duplicates: 0,
            failed: 0,
            begun: now,
            told: now,
        }
    }

    pub(super) fn nothing_failed(&self) -> bool {
        self.failed == 0
    }

    /// One more is in the log.
    pub(super) fn published(&mut self, duplicate: bool) {
        self.published += 1;
        self.duplicates += u64::from(duplicate);
        if self.shown && self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            self.tell();
        }
    }

    /// The message of this line is not published, or not known to be.
    pub(super) fn failed(&mut self, line: u64, why: &dyn Display) {
        self.failed += 1;
        if self.single {
            self.note(&why.to_string());
        } else {
            self.note(&format!("line {line}: {why}"));
        }
    }

    /// Says something beside the progress.
    pub(super) fn note(&self, what: &str) {
        if self.shown && self.terminal {
            let _ = write!(io::stderr(), "{ANEW}");
        }
        note(what);
    }

    /// The receipt of a message that was published alone, for programs.
    pub(super) fn receipt(&self, text: &str) {
        if self.single {
            // Where stdout is closed nobody wants to know.
            let _ = writeln!(io::stdout(), "{text}");
        }
    }

    /// The last word.
    pub(super) fn end(&self) {
        if self.shown || self.failed > 0 && !self.single {
            self.tell();
            if self.shown && self.terminal {
                let _ = writeln!(io::stderr());
            }
        }
    }

    fn tell(&self) {
        let Self {
            published,
            duplicates,
            failed,
            ..
        } = self;
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = (*published as f64 / seconds.max(0.001)).round();
        let mut words = format!("{published} published in {seconds:.1} s, {rate} a second");
        if *duplicates > 0 {
            words += &format!("; {duplicates} were published before");
        }
        if *failed > 0 {
            words += &format!("; {failed} failed");
        }
        if self.shown && self.terminal {
            let _ = write!(io::stderr(), "{ANEW}{words}");
        } else {
            note(&words);
        }
    }
}
