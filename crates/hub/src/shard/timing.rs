//! Waiting: heartbeats, sockets that take nothing, good-byes that go unanswered.

use wshub_protocol::CloseCode;

use super::Shard;
use crate::connection::{Connection, Leaves, Phase};
use crate::limits::Limits;
use crate::time::{Now, Tick};

impl<S> Shard<S> {
    /// When [`Shard::expire`] is to be called next, on the clock of [`Now::elapsed_ms`].
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let next = [self.timers.next(), self.absences.next()];
        next.into_iter().flatten().min().map(Tick::elapsed_ms)
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Now) {
        while let Some(index) = self.timers.due(now.tick()) {
            self.check(now, index);
        }
        self.end_absences(now.tick());
    }

    fn check(&mut self, now: Now, index: u32) {
        let tick = now.tick();
        let connection = &mut self.connections[index as usize];
        if connection.phase != Phase::Open {
            if connection.until <= tick {
                return self.release(index);
            }
        } else if connection.blocked && write_deadline(connection, &self.limits) <= tick {
            if self.outgoing.must_progress(connection) {
                self.close(now, index, CloseCode::TooSlow);
            } else {
                connection.progress = tick;
            }
        } else if silence_deadline(connection, &self.limits) <= tick {
            self.close(now, index, CloseCode::HeartbeatMissed);
        } else if ping_deadline(connection, &self.limits) <= tick {
            connection.pinged = tick;
            // Behind a socket that takes nothing a ping would only wait: it goes out when the socket takes something.
            connection.ping_owed = connection.blocked;
            if !connection.blocked {
                self.send_ping(now, index);
            }
        } else {
            self.check_receipt(now, index);
            self.check_position(now, index);
            self.check_leaving(now, index);
        }
        self.arm(index);
    }

    /// Arms the timer of a connection for the first of its deadlines.
    pub(super) fn arm(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index as usize) else {
            return;
        };
        let at = match connection.phase {
            Phase::Open => {
                let write = connection
                    .blocked
                    .then(|| write_deadline(connection, &self.limits));
                let receipt = self.receipt_deadline(connection);
                let position = position_deadline(connection, &self.limits);
                let leaving = (connection.leaves != Leaves::Not).then_some(connection.until);
                [write, receipt, position, leaving]
                    .into_iter()
                    .flatten()
                    .fold(
                        silence_deadline(connection, &self.limits)
                            .min(ping_deadline(connection, &self.limits)),
                        Tick::min,
                    )
            }
            _ => connection.until,
        };
        self.timers.arm(index, at);
    }
}

fn silence_deadline<S>(connection: &Connection<S>, limits: &Limits) -> Tick {
    connection.heard.plus_ms(limits.heartbeat_timeout_ms)
}

fn ping_deadline<S>(connection: &Connection<S>, limits: &Limits) -> Tick {
    connection.pinged.plus_ms(limits.heartbeat_interval_ms)
}

/// When a connection that was given no cursor for long is told where the log is now.
pub(super) fn position_deadline<S>(connection: &Connection<S>, limits: &Limits) -> Option<Tick> {
    let at = connection.told_at.plus_ms(limits.position_after_ms);
    connection.live.then_some(at)
}

fn write_deadline<S>(connection: &Connection<S>, limits: &Limits) -> Tick {
    connection.progress.plus_ms(limits.write_timeout_ms)
}
