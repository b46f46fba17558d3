//! The channels: what passes by, what other programs say, and what nodes ask each other. Nothing on them is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::PubSub;
use tokio::time::timeout;
use wshub_engine::redis::{Keys, entry};
use wshub_hub::{Post, Publication};
use wshub_protocol::client_message::parse_publish;

use super::cluster::{Cluster, lock};
use super::opening::{RESPONSE_TIMEOUT, RedisSource};
use super::session::Broken;
use crate::driver::Socket;

/// Each node says something on the control channel more often than this.
const SILENCE: Duration = Duration::from_secs(6);

/// Listens to all channels.
pub(super) async fn listen(source: &RedisSource, keys: &Keys) -> Result<PubSub, Broken> {
    let mut channels = source.connect_pubsub().await?;
    for channel in [keys.broadcast(), keys.ephemeral(), keys.control()] {
        let subscribing = channels.subscribe(channel);
        timeout(RESPONSE_TIMEOUT, subscribing)
            .await
            .map_err(|_| Broken("it gives no answer".to_owned()))??;
    }
    Ok(channels)
}

/// Hears what is said until the connection breaks.
pub(super) async fn hear(channels: PubSub, cluster: &Arc<Cluster>) -> Broken {
    let terms = lock(&cluster.turns).terms().clone();
    let (broadcast, ephemeral) = (terms.keys.broadcast(), terms.keys.ephemeral());
    let mut messages = channels.into_on_message();
    loop {
        let message = match timeout(SILENCE, messages.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => return Broken("the connection for channels broke".to_owned()),
            Err(_) => return Broken("its channels are silent".to_owned()),
        };
        let (channel, bytes) = (message.get_channel_name(), message.get_payload_bytes());
        let publication = if channel == broadcast {
            let fits = Some(bytes).filter(|bytes| bytes.len() <= terms.message_bytes);
            let publish = fits.and_then(|bytes| parse_publish(bytes).ok());
            publish.map(|publish| Publication {
                publish,
                from: String::new(),
                except: None,
            })
        } else if channel == ephemeral {
            entry::read_passing(bytes)
        } else {
            if !cluster.hear(bytes) {
                cluster.unreadable.fetch_add(1, Ordering::Relaxed);
            }
            continue;
        };
        match publication {
            Some(_) if !Post::<Socket>::has_room(&*cluster.inboxes) => {
                cluster.overheard.fetch_add(1, Ordering::Relaxed);
            }
            Some(publication) => {
                let now = cluster.clock.now();
                lock(&cluster.tail).pass_on(now, publication, &*cluster.inboxes);
            }
            None => _ = cluster.unreadable.fetch_add(1, Ordering::Relaxed),
        }
    }
}
