//! The link to the far namespace goes down and comes up. While it is down nothing that anybody sends arrives, so that a
//! client can vanish without the server's kernel hearing of it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::hall::Hall;
use super::road::cut;
use super::session::{Session, State};
use crate::trouble::{Trouble, while_doing};

/// How long the link is down, at least and at most, in milliseconds.
const DARK: std::ops::Range<u64> = 300..2_500;
/// Of those who live far away, one in so many holds on to its connection while the link is down.
const HOLD_ON: u64 = 3;
/// When the server's kernel has tried again after the link came up, and learned that nobody is there.
const RETRANSMITTED: Duration = Duration::from_secs(12);

enum Light {
    On,
    Off(Instant),
    /// A command is on its way to turn it on, or off.
    Turning(Child, bool),
}

/// The link.
pub struct Blackout {
    namespace: String,
    device: String,
    every: u64,
    next: u64,
    light: Light,
}

impl Blackout {
    /// The link of this namespace; it goes down about every so many messages.
    pub fn of(namespace: &str, device: &str, every: u64) -> Blackout {
        Blackout {
            namespace: namespace.to_owned(),
            device: device.to_owned(),
            every,
            next: every / 2,
            light: Light::On,
        }
    }

    /// Moves on: the command is begun, has ended, or it is time.
    pub fn turn(&mut self, hall: &mut Hall, sessions: &mut [Session]) -> Result<(), Trouble> {
        match &mut self.light {
            Light::On if hall.churning && hall.accepted >= self.next => {
                self.light = Light::Turning(self.set("down")?, false);
            }
            Light::Off(until) if *until <= hall.now || !hall.churning => {
                self.light = Light::Turning(self.set("up")?, true);
            }
            Light::Turning(child, on) => match (has_ended(child)?, *on) {
                (false, _) => {}
                (true, true) => {
                    self.light = Light::On;
                    // The server may have given up on who held on, and its reset is lost.
                    sessions
                        .iter_mut()
                        .filter(|session| session.who.far)
                        .for_each(Session::ping);
                    self.next = hall.accepted + hall.dice.u64(self.every / 2..=self.every * 3 / 2);
                }
                (true, false) => {
                    hall.count("times that the link was down");
                    let until = hall.now + Duration::from_millis(hall.dice.u64(DARK));
                    self.light = Light::Off(until);
                    vanish(hall, sessions, until);
                }
            },
            _ => {}
        }
        Ok(())
    }

    fn set(&self, state: &str) -> Result<Child, Trouble> {
        Command::new("ip")
            .args(["-n", &self.namespace, "link", "set", &self.device, state])
            .stdin(Stdio::null())
            .spawn()
            .map_err(while_doing("running ip"))
    }
}

fn has_ended(child: &mut Child) -> Result<bool, Trouble> {
    match child.try_wait().map_err(while_doing("waiting for ip"))? {
        None => Ok(false),
        Some(status) if status.success() => Ok(true),
        Some(status) => Err(Trouble::Refused(format!("ip ended with {status}"))),
    }
}

/// Most of the far sessions go without a word: what their kernel says goes nowhere.
fn vanish(hall: &mut Hall, sessions: &mut [Session], until: Instant) {
    for session in sessions
        .iter_mut()
        .filter(|session| session.who.far && session.is_here())
    {
        if !hall.one_in(HOLD_ON) {
            hall.count("connections that vanished behind it");
            if let Some(client) = session.let_go(until + RETRANSMITTED, hall) {
                cut(client);
            }
            let back = hall.within(Duration::from_millis(500));
            session.state = State::Away(until + (back - hall.now));
        }
    }
}
