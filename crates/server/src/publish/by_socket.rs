//! Publishing over a WebSocket, as a user: the client's outbox keeps what has no receipt yet.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::timeout;
use wshub_client::limits::{OUTBOX_BYTES, REPEAT_WINDOW};
use wshub_client::{Draft, Event, Events, Options, Publishing, Receipt, Unpublished, connect, say};
use wshub_protocol::UserId;

use super::letter::Letters;
use super::progress::Progress;
use super::{Source, note};
use crate::cli::PublishConfig;

/// So many publishes wait for their receipts at once.
const UNDER_WAY: usize = 256;

pub(super) async fn publish(
    config: &PublishConfig,
    sender: &UserId,
    mut source: Source,
    letters: Letters,
    progress: &mut Progress,
) -> Result<(), String> {
    // What is large for the hub it refuses itself.
    let options = Options::user(sender.as_str())
        .map_err(|error| error.to_string())?
        .acknowledging();
    let (client, events) = connect(&config.url, options.message_bytes(usize::MAX))
        .map_err(|error| error.to_string())?;
    let (connect, connected) = oneshot::channel();
    let listening = tokio::spawn(listen(events, connect));
    // What is for now or never needs a connection. Where there is none for so long, each message says so.
    let _ = timeout(REPEAT_WINDOW, connected).await;
    let mut under_way = UnderWay::default();
    while let Some((number, line)) = source.next().await? {
        match letters.letter(number, line) {
            Ok(letter) => {
                let bytes = say::publish(&letter.publish).len();
                under_way.make_room(bytes, progress).await;
                let handed_in = client.hand_in(Draft::from(letter.publish)).await;
                under_way.push(number, bytes, handed_in);
            }
            Err(spoiled) => progress.failed(number, &spoiled),
        }
    }
    under_way.settle_all(progress).await;
    client.close().await;
    // It ends with the connection.
    let _ = listening.await;
    Ok(())
}

/// Publishes without a receipt, oldest first: never more than the client's outbox holds.
#[derive(Default)]
struct UnderWay {
    publishes: VecDeque<(u64, usize, Publishing)>,
    bytes: usize,
}

impl UnderWay {
    async fn make_room(&mut self, bytes: usize, progress: &mut Progress) {
        while self.publishes.len() >= UNDER_WAY
            || self.bytes > 0 && self.bytes + bytes > OUTBOX_BYTES
        {
            self.settle_oldest(progress).await;
        }
    }

    fn push(&mut self, line: u64, bytes: usize, publishing: Publishing) {
        self.bytes += bytes;
        self.publishes.push_back((line, bytes, publishing));
    }

    async fn settle_all(&mut self, progress: &mut Progress) {
        while !self.publishes.is_empty() {
            self.settle_oldest(progress).await;
        }
    }

    async fn settle_oldest(&mut self, progress: &mut Progress) {
        let Some((line, bytes, publishing)) = self.publishes.pop_front() else {
            return;
        };
        self.bytes -= bytes;
        // The client gives up what it has sent; what was never sent is given up here.
        let outcome = timeout(REPEAT_WINDOW, publishing.outcome()).await;
        match outcome.unwrap_or(Err(Unpublished::NotSent)) {
            Ok(Receipt {
                id,
                cursor,
                duplicate,
            }) => {
                let receipt =
                    serde_json::json!({"id": id, "cursor": cursor, "duplicate": duplicate});
                progress.receipt(&receipt.to_string());
                progress.published(duplicate);
            }
            Err(Unpublished::Refused(refused)) => {
                progress.failed(line, &format!("{} ({})", refused.sentence, refused.code));
            }
            Err(why) => progress.failed(line, &why),
        }
    }
}

/// Tells what happens to the connection, and lets all else go by.
async fn listen(mut events: Events, connect: oneshot::Sender<()>) {
    let mut connect = Some(connect);
    while let Some(event) = events.next().await {
        match event {
            Event::Connected(_) => connect
                .take()
                .into_iter()
                .for_each(|connect| _ = connect.send(())),
            Event::Disconnected { end, wait } => {
                note(&format!(
                    "{end}: trying again in {:.1} s",
                    wait.as_secs_f64()
                ));
            }
            Event::Refused(refused) => note(&refused.to_string()),
            Event::Closed(end) if end.code != Some(1000) => {
                note(&format!("sent away for good: {end}"))
            }
            _ => {}
        }
    }
}
