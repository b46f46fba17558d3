//! Guests for whom there is no place: what can be answered without waiting is answered, so that `/live` and `/health`
//! can be asked however full the front is.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::answer::{Answer, Form};
use super::counters::Counters;
use super::reader::Step;
use super::request::Method;
use super::{Service, Shared};

/// The bytes that answer this first step, if they are there now and few enough to be written without waiting.
pub(super) fn answer<S: Service>(shared: &Shared<S>, step: Step) -> Option<Vec<u8>> {
    let (answer, form) = match step {
        // Only a GET may be begun without knowing whether it can be finished: of a POST that was, nobody could say that
        // it has surely not been done.
        Step::Request(request, form) if request.method == Method::Get => {
            Counters::one(&shared.counters.requests);
            let answer = pin!(shared.service.answer(request));
            match answer.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => (answer, form),
                Poll::Pending => return None,
            }
        }
        Step::Answer(answer, form) => (answer, form),
        Step::Refuse(answer, fault) => {
            Counters::one(shared.counters.refused(fault));
            (answer, Form::LAST)
        }
        Step::Request(..) | Step::More(_) | Step::Continue | Step::Upgrade(_) => return None,
    };
    written(&answer, form, shared.limits.at_once_bytes)
}

fn written(answer: &Answer, form: Form, most: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let last = Form {
        keep: false,
        ..form
    };
    if form.head_only || answer.body.len() <= most {
        answer.write_to(&mut output, last);
    }
    (1..=most).contains(&output.len()).then_some(output)
}
