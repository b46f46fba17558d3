//! Publishing over a WebSocket, as a user: the client's outbox keeps what has no receipt yet.

use std::collections::VecDeque;
use std::pin::Pin;

use tokio::sync::oneshot;
use tokio::time::timeout;
use wshub_client::limits::{GIVEN_UP_AFTER, OUTBOX_BYTES};
use wshub_client::{Draft, Event, Events, Options, Receipt, Unpublished, connect, say};
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
    let _ = timeout(GIVEN_UP_AFTER, connected).await;
    let mut under_way = UnderWay::default();
    loop {
        let next = tokio::select! {
            next = source.next() => next?,
            // Whoever types is told of a refusal before the next line.
            () = under_way.settle_oldest(progress), if !under_way.publishes.is_empty() => continue,
        };
        let Some((number, line)) = next else {
            break;
        };
        match letters.letter(number, line) {
            Ok(letter) => {
                let bytes = say::publish(&letter.publish).len();
                under_way.make_room(bytes, progress).await;
                let handed_in = client.hand_in(Draft::from(letter.publish)).await;
                let outcome = Box::pin(handed_in.outcome());
                under_way.push(number, bytes, outcome);
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

type Outcome = Pin<Box<dyn Future<Output = Result<Receipt, Unpublished>>>>;

/// Publishes without a receipt, oldest first: never more than the client's outbox holds.
#[derive(Default)]
struct UnderWay {
    publishes: VecDeque<(u64, usize, Outcome)>,
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

    fn push(&mut self, line: u64, bytes: usize, outcome: Outcome) {
        self.bytes += bytes;
        self.publishes.push_back((line, bytes, outcome));
    }

    async fn settle_all(&mut self, progress: &mut Progress) {
        while !self.publishes.is_empty() {
            self.settle_oldest(progress).await;
        }
    }

    /// Waits for the oldest one's outcome and tells it. The wait may be given up and begun again.
    async fn settle_oldest(&mut self, progress: &mut Progress) {
        let Some((line, bytes, outcome)) = self.publishes.front_mut() else {
            return;
        };
        let (line, bytes, outcome) = (*line, *bytes, outcome.await);
        self.publishes.pop_front();
        self.bytes -= bytes;
        match outcome {
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
