//! Requests that came together: begun in their order, waited for together, answered in their order.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::answer::{Answer, Form};
use super::request::Method;

/// How many unanswered requests of one connection are with the service at once.
const RUN_LENGTH: usize = 256;

/// A run of requests with one method. Pipelined publishes so cost one wait for the log instead of
/// one each; a request with another method begins only when those before it are answered, since a
/// client may expect to see their effects.
pub(super) struct Run<F> {
    method: Option<Method>,
    begun: Vec<(Begun<F>, Form)>,
}

enum Begun<F> {
    Waiting(Pin<Box<F>>),
    Done(Answer),
}

impl<F: Future<Output = Answer>> Run<F> {
    /// A run without requests.
    pub(super) fn new() -> Self {
        Self {
            method: None,
            begun: Vec::new(),
        }
    }

    /// Whether a request with this method must wait until the run is finished.
    pub(super) fn is_closed_to(&self, method: Method) -> bool {
        !self.begun.is_empty() && (self.method != Some(method) || self.begun.len() >= RUN_LENGTH)
    }

    /// Polls the answer once; one that is there and has none before it is written down at once.
    pub(super) async fn begin(
        &mut self,
        method: Method,
        answer: F,
        form: Form,
        output: &mut Vec<u8>,
    ) {
        let mut answer = Box::pin(answer);
        let first = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        match first {
            Poll::Ready(answer) if self.begun.is_empty() => answer.write_to(output, form),
            Poll::Ready(answer) => self.begun.push((Begun::Done(answer), form)),
            Poll::Pending => {
                self.method = Some(method);
                self.begun.push((Begun::Waiting(answer), form));
            }
        }
    }

    /// Waits for the answers one after the other. Only the one in front is polled: each has been
    /// begun, and the others' wakes cost one look at it.
    pub(super) async fn finish(&mut self, output: &mut Vec<u8>) {
        for (begun, form) in self.begun.drain(..) {
            let answer = match begun {
                Begun::Waiting(answer) => answer.await,
                Begun::Done(answer) => answer,
            };
            answer.write_to(output, form);
        }
    }
}
