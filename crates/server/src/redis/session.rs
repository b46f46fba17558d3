//! A node's dealings with Redis: it connects, finds out what has become of the log, reads and says what there is to say
//! until something breaks, and begins again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{RedisError, Value};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use wshub_engine::redis::entry::read_epoch;
use wshub_engine::redis::following::Holds;
use wshub_engine::redis::turns::Heard;
use wshub_engine::redis::{BEGIN, Keys, Reply, TURN};
use wshub_hub::session::SessionKey;
use wshub_protocol::Epoch;

use super::backoff::Backoff;
use super::channels;
use super::cluster::{Cluster, lock};
use super::leases::Leases;
use super::members;
use super::opening::RedisSource;
use super::reading::{BLOCK, Reader, look_at_log};
use super::telling::Told;

/// How often what waits too long is looked for.
const TICK: Duration = Duration::from_millis(50);
/// Errors with which Redis refuses a script before it has done anything.
const BEFORE_ANYTHING: [&str; 9] = [
    "READONLY",
    "BUSY",
    "LOADING",
    "NOPERM",
    "NOAUTH",
    "OOM",
    "MISCONF",
    "MASTERDOWN",
    "WRONGTYPE",
];
/// How long a full Redis is left alone before the next turn.
const FULL: Duration = Duration::from_millis(50);
/// A connection that held for this long was good.
const LASTING: Duration = Duration::from_secs(1);

/// Why it can't go on with a connection.
#[derive(Debug)]
pub struct Broken(pub(super) String);

impl Broken {
    /// The same with the address of the Redis, for whoever reads it alone.
    fn at(self, address: &str) -> Self {
        if self.0.contains(address) {
            return self;
        }
        Self(format!("Redis at {address} can't be used: {}", self.0))
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RedisError> for Broken {
    fn from(error: RedisError) -> Self {
        Self(if error.is_timeout() {
            "it gives no answer".to_owned()
        } else if error.is_io_error() {
            format!("the connection broke: {error}")
        } else {
            format!("it answered: {error}")
        })
    }
}

impl From<super::opening::OpenError> for Broken {
    fn from(error: super::opening::OpenError) -> Self {
        Self(error.to_string())
    }
}

/// What lives on from one connection to the next.
pub struct Session {
    cluster: Arc<Cluster>,
    source: RedisSource,
    keys: Keys,
    reader: Option<Reader>,
    leases: Leases,
    /// What makes the labels of sessions.
    sessions: Arc<Mutex<SessionKey>>,
}

/// Connections to a Redis that is there.
pub struct Connected {
    commands: MultiplexedConnection,
    tail: MultiplexedConnection,
    channels: PubSub,
    /// The script of a turn, by its hash.
    script: String,
}

impl Session {
    /// Nothing is connected yet.
    pub fn new(
        cluster: Arc<Cluster>,
        source: RedisSource,
        keys: Keys,
        sessions: Arc<Mutex<SessionKey>>,
    ) -> Self {
        Self {
            leases: Leases::new(keys.clone()),
            cluster,
            source,
            keys,
            reader: None,
            sessions,
        }
    }

    /// Connects for the first time, and loads what the log holds.
    ///
    /// # Errors
    /// Why that can't be.
    pub async fn start(&mut self) -> Result<Connected, Broken> {
        let connected = self.connect().await;
        let mut connected = connected.map_err(|broken| broken.at(self.source.address()))?;
        let commands = &mut connected.commands;
        for warning in self.source.warnings(commands).await {
            tracing::warn!("{warning}");
        }
        Ok(connected)
    }

    /// What makes the labels of sessions is the same on every node.
    async fn session_key(
        &self,
        commands: &mut MultiplexedConnection,
    ) -> Result<SessionKey, Broken> {
        let name = self.keys.session_key();
        let mut get = redis::cmd("GET");
        get.arg(&name);
        let mut key: Option<String> = get.query_async(commands).await?;
        if key.is_none() {
            let fresh = format!("{:032x}", fastrand::u128(..));
            let mut set = redis::cmd("SET");
            set.arg(&name).arg(&fresh).arg("NX");
            let () = set.query_async(commands).await?;
            key = get.query_async(commands).await?;
        }
        let key = key.unwrap_or_default();
        let key = u128::from_str_radix(&key, 16);
        let key =
            key.map_err(|_| Broken(format!("{name} is no key for the labels of sessions")))?;
        Ok(SessionKey::new(key.to_be_bytes()))
    }

    /// Deals with Redis until it is dropped.
    pub async fn run(mut self, connected: Option<Connected>) {
        let cluster = Arc::clone(&self.cluster);
        tokio::select! {
            () = self.deal(connected) => {}
            () = give_up(&cluster) => {}
        }
    }

    async fn deal(&mut self, mut connected: Option<Connected>) {
        let mut backoff = Backoff::seeded(fastrand::u64(..));
        let mut told = Told::nothing();
        loop {
            let broken = match connected.take() {
                Some(connected) => {
                    let since = Instant::now();
                    self.cluster.is_back();
                    told.there(self.source.address());
                    let broken = self.go_on(connected).await;
                    if since.elapsed() > LASTING {
                        backoff.reset();
                    }
                    broken
                }
                None => match self.connect().await {
                    Ok(again) => {
                        connected = Some(again);
                        continue;
                    }
                    Err(broken) => broken,
                },
            };
            told.away(&self.cluster, self.source.address(), &broken.0);
            self.cluster.is_away(broken.0);
            sleep(backoff.pause()).await;
        }
    }

    /// Opens connections, and has the tail be where the log is.
    async fn connect(&mut self) -> Result<Connected, Broken> {
        let mut commands = self.source.connect().await?;
        let mut tail = self.source.connect_tail(BLOCK).await?;
        let channels = channels::listen(&self.source, &self.keys).await?;
        let script = load(&mut commands, TURN).await?;
        *lock(&self.sessions) = self.session_key(&mut commands).await?;
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut commands).await?;
        lock(&self.cluster.turns)
            .set_clock(self.cluster.clock.now(), seconds * 1000 + micros / 1000);
        self.find_log(&mut commands).await?;
        let log = self.keys.log();
        if let Some(reader) = &mut self.reader {
            // What came before is read before anybody is let in.
            while reader.read(&self.cluster, &mut tail, &log, None).await? {}
            reader.is_loading = false;
        }
        self.say_who_is_here(&mut commands).await?;
        Ok(Connected {
            commands,
            tail,
            channels,
            script,
        })
    }

    /// Says that this node lives, and who is in its rooms where the others may not know it. What is owed stays so until it
    /// is done, however often the connection breaks meanwhile.
    async fn say_who_is_here(
        &mut self,
        commands: &mut MultiplexedConnection,
    ) -> Result<(), Broken> {
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        if reader.is_behind {
            members::load(&self.cluster, &self.keys, commands).await?;
        }
        let is_known = !reader.is_dead && self.leases.renew(&self.cluster, commands).await?;
        if reader.is_dead || (!is_known && !reader.is_reborn) {
            if let Some(more) = self.cluster.may_tell("taken_for_dead") {
                let more = more.count();
                tracing::warn!(
                    more,
                    "the other nodes took this one for dead: it goes on under a new number"
                );
            }
            let old = self.cluster.incarnation();
            self.cluster.become_node(fastrand::u64(1..));
            self.leases.forget();
            (reader.is_dead, reader.is_reborn) = (false, true);
            self.leases.retire(old, commands).await?;
            self.leases.renew(&self.cluster, commands).await?;
        } else if reader.is_reborn
            || reader.is_behind
            || members::are_lost(&self.cluster, &self.keys, commands).await?
        {
            reader.is_reborn = true;
            members::forget_own(&self.cluster, &self.keys, commands).await?;
        }
        let owes = self.cluster.owes_members.swap(false, Ordering::Relaxed);
        if owes | std::mem::take(&mut reader.is_reborn) | std::mem::take(&mut reader.is_behind) {
            self.cluster.say_members_anew();
        }
        Ok(())
    }

    /// Finds out whether the log still is what this node has read of it.
    async fn find_log(&mut self, commands: &mut MultiplexedConnection) -> Result<(), Broken> {
        let (epoch, end): (Option<Vec<u8>>, Option<Vec<u8>>) = redis::cmd("HMGET")
            .arg(self.keys.meta())
            .arg("epoch")
            .arg("end")
            .query_async(commands)
            .await?;
        let text = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let epoch = text(epoch).as_deref().and_then(read_epoch);
        let end = text(end).and_then(|end| end.parse::<u64>().ok());
        let Some(reader) = &self.reader else {
            let epoch = match epoch {
                Some(epoch) => epoch,
                None => self.begin(commands, None, 0).await?,
            };
            members::load(&self.cluster, &self.keys, commands).await?;
            let reader = Reader::new(epoch);
            lock(&self.cluster.tail).start_from(epoch, reader.reached.place);
            self.reader = Some(reader);
            return Ok(());
        };
        let reached = reader.reached;
        if let Some(epoch) = epoch.filter(|epoch| *epoch != reached.epoch) {
            if epoch.ordinal <= reached.epoch.ordinal {
                // Whoever began it knew nothing of this node's: all its places would be before those read already.
                self.begin(commands, Some(epoch), reached.epoch.ordinal)
                    .await?;
            }
            // The first entry of the other life says so.
            return Ok(());
        }
        let found = look_at_log(&self.keys.log(), &reached, end, commands).await?;
        let reader = self.reader.as_mut();
        let is_spoilt = reader.is_some_and(|reader| std::mem::take(&mut reader.is_spoilt));
        let holds = match epoch {
            Some(_) if !is_spoilt => found.holds(&reached),
            _ => Holds::Lost,
        };
        match holds {
            // Where the node fell behind, the reading finds the gap and says so.
            Holds::Yes | Holds::FellBehind => {}
            Holds::Lost => {
                if let Some(more) = self.cluster.may_tell("lost") {
                    let (epoch, more) = (reached.epoch, more.count());
                    tracing::warn!(%epoch, more, "Redis has lost what the log held");
                }
                self.begin(commands, Some(reached.epoch), 0).await?;
            }
        }
        Ok(())
    }

    /// Begins the log's next life, above an ordinal, unless another node has; the one that it lives.
    async fn begin(
        &self,
        commands: &mut MultiplexedConnection,
        over: Option<Epoch>,
        above: u32,
    ) -> Result<Epoch, Broken> {
        let over = over.map_or_else(String::new, |epoch| epoch.to_string());
        let epoch: String = redis::cmd("EVAL")
            .arg(BEGIN)
            .arg(2)
            .arg(self.keys.log())
            .arg(self.keys.meta())
            .arg(over)
            .arg(format!("{:x}", fastrand::u64(..)))
            .arg(above)
            .query_async(commands)
            .await?;
        read_epoch(&epoch).ok_or_else(|| Broken(format!("its log has a strange epoch: {epoch}")))
    }

    /// Reads and says until something breaks.
    async fn go_on(&mut self, connected: Connected) -> Broken {
        let Connected {
            commands,
            mut tail,
            channels,
            script,
        } = connected;
        let Self {
            cluster,
            keys,
            reader,
            leases,
            ..
        } = self;
        let Some(reader) = reader else {
            return Broken("its log was not found".to_owned());
        };
        tokio::select! {
            broken = follow(cluster, reader, &mut tail, keys, commands.clone()) => broken,
            broken = say(cluster, commands.clone(), script) => broken,
            broken = channels::hear(channels, cluster) => broken,
            broken = leases.keep(cluster, commands) => broken,
        }
    }
}

/// Looks for what waits too long, whether Redis is there or not.
async fn give_up(cluster: &Cluster) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = cluster.clock.now();
        lock(&cluster.turns).give_up(now);
        lock(&cluster.lane).give_up(now);
        cluster.turn_away(now);
    }
}

async fn follow(
    cluster: &Cluster,
    reader: &mut Reader,
    tail: &mut MultiplexedConnection,
    keys: &Keys,
    mut commands: MultiplexedConnection,
) -> Broken {
    let log = keys.log();
    loop {
        if let Err(broken) = reader.read(cluster, tail, &log, Some(BLOCK)).await {
            return broken;
        }
        if reader.looks_again.is_some_and(|at| at <= Instant::now()) {
            reader.looks_again = None;
            // Nothing is read meanwhile, so that what the log says later counts.
            if let Err(broken) = members::load(cluster, keys, &mut commands).await {
                return broken;
            }
        }
        if reader.is_dead || reader.is_reborn || reader.is_behind || reader.is_spoilt {
            return Broken(
                "what the log says of this node or of itself changes its dealings".to_owned(),
            );
        }
    }
}

/// Takes turns as long as there is something to say.
async fn say(cluster: &Cluster, mut commands: MultiplexedConnection, mut script: String) -> Broken {
    loop {
        let Some(call) = next_call(cluster, &script) else {
            cluster.wake.notified().await;
            continue;
        };
        let answer: Result<Value, RedisError> = call.query_async(&mut commands).await;
        let reply = match answer {
            Ok(answer) => reply_of(answer),
            Err(error) if error.code() == Some("NOSCRIPT") => {
                lock(&cluster.turns).unknown_script();
                match load(&mut commands, TURN).await {
                    Ok(again) => script = again,
                    Err(broken) => return broken,
                }
                continue;
            }
            Err(error) => {
                if let Some(code) = error.code() {
                    let surely = BEFORE_ANYTHING.contains(&code);
                    lock(&cluster.turns).refused(surely, &cluster.lane);
                }
                return error.into();
            }
        };
        let heard = lock(&cluster.turns).answered(cluster.clock.now(), &reply, &cluster.lane);
        for heard in heard {
            match heard {
                Heard::Looked(look, looked, place) => cluster.looked(look, looked, place),
                // The reading may have found that before the turn came back.
                Heard::OtherLife(epoch) if epoch == Some(lock(&cluster.tail).end().epoch) => {}
                Heard::OtherLife(_) => return Broken("its log lives another life".to_owned()),
                Heard::Refused(words) if words.starts_with("OOM") => {
                    cluster.is_full();
                    sleep(FULL).await;
                }
                Heard::Refused(words) => return Broken(format!("it takes nothing: {words}")),
                Heard::Stale => return Broken("it has heard a later turn of this node".to_owned()),
            }
        }
        cluster.let_in();
    }
}

fn next_call(cluster: &Cluster, script: &str) -> Option<redis::Cmd> {
    let (epoch, dropped) = {
        let tail = lock(&cluster.tail);
        (tail.end().epoch, tail.dropped())
    };
    let mut turns = lock(&cluster.turns);
    let call = turns.next(epoch, dropped, &cluster.lane)?;
    let mut command = redis::cmd("EVALSHA");
    command.arg(script).arg(call.keys.len());
    call.keys.iter().chain(&call.args).for_each(|arg| {
        command.arg(&arg[..]);
    });
    Some(command)
}

async fn load(commands: &mut MultiplexedConnection, script: &str) -> Result<String, Broken> {
    Ok(redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(script)
        .query_async(commands)
        .await?)
}

fn reply_of(value: Value) -> Reply {
    match value {
        Value::Int(number) => Reply::Number(number),
        Value::BulkString(bytes) => Reply::Text(bytes),
        Value::SimpleString(text) => Reply::Text(text.into_bytes()),
        Value::Okay => Reply::Text(b"OK".to_vec()),
        Value::Array(list) => Reply::List(list.into_iter().map(reply_of).collect()),
        _ => Reply::Nothing,
    }
}
