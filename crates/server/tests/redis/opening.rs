//! Who may be connected to, why not, and what an operator is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd};
use tokio::time::timeout;
use wshub::config::Sources;
use wshub::redis::opening::{Reason, RedisSource};

use crate::world::{RedisServer, free_port};

/// Long enough for everything that happens at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// The Redis that a node called `n1` is configured for.
fn source(url: &str) -> RedisSource {
    let set = vec![format!("redis.url={url}"), "node=n1".to_owned()];
    let sources = Sources {
        set,
        ..Sources::default()
    };
    let resolved = sources
        .resolve()
        .and_then(|resolved| resolved.with_files(Path::new("")));
    let config = resolved
        .unwrap_or_else(|refusal| panic!("{refusal}"))
        .config;
    RedisSource::of(&config).expect("a URL was given")
}

async fn open(url: &str) -> MultiplexedConnection {
    let opened = source(url).connect().await;
    opened.unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Why a node with this URL has no connection for commands. The sentence names the address and no password.
async fn refused(url: &str) -> Reason {
    let source = source(url);
    let refusal = source.connect().await.expect_err("it was connected");
    let told = refusal.to_string();
    assert!(
        told.starts_with(&format!("Redis at {} ", source.address())),
        "{told}"
    );
    assert!(!told.contains("s3cret") && !told.contains('\n'), "{told}");
    assert!(!format!("{source:?}").contains("s3cret"), "{source:?}");
    refusal.reason
}

async fn refused_to_listen(url: &str) -> Reason {
    source(url)
        .connect_pubsub()
        .await
        .err()
        .expect("it listens")
        .reason
}

async fn told(connection: &mut MultiplexedConnection, words: &[&str]) -> String {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(connection).await.unwrap()
}

/// Something that listens where a Redis should, and says the same to each that comes.
fn impostor(says: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(says.as_bytes());
            // Until the other side has read it and is gone.
            let _ = socket.read_to_end(&mut Vec::new());
        }
    });
    address
}

#[tokio::test]
async fn a_node_says_its_name_and_is_in_its_database() {
    let redis = RedisServer::start(&[]);
    let mut connection = open(&format!("redis://{}/3", redis.address())).await;
    let about = told(&mut connection, &["CLIENT", "INFO"]).await;
    assert!(
        about.contains(" name=wshub-n1 ") && about.contains(" db=3 "),
        "{about}"
    );
}

#[tokio::test]
async fn each_connection_is_one_of_its_own() {
    let redis = RedisServer::start(&[]);
    let source = source(&redis.address());
    let mut ids = Vec::new();
    let mut connections = [
        source.connect().await.unwrap(),
        source.connect().await.unwrap(),
    ];
    for connection in &mut connections {
        ids.push(
            cmd("CLIENT")
                .arg("ID")
                .query_async::<u64>(connection)
                .await
                .unwrap(),
        );
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn where_nobody_listens_there_is_no_connection() {
    let url = format!("127.0.0.1:{}", free_port());
    let Reason::Unreachable(said) = refused(&url).await else {
        panic!("somebody listens")
    };
    assert!(said.contains("refused"), "{said}");
    assert!(matches!(
        refused_to_listen(&url).await,
        Reason::Unreachable(_)
    ));
    let nowhere = refused("no-such-host.invalid:1").await;
    assert!(
        matches!(nowhere, Reason::Unreachable(_) | Reason::NoAnswer),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn the_password_is_asked_for_refused_or_taken() {
    let redis = RedisServer::start(&["--requirepass", "s3cret"]);
    let at = redis.address();
    for (url, reason) in [
        (at.clone(), Reason::PasswordWanted),
        (format!("redis://:not-s3cret@{at}"), Reason::PasswordRefused),
        (format!("redis://hub:s3cret@{at}"), Reason::PasswordRefused),
    ] {
        assert_eq!(refused(&url).await, reason);
        assert_eq!(refused_to_listen(&url).await, reason);
    }
    let url = format!("redis://:s3cret@{at}/1");
    assert_eq!(told(&mut open(&url).await, &["PING"]).await, "PONG");
    assert!(source(&url).connect_pubsub().await.is_ok());
}

#[tokio::test]
async fn a_password_that_redis_does_not_know_is_told_apart_from_a_wrong_one() {
    let redis = RedisServer::start(&[]);
    let url = format!("redis://:s3cret@{}", redis.address());
    assert_eq!(refused(&url).await, Reason::PasswordUnknown);
}

#[tokio::test]
async fn access_rules_may_forbid_what_a_node_needs() {
    let rules = [
        "--user", "hub", "on", ">s3cret", "~*", "&*", "+@all", "-info",
    ];
    let redis = RedisServer::start(&rules);
    let url = format!("redis://hub:s3cret@{}", redis.address());
    let Reason::Forbidden(said) = refused(&url).await else {
        panic!("it was allowed")
    };
    assert!(said.contains("info"), "{said}");
}

#[tokio::test]
async fn a_replica_is_refused_and_its_master_named() {
    let master = RedisServer::start(&[]);
    let port = master.port().to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]);
    let master = master.address();
    assert_eq!(
        refused(&replica.address()).await,
        Reason::Replica { master }
    );
}

#[tokio::test]
async fn a_cluster_and_a_database_that_is_not_there_are_refused() {
    let cluster = RedisServer::start(&["--cluster-enabled", "yes"]);
    assert_eq!(refused(&cluster.address()).await, Reason::Cluster);
    let redis = RedisServer::start(&["--databases", "2"]);
    let Reason::NoDatabase(said) = refused(&format!("redis://{}/2", redis.address())).await else {
        panic!("it is there")
    };
    assert!(said.contains("out of range"), "{said}");
}

#[tokio::test]
async fn an_old_redis_is_refused_by_both_versions() {
    let old = impostor("+OK\r\n$35\r\nredis_version:6.0.16\r\nrole:master\r\n\r\n");
    let refusal = source(&old).connect().await.unwrap_err();
    let sentence = format!("Redis at {old} is version 6.0.16; wshub needs 6.2 or newer");
    assert_eq!(refusal.to_string(), sentence);
}

#[tokio::test]
async fn what_is_no_redis_is_not_taken_for_one() {
    let web = impostor("HTTP/1.1 400 Bad Request\r\n\r\n");
    let reason = refused(&web).await;
    assert!(matches!(reason, Reason::Other(_)), "{reason:?}");
}

#[tokio::test]
async fn a_redis_that_is_full_says_so() {
    let redis = RedisServer::start(&["--maxclients", "1"]);
    let _only = open(&redis.address()).await;
    assert_eq!(refused(&redis.address()).await, Reason::Full);
}

#[tokio::test]
async fn a_redis_that_loads_its_data_says_so() {
    let mut redis = RedisServer::start(&["--enable-debug-command", "yes"]);
    let mut connection = open(&redis.address()).await;
    told(&mut connection, &["DEBUG", "POPULATE", "10000"]).await;
    told(&mut connection, &["SAVE"]).await;
    // It looks up from loading once in a while: after each kilobyte, in which it loads some 30 keys.
    redis.set(&[
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    redis.restart_until("Loading RDB");
    assert_eq!(refused(&redis.address()).await, Reason::Loading);
}

#[tokio::test]
async fn a_redis_with_a_script_that_does_not_end_says_so() {
    let redis = RedisServer::start(&["--lua-time-limit", "1"]);
    let mut connection = open(&redis.address()).await;
    let endless = tokio::spawn(async move {
        let mut script = cmd("EVAL");
        script.arg("while true do end").arg(0);
        script.query_async::<Value>(&mut connection).await
    });
    let source = source(&redis.address());
    let until_busy = async {
        loop {
            match source.connect().await {
                Ok(_) => tokio::task::yield_now().await,
                Err(refusal) => return refusal.reason,
            }
        }
    };
    assert_eq!(timeout(PATIENCE, until_busy).await, Ok(Reason::Busy));
    endless.abort();
}

#[tokio::test]
async fn a_stopped_redis_is_given_up_and_can_be_used_when_it_goes_on() {
    let redis = RedisServer::start(&[]);
    let source = source(&redis.address());
    let mut connection = source.connect().await.unwrap();
    redis.stop();
    let late: RedisResult<Value> = cmd("PING").query_async(&mut connection).await;
    assert!(late.unwrap_err().is_timeout());
    assert_eq!(refused(&redis.address()).await, Reason::NoAnswer);
    assert_eq!(refused_to_listen(&redis.address()).await, Reason::NoAnswer);
    redis.cont();
    assert!(source.connect().await.is_ok());
}

#[tokio::test]
async fn a_tail_waits_as_long_as_it_was_told_and_not_for_ever() {
    let redis = RedisServer::start(&[]);
    // Longer than a command may take.
    let block = Duration::from_millis(1200);
    let mut tail = source(&redis.address()).connect_tail(block).await.unwrap();
    let mut read = cmd("XREAD");
    read.arg("BLOCK")
        .arg(block.as_millis() as u64)
        .arg("STREAMS")
        .arg("log")
        .arg("$");
    assert_eq!(read.query_async::<Value>(&mut tail).await, Ok(Value::Nil));
    redis.stop();
    let late = timeout(PATIENCE, read.query_async::<Value>(&mut tail)).await;
    assert!(late.expect("it waits for ever").unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_redis_that_died_and_came_back_is_connected_to_anew() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let source = source(&redis.address());
    let mut before = source.connect().await.unwrap();
    told(&mut before, &["SET", "kept", "here"]).await;
    redis.kill();
    assert!(matches!(
        refused(&redis.address()).await,
        Reason::Unreachable(_)
    ));
    redis.restart();
    let mut after = source.connect().await.unwrap();
    assert_eq!(told(&mut after, &["GET", "kept"]).await, "here");
    let lost: RedisResult<Value> = cmd("PING").query_async(&mut before).await;
    assert!(lost.unwrap_err().is_unrecoverable_error());
}

/// What a node is told of the Redis that was started with these arguments.
async fn warnings(arguments: &[&str], who: &str) -> Vec<String> {
    let redis = RedisServer::start(arguments);
    let source = source(&format!("redis://{who}{}", redis.address()));
    let mut connection = source.connect().await.unwrap();
    source.warnings(&mut connection).await
}

#[tokio::test]
async fn an_operator_is_warned_of_what_may_lose_messages() {
    let bare = warnings(&[], "").await;
    assert_eq!(bare.len(), 2, "{bare:?}");
    assert!(bare[0].contains("has no maxmemory"), "{bare:?}");
    assert!(bare[1].contains("appendonly no"), "{bare:?}");
    let careless = [
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--appendonly",
        "yes",
    ];
    let warned = warnings(&careless, "").await;
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(
        warned[0].contains("maxmemory-policy allkeys-lru"),
        "{warned:?}"
    );
    assert!(warned[1].contains("appendfsync everysec"), "{warned:?}");
    let sound = [
        "--maxmemory",
        "100mb",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    assert_eq!(warnings(&sound, "").await, [""; 0]);
}

#[tokio::test]
async fn where_a_node_may_not_ask_for_settings_it_is_told_what_is_known() {
    let rules = [
        "--user", "hub", "on", ">s3cret", "~*", "&*", "+@all", "-config",
    ];
    let settings = [
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "volatile-ttl",
        "--appendonly",
        "yes",
    ];
    let warned = warnings(&[&rules[..], &settings].concat(), "hub:s3cret@").await;
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("maxmemory-policy volatile-ttl"),
        "{warned:?}"
    );
}

#[tokio::test]
async fn a_listener_hears_its_channel() {
    let redis = RedisServer::start(&[]);
    let source = source(&redis.address());
    let mut listener = source.connect_pubsub().await.unwrap();
    listener.subscribe("websocket:broadcast").await.unwrap();
    let mut publisher = source.connect().await.unwrap();
    let heard_by: u64 = cmd("PUBLISH")
        .arg("websocket:broadcast")
        .arg("hello")
        .query_async(&mut publisher)
        .await
        .unwrap();
    assert_eq!(heard_by, 1);
    let heard = timeout(PATIENCE, listener.into_on_message().next()).await;
    let message = heard.expect("nothing was heard").expect("it was closed");
    assert_eq!(message.get_payload(), Ok("hello".to_owned()));
}
