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

    /// Tells that Redis is away; whether that was done.
    pub(super) fn tell_away(&self, address: &str, reason: &str) -> bool {
        let may = self.may_tell("away");
        if let Some(more) = may {
            let more = more.count();
            tracing::warn!(address, reason, more, "Redis is away");
        }
        may.is_some()
    }
}
