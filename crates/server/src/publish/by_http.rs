//! Publishing by `POST /publish`, in arrays, until each message is taken or refused.
//!
//! A hub that is full, away or on its way to its end, and a connection that breaks, are waited out: the same messages go
//! out again with the same ids, for as long as a hub remembers those.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use wshub_client::http::{Answer, PostError, Poster};
use wshub_client::limits::{GIVEN_UP_AFTER, RETRY_AFTER};
use wshub_client::{backoff, say};

use super::letter::Letters;
use super::progress::Progress;
use super::{BATCH_BYTES, BATCH_MESSAGES, Letter, Source};
use crate::cli::PublishConfig;

/// How long a message waits for others to go out with.
const LINGER: Duration = Duration::from_millis(5);

pub(super) async fn publish(
    config: &PublishConfig,
    mut source: Source,
    letters: Letters,
    progress: &mut Progress,
) -> Result<(), String> {
    let mut post = Post {
        poster: Poster::new(config.address.clone(), config.key.clone()),
        url: &config.url,
        rng: fastrand::Rng::new(),
        progress,
    };
    loop {
        let (batch, ended) = gather(&mut source, &letters, post.progress).await?;
        post.deliver(batch).await?;
        if ended {
            return Ok(());
        }
    }
}

/// What goes out together: all that is there now, up to the bounds; also whether that was the last of it.
async fn gather(
    source: &mut Source,
    letters: &Letters,
    progress: &mut Progress,
) -> Result<(Vec<Item>, bool), String> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < BATCH_MESSAGES && bytes < BATCH_BYTES {
        let next = if batch.is_empty() {
            source.next().await?
        } else {
            match timeout(LINGER, source.next()).await {
                Ok(next) => next?,
                Err(_) => return Ok((batch, false)),
            }
        };
        let Some((number, line)) = next else {
            return Ok((batch, true));
        };
        match letters.letter(number, line) {
            Ok(letter) => {
                let item = Item::of(&letter);
                bytes += item.text.len();
                batch.push(item);
            }
            Err(spoiled) => progress.failed(number, &spoiled),
        }
    }
    Ok((batch, false))
}

/// A message as it goes out.
struct Item {
    line: u64,
    text: String,
    ephemeral: bool,
}

impl Item {
    fn of(letter: &Letter) -> Self {
        Self {
            line: letter.line,
            text: say::publish(&letter.publish),
            ephemeral: letter.publish.ephemeral,
        }
    }
}

/// The hub's word on one message, or on a whole body.
#[derive(Deserialize)]
struct Word {
    #[serde(default)]
    duplicate: bool,
    error: Option<String>,
    code: Option<String>,
}

impl Word {
    /// The hub may take it later.
    fn passes(&self) -> bool {
        self.code.as_deref().is_some_and(backoff::passes)
    }

    fn sentence(&self) -> String {
        let (error, code) = (self.error.as_deref(), self.code.as_deref());
        match (error, code) {
            (Some(error), Some(code)) => format!("{error} ({code})"),
            (Some(only), None) | (None, Some(only)) => only.to_owned(),
            (None, None) => "refused without a reason".to_owned(),
        }
    }
}

struct Post<'a> {
    poster: Poster,
    url: &'a str,
    rng: fastrand::Rng,
    progress: &'a mut Progress,
}

/// What is to be done with the messages of one request.
enum Fate {
    /// Each was answered, but for these, which are sent again later.
    Answered(Vec<Item>),
    /// All are sent again later, for this reason, after this wait at least.
    Later(Vec<Item>, String, Duration),
    /// The body as a whole was refused.
    Refused(Vec<Item>, String),
}

impl Post<'_> {
    /// Sends these until each is answered or given up.
    async fn deliver(&mut self, batch: Vec<Item>) -> Result<(), String> {
        // The last is the next: a body that is refused is sent in halves, the first half first.
        let mut bodies = vec![batch];
        let begun = Instant::now();
        let mut failed = 0;
        while let Some(items) = bodies.pop() {
            if items.is_empty() {
                continue;
            }
            let (again, why, at_least) = match self.send(items).await? {
                Fate::Answered(again) if again.is_empty() => {
                    failed = 0;
                    continue;
                }
                Fate::Answered(again) => (again, "the hub is full".to_owned(), RETRY_AFTER),
                Fate::Later(again, why, at_least) => (again, why, at_least),
                Fate::Refused(mut items, why) => {
                    let second = items.split_off(items.len().div_ceil(2));
                    if second.is_empty() {
                        items
                            .iter()
                            .for_each(|item| self.progress.failed(item.line, &why));
                    } else {
                        bodies.extend([second, items]);
                    }
                    continue;
                }
            };
            let wait = backoff::wait(&mut self.rng, failed, at_least);
            failed += 1;
            if begun.elapsed() + wait > GIVEN_UP_AFTER {
                let why = format!("given up, and not known to be published: {why}");
                again
                    .iter()
                    .for_each(|item| self.progress.failed(item.line, &why));
                continue;
            }
            let seconds = wait.as_secs_f64();
            self.progress.note(&format!(
                "{}: {why}: trying again in {seconds:.1} s",
                self.url
            ));
            sleep(wait).await;
            bodies.push(again);
        }
        Ok(())
    }

    /// Sends these once.
    async fn send(&mut self, items: Vec<Item>) -> Result<Fate, String> {
        let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        let body = format!("[{}]", texts.join(","));
        match self.poster.post(body.as_bytes()).await {
            Ok(answer) => self.hear(items, &answer),
            Err(error) => {
                let unsent = matches!(error, PostError::Unreachable(_));
                let again = self.but_for_those_sent_once(items, unsent);
                Ok(Fate::Later(again, error.to_string(), Duration::ZERO))
            }
        }
    }

    fn hear(&mut self, items: Vec<Item>, answer: &Answer) -> Result<Fate, String> {
        let word = || serde_json::from_slice::<Word>(&answer.body).ok();
        let sentence = || {
            word().map_or_else(
                || format!("answered with status {}", answer.status),
                |word| word.sentence(),
            )
        };
        let at_least = answer.retry_after.unwrap_or(Duration::ZERO);
        match answer.status {
            200 => {
                match serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&answer.body) {
                    Ok(words) if words.len() == items.len() => self.hear_each(items, &words),
                    _ => Err(format!(
                        "{} answers, but not as a hub: is this its URL?",
                        self.url
                    )),
                }
            }
            // What these say is about this body or one of its messages.
            400 | 409 | 413 | 422 => Ok(Fate::Refused(items, sentence())),
            // Surely not published.
            429 | 503 => Ok(Fate::Later(items, sentence(), at_least)),
            500..=599 => {
                let again = self.but_for_those_sent_once(items, false);
                Ok(Fate::Later(again, sentence(), at_least))
            }
            // And these about whoever asks, or where: the next line would fare no better.
            _ => Err(format!("{}: {}", self.url, sentence())),
        }
    }

    fn hear_each(
        &mut self,
        items: Vec<Item>,
        words: &[&serde_json::value::RawValue],
    ) -> Result<Fate, String> {
        let mut again = Vec::new();
        for (item, text) in items.into_iter().zip(words) {
            let word: Word = serde_json::from_str(text.get())
                .map_err(|_| format!("{} answers, but not as a hub: is this its URL?", self.url))?;
            if word.error.is_none() && word.code.is_none() {
                self.progress.receipt(text.get());
                self.progress.published(word.duplicate);
            } else if word.passes() && !item.ephemeral {
                again.push(item);
            } else {
                self.progress.failed(item.line, &word.sentence());
            }
        }
        Ok(Fate::Answered(again))
    }

    /// Those that may be sent again though they may have been taken. Nobody knows ephemeral ones again.
    fn but_for_those_sent_once(&mut self, items: Vec<Item>, unsent: bool) -> Vec<Item> {
        let (once, again): (Vec<_>, Vec<_>) = items
            .into_iter()
            .partition(|item| item.ephemeral && !unsent);
        let why = "sent, but whether anybody heard it is not known (outcome_unknown)";
        once.iter()
            .for_each(|item| self.progress.failed(item.line, &why));
        again
    }
}
