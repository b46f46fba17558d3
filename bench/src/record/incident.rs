//! What happens to a session when its time has come.

use std::time::Duration;

use super::hall::Hall;
use super::road::cut;
use super::session::{NOTICED, Session, State};

/// How long a stalled client doesn't read, at most.
const STALL: Duration = Duration::from_secs(4);
/// How long an abandoned connection stays, at most.
const ABANDONED: Duration = Duration::from_secs(8);
/// How many rooms a session is in, at most; half of it in the long run.
const ROOMS: usize = 5;

/// Lets something happen. In a gentle run connections end with a close handshake only. Who speaks doesn't stall: nobody
/// could tell what became of its messages.
pub fn befall(session: &mut Session, hall: &mut Hall) {
    let speaks = session.sayings.is_some();
    match hall.dice.u32(..100) {
        ..30 => change_rooms(session, hall),
        30..60 if hall.gentle => say_goodbye(session, true, hall),
        60.. if hall.gentle => say_goodbye(session, false, hall),
        30..40 => say_goodbye(session, false, hall),
        40..45 => say_goodbye(session, true, hall),
        45..55 => {
            hall.count("connections hung up without a goodbye");
            session.let_go(hall.now + NOTICED, hall);
        }
        55..75 if session.who.narrow && !speaks => {
            hall.count("connections that stalled");
            session.state = State::Stalled(hall.within(STALL));
        }
        75..85 if !speaks => {
            hall.count("connections left open, unread, for another one");
            let until = hall.within(ABANDONED);
            if let Some(client) = session.let_go(until + NOTICED, hall) {
                hall.abandoned.push((client, until));
            }
        }
        forgets => {
            hall.count("connections cut by a reset");
            if let Some(client) = session.let_go(hall.now + NOTICED, hall) {
                cut(client);
            }
            if forgets >= 95 {
                hall.count("sessions that came back without a cursor");
                session.forget();
            }
        }
    }
}

fn say_goodbye(session: &mut Session, moves: bool, hall: &mut Hall) {
    hall.count("connections closed with a goodbye");
    session.moves = moves;
    session.say_goodbye(hall.now);
}

/// Joins one more, or leaves one of those it is in if these are many.
fn change_rooms(session: &mut Session, hall: &mut Hall) {
    hall.count("rooms joined and left");
    let count = session.rooms.len();
    if hall.dice.usize(..ROOMS) < count
        && let Some(&room) = session.rooms.iter().nth(hall.dice.usize(..count))
    {
        session.ask("leave", room, hall);
    } else {
        let room = hall.dice.u16(..hall.script.rooms);
        session.ask("join", room, hall);
    }
}
