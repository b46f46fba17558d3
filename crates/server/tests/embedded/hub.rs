//! What a program may rely on that has a hub in it: who is let in, what a publish says, and how it ends.

use std::convert::Infallible;
use std::io::{Read, Write};

use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tungstenite::client::IntoClientRequest;
use wshub::{ErrorCode, Farewell, Hub, Message, StartError};

use crate::world::{Person, Program, dial, get};

/// The whole request of somebody who upgrades, and what they send behind it without waiting for the answer.
const IN_A_HURRY: &[u8] =
    b"GET /ws/ann HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
    \x81\x8f\0\0\0\0{\"type\":\"ping\"}\x88\x80\0\0\0\0";

/// One connection of a program without axum, in which everybody is Ann.
async fn serve_by_hyper(hub: Hub, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let service = hyper::service::service_fn(|request| {
        let response = hub.accept(request, "ann");
        async { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    connection.await.expect("it is served to its end");
}

#[test]
fn a_user_is_who_the_program_says_whatever_the_request_says() {
    let program = Program::start();
    let mut ann = program.comes("/ws/ann?user_id=bob&rooms=lobby");
    ann.hear("joined");
    ann.say(r#"{"type":"room","room_id":"lobby","data":1}"#);
    assert_eq!(ann.hear("room")["from"], "ann");
    assert_eq!(program.shutdown(), Farewell { moved: 1, lost: 0 });
}

#[test]
fn what_was_sent_behind_the_request_is_read() {
    let program = Program::start();
    let mut socket = dial(program.address);
    socket.write_all(IN_A_HURRY).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains(r#"{"type":"pong"}"#), "{answer}");
}

#[test]
fn a_program_on_hyper_alone_connects_its_users_too() {
    let program = Program::start();
    let hub = program.hub.clone();
    let runtime = &program.runtime;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        serve_by_hyper(hub, socket).await;
    });
    let mut ann = Person::comes(address, "/any/path");
    program.publish(Message::to_user("ann", "here")).unwrap();
    assert_eq!(ann.hear("user")["data"], "here");
}

#[test]
fn a_connection_whose_socket_can_not_be_had_ends() {
    let program = Program::start();
    let hub = program.hub.clone();
    let (mut client, server) = tokio::io::duplex(1024);
    program.runtime.spawn(serve_by_hyper(hub, server));
    let answer = program.runtime.block_on(async {
        client.write_all(IN_A_HURRY).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.ends_with(b"\r\n\r\n"), "a 101 and nothing behind it");
    assert_eq!(program.hub.stats().clients, 0);
}

#[test]
fn only_pages_of_the_host_itself_and_of_allowed_origins_connect() {
    let program = Program::with(Hub::builder().origins(["https://app.example"]));
    let address = program.address;
    let from = |origin: &str| {
        let mut request = format!("ws://{address}/ws/ann")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("Origin", origin.parse().unwrap());
        Person::asks(address, request).err()
    };
    assert_eq!(from(&format!("http://{address}")), None);
    assert_eq!(from("https://app.example"), None);
    assert_eq!(from("https://evil.example"), Some(403));
    // Another port of this machine is another program's page.
    assert_eq!(from("http://localhost:1"), Some(403));
}

#[test]
fn what_is_no_upgrade_or_names_nobody_is_told_so() {
    let program = Program::start();
    let (status, body) = get(program.address, "/ws/ann");
    assert_eq!(status, 426);
    assert!(body.contains(r#""code":"upgrade_required""#), "{body}");

    let path = format!("/ws/{}", "a".repeat(129));
    let request = format!("ws://{}{path}", program.address).into_client_request();
    assert_eq!(
        Person::asks(program.address, request.unwrap()).err(),
        Some(401)
    );
}

#[test]
fn a_request_that_nobody_can_upgrade_is_not_answered_101() {
    let program = Program::start();
    let mut request = "ws://a/ws/ann".into_client_request().unwrap();
    *request.uri_mut() = "/ws/ann".parse().unwrap();
    let response = {
        let _within = program.runtime.enter();
        program.hub.accept(request, "ann")
    };
    assert_eq!(response.status(), 426);
    assert!(
        response.body().contains("can't be upgraded"),
        "{response:?}"
    );
}

#[test]
fn a_publish_says_what_became_of_it() {
    let program = Program::start();
    let mut ann = program.comes("/ws/ann");
    let order = || Message::to_users(["ann", "bob"], json!({ "order": 7 })).with_id("order-7");
    let first = program.publish(order()).unwrap();
    let again = program.publish(order()).unwrap();
    assert_eq!(
        (&*first.id, first.duplicate, again.duplicate),
        ("order-7", false, true)
    );
    assert_eq!(first.cursor, again.cursor);

    let heard = ann.hear("user");
    assert_eq!(
        heard["cursor"],
        first.cursor.expect("a place in the log").to_string()
    );
    assert_eq!(
        (&heard["from"], &heard["data"]),
        (&"".into(), &json!({ "order": 7 }))
    );
    // Bob was away, and it has waited.
    assert_eq!(program.comes("/ws/bob").hear("user")["id"], "order-7");

    let passing = program
        .publish(Message::to_everybody(()).ephemeral())
        .unwrap();
    assert_eq!(passing.cursor, None);
    assert!(ann.hear("broadcast")["data"].is_null());
}

#[test]
fn a_publish_that_can_not_be_says_why() {
    let program = Program::with(Hub::builder().set("limits.message_bytes", "1KiB"));
    let refused = |message| program.publish(message).expect_err("a refusal").code;
    assert_eq!(refused(Message::to_user("", 1)), ErrorCode::InvalidMessage);
    assert_eq!(refused(Message::to_users([], 1)), ErrorCode::InvalidMessage);
    assert_eq!(
        refused(Message::to_room("a\n", 1)),
        ErrorCode::InvalidMessage
    );
    assert_eq!(
        refused(Message::to_everybody(1).with_id("a b")),
        ErrorCode::InvalidMessage
    );
    assert_eq!(
        refused(Message::to_everybody("x".repeat(1024))),
        ErrorCode::TooLarge
    );
    let no_json = std::collections::HashMap::from([((1, 2), 3)]);
    assert_eq!(
        refused(Message::to_everybody(no_json)),
        ErrorCode::InvalidJson
    );

    program
        .publish(Message::to_everybody(1).with_id("m"))
        .unwrap();
    assert_eq!(
        refused(Message::to_everybody(2).with_id("m")),
        ErrorCode::IdReused
    );
}

#[test]
fn a_hub_counts_who_is_there() {
    let program = Program::start();
    let mut people = ["/ws/ann?rooms=lobby", "/ws/ann", "/ws/bob"].map(|path| program.comes(path));
    people[0].hear("joined");
    let stats = program.hub.stats();
    assert_eq!((stats.clients, stats.users, stats.rooms), (3, 2, 1));
    assert!(program.hub.metrics().contains("\nwshub_connections 3\n"));
}

#[test]
fn a_hub_that_was_shut_down_takes_nothing_more() {
    let program = Program::start();
    let mut ann = program.comes("/ws/ann");
    program.publish(Message::to_user("bob", "in vain")).unwrap();
    let farewell = program.shutdown();
    assert_eq!(farewell, Farewell { moved: 1, lost: 1 });
    ann.hear("reconnect");
    assert_eq!(ann.hear_close(), 1012);

    assert_eq!(
        program.shutdown(),
        farewell,
        "whoever asks again is told the same"
    );
    let refused = program.publish(Message::to_everybody(1)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    let request = format!("ws://{}/ws/ann", program.address).into_client_request();
    assert_eq!(
        Person::asks(program.address, request.unwrap()).err(),
        Some(503)
    );
}

#[test]
fn a_hub_ends_when_its_last_copy_is_gone() {
    let program = Program::start();
    let mut ann = program.comes("/ws/ann");
    let _runtime = program.let_go();
    ann.hear("reconnect");
    assert_eq!(ann.hear_close(), 1012);
}

#[test]
fn the_shards_of_a_hub_end_with_its_runtime() {
    let program = Program::start();
    let mut ann = program.comes("/ws/ann");
    drop(program.let_go());
    assert_eq!(ann.hear_close(), 1001);
}

#[test]
fn a_start_that_is_refused_says_why() {
    let runtime = Program::runtime();
    let _within = runtime.enter();
    for (key, value, sentence) in [
        ("shards", "0", "shards must be 1 to 128"),
        (
            "limits.mesage_bytes",
            "1KiB",
            "did you mean limits.message_bytes?",
        ),
        ("listen", "127.0.0.1:1", "listen is not the hub's to decide"),
    ] {
        match Hub::builder().set(key, value).start() {
            Err(StartError::Configuration(said)) => {
                assert!(said.contains(sentence), "{said}");
            }
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn a_hub_without_a_runtime_does_not_start() {
    let started = Hub::builder().start();
    assert!(matches!(started, Err(StartError::NoRuntime)), "{started:?}");
}
