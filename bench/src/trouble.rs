//! What can end a run without a figure. A run that lost its footing says why and prints nothing else.

use std::fmt;
use std::io;

/// Why a run has no figure.
#[derive(Debug)]
pub enum Trouble {
    /// The kernel refused something; the text says what was tried.
    Io(&'static str, io::Error),
    /// The server refused an upgrade or a publish; its answer, shortened.
    Refused(String),
    /// Bytes that this loader takes for a broken server: the text says which rule they break.
    Garbled(&'static str),
    /// A connection or more ended that should have stayed.
    Gone(usize),
    /// Nothing moved for too long; the text says what was waited for.
    Stalled(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Io(doing, e) => write!(f, "{doing}: {e}"),
            Trouble::Refused(answer) => write!(f, "the server refused: {answer}"),
            Trouble::Garbled(rule) => write!(f, "the server sent what it must not: {rule}"),
            Trouble::Gone(n) => write!(f, "{n} connections ended that should have stayed"),
            Trouble::Stalled(what) => write!(f, "nothing moved for too long: {what}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// Turns an I/O error into a [`Trouble`] that says what was being done.
pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(io::Error) -> Trouble {
    move |e| Trouble::Io(doing, e)
}
