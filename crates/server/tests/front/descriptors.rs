//! A process without descriptors: it says so to those who come, burns no time, and recovers.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::world::{World, error};

/// Set in the process that has few descriptors.
const INNER: &str = "WSHUB_TEST_FEW_DESCRIPTORS";

#[test]
fn a_node_without_descriptors_refuses_and_recovers() {
    if std::env::var_os(INNER).is_some() {
        return tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(refuse_and_recover());
    }
    let itself = std::env::current_exe().unwrap();
    let status = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" descriptors:: --nocapture",
        ])
        .arg(itself)
        .env(INNER, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

async fn refuse_and_recover() {
    let world = World::new().await;
    // Once served, the front is up and has its spare.
    let mut first = world.client().await;
    first.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    first.answer().await;

    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    for n in 1..=3 {
        // The client takes the one descriptor that there is.
        hoard.pop();
        let mut client = world.client().await;
        let refused = client.rest().await;
        assert_eq!(error(&refused), (503, "overloaded".into()));
        assert!(refused.contains("Retry-After"), "{refused}");
        assert_eq!(
            world.counters.refused_descriptors.load(Ordering::Relaxed),
            n
        );
        drop(client);
        hoard.push(File::open("/dev/null").unwrap());
    }
    first.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        first.answer().await.1,
        "hello",
        "those who are in are served"
    );

    drop(hoard);
    let mut late = world.client().await;
    late.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(late.answer().await.1, "hello");
}
