//! What is done for connections whose sockets take no more: messages give way to newer ones where a policy says so, else
//! the connection goes.

use wshub_protocol::CloseCode;
use wshub_protocol::client_message::Target;

use super::Shard;
use super::writing::Outgoing;
use crate::connection::{Connection, Phase};
use crate::frames::{FrameKey, Shared};
use crate::outbox::{Dropped, Goal, Outbox};
use crate::slow::{SlowPolicies, SlowPolicy};
use crate::time::{Now, Tick};

/// The policy for a frame; there is none for answers and the like, which never go.
fn policy_of(policies: &SlowPolicies, frame: &Shared) -> Option<SlowPolicy> {
    match frame {
        Shared::Message(message) => Some(policies.of(&message.target)),
        Shared::Presence(presence) => Some(policies.of_room(&presence.room)),
        _ => None,
    }
}

fn is_ephemeral(frame: &Shared) -> bool {
    matches!(frame, Shared::Message(message) if message.is_ephemeral())
}

fn may_go(policies: &SlowPolicies, frame: &Shared) -> bool {
    let policy = policy_of(policies, frame);
    !is_ephemeral(frame) && policy.is_some_and(|policy| policy != SlowPolicy::Disconnect)
}

/// Messages of which only the newest waits are spared while older ones of others can go.
fn goes_first(policies: &SlowPolicies, frame: &Shared) -> bool {
    policy_of(policies, frame) == Some(SlowPolicy::Drop)
}

impl Outgoing {
    /// A socket takes no more: from now on what waits for it is bounded.
    pub(super) fn blocked<S>(&mut self, index: u32, connection: &mut Connection<S>) {
        self.evict_above = self.most_held;
        if self.is_over(&connection.outbox) && self.may_drop {
            self.thin(connection, 0);
        }
        if self.is_over(&connection.outbox) {
            self.slow.push(index);
        }
    }

    /// Whether a frame may wait behind a socket that takes no more, now that those that may have given way.
    pub(super) fn make_room<S>(
        &mut self,
        connection: &mut Connection<S>,
        key: FrameKey,
        bytes: usize,
    ) -> bool {
        let fits = |most_messages, most_bytes, outbox: &Outbox| {
            outbox.messages < most_messages && outbox.bytes + bytes <= most_bytes
        };
        if self.may_drop {
            self.drop_earlier(connection, key);
            if !fits(self.most_messages, self.most_bytes, &connection.outbox) {
                self.thin(connection, bytes);
            }
        }
        fits(self.most_messages, self.most_bytes, &connection.outbox)
    }

    /// Where only the newest message of a room waits, has the earlier ones give way to this, unless it only passes by.
    fn drop_earlier<S>(&mut self, connection: &mut Connection<S>, key: FrameKey) {
        let message = self.outboxes.message(key);
        let lasting = message.filter(|message| !message.is_ephemeral());
        let Some(Target::Room(room)) = lasting.map(|message| &message.target) else {
            return;
        };
        let room = room.clone();
        if self.slow_policies.of(&Target::Room(room.clone())) != SlowPolicy::Latest {
            return;
        }
        let none = Goal {
            messages: 0,
            bytes: 0,
        };
        let room = Target::Room(room);
        let is_of_it = |frame: &Shared| {
            matches!(frame, Shared::Message(message)
                if !message.is_ephemeral() && message.target == room)
        };
        self.thin_to(connection, none, is_of_it);
    }

    /// Has the oldest messages that may go give way, to a quarter below the bounds: so that this isn't done for each.
    fn thin<S>(&mut self, connection: &mut Connection<S>, bytes: usize) {
        let goal = Goal {
            messages: self.most_messages - self.most_messages.div_ceil(4),
            bytes: (self.most_bytes - self.most_bytes / 4).saturating_sub(bytes),
        };
        let policies = std::mem::take(&mut self.slow_policies);
        for goes in [goes_first, may_go] {
            self.thin_to(connection, goal, |frame| goes(&policies, frame));
        }
        self.slow_policies = policies;
    }

    fn thin_to<S>(
        &mut self,
        connection: &mut Connection<S>,
        goal: Goal,
        may_go: impl Fn(&Shared) -> bool,
    ) {
        let told = connection.surely_given();
        let Connection {
            outbox, deflate, ..
        } = connection;
        let Dropped { messages, presence } = self
            .outboxes
            .thin(outbox, *deflate, self.epoch, goal, told, may_go);
        self.dropped.messages += messages;
        self.dropped.presence += presence;
    }

    /// Whether something waits that must not be dropped, so that the socket has to take it in time.
    pub(super) fn must_progress<S>(&self, connection: &Connection<S>) -> bool {
        !self.may_drop
            || connection.catching_up.is_some()
            || self.outboxes.waits(&connection.outbox, |frame| {
                let policies = &self.slow_policies;
                policy_of(policies, frame).is_some()
                    && !is_ephemeral(frame)
                    && !may_go(policies, frame)
            })
    }

    /// How much gave way since this was last asked.
    fn take_dropped(&mut self) -> Dropped {
        std::mem::take(&mut self.dropped)
    }

    /// Bytes that wait for all connections together.
    fn held(&self) -> usize {
        self.outboxes.held() + self.aside
    }

    /// Whether that is more than may be.
    fn is_over_budget(&self) -> bool {
        self.held() > self.most_held
    }

    /// Whether it is worth while to look for connections to give up.
    fn must_evict(&self) -> bool {
        self.held() > self.evict_above
    }

    /// Remembers what came of looking for connections to give up.
    fn has_evicted(&mut self) {
        self.evict_above = if self.is_over_budget() {
            self.held() + self.most_held / 16
        } else {
            self.most_held
        };
    }

    /// The next connection that a frame could not be queued to.
    fn pop_slow(&mut self) -> Option<u32> {
        self.slow.pop()
    }
}

impl<S> Shard<S> {
    /// Closes the connections that a frame could not be queued to, and counts what gave way to it elsewhere.
    pub(super) fn evict_slow(&mut self, now: Now) {
        let Dropped { messages, presence } = self.outgoing.take_dropped();
        // Who comes and goes is in the ledger only where it is lost.
        self.counters.ledger.accepted.add(presence);
        self.counters.ledger.gap.add(messages + presence);
        while let Some(index) = self.outgoing.pop_slow() {
            if self.connections.contains(index as usize) {
                self.close(now, index, CloseCode::TooSlow);
            }
        }
        if self.outgoing.must_evict() {
            self.evict_slowest(now);
            self.outgoing.has_evicted();
        }
    }

    /// Closes connections whose sockets take nothing, those that took nothing for longest first, until all that waits is
    /// within its bound.
    fn evict_slowest(&mut self, now: Now) {
        let blocked = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.blocked && connection.phase == Phase::Open);
        let mut blocked: Vec<(Tick, u32)> = blocked
            .map(|(index, connection)| (connection.progress, index as u32))
            .collect();
        blocked.sort_unstable();
        for (_, index) in blocked {
            if !self.outgoing.is_over_budget() {
                break;
            }
            if self.connections[index as usize].outbox.is_within_a_frame() {
                self.give_up(now, index);
            } else {
                self.close(now, index, CloseCode::TooSlow);
            }
        }
    }
}
