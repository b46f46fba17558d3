//! One connection: the dial, the upgrade, and frames both ways.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use wshub_protocol::CloseCode;

use crate::address::Address;
use crate::event::End;
use crate::limits::{FAREWELL, HEARD_BYTES, MESSAGE_BYTES, READ_BUFFER_BYTES};

/// What the other side has done.
pub(crate) enum Heard {
    Text(Utf8Bytes),
    /// A ping, a pong, or what a hub never sends: no more than a sign of life.
    Life,
    End(End),
}

type Socket = WebSocketStream<TcpStream>;

/// No connection, one in the making, or one that stands.
#[derive(Default)]
pub(crate) enum Link {
    #[default]
    None,
    Dialing(Pin<Box<dyn Future<Output = Result<Box<Socket>, End>> + Send>>),
    Open(Box<Socket>),
}

impl Link {
    /// Begins a new connection in the stead of any that there is.
    pub(crate) fn dial(&mut self, address: &Address, path: &str, token: Option<&str>) {
        let address = address.clone();
        let request = request(&address, path, token);
        *self = Self::Dialing(Box::pin(async move {
            open(address, request?).await.map(Box::new)
        }));
    }

    /// Closes the connection, these texts first. That goes on by itself, for no longer than [`FAREWELL`].
    pub(crate) fn hang_up(&mut self, last: Vec<String>) -> Option<JoinHandle<()>> {
        let Self::Open(mut socket) = std::mem::take(self) else {
            return None;
        };
        let farewell = async move {
            for text in last {
                socket.feed(Message::text(text)).await?;
            }
            // By its full name: where futures-util has its feature `std`, a boxed sink has a `close` of its own.
            WebSocketStream::close(&mut socket, None).await?;
            // The other side answers the close frame; to be gone before would cut off what it hasn't read yet.
            while socket.next().await.is_some_and(|frame| frame.is_ok()) {}
            Ok::<_, Error>(())
        };
        Some(tokio::spawn(async move {
            // Whether the other side hears it changes nothing.
            let _ = timeout(FAREWELL, farewell).await;
        }))
    }

    /// Sends what `next` has for as long as the socket takes more, and waits for what the other side does. Never
    /// returns while there is no connection.
    pub(crate) async fn exchange(&mut self, mut next: impl FnMut() -> Option<String>) -> Heard {
        poll_fn(|context| {
            if let Self::Dialing(dial) = self {
                match dial.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(socket)) => *self = Self::Open(socket),
                    Poll::Ready(Err(end)) => return self.over(end),
                }
            }
            let Self::Open(socket) = self else {
                return Poll::Pending;
            };
            let heard = match write(Pin::new(&mut **socket), context, &mut next) {
                Err(error) => Poll::Ready(Heard::End(end_of(&error))),
                Ok(()) => read(Pin::new(&mut **socket), context),
            };
            match heard {
                Poll::Ready(Heard::End(end)) => self.over(end),
                heard => heard,
            }
        })
        .await
    }

    fn over(&mut self, end: End) -> Poll<Heard> {
        *self = Self::None;
        Poll::Ready(Heard::End(end))
    }
}

fn write(
    mut socket: Pin<&mut Socket>,
    context: &mut Context<'_>,
    next: &mut impl FnMut() -> Option<String>,
) -> Result<(), Error> {
    while let Poll::Ready(ready) = socket.as_mut().poll_ready(context) {
        ready?;
        let Some(text) = next() else {
            break;
        };
        socket.as_mut().start_send(Message::text(text))?;
    }
    match socket.poll_flush(context) {
        Poll::Ready(flushed) => flushed,
        Poll::Pending => Ok(()),
    }
}

fn read(socket: Pin<&mut Socket>, context: &mut Context<'_>) -> Poll<Heard> {
    let heard = std::task::ready!(socket.poll_next(context));
    Poll::Ready(match heard {
        Some(Ok(Message::Text(text))) => Heard::Text(text),
        Some(Ok(Message::Close(frame))) => Heard::End(frame.map_or_else(
            || End::cut("the hub closed the connection without a reason"),
            |frame| {
                let code = u16::from(frame.code);
                let reason = if frame.reason.is_empty() {
                    "closed"
                } else {
                    &frame.reason
                };
                End {
                    code: Some(code),
                    reason: reason.to_owned(),
                }
            },
        )),
        Some(Ok(_)) => Heard::Life,
        Some(Err(error)) => Heard::End(end_of(&error)),
        None => Heard::End(End::cut("the connection ended")),
    })
}

async fn open(address: Address, request: Request<()>) -> Result<Socket, End> {
    let authority = address.authority();
    let unreachable = |error: io::Error| End::cut(format!("{authority} can't be reached: {error}"));
    let stream = TcpStream::connect(address.to_dial())
        .await
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(READ_BUFFER_BYTES)
        .max_write_buffer_size(READ_BUFFER_BYTES + 2 * MESSAGE_BYTES.max(HEARD_BYTES))
        .max_message_size(Some(HEARD_BYTES))
        .max_frame_size(Some(HEARD_BYTES));
    let upgraded = client_async_with_config(request, stream, Some(config)).await;
    let (socket, _) = upgraded.map_err(|error| end_of(&error))?;
    Ok(socket)
}

fn request(address: &Address, path: &str, token: Option<&str>) -> Result<Request<()>, End> {
    let url = format!("ws://{}{}", address.authority(), address.path(path));
    let mut request = url.into_client_request().map_err(|error| end_of(&error))?;
    let mut header = |name, value: &str| {
        // A token was looked at when it was handed in.
        let value =
            HeaderValue::from_str(value).map_err(|_| End::cut("a header that can't be sent"))?;
        request.headers_mut().insert(name, value);
        Ok(())
    };
    header("Sec-WebSocket-Protocol", "wshub.v1")?;
    if let Some(token) = token {
        header("Authorization", &format!("Bearer {token}"))?;
    }
    Ok(request)
}

/// An answer to an upgrade other than 101 has a sentence, as all errors of a hub have.
fn end_of(error: &Error) -> End {
    let known = |code: CloseCode, why: String| End {
        code: Some(code.number()),
        reason: why,
    };
    match error {
        Error::Http(answer) => {
            let status = answer.status();
            let body = answer.body().as_deref().unwrap_or_default();
            let sentence = serde_json::from_slice(body)
                .ok()
                .and_then(|body: serde_json::Value| body["error"].as_str().map(str::to_owned));
            End::cut(sentence.map_or_else(
                || format!("the upgrade was answered {status}"),
                |sentence| format!("the upgrade was answered {status}: {sentence}"),
            ))
        }
        Error::Capacity(error) => known(CloseCode::TooBig, error.to_string()),
        Error::ConnectionClosed | Error::AlreadyClosed => End::cut("the connection ended"),
        error => End::cut(error.to_string()),
    }
}
