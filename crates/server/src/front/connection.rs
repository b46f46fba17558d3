//! One connection while it is in the front: read, answer all that came together, write once.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::Form;
use super::counters::Counters;
use super::reader::{Fault, Reader, Step, Waiting};
use super::run::Run;
use super::scratch::with_scratch;
use super::{Handshake, Service, Shared, told};

/// Answers are written when this much waits, though more requests are at hand.
const OUTPUT_BYTES: usize = 256 * 1024;

/// A connection in the front, and all it has.
pub(super) struct Connection<S> {
    socket: TcpStream,
    reader: Reader,
    output: Vec<u8>,
    shared: Arc<Shared<S>>,
    closing: watch::Receiver<bool>,
}

/// Why a turn of answering ended.
enum End {
    /// All that came is answered; more of this is waited for.
    More(Waiting),
    /// The last answer said that the connection closes.
    Close,
    /// What the client still sends is thrown away, so that it gets to read its answer.
    Discard,
    /// The socket goes to its shard.
    Upgrade(Box<Handshake>),
    /// The client doesn't take its answers.
    Gone,
}

impl<S: Service> Connection<S> {
    /// A connection that has just been accepted; `reader` may hold its first bytes.
    pub(super) fn new(
        socket: TcpStream,
        reader: Reader,
        shared: Arc<Shared<S>>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            socket,
            reader,
            output: Vec::new(),
            shared,
            closing,
        }
    }

    /// Waits for the first request and goes on from there.
    ///
    /// Most connections come to no more than this, some by the thousand and in vain: all that is
    /// needed later lives in a box of its own, so that waiting costs a few hundred bytes.
    pub(super) async fn wait(mut self) {
        let deadline = Instant::now() + self.shared.limits.handshake_timeout;
        while self.read_before(deadline, Waiting::Head).await {
            match self.reader.next(&*self.shared.service) {
                Step::More(Waiting::Start | Waiting::Head) => {}
                step => return Box::pin(self.serve(step)).await,
            }
        }
    }

    /// Serves the connection from this step to its end in the front.
    pub(super) async fn serve(mut self, mut step: Step) {
        loop {
            let end = self.answer_all(step).await;
            if !self.write().await {
                return;
            }
            step = match end {
                End::More(waiting) => match self.next_step(waiting).await {
                    Some(step) => step,
                    None => return,
                },
                End::Close if self.reader.has_rest() => return self.discard().await,
                End::Discard => return self.discard().await,
                End::Close | End::Gone => return,
                End::Upgrade(handshake) => {
                    if let Ok(socket) = self.socket.into_std() {
                        self.shared.hand_over(socket, *handshake);
                    }
                    return;
                }
            };
        }
    }

    /// Answers every complete request at hand into `output`.
    async fn answer_all(&mut self, mut step: Step) -> End {
        let shared = Arc::clone(&self.shared);
        let closing = *self.closing.borrow();
        let mut run = Run::new();
        let end = loop {
            match step {
                Step::More(waiting) => break End::More(waiting),
                Step::Upgrade(handshake) => break End::Upgrade(handshake),
                Step::Continue => {
                    run.finish(&mut self.output).await;
                    self.output
                        .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                Step::Request(request, mut form) => {
                    if run.is_closed_to(request.method) {
                        run.finish(&mut self.output).await;
                    }
                    if self.output.len() > OUTPUT_BYTES && !self.write().await {
                        return End::Gone;
                    }
                    Counters::one(&shared.counters.requests);
                    // A client that is told so loses no request to the close, unlike one that only finds out.
                    let leaves = shared.crowd.is_full() && !self.reader.has_rest();
                    form.keep &= !closing && !leaves;
                    let method = request.method;
                    let answer = shared.service.answer(request);
                    run.begin(method, answer, form, &mut self.output).await;
                    if !form.keep {
                        break End::Close;
                    }
                }
                Step::Answer(answer, form) => {
                    run.finish(&mut self.output).await;
                    answer.write_to(&mut self.output, form);
                    if !form.keep {
                        break End::Close;
                    }
                }
                Step::Refuse(answer, fault) => {
                    run.finish(&mut self.output).await;
                    answer.write_to(&mut self.output, Form::LAST);
                    Counters::one(shared.counters.refused(fault));
                    break match fault {
                        Fault::Head | Fault::Body => End::Discard,
                        Fault::Admission => End::Close,
                    };
                }
            }
            step = self.reader.next(&*shared.service);
        };
        run.finish(&mut self.output).await;
        end
    }

    /// Waits until the bytes amount to something, each part of a request within its own time.
    async fn next_step(&mut self, mut waiting: Waiting) -> Option<Step> {
        let mut end = Instant::now() + self.patience(waiting);
        loop {
            let deadline = match waiting {
                Waiting::Body => end.min(Instant::now() + self.shared.limits.body_pause),
                Waiting::Start | Waiting::Head => end,
            };
            if !self.read_before(deadline, waiting).await {
                return None;
            }
            match self.reader.next(&*self.shared.service) {
                Step::More(same) if same == waiting => {}
                Step::More(other) => {
                    waiting = other;
                    end = Instant::now() + self.patience(waiting);
                }
                step => return Some(step),
            }
        }
    }

    /// How long a part of a request may take as a whole.
    fn patience(&self, waiting: Waiting) -> Duration {
        let limits = &self.shared.limits;
        match waiting {
            Waiting::Start => limits.http_idle_timeout,
            Waiting::Head => limits.handshake_timeout,
            Waiting::Body => limits.body_timeout,
        }
    }

    /// Reads once. `false` when the connection is over: the peer left, the time is up, or the front
    /// closes or needs the place and no request is under way.
    async fn read_before(&mut self, deadline: Instant, waiting: Waiting) -> bool {
        let Self {
            socket,
            reader,
            closing,
            shared,
            ..
        } = self;
        let read = poll_fn(|context| poll_read(socket, context, |bytes| reader.feed(bytes)));
        let read = async {
            tokio::select! {
                biased;
                read = read => read,
                () = told(closing), if waiting != Waiting::Body => 0,
                () = shared.crowd.told_to_leave(), if waiting == Waiting::Start => 0,
            }
        };
        if let Ok(read) = timeout_at(deadline, read).await {
            return read > 0;
        }
        match waiting {
            Waiting::Start => {}
            Waiting::Head => Counters::one(&self.shared.counters.timed_out_head),
            Waiting::Body => Counters::one(&self.shared.counters.timed_out_body),
        }
        false
    }

    /// Writes the answers at hand; `false` when the client is gone or doesn't take them in time.
    async fn write(&mut self) -> bool {
        let output = std::mem::take(&mut self.output);
        if output.is_empty() {
            return true;
        }
        let writing = self.socket.write_all(&output);
        match timeout(self.shared.limits.answer_timeout, writing).await {
            Ok(written) => written.is_ok(),
            Err(_) => {
                Counters::one(&self.shared.counters.timed_out_answer);
                false
            }
        }
    }

    /// Throws away what the client still sends. Closing with unread bytes would make the kernel
    /// answer with a reset, and a client that gets one loses the answer it hasn't read yet.
    async fn discard(&mut self) {
        let limits = &self.shared.limits;
        let mut left = limits.discard_bytes;
        let socket = &mut self.socket;
        let _ = timeout(limits.discard_time, async {
            let _ = socket.shutdown().await;
            while left > 0 {
                match poll_fn(|context| poll_read(socket, context, |_| ())).await {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
        })
        .await;
    }
}

/// Reads into the thread's buffer and gives the bytes to `take`; 0 at the end and on an error. Other
/// than tokio's `try_read` this needs no second call to learn that there is no more.
fn poll_read(
    socket: &mut TcpStream,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]),
) -> Poll<usize> {
    with_scratch(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        let read = ready!(Pin::new(socket).poll_read(context, &mut buffer));
        if read.is_err() {
            return Poll::Ready(0);
        }
        take(buffer.filled());
        Poll::Ready(buffer.filled().len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::{Answer, Compression, Request};

    struct Nobody;

    impl Service for Nobody {
        fn socket_at(&self, _: &str) -> Option<Compression> {
            None
        }

        fn admit(&self, _: &Request) -> Result<(), Answer> {
            Ok(())
        }

        fn upgrade(&self, _: std::net::TcpStream, _: Handshake) {}

        async fn answer(&self, _: Request) -> Answer {
            Answer::json(200, b"".as_slice())
        }
    }

    fn size_of_output<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_waits_for_its_head_is_small() {
        let size = size_of_output(Connection::<Nobody>::wait);
        assert!(size <= 1024, "{size} bytes");
    }
}
