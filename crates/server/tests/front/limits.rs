//! What the front makes of wrong, endless, slow and too many requests.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::world::{UPGRADE, World, error, limits};
use wshub::front::FrontLimits;

const SOON: Duration = Duration::from_millis(40);
const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /echo HTTP/1.1\r\nHost: a\r\n";

async fn refusal(bytes: impl AsRef<[u8]>) -> (u16, String) {
    let world = World::new().await;
    let answer = world.exchange(bytes.as_ref()).await;
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    error(&answer)
}

#[tokio::test]
async fn a_request_line_over_8_kib_is_414_even_when_it_never_ends() {
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8200));
    assert_eq!(refusal(&line).await, (414, "uri_too_long".into()));
    assert_eq!(refusal(&line[..8200]).await, (414, "uri_too_long".into()));
    let world = World::new().await;
    let mut client = world.client().await;
    client.socket.set_nodelay(true).unwrap();
    for piece in line.as_bytes()[..8200].chunks(3000) {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(error(&client.rest().await), (414, "uri_too_long".into()));
}

#[tokio::test]
async fn a_head_over_16_kib_or_100_headers_is_431() {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(17_000)
    );
    assert_eq!(refusal(&long).await, (431, "head_too_large".into()));
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    );
    assert_eq!(refusal(&many).await, (431, "head_too_large".into()));
    let endless = "GET / HTTP/1.1\r\nHost: a\r\nX: ".to_owned() + &"x".repeat(100_000);
    assert_eq!(refusal(&endless).await, (431, "head_too_large".into()));
}

#[tokio::test]
async fn what_is_not_http_is_400_and_closed() {
    let malformed = (400, "invalid_message".to_owned());
    let client_hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x7f, 0, 0xff];
    assert_eq!(refusal(client_hello).await, malformed);
    assert_eq!(refusal([0xff; 100]).await, malformed);
    assert_eq!(
        refusal(b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n").await,
        malformed
    );
    assert_eq!(
        refusal("GET / HTTP/3.7\r\nHost: a\r\n\r\n").await,
        malformed
    );
    assert_eq!(refusal("hello world\r\n\r\n").await, malformed);
}

#[tokio::test]
async fn a_body_whose_length_is_said_twice_is_refused() {
    for headers in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: -1",
        "Transfer-Encoding: gzip",
    ] {
        let request = format!("{POST}{headers}\r\n\r\nabc");
        assert_eq!(
            refusal(request).await,
            (400, "invalid_message".into()),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_refused_and_nothing_of_it_read_as_a_request() {
    let upgrade = UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 37\r\n\r\n") + HELLO;
    assert_eq!(refusal(upgrade).await.0, 400);
}

#[tokio::test]
async fn answers_to_right_requests_come_before_the_refusal_of_a_wrong_one() {
    let world = World::new().await;
    let answers = world
        .exchange(format!("{HELLO}{HELLO}\0\r\n\r\n").as_bytes())
        .await;
    assert_eq!(answers.matches("200 OK").count(), 2);
    assert_eq!(answers.matches("400 Bad Request").count(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_read_away_so_that_the_client_sees_it() {
    let world = World::new().await;
    let mut client = world.client().await;
    let length = (4 << 20) + 1;
    client
        .send(format!("{POST}Content-Length: {length}\r\n\r\n"))
        .await;
    client.send(vec![b'x'; length]).await;
    assert_eq!(error(&client.rest().await), (413, "too_large".into()));
    assert_eq!(world.counters.refused_body.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn chunks_over_the_limit_are_413() {
    let world = World::bounded(FrontLimits {
        body_bytes: 10,
        ..limits()
    })
    .await;
    let request = format!("{POST}Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n");
    assert_eq!(
        error(&world.exchange(request.as_bytes()).await),
        (413, "too_large".into())
    );
}

#[tokio::test]
async fn a_refused_client_that_never_stops_sending_is_cut() {
    let world = World::bounded(FrontLimits {
        discard_bytes: 1 << 20,
        ..limits()
    })
    .await;
    let mut client = world.client().await;
    client
        .send(format!("{POST}Content-Length: 99999999999\r\n\r\n"))
        .await;
    let piece = [b'x'; 65536];
    while tokio::io::AsyncWriteExt::write(&mut client.socket, &piece)
        .await
        .is_ok()
    {}
}

#[tokio::test]
async fn a_refused_client_that_neither_sends_nor_closes_is_cut() {
    let world = World::bounded(FrontLimits {
        discard_time: SOON,
        ..limits()
    })
    .await;
    let mut client = world.client().await;
    client.send("\0").await;
    assert_eq!(error(&client.rest().await).0, 400);
    world.end().await;
}

#[tokio::test]
async fn all_unfinished_bodies_together_are_bounded() {
    let world = World::bounded(FrontLimits {
        bodies_bytes: 1000,
        ..limits()
    })
    .await;
    let mut first = world.client().await;
    let head = format!("{POST}Content-Length: 1200\r\n\r\n");
    first.send(format!("{head}{}", "x".repeat(800))).await;
    let mut second = world.client().await;
    second.send(format!("{head}{}", "y".repeat(800))).await;
    // Which of the two comes first is the kernel's choice; together they are too much.
    let refused = tokio::select! {
        _ = first.read() => first.rest().await,
        _ = second.read() => second.rest().await,
    };
    assert_eq!(error(&refused), (503, "overloaded".into()));
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_closed_without_an_answer() {
    let world = World::bounded(FrontLimits {
        handshake_timeout: SOON,
        ..limits()
    })
    .await;
    assert_eq!(world.exchange(b"").await, "");
    assert_eq!(world.exchange(b"GET /ws HTTP/1.1\r\nHost: a\r\n").await, "");
    let mut kept = world.client().await;
    kept.send(format!("{HELLO}GET")).await;
    kept.answer().await;
    assert_eq!(kept.rest().await, "");
    assert_eq!(world.counters.timed_out_head.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_head_in_drops_does_not_get_more_time_than_one_in_silence() {
    let world = World::bounded(FrontLimits {
        handshake_timeout: SOON,
        ..limits()
    })
    .await;
    let client = world.client().await;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let began = std::time::Instant::now();
    while client.socket.try_write(b"G").is_ok() {
        tick.tick().await;
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the drops keep it open"
        );
    }
}

#[tokio::test]
async fn a_kept_connection_without_a_request_is_closed_after_its_time() {
    let world = World::bounded(FrontLimits {
        http_idle_timeout: SOON,
        ..limits()
    })
    .await;
    let mut client = world.client().await;
    client.send(HELLO).await;
    assert!(client.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn a_body_that_pauses_is_closed() {
    let world = World::bounded(FrontLimits {
        body_pause: SOON,
        ..limits()
    })
    .await;
    let request = format!("{POST}Content-Length: 3\r\n\r\nab");
    assert_eq!(world.exchange(request.as_bytes()).await, "");
    assert_eq!(world.counters.timed_out_body.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_body_in_drops_is_closed_after_its_time() {
    let world = World::bounded(FrontLimits {
        body_timeout: SOON,
        ..limits()
    })
    .await;
    let mut client = world.client().await;
    client
        .send(format!("{POST}Content-Length: 1000000\r\n\r\n"))
        .await;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while client.socket.try_write(b"x").is_ok() {
        tick.tick().await;
    }
    assert_eq!(world.counters.timed_out_body.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let world = World::bounded(FrontLimits {
        answer_timeout: SOON,
        ..limits()
    })
    .await;
    let mut client = world.client().await;
    client.send(HELLO.replace("hello", "large")).await;
    client.socket.readable().await.unwrap();
    let counters = world.end().await;
    assert_eq!(counters.timed_out_answer.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_upgraded_connection_has_left_the_front() {
    let mut world = World::bounded(FrontLimits {
        connections: 1,
        ..limits()
    })
    .await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut client = world.client().await;
        client.send(UPGRADE).await;
        sockets.push((world.upgraded().await, client));
        while world.counters.open.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(world.counters.refused_full.load(Ordering::Relaxed), 0);
}
