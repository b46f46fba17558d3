//! The run: everybody comes, messages are said while connections come and go, everybody comes home, the last message is
//! said, and when all that is due has come or can't come any more, the accounts are held against the log and the ledger.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::account::Seen;
use super::blackout::Blackout;
use super::comparison::{Ledgers, accuse, compare, hold_users, queues};
use super::hall::Hall;
use super::incident::befall;
use super::ledger::Ledger;
use super::log::Log;
use super::report::Findings;
use super::road::Road;
use super::script::Script;
use super::session::{NOTICED, Session, State, Who};
use super::verdict::Offence;
use crate::trouble::{Trouble, while_doing};

/// How long nothing may move before the run is given up, or what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a turn waits for events.
const TURN: Duration = Duration::from_millis(5);
/// What is read at once.
const READ: usize = 256 * 1024;
/// How many users there are; each fourth has two devices.
const USERS: u16 = 200;
/// How many of them come late.
const LATE: u16 = 10;
/// How many of them speak.
const SPEAKERS: u16 = 16;
/// How many rooms there are.
const ROOMS: u16 = 24;

/// What to do.
#[derive(clap::Args, Clone, Debug)]
pub struct Plan {
    /// How many messages are published and acknowledged.
    #[arg(long, default_value_t = 1_000_000)]
    pub messages: u64,
    /// Where the dice begin.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Connections end with a goodbye only, so that the server's count of what it delivered must be what was seen. The
    /// server is to give up nothing that waits for users: `offline.messages` and the limits of `bench/record`.
    #[arg(long)]
    pub gentle: bool,
    /// A network namespace in which every third session lives, and whose link goes down at random moments.
    #[arg(long, requires = "device")]
    pub namespace: Option<String>,
    /// The device in that namespace.
    #[arg(long)]
    pub device: Option<String>,
}

struct Recorder {
    plan: Plan,
    road: Road,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    hall: Hall,
    sessions: Vec<Session>,
    blackout: Option<Blackout>,
}

/// Runs the plan against a server.
pub fn run(server: SocketAddr, plan: &Plan) -> Result<Findings, Trouble> {
    let mut recorder = Recorder::new(server, plan)?;
    let before = Ledger::of(server)?;
    let everybody = |recorder: &Recorder, of: fn(&Session) -> bool| {
        let punctual = |session: &&Session| !session.who.late;
        recorder.sessions.iter().filter(punctual).all(of)
    };
    recorder.until("everybody is there", |it| everybody(it, Session::is_here))?;
    let begun = Instant::now();
    recorder.speak()?;
    let seconds = begun.elapsed().as_secs_f64();
    recorder.come_home();
    recorder.until("everybody is back", |it| everybody(it, Session::is_here))?;
    recorder.say_the_last()?;
    let log = recorder.hall.log();
    let late: Vec<u16> = (USERS - LATE..USERS).collect();
    let at_home = recorder.rest(queues(&late, &recorder.hall, &log))?;
    recorder.let_the_late_in();
    recorder.until("the late ones are there", |it| {
        it.sessions.iter().all(Session::is_here)
    })?;
    recorder.rest(0)?;
    recorder.call_the_roll()?;
    let after = recorder.rest(0)?;
    let ledgers = Ledgers {
        before,
        at_home,
        after,
    };
    Ok(recorder.judge(&log, &late, ledgers, seconds))
}

impl Recorder {
    fn new(server: SocketAddr, plan: &Plan) -> Result<Recorder, Trouble> {
        let random = RandomState::new().hash_one(std::process::id());
        let mut names = fastrand::Rng::with_seed(random);
        let script = Script {
            run: (0..6).map(|_| names.lowercase()).collect(),
            seed: plan.seed,
            users: USERS,
            rooms: ROOMS,
        };
        let mut hall = Hall::new(script, SPEAKERS);
        hall.gentle = plan.gentle;
        let blackout = plan.namespace.as_ref().zip(plan.device.as_ref());
        let blackouts = (plan.messages / 4).clamp(1, 50_000);
        Ok(Recorder {
            blackout: blackout
                .map(|(namespace, device)| Blackout::of(namespace, device, blackouts)),
            sessions: sessions(plan, &mut hall),
            hall,
            plan: plan.clone(),
            road: Road::new(server, plan.namespace.as_deref())?,
            poll: Poll::new().map_err(while_doing("making a poll"))?,
            events: Events::with_capacity(4096),
            buffer: vec![0; READ],
        })
    }

    /// Something happens to a session every so many messages: in a long run every 20,000.
    fn quiet_life(&mut self) -> u64 {
        let usual = (self.plan.messages / 4).clamp(1, 20_000);
        self.hall.accepted + self.hall.dice.u64(1..=2 * usual)
    }

    /// Says what is to be said while connections come and go.
    fn speak(&mut self) -> Result<(), Trouble> {
        self.hall.budget = self.plan.messages;
        for number in 0..self.sessions.len() {
            self.sessions[number].next_incident = self.quiet_life();
        }
        self.until("all messages are acknowledged", |it| {
            it.hall.budget == 0 && it.sessions.iter().all(Session::has_spoken)
        })
    }

    /// Ends the churn: everybody who is away or stalled is on the way back.
    fn come_home(&mut self) {
        let now = self.hall.now;
        self.hall.churning = false;
        self.hall.abandoned.clear();
        for session in self.sessions.iter_mut().filter(|session| !session.who.late) {
            if let State::Stalled(until) | State::Away(until) = &mut session.state {
                *until = now.min(*until);
            }
        }
    }

    /// Says one last message to everybody and waits until it has come. What hasn't come before it is lost.
    fn say_the_last(&mut self) -> Result<(), Trouble> {
        if let Some(sayings) = &mut self.sessions[0].sayings {
            sayings.conclude();
        }
        self.until("the last message is acknowledged", |it| {
            it.sessions[0].has_spoken()
        })?;
        let last = self.hall.last_place(0);
        let all_came = self.until("the last message has come", |it| {
            let mut sessions = it.sessions.iter();
            sessions.all(|session| session.who.late || session.newest >= last)
        });
        match all_came {
            Err(Trouble::Stalled(_)) | Ok(()) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Answers pings until the server has all receipts: no more than this many messages wait for anybody.
    fn rest(&mut self, waiting: u64) -> Result<Ledger, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ledger = Ledger::of(self.road.server)?;
            let at_rest = ledger.in_flight == 0 && ledger.queued <= waiting;
            if at_rest || Instant::now() > deadline {
                return Ok(ledger);
            }
            self.turn()?;
        }
    }

    fn let_the_late_in(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.who.late) {
            session.state = State::Away(self.hall.now);
        }
    }

    /// Has everybody come back once more: nothing may wait for them, and what was missed is told.
    fn call_the_roll(&mut self) -> Result<(), Trouble> {
        let mut before = Vec::new();
        for session in &mut self.sessions {
            before.push(session.connections);
            session.say_goodbye(self.hall.now);
        }
        self.until("everybody has answered the roll", |it| {
            let mut sessions = it.sessions.iter().zip(&before);
            sessions.all(|(session, &before)| session.is_here() && session.connections > before)
        })
    }

    fn judge(self, log: &Log, late: &[u16], ledgers: Ledgers, seconds: f64) -> Findings {
        let Recorder {
            mut hall, sessions, ..
        } = self;
        let mut seen = Seen {
            reached: vec![BTreeSet::new(); USERS.into()],
            ..Seen::default()
        };
        if let Some(place) = log.shared {
            let case = || format!("two messages are acknowledged at {place}");
            hall.verdict.accuse(Offence::Answer, case);
        }
        for session in sessions {
            let (user, label) = (session.who.user, session.label());
            let verdict = &mut hall.verdict;
            session.account.judge(user, &label, log, &mut seen, verdict);
        }
        let unreached = hold_users(&seen, &mut hall, log);
        let comparisons = compare(&ledgers, late, &hall, log);
        accuse(&comparisons, &mut hall.verdict);
        Findings {
            user_units: (log.user_units(), unreached),
            hall,
            seen,
            seconds,
            ledger: ledgers.after,
            comparisons,
        }
    }

    /// Turns until something is so; an error if nothing moves for too long before.
    fn until(&mut self, what: &str, is_so: impl Fn(&Recorder) -> bool) -> Result<(), Trouble> {
        let mut moved = (0, Instant::now());
        while !is_so(self) {
            self.turn()?;
            let moves = self.hall.accepted + self.hall.heard + self.hall.counted("connections");
            if moves != moved.0 {
                moved = (moves, self.hall.now);
            }
            if self.hall.now > moved.1 + PATIENCE {
                return Err(Trouble::Stalled(what.to_owned()));
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Trouble> {
        match self.poll.poll(&mut self.events, Some(TURN)) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                return Err(Trouble::Io("polling", e));
            }
            _ => {}
        }
        self.hall.now = Instant::now();
        for event in &self.events {
            if let Some(session) = self.sessions.get_mut(event.token().0) {
                session.advance(&mut self.buffer, &mut self.hall);
            }
        }
        if let Some(blackout) = &mut self.blackout {
            blackout.turn(&mut self.hall, &mut self.sessions)?;
        }
        for number in 0..self.sessions.len() {
            self.tend(number)?;
        }
        self.hall.turn();
        Ok(())
    }

    /// What time and chance bring to one session.
    fn tend(&mut self, number: usize) -> Result<(), Trouble> {
        let (session, hall) = (&mut self.sessions[number], &mut self.hall);
        match session.state {
            State::Away(until) if until <= hall.now => {
                session.arrive(hall, &self.road, self.poll.registry())?;
            }
            State::Stalled(until) if until <= hall.now => {
                session.state = State::Here;
                session.advance(&mut self.buffer, hall);
            }
            _ if session.is_overdue(hall.now) => {
                session.let_go(hall.now + NOTICED, hall);
            }
            _ => {}
        }
        if hall.churning && session.next_incident <= hall.accepted {
            if session.is_here() {
                befall(session, hall);
            }
            self.sessions[number].next_incident = self.quiet_life();
        }
        self.sessions[number].speak(&mut self.hall);
        Ok(())
    }
}

fn sessions(plan: &Plan, hall: &mut Hall) -> Vec<Session> {
    let mut sessions = Vec::new();
    let owners = (0..USERS).chain((0..USERS).filter(|user| user % 4 == 3));
    for (number, user) in owners.enumerate() {
        let speaks = number < SPEAKERS.into();
        let late = user >= USERS - LATE;
        let who = Who {
            number,
            user,
            acks: number % 3 == 1,
            narrow: !plan.gentle && !speaks && number % 2 == 0,
            far: plan.namespace.is_some() && !speaks && number % 3 == 2,
            late,
        };
        let rooms = (0..hall.dice.u32(..4))
            .map(|_| hall.dice.u16(..ROOMS))
            .collect();
        let wait = Duration::from_secs(if late { 1 << 30 } else { 0 });
        let first = hall.within(Duration::from_millis(200)) + wait;
        sessions.push(Session::new(who, speaks, rooms, first));
    }
    sessions
}
