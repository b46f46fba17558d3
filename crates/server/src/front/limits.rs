//! Every bound of the front in one place, with its unit. (The bounds of a head are constants of the
//! protocol crate's `head`.)

use std::time::Duration;

/// What the front takes from strangers.
#[derive(Clone, Debug)]
pub struct FrontLimits {
    /// Connections that may be in the front at once; upgraded ones have left it. So those who only
    /// connect can't take all descriptors from those who are served. When the last place is taken,
    /// all that idle between requests close, and while it is, each other closes when what it has
    /// sent is answered. A new one is then read once: a complete upgrade goes to its shard, a `GET`
    /// whose answer is there is answered, all else gets 503. See [`FrontLimits::for_descriptors`].
    pub connections: usize,
    /// How many bytes an answer may have that goes out without a place: what the socket of a new
    /// connection takes in one write, since nobody waits for the rest.
    pub at_once_bytes: usize,
    /// How long a head may take: the first one from the accept on, later ones from their first byte.
    pub handshake_timeout: Duration,
    /// How long a connection may wait between requests, while the front isn't full.
    pub http_idle_timeout: Duration,
    /// How many bytes a body may have, decoded.
    pub body_bytes: usize,
    /// How many bytes all unfinished bodies may have together, on all connections.
    pub bodies_bytes: usize,
    /// How long a body may pause.
    pub body_pause: Duration,
    /// How long a body may take as a whole.
    pub body_timeout: Duration,
    /// How long a client may take to read its answers.
    pub answer_timeout: Duration,
    /// How many bytes of a refused request are read and thrown away before the connection closes.
    pub discard_bytes: usize,
    /// How long they are.
    pub discard_time: Duration,
    /// How long requests under way may take to finish when the front shuts down.
    pub shutdown_grace: Duration,
}

impl FrontLimits {
    /// The limits of the contract for a process that may have so many descriptors open. Half of
    /// them is for the front: a stalled handshake lives five seconds, a socket on its shard for
    /// days, and neither may crowd out the other.
    #[must_use]
    pub fn for_descriptors(descriptors: usize) -> Self {
        Self {
            connections: (descriptors / 2).max(16),
            at_once_bytes: 8 << 10,
            handshake_timeout: Duration::from_secs(5),
            http_idle_timeout: Duration::from_secs(120),
            body_bytes: 4 << 20,
            bodies_bytes: 256 << 20,
            body_pause: Duration::from_secs(5),
            body_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(10),
            discard_bytes: 8 << 20,
            discard_time: Duration::from_secs(2),
            shutdown_grace: Duration::from_secs(2),
        }
    }
}
