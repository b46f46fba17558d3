//! Hubs inside other programs, over one Redis.

use std::time::Duration;

use tokio::time::timeout;
use wshub::{ErrorCode, Hub, Message, Published};

use crate::world::RedisServer;

const PATIENCE: Duration = Duration::from_secs(20);

fn hub(server: &RedisServer) -> Hub {
    let builder = Hub::builder().shards(1);
    builder.set("redis.url", server.address()).start().unwrap()
}

fn said(data: u32) -> Message {
    Message::to_user("ann", data).with_id("once")
}

/// Publishes as soon as the hub has reached its Redis.
async fn publish(hub: &Hub, message: impl Fn() -> Message) -> Published {
    let publishing = async {
        loop {
            match hub.publish(message()).await {
                Ok(published) => return published,
                Err(refused) if refused.code == ErrorCode::Unavailable => {
                    tokio::task::yield_now().await;
                }
                Err(refused) => panic!("{refused}"),
            }
        }
    };
    timeout(PATIENCE, publishing)
        .await
        .expect("Redis is reached")
}

#[tokio::test]
async fn hubs_over_one_redis_are_one() {
    let server = RedisServer::start(&[]);
    let (one, other) = (hub(&server), hub(&server));
    let first = publish(&one, || said(1)).await;
    let again = publish(&other, || said(1)).await;
    assert_eq!((again.cursor, again.duplicate), (first.cursor, true));
    assert!(other.metrics().contains("\nwshub_redis_up 1\n"));
    assert_eq!(one.shutdown().await.unwrap().lost, 0);
    other.shutdown().await.unwrap();
}
