//! Log lines about Redis: whoever may write to it, or ends connections to it in a loop, can't flood a node's log.

use std::time::Instant;

use super::cluster::{Cluster, lock};
use crate::logs::{Admission, MoreLikeIt};

impl Cluster {
    /// Asks for a line about this kind of trouble; none where one was written lately.
    pub(super) fn may_tell(&self, kind: &'static str) -> Option<MoreLikeIt> {
        match lock(&self.troubles).admit(kind, Instant::now()) {
            Admission::Say(more) => Some(more),
            Admission::Hold => None,
        }
    }
}

/// What the log says of Redis last: that it is there, or else why not.
pub(super) struct Told(Option<String>);

impl Told {
    /// Whoever started the node has said whether it came without Redis.
    pub(super) fn nothing() -> Self {
        Self(Some(String::new()))
    }

    /// Redis is there.
    pub(super) fn there(&mut self, address: &str) {
        if self.0.take().is_some() {
            tracing::info!(address, "Redis is there");
        }
    }

    /// It is away. What is held back, another reason too, is told by a later attempt, where it is so still.
    pub(super) fn away(&mut self, cluster: &Cluster, address: &str, reason: &str) {
        let is_known = self.0.as_deref().is_some_and(|told| told == reason);
        let is_first = self.0.as_deref() == Some("");
        if is_known || (!is_first && cluster.may_tell("away").is_none()) {
            return;
        }
        if !is_first {
            tracing::warn!(address, reason, "Redis is away");
        }
        self.0 = Some(reason.to_owned());
    }
}
