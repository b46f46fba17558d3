//! Every bound of the client, with its unit. What a bound refuses is an outcome that the caller sees, never a wait.

use std::time::Duration;

/// Publishes that wait for their answer.
pub const OUTBOX_MESSAGES: usize = 1_024;
/// Bytes of publishes that wait for their answer.
pub const OUTBOX_BYTES: usize = 8 << 20;
/// The largest message to publish, as it goes over the wire: the default of the server's `limits.message_bytes`.
pub const MESSAGE_BYTES: usize = 512 << 10;
/// How long the server remembers ids by default: a repeat after that would have a second effect.
pub const REPEAT_WINDOW: Duration = Duration::from_mins(5);
/// How long a publish waits for its answer, and is sent again with its id. Half a minute of [`REPEAT_WINDOW`] is left for
/// the last repeat to arrive.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 60 - 30);
/// How soon a publish that found the server full is sent again, where the server says nothing else.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Events that wait for the application. While so many do, nothing more is read from the socket.
pub const EVENTS: usize = 256;
/// Commands on their way to the task that has the socket.
pub const COMMANDS: usize = 64;
/// Frames of commands, joins and leaves among them, that wait for the socket.
pub const UNSAID: usize = 4_096;
/// Rooms at once: the default of the server's `limits.rooms_per_connection`.
pub const ROOMS: usize = 1_000;
/// Messages that are known again when they come a second time.
pub const REMEMBERED: usize = 4_096;
/// `user` messages given on one connection whose receipt the application owes.
pub const OWED: usize = 4_096;
/// The largest message from the server. A `joined` may hold 100 messages of a room.
pub const HEARD_BYTES: usize = 64 << 20;
/// What the socket's buffer for reading holds.
pub const READ_BUFFER_BYTES: usize = 8 << 10;
/// The path of the upgrade: below the 8 KiB that a server takes as a request line.
pub const PATH_BYTES: usize = 8_000;

/// From the dial to `connected`. The server holds that back for 2 s at most.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// After so long without a frame the server is asked for a sign of life; it pings every 50 s by default.
pub const SILENCE: Duration = Duration::from_mins(1);
/// How long it then has.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// No drain asks for more than 10 s; a wild `delay_ms` must not keep a client on a dying node.
pub const LONGEST_DRAIN: Duration = Duration::from_secs(30);
/// Who is sent away again so soon after having come back at once backs off like anybody else.
pub const HURRY: Duration = Duration::from_secs(1);
/// How long a close frame may take on its way out.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// The ceiling of the first wait before coming back.
pub const FIRST_CEILING: Duration = Duration::from_secs(1);
/// The ceiling of each later wait: a client never gives up, but slows down to this.
pub const LAST_CEILING: Duration = Duration::from_secs(30);

/// How long a request over HTTP may take: the server answers a publish within some seconds.
pub const HTTP_WITHIN: Duration = Duration::from_secs(30);
/// The head of an answer over HTTP.
pub const HTTP_HEAD_BYTES: usize = 16 << 10;
/// The body of an answer over HTTP: a thousand results take a few hundred bytes each.
pub const HTTP_ANSWER_BYTES: usize = 4 << 20;
