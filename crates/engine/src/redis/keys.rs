//! The names of all that stands in Redis. They are made here and nowhere else: a log with several partitions will put a
//! hash tag into them.

/// The names under one prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// The names that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// The message log, a Stream.
    #[must_use]
    pub fn log(&self) -> String {
        self.name("log")
    }

    /// What is known of the log, a Hash: its epoch, its end, what the queues hold and counts.
    #[must_use]
    pub fn meta(&self) -> String {
        self.name("meta")
    }

    /// What makes the labels of sessions, a String.
    #[must_use]
    pub fn session_key(&self) -> String {
        self.name("session-key")
    }

    /// A user's queue, a List.
    #[must_use]
    pub fn queue(&self, user: &str) -> String {
        format!("{}queue:{user}", self.prefix)
    }

    /// What is known of a user's queue, a Hash.
    #[must_use]
    pub fn account(&self, user: &str) -> String {
        format!("{}account:{user}", self.prefix)
    }

    /// The users with a queue by the time of their last message, a sorted set.
    #[must_use]
    pub fn queues(&self) -> String {
        self.name("queues")
    }

    /// What was published under an id, a Hash. An id has no colon, so the last one ends the publisher's name.
    #[must_use]
    pub fn id(&self, from: &str, id: &str) -> String {
        format!("{}id:{from}:{id}", self.prefix)
    }

    /// The nodes by incarnation with their names, a Hash.
    #[must_use]
    pub fn nodes(&self) -> String {
        self.name("nodes")
    }

    /// The lease of a node, a String with what it says of itself.
    #[must_use]
    pub fn lease(&self, node: &str) -> String {
        format!("{}node:{node}:lease", self.prefix)
    }

    /// Who is in a room on a node, a Set.
    #[must_use]
    pub fn members(&self, node: &str) -> String {
        format!("{}node:{node}:members", self.prefix)
    }

    /// How far a node's turns are, a Hash.
    #[must_use]
    pub fn lane(&self, node: &str) -> String {
        format!("{}node:{node}:lane", self.prefix)
    }

    /// Who ends nodes that are no more and sweeps the queues, a String with an incarnation.
    #[must_use]
    pub fn reaper(&self) -> String {
        self.name("reaper")
    }

    /// The channel on which other programs say something.
    #[must_use]
    pub fn broadcast(&self) -> String {
        self.name("broadcast")
    }

    /// The channel of what passes by.
    #[must_use]
    pub fn ephemeral(&self) -> String {
        self.name("ephemeral")
    }

    /// The channel on which nodes ask each other.
    #[must_use]
    pub fn control(&self) -> String {
        self.name("control")
    }
}
