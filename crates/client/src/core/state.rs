//! Where a client stands with its connection, and how it comes and goes between these states.

use std::time::Duration;

use wshub_protocol::CloseCode;
use wshub_protocol::codes::ComeBack;

use super::{Action, Core, Now};
use crate::backoff;
use crate::event::{End, Event};
use crate::limits::{ANSWER_WITHIN, CONNECT_WITHIN, HURRY, LONGEST_DRAIN, SILENCE};
use crate::options::Identity;
use crate::say;

/// Where a client stands.
#[derive(Debug)]
pub(super) enum State {
    /// On its way to `connected`.
    Dialing { until: Now },
    /// The server has let it in.
    Connected {
        /// When the server is asked for a sign of life, or, once it was, when it counts as gone.
        silence: Now,
        asked: bool,
        /// When to go to another node, for this one drains.
        leaves: Option<Now>,
    },
    /// It comes back then.
    Waiting { until: Now },
    /// It comes back with a fresh token.
    WithoutToken,
    /// It is gone for good.
    Over,
}

impl State {
    pub(super) fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    pub(super) fn connect(&mut self, now: Now) {
        *self = Self::Connected {
            silence: now + SILENCE,
            asked: false,
            leaves: None,
        };
    }

    /// The node drains: it is left when the delay is over, and serves until then. Returns the delay that counts.
    pub(super) fn drain(&mut self, now: Now, delay: Duration) -> Duration {
        let delay = delay.min(LONGEST_DRAIN);
        if let Self::Connected { leaves, .. } = self {
            *leaves = Some(now + delay);
        }
        delay
    }

    /// When something is due. While nothing is `read`, silence says nothing about the server.
    fn deadline(&self, read: bool) -> Option<Now> {
        match *self {
            Self::Dialing { until } | Self::Waiting { until } => Some(until),
            Self::Connected {
                silence, leaves, ..
            } => leaves.into_iter().chain(read.then_some(silence)).min(),
            Self::WithoutToken | Self::Over => None,
        }
    }
}

impl Core {
    /// When [`Core::tick`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Now> {
        let state = self.state.deadline(!self.has_event());
        let others = self.outbox.deadline().into_iter().chain(self.rooms_again);
        state.into_iter().chain(others).min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Now) {
        let settled = self.outbox.tick(now);
        self.settle(settled);
        if self.rooms_again.is_some_and(|at| at <= now) {
            self.rooms_again = None;
            self.frames.extend(self.rooms.ask_again());
        }
        if self
            .state
            .deadline(!self.has_event())
            .is_none_or(|at| at > now)
        {
            return;
        }
        match &mut self.state {
            State::Dialing { .. } => self.give_up(now, "the hub didn't answer in time"),
            State::Waiting { .. } => self.dial(now),
            State::Connected {
                leaves: Some(at), ..
            } if *at <= now => self.move_to_another_node(now),
            State::Connected { asked: true, .. } => self.give_up(now, "the hub fell silent"),
            State::Connected { silence, asked, .. } => {
                *silence = now + ANSWER_WITHIN;
                *asked = true;
                self.frames.push_back(say::ping());
            }
            State::WithoutToken | State::Over => {}
        }
    }

    /// Something has come from the server, a ping perhaps.
    pub(crate) fn alive(&mut self, now: Now) {
        if let State::Connected { silence, asked, .. } = &mut self.state {
            *silence = now + SILENCE;
            *asked = false;
        }
    }

    /// The connection is over, or there was none.
    pub(crate) fn lost(&mut self, now: Now, end: End) {
        let was_connected = self.state.is_connected();
        match &self.state {
            State::Dialing { .. } | State::Connected { .. } => {}
            State::Waiting { .. } | State::WithoutToken | State::Over => return,
        }
        self.cut();
        if end.known() == Some(CloseCode::TooBig) {
            let settled = self.outbox.refuse_largest();
            self.settle(settled);
        }
        let way_back = end
            .known()
            .map_or(ComeBack::BackingOff(0), CloseCode::come_back);
        let hurries = way_back == ComeBack::AtOnce && was_connected && self.may_hurry(now);
        match (way_back, &self.identity) {
            (ComeBack::No, _) => self.end(end),
            (ComeBack::WithFreshToken, Identity::Token(_)) => {
                self.state = State::WithoutToken;
                self.tell(Event::TokenExpired);
            }
            (ComeBack::AtOnce, _) if hurries => self.wait(now, end, Duration::ZERO),
            (ComeBack::BackingOff(seconds), _) => {
                self.back_off(now, end, Duration::from_secs(seconds.into()))
            }
            (ComeBack::AtOnce | ComeBack::WithFreshToken, _) => {
                self.back_off(now, end, Duration::ZERO)
            }
        }
    }

    /// "At once" is for who was served until now. A node that drains before it says `connected`, or sends everybody away
    /// again, would otherwise be asked again and again without a pause.
    fn may_hurry(&mut self, now: Now) -> bool {
        let may = self.hurried.is_none_or(|at| now >= at + HURRY);
        if may {
            self.hurried = Some(now);
        }
        may
    }

    pub(super) fn dial(&mut self, now: Now) {
        self.state = State::Dialing {
            until: now + CONNECT_WITHIN,
        };
        let token = match &self.identity {
            Identity::Token(token) => Some(token.clone()),
            Identity::User(_) => None,
        };
        let path = self.path();
        self.actions.push_back(Action::Dial { path, token });
    }

    pub(super) fn end(&mut self, end: End) {
        self.state = State::Over;
        self.rooms_again = None;
        let settled = self.outbox.end();
        self.settle(settled);
        self.tell(Event::Closed(end));
    }

    fn move_to_another_node(&mut self, now: Now) {
        let code = CloseCode::Draining;
        self.hang_up(now, code.number(), code.name(), Duration::ZERO);
    }

    /// Closes the connection and comes back a random moment later, to resume.
    pub(super) fn come_back(&mut self, now: Now) {
        let wait = backoff::wait(&mut self.rng, 0, Duration::ZERO);
        self.hang_up(now, 1000, "coming back to resume", wait);
    }

    fn hang_up(&mut self, now: Now, code: u16, why: &str, wait: Duration) {
        self.actions.push_back(Action::HangUp { last: Vec::new() });
        self.cut();
        let (code, reason) = (Some(code), why.to_owned());
        self.wait(now, End { code, reason }, wait);
    }

    fn give_up(&mut self, now: Now, why: &str) {
        self.actions.push_back(Action::HangUp { last: Vec::new() });
        self.lost(now, End::cut(why));
    }

    fn back_off(&mut self, now: Now, end: End, at_least: Duration) {
        let wait = backoff::wait(&mut self.rng, self.failed, at_least);
        self.failed += 1;
        self.wait(now, end, wait);
    }

    fn wait(&mut self, now: Now, end: End, wait: Duration) {
        self.state = State::Waiting { until: now + wait };
        self.tell(Event::Disconnected { end, wait });
    }

    /// What was to be said on a connection that is over isn't said; what lasts stands in rooms, outbox and receipts.
    fn cut(&mut self) {
        self.frames.clear();
        self.rooms_again = None;
        let settled = self.outbox.cut();
        self.settle(settled);
    }
}
