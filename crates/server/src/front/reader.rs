//! Bytes to requests, without a socket: whatever pieces they come in, the steps are the same.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use wshub_protocol::ErrorCode;
use wshub_protocol::head::{self, Body, Head, HeadError, Single};
use wshub_protocol::upgrade::{self, Upgrade, UpgradeError};

use super::allowance::{Allowance, Share};
use super::answer::{Answer, Form};
use super::body::{BodyError, BodyReader};
use super::request::{Method, Request};
use super::scratch::with_scratch;
use super::{Compression, FrontLimits, Handshake, Service};
use crate::origin::UNCLEAR;

/// What the bytes read so far amount to.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing complete is left: wait for more.
    More(Waiting),
    /// The client waits for `100 Continue` before it sends its body.
    Continue,
    /// A complete request for the service.
    Request(Request, Form),
    /// A well-formed and admitted upgrade.
    Upgrade(Box<Handshake>),
    /// A request that is answered without the service.
    Answer(Answer, Form),
    /// What comes now can't be told apart any more (or isn't wanted): answer and close.
    Refuse(Answer, Fault),
}

/// What part of a request is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The first byte of one.
    Start,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

/// What was wrong with a refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its head.
    Head,
    /// Its body.
    Body,
    /// Nothing but that the service doesn't admit it now.
    Admission,
}

/// The bytes of one connection that belong to no step yet.
#[derive(Debug)]
pub(super) struct Reader {
    input: Vec<u8>,
    /// Where in `input` the unread bytes begin.
    start: usize,
    /// How many unread bytes were there when a head was last looked for without finding its end.
    looked: usize,
    /// The request whose body isn't complete.
    unfinished: Option<Box<Unfinished>>,
    peer: SocketAddr,
    bounds: Arc<Bounds>,
}

/// The bounds on bodies that all readers of a front share.
#[derive(Debug)]
pub(super) struct Bounds {
    body_bytes: usize,
    allowance: Allowance,
}

impl Bounds {
    /// The bounds that `limits` name.
    pub(super) fn new(limits: &FrontLimits) -> Self {
        Self {
            body_bytes: limits.body_bytes,
            allowance: Allowance::new(limits.bodies_bytes),
        }
    }
}

#[derive(Debug)]
struct Unfinished {
    request: Request,
    form: Form,
    body: BodyReader,
    continue_wanted: bool,
}

impl Reader {
    /// A reader for the requests of one peer.
    pub(super) fn new(peer: SocketAddr, bounds: Arc<Bounds>) -> Self {
        Self {
            input: Vec::new(),
            start: 0,
            looked: 0,
            unfinished: None,
            peer,
            bounds,
        }
    }

    /// Takes bytes that have arrived.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Whether bytes are left that no step has used.
    pub(super) fn has_rest(&self) -> bool {
        self.start < self.input.len()
    }

    /// Reads once from a socket that no runtime knows yet.
    pub(super) fn read_from(&mut self, mut socket: &TcpStream) -> io::Result<usize> {
        with_scratch(|scratch| {
            let read = socket.read(scratch)?;
            self.feed(&scratch[..read]);
            Ok(read)
        })
    }

    /// The next step. After `Upgrade` and `Refuse` there is none.
    pub(super) fn next<S: Service>(&mut self, service: &S) -> Step {
        if let Some(unfinished) = self.unfinished.take() {
            return self.go_on(unfinished);
        }
        let unread = &self.input[self.start..];
        // An empty line before a request is ignored (RFC 9112 section 2.2).
        self.start += unread
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let unread = &self.input[self.start..];
        if unread.is_empty() {
            self.let_go_of_input();
            return Step::More(Waiting::Start);
        }
        if !worth_parsing(unread, self.looked) {
            return Step::More(Waiting::Head);
        }
        let head = match head::parse(unread) {
            Ok(Some(head)) => head,
            Ok(None) => {
                self.looked = unread.len();
                return Step::More(Waiting::Head);
            }
            Err(error) => return Step::Refuse(head_refused(error), Fault::Head),
        };
        self.looked = 0;
        self.start += head.length;
        let opened = open(&head, self.peer, self.bounds.body_bytes, service);
        match opened {
            Opened::Step(step) => step,
            Opened::Body(unfinished) => self.go_on(unfinished),
            Opened::Upgrade(request, upgrade) => {
                let early = self.input[self.start..].to_vec();
                self.let_go_of_input();
                Step::Upgrade(Box::new(Handshake {
                    request,
                    upgrade,
                    early,
                }))
            }
        }
    }

    /// Reads on in a body.
    fn go_on(&mut self, mut unfinished: Box<Unfinished>) -> Step {
        let unread = &self.input[self.start..];
        let Unfinished { request, body, .. } = &mut *unfinished;
        match body.take(unread, &mut request.body) {
            Ok(used) => self.start += used,
            Err(error) => return Step::Refuse(body_refused(error), Fault::Body),
        }
        if body.is_done() {
            return Step::Request(unfinished.request, unfinished.form);
        }
        self.let_go_of_input();
        let untouched = request.body.is_empty();
        if !request
            .share
            .grow_to(&self.bounds.allowance, request.body.len())
        {
            let answer = Answer::overloaded("too many large bodies are under way on this node");
            return Step::Refuse(answer, Fault::Body);
        }
        let wanted = std::mem::take(&mut unfinished.continue_wanted);
        self.unfinished = Some(unfinished);
        if wanted && untouched {
            Step::Continue
        } else {
            Step::More(Waiting::Body)
        }
    }

    /// Drops the buffer, all of whose bytes are used: a connection that waits holds none.
    fn let_go_of_input(&mut self) {
        (self.input, self.start) = (Vec::new(), 0);
    }
}

/// What a head opens.
enum Opened {
    Step(Step),
    Body(Box<Unfinished>),
    Upgrade(Request, Upgrade),
}

fn open<S: Service>(head: &Head<'_>, peer: SocketAddr, limit: usize, service: &S) -> Opened {
    let body = match head.body() {
        Ok(body) => body,
        Err(error) => return Opened::Step(Step::Refuse(head_refused(error), Fault::Head)),
    };
    let form = Form {
        keep: head.keep_alive(),
        head_only: head.method == "HEAD",
        old: head.minor == 0,
    };
    if head.method == "GET"
        && let Some(compression) = service.socket_at(head.path())
    {
        return open_socket(head, owned(head, peer), form, compression, service);
    }
    let body = match body {
        Body::None => return Opened::Step(Step::Request(owned(head, peer), form)),
        Body::Length(length) => BodyReader::counted(length, limit),
        Body::Chunked => Ok(BodyReader::chunked(limit)),
    };
    match body {
        Err(error) => Opened::Step(Step::Refuse(body_refused(error), Fault::Body)),
        Ok(body) => Opened::Body(Box::new(Unfinished {
            request: owned(head, peer),
            form,
            body,
            continue_wanted: head.minor > 0 && head.has_token("expect", "100-continue"),
        })),
    }
}

fn open_socket<S: Service>(
    head: &Head<'_>,
    request: Request,
    form: Form,
    compression: Compression,
    service: &S,
) -> Opened {
    let step = match upgrade_of(head, &request, compression, service) {
        Ok(upgrade) => return Opened::Upgrade(request, upgrade),
        Err(Turned::Barred(answer)) => Step::Refuse(answer, Fault::Admission),
        // Its body could be anything, frames among others: nothing of it is read as a request.
        Err(Turned::Improper(answer)) if head.body() != Ok(Body::None) => {
            Step::Refuse(answer, Fault::Head)
        }
        Err(Turned::Improper(answer)) => Step::Answer(answer, form),
    };
    Opened::Step(step)
}

/// Why an upgrade isn't to be had, with the answer to it.
pub(super) enum Turned {
    /// The request isn't one, or not a proper one.
    Improper(Answer),
    /// The service doesn't admit it.
    Barred(Answer),
}

/// The upgrade that a head asks for, checked and admitted.
pub(super) fn upgrade_of<S: Service>(
    head: &Head<'_>,
    request: &Request,
    compression: Compression,
    service: &S,
) -> Result<Upgrade, Turned> {
    let upgrade = upgrade::check(head, compression == Compression::Offered)
        .map_err(|error| Turned::Improper(upgrade_refused(error)))?;
    service.admit(request).map_err(Turned::Barred)?;
    Ok(upgrade)
}

/// The request with this head, before its body.
pub(super) fn owned(head: &Head<'_>, peer: SocketAddr) -> Request {
    let header = |name| head.header(name).map(str::to_owned);
    Request {
        method: Method::named(head.method),
        path: head.path().to_owned(),
        query: head.query().to_owned(),
        content_type: header("content-type"),
        authorization: header("authorization"),
        origin: origin(head),
        host: header("host"),
        peer,
        body: Vec::new(),
        share: Share::default(),
    }
}

/// A page must not pass for a program, which sends no `Origin`, by one that can't be read.
fn origin(head: &Head<'_>) -> Option<String> {
    match head.single("origin") {
        Single::Absent => None,
        Single::Text(text) => Some(text.to_owned()),
        Single::Unclear => Some(UNCLEAR.to_owned()),
    }
}

/// Whether a head that wasn't complete may be by now. Looking at it again with each byte that comes
/// would let a peer that sends single bytes cost the square of its head.
fn worth_parsing(unread: &[u8], looked: usize) -> bool {
    let grew_past = |bound: usize| looked <= bound && unread.len() > bound;
    let may_end = || {
        let new = &unread[looked.saturating_sub(3)..];
        let line_ends = new.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut rests = line_ends.map(|(at, _)| &new[at + 1..]);
        rests.any(|rest| rest.starts_with(b"\n") || rest.starts_with(b"\r\n"))
    };
    looked == 0
        || unread.len() >= 2 * looked
        || grew_past(head::LINE_BYTES + 2)
        || grew_past(head::HEAD_BYTES - 1)
        || may_end()
}

pub(super) fn head_refused(error: HeadError) -> Answer {
    Answer::error_with(error.status(), error.code(), &error.to_string())
}

fn upgrade_refused(error: UpgradeError) -> Answer {
    let mut answer = Answer::error_with(error.status(), error.code(), &error.to_string());
    for (name, value) in error.headers() {
        answer = answer.with_header(name, *value);
    }
    answer
}

fn body_refused(error: BodyError) -> Answer {
    match error {
        BodyError::TooLarge => Answer::error(
            ErrorCode::TooLarge,
            "the body is larger than this node takes",
        ),
        BodyError::BadChunk => Answer::error_with(
            400,
            ErrorCode::InvalidMessage,
            "the body is not in chunks as HTTP/1.1 has them",
        ),
    }
}
