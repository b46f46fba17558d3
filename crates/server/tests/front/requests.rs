//! What the front makes of right requests: answers in order, bodies, upgrades, the end.

use std::io::Read as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::world::{UPGRADE, World, error, limits};

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_connection_is_kept_from_request_to_request() {
    let world = World::new().await;
    let mut client = world.client().await;
    for _ in 0..3 {
        client.send(HELLO).await;
        let (head, body) = client.answer().await;
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("Connection"),
            "{head}"
        );
        assert!(head.contains("X-Content-Type-Options: nosniff"), "{head}");
        assert_eq!(body, "hello");
    }
}

#[tokio::test]
async fn requests_that_came_together_are_answered_in_order_and_with_one_write() {
    let world = World::new().await;
    let mut client = world.client().await;
    let requests: String = (0..64)
        .map(|n| post("/echo", &format!("number {n}")))
        .collect();
    client.send(requests).await;
    let read = client.read().await;
    let mut left = read;
    for n in 0..64 {
        let (head, body) = client.answer().await;
        assert_eq!(body, format!("number {n}"));
        left -= head.len() + 4 + body.len();
    }
    assert_eq!(
        left, 0,
        "the first read brought all answers and nothing else"
    );
}

#[tokio::test]
async fn requests_that_came_together_are_all_begun_before_the_first_is_waited_for() {
    let world = World::with(limits(), 3).await;
    let mut client = world.client().await;
    client
        .send(post("/meet", "1") + &post("/meet", "2") + &post("/meet", "3"))
        .await;
    for n in ["1", "2", "3"] {
        assert_eq!(client.answer().await.1, n);
    }
}

#[tokio::test]
async fn a_request_with_another_method_waits_until_those_before_it_are_answered() {
    let world = World::with(limits(), 2).await;
    let (mut client, mut other) = (world.client().await, world.client().await);
    client.send(post("/meet", "1") + HELLO).await;
    while world.desk.begun.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    other.send(post("/meet", "2")).await;
    assert_eq!(client.answer().await.1, "1");
    assert_eq!(client.answer().await.1, "hello");
    let seen = world.desk.seen.lock().unwrap();
    assert_eq!(*seen, ["Post /meet", "Post /meet", "Get /hello"]);
}

#[tokio::test]
async fn a_request_in_single_bytes_is_one_request() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.socket.set_nodelay(true).unwrap();
    for byte in ("\r\n".to_owned() + &post("/echo", "abc") + HELLO).bytes() {
        client.send([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.1, "abc");
    assert_eq!(client.answer().await.1, "hello");
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let world = World::new().await;
    let head = "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = world.exchange(head.as_bytes()).await;
    assert!(
        answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_with_those_that_it_does() {
    let world = World::new().await;
    let mut client = world.client().await;
    for method in ["OPTIONS", "PATCH", "BREW"] {
        client.send(HELLO.replace("GET", method)).await;
        let (head, _) = client.answer().await;
        assert!(
            head.starts_with("HTTP/1.1 405 ") && head.contains("Allow: GET"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn http_1_0_closes_unless_it_asks_to_stay() {
    let world = World::new().await;
    let answer = world.exchange(b"GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
    let mut client = world.client().await;
    client
        .send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let (head, _) = client.answer().await;
    assert!(head.contains("Connection: keep-alive"), "{head}");
    client.send(HELLO).await;
    assert_eq!(client.answer().await.1, "hello");
}

#[tokio::test]
async fn a_client_that_says_close_is_told_so_and_closed() {
    let world = World::new().await;
    let request = HELLO.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let answer = world.exchange((request + HELLO).as_bytes()).await;
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    assert_eq!(answer.matches("hello").count(), 1);
}

#[tokio::test]
async fn a_client_that_has_shut_its_side_down_is_still_answered() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.send(HELLO).await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.socket)
        .await
        .unwrap();
    assert!(client.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn a_chunked_body_is_decoded_and_the_next_request_found_behind_it() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: dropped\r\n\r\n";
    client.send(format!("{head}{body}{HELLO}")).await;
    assert_eq!(client.answer().await.1, "abcde");
    assert_eq!(client.answer().await.1, "hello");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let world = World::new().await;
    let mut client = world.client().await;
    let head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    client.send(format!("{HELLO}{head}")).await;
    assert_eq!(client.answer().await.1, "hello");
    assert_eq!(client.answer().await.0, "HTTP/1.1 100 Continue");
    client.send("abc").await;
    assert_eq!(client.answer().await.1, "abc");
}

#[tokio::test]
async fn the_largest_body_arrives_whole() {
    let world = World::new().await;
    let mut client = world.client().await;
    let body = "x".repeat(4 << 20);
    client.send(post("/echo", &body)).await;
    assert_eq!(client.answer().await.1.len(), 4 << 20);
}

#[tokio::test]
async fn an_upgrade_takes_the_socket_and_what_came_behind_its_head() {
    let mut world = World::new().await;
    let mut client = world.client().await;
    client.send(format!("{UPGRADE}frames")).await;
    let (mut socket, handshake) = world.upgraded().await;
    assert_eq!(handshake.early, b"frames");
    assert_eq!(handshake.upgrade.query.user_id.as_deref(), Some("ann"));
    assert_eq!(handshake.request.origin.as_deref(), Some("http://a"));
    assert_eq!(handshake.request.peer, client.socket.local_addr().unwrap());
    assert!(socket.nodelay().unwrap());
    let nothing = socket.read(&mut [0]).unwrap_err();
    assert_eq!(
        nothing.kind(),
        std::io::ErrorKind::WouldBlock,
        "the socket does not block"
    );
    drop(socket);
    assert_eq!(client.rest().await, "", "the front has written nothing");
}

#[tokio::test]
async fn an_upgrade_that_comes_late_or_in_pieces_is_handed_over_too() {
    let mut world = World::new().await;
    let mut client = world.client().await;
    client.send(HELLO).await;
    client.answer().await;
    let (start, end) = UPGRADE.split_at(40);
    client.send(format!("{HELLO}{start}")).await;
    assert_eq!(client.answer().await.1, "hello");
    client.send(end).await;
    let (socket, handshake) = world.upgraded().await;
    assert!(socket.nodelay().unwrap() && handshake.early.is_empty());
    assert_eq!(world.counters.upgraded.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn in_a_storm_everybody_is_let_in() {
    use std::io::Write as _;
    let mut world = World::new().await;
    // This test has one thread: all are there before the front looks for the first time.
    let storm: Vec<_> = (0..100)
        .map(|_| {
            let mut client = std::net::TcpStream::connect(world.address).unwrap();
            client.write_all(UPGRADE.as_bytes()).unwrap();
            client
        })
        .collect();
    for _ in &storm {
        world.upgraded().await;
    }
    assert_eq!(world.counters.upgraded.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn a_plain_request_to_the_socket_is_426_and_the_connection_stays() {
    let world = World::new().await;
    let mut client = world.client().await;
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert_eq!(
        error(&format!("{head}\r\n\r\n{body}")),
        (426, "upgrade_required".into())
    );
    assert!(head.contains("Upgrade: websocket"), "{head}");
    client.send(HELLO).await;
    assert_eq!(client.answer().await.1, "hello");
}

#[tokio::test]
async fn an_upgrade_that_is_not_admitted_gets_its_answer_and_is_closed() {
    let world = World::new().await;
    world.desk.admits.store(false, Ordering::Relaxed);
    let answer = world.exchange(UPGRADE.as_bytes()).await;
    assert_eq!(error(&answer), (503, "overloaded".into()));
    assert!(answer.contains("Retry-After: 1\r\n") && answer.contains("Connection: close\r\n"));
    assert_eq!(world.counters.not_admitted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_origin_that_is_there_twice_or_is_no_text_is_nobodys() {
    let mut world = World::new().await;
    let requests = [UPGRADE.to_owned(), post("/echo", "hi")];
    let unclear = [
        &b"Origin: http://a\r\nOrigin: http://a"[..],
        b"Origin: http://a\r\nOrigin: http://evil.example",
        b"Origin: http://a\xff",
        b"Origin: \xff\r\nOrigin: http://a",
    ];
    for (request, origin) in requests.iter().flat_map(|r| unclear.map(|o| (r, o))) {
        let request = request.replace("\r\nOrigin: http://a", "");
        let (line, rest) = request.split_once("\r\n").unwrap();
        let bytes = [
            line.as_bytes(),
            b"\r\nConnection: close\r\n",
            origin,
            b"\r\n",
            rest.as_bytes(),
        ];
        let mut client = world.client().await;
        client.send(bytes.concat()).await;
        let answer = tokio::select! {
            answer = client.rest() => answer,
            _ = world.upgraded() => panic!("let in: {}", origin.escape_ascii()),
        };
        assert_eq!(
            error(&answer),
            (403, "forbidden".into()),
            "{}",
            origin.escape_ascii()
        );
    }
}

#[tokio::test]
async fn shutting_down_closes_those_who_wait_and_finishes_what_is_under_way() {
    let world = World::with(limits(), 2).await;
    let (mut idle, mut one, mut two) = (
        world.client().await,
        world.client().await,
        world.client().await,
    );
    idle.send(HELLO).await;
    idle.answer().await;
    one.send(post("/meet", "one")).await;
    let request = post("/meet", "two");
    let (start, end) = request.split_at(request.len() - 1);
    two.send(start).await;
    while world.desk.begun.load(Ordering::Relaxed) == 0
        || world.counters.open.load(Ordering::Relaxed) < 3
    {
        tokio::task::yield_now().await;
    }
    world.tell_to_shut_down();
    assert_eq!(idle.rest().await, "");
    two.send(end).await;
    assert!(one.rest().await.ends_with("one"));
    let last = two.rest().await;
    assert!(
        last.ends_with("two") && last.contains("Connection: close\r\n"),
        "{last}"
    );
    world.end().await;
}

#[tokio::test]
async fn shutting_down_cuts_what_does_not_finish() {
    let grace = Duration::from_millis(30);
    let world = World::bounded(wshub::front::FrontLimits {
        shutdown_grace: grace,
        ..limits()
    })
    .await;
    let mut client = world.client().await;
    client.send(post("/never", "")).await;
    while world.desk.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let counters = world.end().await;
    assert_eq!(client.rest().await, "");
    assert_eq!(counters.open.load(Ordering::Relaxed), 0);
}
