//! `wshub tail` as it is typed.

use clap::Args;
use wshub_client::{Address, Options};

use super::{DEFAULT_URL, Refusal};

/// What `wshub tail` does.
#[derive(Debug, Clone, PartialEq)]
pub struct TailConfig {
    /// Where the hub is.
    pub url: String,
    /// Whose messages are printed.
    pub user: String,
    /// The rooms whose messages are printed, too.
    pub rooms: Vec<String>,
    /// So many of each room's last messages come first.
    pub history: Option<u8>,
    /// The place from which it goes on.
    pub after: Option<String>,
    /// Messages are printed as they came over the wire.
    pub raw: bool,
    /// Messages to the user stay in their queue.
    pub peek: bool,
    /// It ends after so many messages.
    pub count: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Where the hub is
    #[arg(value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// Connect as this user [default: one of its own, to whom nobody writes]
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Be in this room; may be repeated
    #[arg(long, value_name = "ID")]
    room: Vec<String>,
    /// Begin with so many of each room's last messages, up to 100
    #[arg(long, value_name = "N")]
    history: Option<u8>,
    /// Go on behind this place, as an earlier `wshub tail` has named it at its end
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Print messages as they came over the wire, each on one line of JSON
    #[arg(long)]
    raw: bool,
    /// Leave what waits for the user in their queue, for their own devices
    #[arg(long)]
    peek: bool,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

pub(super) const TAIL_HELP: &str = "\
Messages go to stdout, all else to stderr: connections that end and come back, and each place at which messages may be
missing. What was said while it was away follows, as far as the hub knows it; nothing is printed twice.

Whoever connects as a user is one of the user's devices: what waits in the user's queue counts as received once it is
printed, unless --peek is given.

Ctrl-C ends it with status 0 and names the place from which --after goes on.";

impl TailArgs {
    pub(super) fn configuration(self) -> Result<TailConfig, Refusal> {
        let own = || format!("tail-{:08x}", fastrand::u32(..));
        let config = TailConfig {
            url: self.url,
            user: self.user.unwrap_or_else(own),
            rooms: self.room,
            history: self.history,
            after: self.after,
            raw: self.raw,
            peek: self.peek,
            count: self.count,
        };
        Address::parse(&config.url)
            .map_err(|error| Refusal::Argument(format!("{}: {error}", config.url)))?;
        config.options()?;
        Ok(config)
    }
}

impl TailConfig {
    /// What the client is asked for.
    ///
    /// # Errors
    /// The argument that is wrong. What [`read`](super::read) gives has none.
    pub fn options(&self) -> Result<Options, Refusal> {
        let refused =
            |flag: &'static str| move |error| Refusal::Argument(format!("{flag}: {error}"));
        // The receipt is given here, once a message is printed, or by nobody.
        let mut options = Options::user(&self.user)
            .map_err(refused("--user"))?
            .acknowledging();
        for room in &self.rooms {
            options = options
                .room_with(room, self.history, false)
                .map_err(refused("--room"))?;
        }
        if let Some(after) = &self.after {
            options = options.after(after).map_err(refused("--after"))?;
        }
        Ok(options)
    }
}
