//! A front whose places are all taken: who leaves, who is served all the same, who is refused.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use crate::world::{Client, UPGRADE, World, error, limits};
use wshub::front::FrontLimits;

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /meet HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

fn places(connections: usize) -> FrontLimits {
    FrontLimits {
        connections,
        ..limits()
    }
}

async fn until_open(world: &World, connections: u64) {
    while world.counters.open.load(Ordering::Relaxed) != connections {
        tokio::task::yield_now().await;
    }
}

/// A front that is full of clients whose first heads don't end.
async fn stalled(connections: usize) -> (World, Vec<Client>) {
    let world = World::bounded(places(connections)).await;
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = world.client().await;
        client.send("GET /hello HTTP/1.1\r\n").await;
        clients.push(client);
    }
    until_open(&world, connections as u64).await;
    (world, clients)
}

/// What comes until the front closes, which it must do long before an idle connection's time is up.
async fn until_closed(client: &mut Client) -> String {
    let closed = timeout(Duration::from_secs(10), client.rest()).await;
    closed.expect("the connection keeps its place")
}

/// A client whose bytes are there when it is accepted: the test has one thread, and the front can't look in between.
fn quick(world: &World, bytes: &str) -> Client {
    let mut socket = std::net::TcpStream::connect(world.address).unwrap();
    socket.write_all(bytes.as_bytes()).unwrap();
    Client::over(socket)
}

#[tokio::test]
async fn those_who_idle_leave_when_the_last_place_is_taken() {
    let world = World::bounded(places(3)).await;
    let (mut one, mut two) = (world.client().await, world.client().await);
    for client in [&mut one, &mut two] {
        client.send(HELLO).await;
        assert!(!client.answer().await.0.contains("Connection"));
    }
    let _last = world.client().await;
    let mut newcomer = world.client().await;
    newcomer.send(HELLO).await;
    assert_eq!(newcomer.answer().await.1, "hello");
    assert_eq!(one.rest().await + &two.rest().await, "");
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_burst_into_a_front_of_idlers_is_let_in() {
    let world = World::bounded(places(20)).await;
    let mut idlers = Vec::new();
    for _ in 0..19 {
        let mut client = world.client().await;
        client.send(HELLO).await;
        client.answer().await;
        idlers.push(client);
    }
    let mut burst: Vec<_> = (0..10)
        .map(|_| quick(&world, "GET /hello HTTP/1.1\r\n"))
        .collect();
    for client in &mut burst {
        client.send("Host: a\r\n\r\n").await;
        assert_eq!(client.answer().await.1, "hello");
    }
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn stalled_first_heads_keep_their_time_and_newcomers_are_told_503() {
    let (world, mut clients) = stalled(2).await;
    let refused = world.client().await.rest().await;
    assert_eq!(error(&refused), (503, "overloaded".into()));
    assert!(refused.contains("Retry-After: 1\r\n"), "{refused}");
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 1);
    for client in &mut clients {
        client.send("Host: a\r\n\r\n").await;
        assert_eq!(client.answer().await.1, "hello");
    }
}

#[tokio::test]
async fn a_place_that_is_left_is_free_again() {
    let (world, mut clients) = stalled(2).await;
    clients.pop();
    until_open(&world, 1).await;
    let mut newcomer = world.client().await;
    newcomer.send(HELLO).await;
    assert_eq!(newcomer.answer().await.1, "hello");
}

#[tokio::test]
async fn a_complete_upgrade_needs_no_place() {
    let (mut world, _stalled) = stalled(2).await;
    let mut clients: Vec<_> = (0..5).map(|_| quick(&world, UPGRADE)).collect();
    for client in &mut clients {
        tokio::select! {
            (socket, _) = world.upgraded() => assert!(socket.nodelay().unwrap()),
            refused = client.rest() => panic!("{refused}"),
        }
    }
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_can_be_answered_at_once_needs_no_place() {
    let (world, _stalled) = stalled(2).await;
    for request in [HELLO.to_owned(), HELLO.to_owned() + HELLO] {
        let answer = quick(&world, &request).rest().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
        assert_eq!(answer.matches("hello").count(), 1);
    }
    let head = quick(&world, &HELLO.replace("GET", "HEAD")).rest().await;
    assert!(
        head.contains("Content-Length: 5") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    world.desk.admits.store(false, Ordering::Relaxed);
    for (request, status) in [
        ("\0", 400),
        ("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        (UPGRADE, 503),
    ] {
        assert_eq!(error(&quick(&world, request).rest().await).0, status);
    }
    assert_eq!(world.counters.not_admitted.load(Ordering::Relaxed), 1);
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn without_a_place_nothing_is_served_that_would_have_to_be_waited_for() {
    let (world, _stalled) = stalled(2).await;
    for line in ["GET /large", "GET /never"] {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let refused = quick(&world, &request).rest().await;
        assert_eq!(error(&refused), (503, "overloaded".into()), "{line}");
    }
    let refused = quick(&world, POST).rest().await;
    assert_eq!(error(&refused), (503, "overloaded".into()));
    assert_eq!(
        world.desk.begun.load(Ordering::Relaxed),
        0,
        "the post surely wasn't done"
    );
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn while_it_is_full_the_last_answer_at_hand_ends_the_connection() {
    let (_world, mut clients) = stalled(2).await;
    let client = &mut clients[0];
    client.send(format!("Host: a\r\n\r\n{HELLO}{HELLO}")).await;
    let answers = until_closed(client).await;
    assert_eq!(answers.matches("hello").count(), 3, "{answers}");
    assert_eq!(answers.matches("Connection: close").count(), 1, "{answers}");
}

#[tokio::test]
async fn who_begins_to_idle_while_it_is_full_leaves() {
    let (_world, mut clients) = stalled(1).await;
    let client = &mut clients[0];
    // The front's own refusals keep the connection.
    client
        .send("Host: a\r\n\r\n".to_owned() + "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let answers = until_closed(client).await;
    assert!(
        answers.contains("426") && !answers.contains("close"),
        "{answers}"
    );
}
