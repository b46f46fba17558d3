//! What a delivery allocates doesn't grow with the connections it goes to, and writing to them allocates nothing: an
//! allocator that counts says so.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IoSlice;
use std::sync::Arc;

use wshub_hub::message::Frame;
use wshub_hub::resume::Entrance;
use wshub_hub::shard::Wrote;
use wshub_hub::{Arrival, Counters, Effect, Item, Limits, Message, Mode, Now, Shard};
use wshub_protocol::client_message::Target;
use wshub_protocol::{Cursor, Epoch, Offset, RoomId, SessionId, UserId};

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; counting touches nothing but a number of this thread's,
// which has no destructor and needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`, and the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(act: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    act();
    ALLOCATIONS.get() - before
}

const NOW: Now = Now {
    elapsed_ms: 0,
    unix_ms: 1_700_000_000_000,
};

fn cursor(offset: u64) -> Cursor {
    Cursor {
        epoch: Epoch {
            ordinal: 1,
            random: 1,
        },
        partition: 0,
        offset: Offset::counter(offset),
    }
}

fn message(target: &Target, offset: u64) -> Item<()> {
    let frame = Frame::text(br#"{"type":"broadcast","data":"as good as any other"}"#);
    let offset = Offset::counter(offset);
    Item::Message(Arc::new(Message {
        heard_at_ms: None,
        reach: None,
        target: target.clone(),
        offset: Some(offset),
        except: None,
        frame,
    }))
}

/// A shard with so many connections of ten to a user, each in the room `all`.
fn shard_of(connections: usize) -> Shard<()> {
    let mut shard = Shard::new(
        Limits::default(),
        Mode::Hub,
        "n1",
        Arc::new(Counters::default()),
        1,
        NOW,
    );
    let room = RoomId::parse("all").expect("a room");
    for number in 0..connections {
        let user = UserId::parse(&format!("user {}", number / 10)).expect("a user");
        let arrival = Arrival {
            socket: (),
            user: Some(user.clone()),
            session: SessionId([0; 16]),
            deflate: None,
            handed: None,
            after: None,
            acks: false,
            rooms: Vec::new(),
            answer: b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
            early: Vec::new(),
        };
        let token = shard.take(NOW, Item::Connect(Box::new(arrival)));
        let token = token.expect("a connection has a token");
        let entrance = Entrance {
            cursor: cursor(0),
            degraded: false,
            again: None,
            user,
            end: cursor(0),
            resumed: false,
            place: 0,
            waiting: Vec::new(),
            pending: 0,
            missed: 0,
            rooms: vec![Ok((room.clone(), 1))],
        };
        shard.take(NOW, Item::Enter(token, Box::new(entrance)));
    }
    shard
}

/// Writes all that waits, as to sockets that take everything; says to how many connections.
fn write_all(shard: &mut Shard<()>) -> usize {
    let mut written = 0;
    while let Some(token) = shard.next_to_write(NOW) {
        written += 1;
        loop {
            let mut slices = [IoSlice::new(&[]); 8];
            let Some(((), filled)) = shard.gather(token, &mut slices) else {
                break;
            };
            let bytes = slices[..filled].iter().map(|slice| slice.len()).sum();
            if !shard.wrote(NOW, token, Wrote::Some(bytes)) {
                break;
            }
        }
    }
    written
}

/// Allocations of delivering one message to a shard of so many connections that has delivered others before, and of
/// writing it to each.
fn allocations_for(target: &Target, connections: usize) -> (usize, usize) {
    let mut shard = shard_of(connections);
    write_all(&mut shard);
    for offset in 1..4 {
        shard.take(NOW, message(target, offset));
        assert_eq!(write_all(&mut shard), connections);
    }
    let item = message(target, 4);
    let delivering = allocations_of(|| {
        shard.take(NOW, item);
    });
    let mut written = 0;
    let writing = allocations_of(|| written = write_all(&mut shard));
    assert_eq!(written, connections);
    assert!(
        !matches!(shard.pop_effect(), Some(Effect::Close(..))),
        "nobody was closed"
    );
    (delivering, writing)
}

fn same_for_10_and_1000(target: impl Fn(usize) -> Target) {
    let few = allocations_for(&target(10), 10);
    let many = allocations_for(&target(1000), 1000);
    assert_eq!(
        few, many,
        "allocations of delivering and writing to 10 and to 1,000"
    );
    assert_eq!(many.1, 0, "allocations of writing");
}

#[test]
fn a_broadcast_to_1000_connections_allocates_no_more_than_one_to_10() {
    same_for_10_and_1000(|_| Target::Everybody);
}

#[test]
fn a_room_message_to_1000_members_allocates_no_more_than_one_to_10() {
    same_for_10_and_1000(|_| Target::Room(RoomId::parse("all").expect("a room")));
}

#[test]
fn a_user_message_to_1000_connections_allocates_no_more_than_one_to_10() {
    same_for_10_and_1000(|connections| {
        let user = |number| UserId::parse(&format!("user {number}")).expect("a user");
        Target::Users((0..connections / 10).map(user).collect())
    });
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations_of(|| drop(Box::new(1))), 1);
    assert_eq!(allocations_of(|| ()), 0);
}
