//! Nodes whose log other programs meddle with: they go on by themselves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Connection, RedisResult, Value};
use tokio::runtime::Runtime;
use wshub::{Hub, Message};
use wshub_engine::redis::{BEGIN, Keys, node_name};

use crate::world::RedisServer;

/// No test waits for longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Appends entries to the log as a node does, so many at once.
const APPEND: &str = "
local known = redis.call('HMGET', KEYS[2], 'epoch', 'end')
local last, time = tonumber(known[2]), redis.call('TIME')
for n = 1, tonumber(ARGV[1]) do
  local entry = '1 ' .. known[1] .. ' ' .. last .. ' ' .. time[1] .. '000 {\"k\":\"c\"}\\n'
  last = last + 1
  redis.call('XADD', KEYS[1], string.match(known[1], '^%d+') .. '-' .. last, 'e', entry)
end
return redis.call('HSET', KEYS[2], 'end', last)";

/// Has another node say that Ann is in a room; told to trim, in an entry that is gone before anybody has read it.
const SAY: &str = "
local known = redis.call('HMGET', KEYS[2], 'epoch', 'end')
local last, life = tonumber(known[2]), string.match(known[1], '^%d+')
local function append(said)
  local entry = '1 ' .. known[1] .. ' ' .. last .. ' 0 ' .. said .. '\\n'
  last = last + 1
  redis.call('XADD', KEYS[1], life .. '-' .. last, 'e', entry)
end
append('{\"k\":\"m\",\"n\":2,\"m\":[[true,\"r\",\"ann\"]]}')
append('{\"k\":\"c\"}')
redis.call('SADD', KEYS[3], 'r\\nann')
redis.call('HSET', KEYS[4], string.match(KEYS[3], 'node:(%x+):'), 'n2')
if ARGV[1] == 'trim' then redis.call('XTRIM', KEYS[1], 'MINID', life .. '-' .. last) end
return redis.call('HSET', KEYS[2], 'end', last)";

/// A node, and a connection to its Redis.
struct World {
    runtime: Runtime,
    hub: Hub,
    redis: Connection,
}

impl World {
    fn with(server: &RedisServer) -> Self {
        let runtime = Runtime::new().unwrap();
        let hub = runtime.block_on(async {
            let builder = Hub::builder().shards(1).set("drain.timeout", "2s");
            builder.set("redis.url", server.address()).start().unwrap()
        });
        let redis = connection(server);
        Self {
            runtime,
            hub,
            redis,
        }
    }

    /// Publishes many times over so many renewals of a lease; whether each was done.
    fn publishes_for(&mut self, renewals: u64) -> bool {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(renewals) {
            let message = Message::to_everybody("x");
            if self.runtime.block_on(self.hub.publish(message)).is_err() {
                return false;
            }
            self.waits();
        }
        true
    }

    /// Another node says that Ann is in a room.
    fn another_says_who_is_in_a_room(&mut self, trim: &str) {
        let (keys, mut say) = (Keys::new("websocket:"), redis::cmd("EVAL"));
        say.arg(SAY).arg(4).arg(keys.log()).arg(keys.meta());
        say.arg(keys.members(&node_name(2))).arg(keys.nodes());
        let _: Value = say.arg(trim).query(&mut self.redis).unwrap();
    }

    fn waits_for_rooms(&mut self, rooms: usize) {
        let since = Instant::now();
        while self.hub.stats().rooms != rooms {
            assert!(since.elapsed() < PATIENCE, "there are not {rooms} rooms");
            self.publishes();
        }
    }

    /// Redis waits for a moment, which is none of this program's.
    fn waits(&mut self) {
        let mut nothing = redis::cmd("BLPOP");
        let _: RedisResult<Value> = nothing.arg("nothing").arg(0.05).query(&mut self.redis);
    }

    /// Publishes until that is done; which place it got.
    fn publishes(&mut self) -> String {
        let since = Instant::now();
        loop {
            let message = Message::to_everybody("x");
            match self.runtime.block_on(self.hub.publish(message)) {
                Ok(published) => return published.cursor.unwrap().to_string(),
                Err(error) => assert!(since.elapsed() < PATIENCE, "{error:?}"),
            }
            self.waits();
        }
    }
}

fn connection(server: &RedisServer) -> Connection {
    let url = format!("redis://{}", server.address());
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

#[test]
fn a_node_goes_on_where_a_life_of_the_log_was_begun_that_is_no_later_than_its_own() {
    let server = RedisServer::start(&[]);
    let mut world = World::with(&server);
    (0..20).for_each(|_| _ = world.publishes());
    // All is lost, and somebody who knows of nothing is the first to come.
    let mut anew = redis::pipe();
    anew.atomic().cmd("FLUSHALL");
    let begin = anew.cmd("EVAL").arg(BEGIN).arg(2);
    begin.arg("websocket:log").arg("websocket:meta");
    let () = begin
        .arg("")
        .arg("beef")
        .arg(0)
        .ignore()
        .query(&mut world.redis)
        .unwrap();
    let cursor = world.publishes();
    assert!(cursor.starts_with("2."), "{cursor}");
}

#[test]
fn what_no_node_has_put_into_the_log_ends_a_life_of_it_and_no_node() {
    for id in ["*", "1-4000", "16777215-1"] {
        let server = RedisServer::start(&[]);
        let mut world = World::with(&server);
        world.publishes();
        let mut strange = redis::cmd("XADD");
        strange.arg("websocket:log").arg(id).arg("who").arg("cares");
        let _: String = strange.query(&mut world.redis).unwrap();
        let cursor = world.publishes();
        assert!(cursor.starts_with("2."), "{id}: {cursor}");
    }
}

#[test]
fn a_node_comes_in_while_the_others_never_pause() {
    let server = RedisServer::start(&[]);
    World::with(&server).publishes();
    let has_come = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            let (mut redis, since) = (connection(&server), Instant::now());
            while !has_come.load(Ordering::Relaxed) && since.elapsed() < PATIENCE {
                let mut append = redis::cmd("EVAL");
                append
                    .arg(APPEND)
                    .arg(2)
                    .arg("websocket:log")
                    .arg("websocket:meta");
                let _: Value = append.arg(4).query(&mut redis).unwrap();
            }
            has_come.load(Ordering::Relaxed)
        });
        World::with(&server).publishes();
        has_come.store(true, Ordering::Relaxed);
        assert!(others.join().unwrap(), "it came only when they paused");
    });
}

#[test]
fn a_node_that_missed_a_part_of_the_log_learns_who_is_in_rooms() {
    let server = RedisServer::start(&[]);
    let mut world = World::with(&server);
    world.publishes();
    world.another_says_who_is_in_a_room("trim");
    world.waits_for_rooms(1);
}

#[test]
fn who_left_a_room_in_a_part_of_the_log_that_is_lost_does_not_stay_in_it() {
    let server = RedisServer::start(&[]);
    let mut world = World::with(&server);
    world.publishes();
    world.another_says_who_is_in_a_room("");
    world.waits_for_rooms(1);
    // Its leave, and all else, is lost with Redis. The other node lives on, and has nobody to say anew.
    let keys = Keys::new("websocket:");
    let mut lost = redis::pipe();
    lost.atomic().cmd("FLUSHALL");
    lost.cmd("SET").arg(keys.lease(&node_name(2))).arg("{}");
    let () = lost.ignore().query(&mut world.redis).unwrap();
    world.waits_for_rooms(0);
}

#[test]
fn garbage_in_the_books_of_a_cluster_holds_nobody_up() {
    let server = RedisServer::start(&[]);
    let keys = Keys::new("websocket:");
    let most = i64::MAX.to_string();
    let strange: &[u8] = b"\xff";
    let mut garbage = redis::pipe();
    garbage
        .cmd("HSET")
        .arg(keys.meta())
        .arg(strange)
        .arg(strange);
    for minute in ["ids:99999998", "ids:99999999"] {
        garbage.cmd("HSET").arg(keys.meta()).arg(minute).arg(&most);
    }
    let book = garbage.cmd("HSET").arg(keys.nodes()).arg(strange);
    book.arg(strange)
        .arg("+5")
        .arg("x")
        .arg(node_name(6))
        .arg("x");
    garbage
        .cmd("SET")
        .arg(keys.lease(&node_name(6)))
        .arg(strange);
    garbage
        .cmd("SADD")
        .arg(keys.members(&node_name(6)))
        .arg(strange);
    let () = garbage.ignore().query(&mut connection(&server)).unwrap();
    let mut world = World::with(&server);
    world.publishes();
    assert!(world.publishes_for(3));
}

#[test]
fn a_log_whose_own_book_says_garbage_begins_another_life() {
    let server = RedisServer::start(&[]);
    let mut world = World::with(&server);
    world.publishes();
    for (life, name) in ["epoch", "end"].into_iter().enumerate() {
        let meta = Keys::new("websocket:").meta();
        let mut garbage = redis::cmd("HSET");
        garbage.arg(meta).arg(name).arg(b"\xff");
        let () = garbage.query(&mut world.redis).unwrap();
        let cursor = world.publishes();
        assert!(cursor.starts_with(&format!("{}.", life + 2)), "{cursor}");
    }
}
