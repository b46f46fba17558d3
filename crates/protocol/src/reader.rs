//! Reads one client's frames: in place where a frame is complete, assembling only what came in pieces.
//!
//! An idle connection costs one empty pointer. Fragments, frames split over reads and control frames between fragments
//! (RFC 6455 section 5.4) live in a box that is dropped when the last piece is through. A text that cannot become valid
//! UTF-8 fails inside the frame, and a message that is too big fails on its announced length.

use std::fmt;

use crate::codes::CloseCode;
use crate::deflate::{InflateError, Inflater};
use crate::frame::{self, CLIENT_HEADER_BYTES, FrameError, Header, Opcode};
use crate::utf8::{NotUtf8, Utf8};

/// The most fragments of one message. Empty fragments add no bytes, so that the byte limit alone would let them go on
/// for ever; 4 MiB in pieces of 64 bytes, which conformance suites send, stays below.
pub const FRAGMENTS: u32 = 131_072;

/// What a connection's frames may be.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The largest message, in bytes after inflating.
    pub message_bytes: usize,
    /// permessage-deflate was agreed on.
    pub deflate: bool,
}

impl Rules {
    /// Deflate can make a message longer: by 5 bytes a block and some at the end. A compressed message beyond this
    /// cannot inflate to one within the limit that any sane compressor made.
    fn wire_bytes(self, compressed: bool) -> usize {
        if compressed {
            self.message_bytes + self.message_bytes / 256 + 64
        } else {
            self.message_bytes
        }
    }
}

/// Where compressed messages are inflated; one for all connections of a shard, since no context is taken over.
#[derive(Default)]
pub struct Inflation {
    inflater: Option<Inflater>,
    plain: Vec<u8>,
}

/// Beyond this the buffer of the last inflated message is given back.
const PLAIN_KEPT_BYTES: usize = 1024 * 1024;

impl Inflation {
    fn inflate(&mut self, compressed: &[u8], limit: usize) -> Result<&[u8], ReadError> {
        if self.plain.capacity() > PLAIN_KEPT_BYTES {
            self.plain = Vec::new();
        }
        self.plain.clear();
        let inflater = self.inflater.get_or_insert_with(Inflater::new);
        match inflater.inflate(compressed, limit, &mut self.plain) {
            Ok(()) => Ok(&self.plain),
            Err(InflateError::TooBig) => Err(ReadError::TooBig),
            Err(InflateError::Corrupt) => Err(ReadError::DoesNotInflate),
        }
    }
}

/// Something a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message, inflated; `text` was checked to be UTF-8.
    Message {
        /// A text message, not a binary one.
        text: bool,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping of ours, or unasked.
    Pong(&'a [u8]),
    /// The peer's close frame, with its code if it had one.
    Close(Option<u16>),
}

/// Why nothing more can be read from this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It broke RFC 6455.
    Frame(FrameError),
    /// A text, or a close reason, is not UTF-8.
    NotUtf8,
    /// A compressed message that is none.
    DoesNotInflate,
    /// A message over the limit, by its announced length, the sum of its fragments or while inflating.
    TooBig,
}

impl ReadError {
    /// The code the connection is closed with.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Frame(_) => CloseCode::ProtocolError,
            Self::NotUtf8 | Self::DoesNotInflate => CloseCode::InvalidData,
            Self::TooBig => CloseCode::TooBig,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::NotUtf8 => f.write_str("text that is not UTF-8"),
            Self::DoesNotInflate => f.write_str("compressed data that does not inflate"),
            Self::TooBig => f.write_str("message over the limit"),
        }
    }
}

impl From<FrameError> for ReadError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<NotUtf8> for ReadError {
    fn from(_: NotUtf8) -> Self {
        Self::NotUtf8
    }
}

/// One client's reading state.
#[derive(Default)]
pub struct Reader {
    partial: Option<Box<Partial>>,
}

/// What is there of a frame or message that isn't complete.
#[derive(Default)]
struct Partial {
    head: [u8; CLIENT_HEADER_BYTES],
    head_bytes: usize,
    /// The frame whose payload is coming, and how much of it came.
    frame: Option<(Header, u64)>,
    control: Vec<u8>,
    message: Option<Assembly>,
    /// A message that was handed out, kept until the next call.
    finished: Vec<u8>,
}

/// A message in the making.
struct Assembly {
    text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    fragments: u32,
    /// A fragment ended since [`Reader::took_fragment`] was last asked.
    fragment_ended: bool,
    utf8: Utf8,
}

impl Reader {
    /// The next event in `input`, which is left with what comes behind it; `None` when all of it is read.
    ///
    /// Call it until it says `None`, so that nothing of a finished message is held. `input` is unmasked in place.
    ///
    /// # Errors
    /// The first rule broken; the connection must then be closed and not be read any more.
    pub fn next<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
        rules: Rules,
        inflation: &'e mut Inflation,
    ) -> Result<Option<Event<'e>>, ReadError> {
        if let Some(partial) = &mut self.partial {
            partial.finished = Vec::new();
            if partial.is_empty() {
                self.partial = None;
            }
        }
        if input.is_empty() {
            return Ok(None);
        }
        if self.partial.is_none() {
            match frame::parse_header(input, rules.deflate)? {
                Some(header)
                    if header.fin
                        && header.opcode != Opcode::Continuation
                        && fits(&header, input) =>
                {
                    return whole_frame(header, input, rules, inflation).map(Some);
                }
                _ => {}
            }
        }
        self.partial
            .get_or_insert_default()
            .next(input, rules, inflation)
    }

    /// Whether a fragment of an unfinished message ended since this was last asked: a sign of life without an event.
    pub fn took_fragment(&mut self) -> bool {
        let message = self
            .partial
            .as_mut()
            .and_then(|partial| partial.message.as_mut());
        message.is_some_and(|message| std::mem::take(&mut message.fragment_ended))
    }

    /// Bytes of memory held for what isn't complete.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            size_of::<Partial>()
                + partial.control.capacity()
                + partial.message.as_ref().map_or(0, |m| m.bytes.capacity())
        })
    }
}

fn fits(header: &Header, input: &[u8]) -> bool {
    header.length <= (input.len() - header.size) as u64
}

fn take<'i>(input: &mut &'i mut [u8], bytes: usize) -> &'i mut [u8] {
    let (head, tail) = std::mem::take(input).split_at_mut(bytes);
    *input = tail;
    head
}

/// The usual case: a frame that is a whole message, or a control frame, complete in the buffer.
fn whole_frame<'e, 'i: 'e>(
    header: Header,
    input: &mut &'i mut [u8],
    rules: Rules,
    inflation: &'e mut Inflation,
) -> Result<Event<'e>, ReadError> {
    if !header.opcode.is_control() && header.length > rules.wire_bytes(header.rsv1) as u64 {
        return Err(ReadError::TooBig);
    }
    take(input, header.size);
    let payload = take(input, header.length as usize);
    frame::unmask(payload, header.mask, 0);
    let payload = &*payload;
    if header.opcode.is_control() {
        return control(header.opcode, payload);
    }
    let payload = if header.rsv1 {
        inflation.inflate(payload, rules.message_bytes)?
    } else {
        payload
    };
    let text = header.opcode == Opcode::Text;
    if text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(ReadError::NotUtf8);
    }
    Ok(Event::Message { text, payload })
}

fn control(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, ReadError> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        _ => close(payload).map(Event::Close),
    }
}

/// RFC 6455 sections 5.5.1 and 7.4: no body, or a code that may be sent and a reason in UTF-8.
fn close(payload: &[u8]) -> Result<Option<u16>, ReadError> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(FrameError::BadClose.into())
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameError::BadClose.into());
    }
    std::str::from_utf8(reason).map_err(|_| NotUtf8)?;
    Ok(Some(code))
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.head_bytes == 0 && self.frame.is_none() && self.message.is_none()
    }

    fn next<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
        rules: Rules,
        inflation: &'e mut Inflation,
    ) -> Result<Option<Event<'e>>, ReadError> {
        loop {
            let (header, got) = match self.frame {
                Some(frame) => frame,
                None => match self.header(input, rules)? {
                    Some(header) => (header, 0),
                    None => return Ok(None),
                },
            };
            let missing = header.length - got;
            let piece = take(input, missing.min(input.len() as u64) as usize);
            frame::unmask(piece, header.mask, got);
            if (piece.len() as u64) < missing {
                self.frame = Some((header, got + piece.len() as u64));
                self.keep(header, piece)?;
                return Ok(None);
            }
            self.frame = None;
            self.keep(header, piece)?;
            if header.opcode.is_control() {
                self.finished = std::mem::take(&mut self.control);
                return control(header.opcode, &self.finished).map(Some);
            }
            if header.fin {
                return self.finish(rules, inflation).map(Some);
            }
            if let Some(message) = &mut self.message {
                message.fragment_ended = true;
            }
        }
    }

    /// Gathers the bytes of a header, then checks that its frame may come now.
    fn header(&mut self, input: &mut &mut [u8], rules: Rules) -> Result<Option<Header>, ReadError> {
        while !input.is_empty() {
            self.head[self.head_bytes] = take(input, 1)[0];
            self.head_bytes += 1;
            if let Some(header) = frame::parse_header(&self.head[..self.head_bytes], rules.deflate)?
            {
                self.head_bytes = 0;
                self.begin(&header, rules)?;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, header: &Header, rules: Rules) -> Result<(), ReadError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let message = match (&mut self.message, header.opcode) {
            (None, Opcode::Continuation) => return Err(FrameError::NothingToContinue.into()),
            (Some(message), Opcode::Continuation) => message,
            (Some(_), _) => return Err(FrameError::MessageUnfinished.into()),
            (none, opcode) => none.insert(Assembly {
                text: opcode == Opcode::Text,
                compressed: header.rsv1,
                bytes: Vec::new(),
                fragments: 0,
                fragment_ended: false,
                utf8: Utf8::default(),
            }),
        };
        message.fragments += 1;
        let room = rules.wire_bytes(message.compressed) - message.bytes.len();
        if header.length > room as u64 || message.fragments > FRAGMENTS {
            return Err(ReadError::TooBig);
        }
        Ok(())
    }

    fn keep(&mut self, header: Header, piece: &[u8]) -> Result<(), ReadError> {
        match &mut self.message {
            _ if header.opcode.is_control() => self.control.extend_from_slice(piece),
            Some(message) => {
                message.bytes.extend_from_slice(piece);
                if message.text && !message.compressed {
                    message.utf8.push(piece)?;
                }
            }
            None => unreachable!("begin() opens a message before its first payload"),
        }
        Ok(())
    }

    fn finish<'e>(
        &'e mut self,
        rules: Rules,
        inflation: &'e mut Inflation,
    ) -> Result<Event<'e>, ReadError> {
        let Some(message) = self.message.take() else {
            unreachable!("begin() opens a message before its last frame")
        };
        self.finished = message.bytes;
        if !message.compressed {
            message.utf8.finish()?;
            return Ok(Event::Message {
                text: message.text,
                payload: &self.finished,
            });
        }
        let payload = inflation.inflate(&self.finished, rules.message_bytes)?;
        if message.text && simdutf8::basic::from_utf8(payload).is_err() {
            return Err(ReadError::NotUtf8);
        }
        Ok(Event::Message {
            text: message.text,
            payload,
        })
    }
}
