//! `wshub publish` as it is typed.

use clap::Args;
use wshub_client::Address;
use wshub_protocol::client_message::Target;
use wshub_protocol::{RoomId, UserId};

use super::{DEFAULT_URL, Refusal};

/// What `wshub publish` does.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishConfig {
    /// Where the hub is.
    pub address: Address,
    /// Where the hub is, as it was typed.
    pub url: String,
    /// The API key.
    pub key: Option<String>,
    /// Publishes over a socket of this user, not over HTTP.
    pub sender: Option<UserId>,
    /// What lines, or the argument, are made of.
    pub form: Form,
    /// The one message; without it they come from stdin, line by line.
    pub data: Option<String>,
    /// Progress is told even where stderr is no terminal.
    pub progress: bool,
}

/// How a line becomes a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Whom each is for; without it each line says so itself, for it is a whole message.
    pub target: Option<Target>,
    /// A line is a plain text, not JSON.
    pub text: bool,
    /// Each is for whoever is there now.
    pub ephemeral: bool,
    /// Each is for all but the session that sends it.
    pub to_others: bool,
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// The one message's data, as JSON. Without it messages are read from stdin, one a line
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// For all who are in this room
    #[arg(long, value_name = "ID")]
    room: Option<String>,
    /// For this user; may be repeated, up to 100
    #[arg(long, value_name = "ID", conflicts_with = "room")]
    user: Vec<String>,
    /// For everybody
    #[arg(long, conflicts_with_all = ["room", "user"])]
    broadcast: bool,
    /// DATA, or each line, is a plain text
    #[arg(long)]
    text: bool,
    /// For whoever is there now: neither kept nor sent again
    #[arg(long)]
    ephemeral: bool,
    /// For all but the connection that sends it; needs --user-id
    #[arg(long, requires = "user_id")]
    others: bool,
    /// Where the hub is
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// The hub's API key
    #[arg(long, value_name = "KEY", conflicts_with = "user_id")]
    key: Option<String>,
    /// Publish over a WebSocket as this user, not over HTTP
    #[arg(long, value_name = "ID")]
    user_id: Option<String>,
    /// Tell the progress on stderr even where that is no terminal
    #[arg(long)]
    progress: bool,
}

pub(super) const PUBLISH_HELP: &str = "\
Examples:
  wshub publish --room news '{\"title\":\"It works\"}'
  wshub publish --user ann --user bob --text 'See you at noon'
  wshub publish --broadcast 42
  tail -f events.jsonl | wshub publish --room events

Without DATA each line of stdin is a message. With --room, --user or --broadcast it is the data; else it says for whom
it is, as in {\"type\":\"room\",\"room_id\":\"news\",\"data\":1}.

A line that is refused is named on stderr, and the rest goes on; the status is then 1. Each message has an id, so that
one is sent again after a broken connection or a busy hub without a second effect, for four and a half minutes.";

impl PublishArgs {
    pub(super) fn configuration(self) -> Result<PublishConfig, Refusal> {
        let refused = |sentence: String| Err(Refusal::Argument(sentence));
        let target = self.target()?;
        if self.text && target.is_none() {
            return refused(
                "--text: say for whom it is by --room, --user or --broadcast".to_owned(),
            );
        }
        if self.data.is_some() && target.is_none() {
            return refused("DATA: say for whom it is by --room, --user or --broadcast".to_owned());
        }
        let address = match Address::parse(&self.url) {
            Ok(address) => address,
            Err(error) => return refused(format!("--url {}: {error}", self.url)),
        };
        let visible = |key: &String| key.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
        if !self.key.as_ref().is_none_or(visible) {
            return refused("--key: a key is visible characters of ASCII".to_owned());
        }
        let named =
            |id: String| UserId::parse(&id).map_err(|error| wrong("--user-id", &id, &error));
        Ok(PublishConfig {
            address,
            url: self.url,
            key: self.key,
            sender: self.user_id.map(named).transpose()?,
            form: Form {
                target,
                text: self.text,
                ephemeral: self.ephemeral,
                to_others: self.others,
            },
            data: self.data,
            progress: self.progress,
        })
    }

    fn target(&self) -> Result<Option<Target>, Refusal> {
        /// The most users of one message.
        const USERS: usize = 100;
        if self.broadcast {
            return Ok(Some(Target::Everybody));
        }
        if let Some(room) = &self.room {
            let room = RoomId::parse(room).map_err(|error| wrong("--room", room, &error))?;
            return Ok(Some(Target::Room(room)));
        }
        let mut users: Vec<UserId> = Vec::new();
        for id in &self.user {
            let user = UserId::parse(id).map_err(|error| wrong("--user", id, &error))?;
            if !users.contains(&user) {
                users.push(user);
            }
        }
        match users.len() {
            0 => Ok(None),
            1..=USERS => Ok(Some(Target::Users(users.into()))),
            more => Err(Refusal::Argument(format!(
                "--user: {more} users are over {USERS} for one message"
            ))),
        }
    }
}

fn wrong(flag: &str, id: &str, error: &wshub_protocol::ids::IdError) -> Refusal {
    Refusal::Argument(format!("{flag} {id:?} {error}"))
}
