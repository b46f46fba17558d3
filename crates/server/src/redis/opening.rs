//! Opening connections to Redis. Each call makes a new one; nothing here tries again or holds one.
//!
//! They differ in what waits on them. Commands have a second to be answered. A tail blocks for as long as it was told,
//! on a connection of its own, and is given up when Redis is two seconds late: a Redis that was stopped accepts
//! everything and answers nothing, and a wait without an end would never notice. Pub/Sub only listens.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisResult, Value, from_redis_value,
};
use tokio::time::timeout;

use super::overhearing::ask_again;
use super::report::Report;
use super::warnings;
use crate::config::{Config, Secret};

pub use super::refusal::{OpenError, Reason};

/// How long Redis may take for a connection to be made, its host's name to be looked up included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long Redis may take to answer a command. What is later is an unknown outcome.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much later than told a blocking command may be answered.
pub const TAIL_GRACE: Duration = Duration::from_secs(2);

/// A Redis as it is configured, and as whom to speak to it.
#[derive(Clone, Debug)]
pub struct RedisSource {
    client: Client,
    /// With the password in the handshake, which Pub/Sub has no other place for.
    listener: Client,
    place: (String, u16),
    address: String,
    user: Option<String>,
    password: Option<Secret>,
    database: u16,
    /// What `CLIENT LIST` shows.
    name: String,
}

impl RedisSource {
    /// The Redis that a configuration names, if it names one.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let url = config.redis.url.as_ref()?;
        let password = config.redis.password();
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(5));
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        // Old servers don't know what the crate would say of itself (CLIENT SETINFO).
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        let mut with_password = bare.clone();
        if let Some(password) = password {
            with_password = with_password.set_password(password.reveal());
            if let Some(user) = &url.user {
                with_password = with_password.set_username(user);
            }
        }
        let client = |handshake: RedisConnectionInfo| {
            let address = ConnectionAddr::Tcp(url.host.clone(), url.port);
            let info = address.into_connection_info().ok()?;
            let info = info
                .set_tcp_settings(tcp.clone())
                .set_redis_settings(handshake);
            Client::open(info).ok()
        };
        Some(Self {
            client: client(bare)?,
            listener: client(with_password)?,
            place: (url.host.clone(), url.port),
            address: url.address(),
            user: url.user.clone(),
            password: password.cloned(),
            database: url.database,
            name: format!("wshub-{}", config.node),
        })
    }

    /// `host:port`, for log lines.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A connection for commands, to a Redis that wshub can use.
    ///
    /// # Errors
    /// There is no such Redis.
    pub async fn connect(&self) -> Result<MultiplexedConnection, OpenError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let opened = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        let greeted = match opened {
            Ok(mut connection) => self.greet(&mut connection).await.map(|()| connection),
            Err(error) => Err(Reason::of(&error)),
        };
        match greeted {
            Ok(connection) => Ok(connection),
            Err(reason) => Err(self.error(reason).await),
        }
    }

    /// A connection for commands that block for at most `block`.
    ///
    /// # Errors
    /// As [`RedisSource::connect`].
    pub async fn connect_tail(&self, block: Duration) -> Result<MultiplexedConnection, OpenError> {
        let mut connection = self.connect().await?;
        connection.set_response_timeout(block + TAIL_GRACE);
        Ok(connection)
    }

    /// A connection that listens to channels. Subscribing has no time of its own: the caller sets it.
    ///
    /// # Errors
    /// Redis can't be reached, wants another password, or doesn't answer. Its version and role aren't looked at.
    pub async fn connect_pubsub(&self) -> Result<PubSub, OpenError> {
        let opening = async {
            let mut listener = self.listener.get_async_pubsub().await?;
            // Only an answer tells whether it may listen.
            listener.ping::<Value>().await?.extract_error()?;
            Ok(listener)
        };
        let opened: Result<RedisResult<_>, _> =
            timeout(CONNECT_TIMEOUT + RESPONSE_TIMEOUT, opening).await;
        let reason = match opened {
            Ok(Ok(listener)) => return Ok(listener),
            Ok(Err(error)) => Reason::of(&error),
            Err(_) => Reason::NoAnswer,
        };
        Err(self.error(reason).await)
    }

    /// What an operator should be told of this Redis at start. Where it keeps a setting to itself, nothing is said.
    pub async fn warnings(&self, connection: &mut MultiplexedConnection) -> Vec<String> {
        let mut questions = redis::pipe();
        questions.cmd("INFO");
        // A managed Redis may forbid CONFIG, and an older one takes only one name.
        questions.cmd("CONFIG").arg("GET").arg("appendfsync");
        let answers = ask(&questions, connection).await.unwrap_or_default();
        let mut answers = answers.into_iter().map(Result::ok);
        let mut next = || answers.next().flatten();
        let report: Option<String> = next().and_then(read);
        let setting: Option<Vec<String>> = next().and_then(read);
        let Some(report) = report else {
            return Vec::new();
        };
        let appendfsync = setting.as_ref().and_then(|pair| pair.get(1));
        warnings::of(
            &Report(report),
            appendfsync.map(String::as_str),
            &self.address,
        )
    }

    /// Says who is there, and finds out who answers.
    async fn greet(&self, connection: &mut MultiplexedConnection) -> Result<(), Reason> {
        let mut greeting = redis::pipe();
        if let Some(password) = &self.password {
            greeting.cmd("AUTH").arg(&self.user).arg(password.reveal());
        }
        if self.database != 0 {
            greeting.cmd("SELECT").arg(self.database);
        }
        greeting.cmd("CLIENT").arg("SETNAME").arg(&self.name);
        greeting.cmd("INFO");
        let answers = ask(&greeting, connection)
            .await
            .map_err(|error| Reason::of(&error))?;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        if self.password.is_some() {
            next().map_err(|error| Reason::of(&error))?;
        }
        let selected = if self.database == 0 {
            Ok(Value::Okay)
        } else {
            next()
        };
        // A Redis that doesn't let itself be told a name can be used all the same.
        let _ = next();
        let info = next().map_err(|error| Reason::of(&error))?;
        selected.map_err(|error| match Reason::of(&error) {
            Reason::Other(said) => Reason::NoDatabase(said),
            reason => reason,
        })?;
        let report = read(info).ok_or_else(|| Reason::Other("INFO without a text".to_owned()))?;
        Report(report).objection().map_or(Ok(()), Err)
    }

    async fn error(&self, mut reason: Reason) -> OpenError {
        if matches!(reason, Reason::Unreachable(_)) {
            let (host, port) = &self.place;
            reason = ask_again(host, *port).await.unwrap_or(reason);
        }
        OpenError {
            address: self.address.clone(),
            reason,
        }
    }
}

/// All answers, the refused ones among them.
async fn ask(
    questions: &Pipeline,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Vec<RedisResult<Value>>> {
    let mut questions = questions.clone();
    questions.ignore_errors().query_async(connection).await
}

fn read<T: FromRedisValue>(answer: Value) -> Option<T> {
    from_redis_value(answer).ok()
}
