//! How a connection of the program's own HTTP server becomes one of its hub.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use wshub_protocol::head::{Head, HeadError};
use wshub_protocol::{ErrorCode, UserId};

use super::Hub;
use crate::front::{Answer, Counters, Handshake, JSON, Service, check_elsewhere};
use crate::node::Node;

impl Hub {
    /// Makes the connection of a request one of this user's, and gives the response to return: 101 where it can be had,
    /// else what keeps it from it, as JSON (`403` for a page of a strange origin, `426` for no upgrade, `503` while the
    /// hub drains or is full).
    ///
    /// Who the user is is the program's to know, by a cookie, a token or whatever it goes by: this name is believed, and
    /// a `user_id` in the request is not. The rest of the query (`rooms`, `session_id`, `after`, `ack`) is read as the
    /// program `wshub` reads it.
    ///
    /// The server must be hyper's over plain TCP, as `axum::serve` is with a `tokio::net::TcpListener`: the socket is
    /// taken out of it and handed to a shard. TLS has to end in front of it.
    pub fn accept<B>(&self, mut request: Request<B>, user: &str) -> Response<String> {
        match self.checked(&mut request, user) {
            Ok((handshake, upgrade)) => {
                let switching = switching(&handshake);
                tokio::spawn(hand_over(Arc::clone(&self.node), handshake, upgrade));
                switching
            }
            Err(answer) => response(answer),
        }
    }

    fn checked<B>(
        &self,
        request: &mut Request<B>,
        user: &str,
    ) -> Result<(Handshake, OnUpgrade), Answer> {
        if let Err(error) = UserId::parse(user) {
            let sentence = format!("the user's id {error}");
            return Err(Answer::error(ErrorCode::UserIdRequired, &sentence));
        }
        // Its socket tells who the peer is, once it is there.
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let (node, compression) = (&*self.node, self.node.compression());
        let head = head_of(request);
        let mut handshake = check_elsewhere(head, nobody, compression, node, &node.front)?;
        handshake.upgrade.query.user_id = Some(user.to_owned());
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let upgrade = upgrade.ok_or_else(|| {
            let sentence = "this connection can't be upgraded: its server doesn't offer it";
            Answer::error(ErrorCode::UpgradeRequired, sentence)
        })?;
        Ok((handshake, upgrade))
    }
}

fn head_of<B>(request: &Request<B>) -> Result<Head<'_>, HeadError> {
    let minor = u8::from(request.version() == Version::HTTP_11);
    let target = request.uri().path_and_query();
    let fields = request.headers().iter();
    Head::of(
        request.method().as_str(),
        target.map_or("/", |target| target.as_str()),
        minor,
        fields.map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
}

/// The response that hyper writes before it lets go of the socket.
fn switching(handshake: &Handshake) -> Response<String> {
    let mut switching = Response::new(String::new());
    *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    handshake.upgrade.each_field(|name, value| {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            switching.headers_mut().insert(name, value);
        }
    });
    switching
}

fn response(answer: Answer) -> Response<String> {
    let mut response = Response::builder()
        .status(answer.status)
        .header("Content-Type", JSON);
    for (name, value) in &answer.headers {
        response = response.header(*name, &**value);
    }
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    response
        .body(body)
        .expect("the status and the headers of an answer are the hub's own")
}

/// Waits until hyper has written the 101, and gives the socket to its shard.
async fn hand_over(node: Arc<Node>, mut handshake: Handshake, upgrade: OnUpgrade) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "an upgrade came to nothing"),
    };
    let Some((socket, early)) = taken_out(upgraded) else {
        return tracing::error!(
            "a connection was dropped: its server isn't hyper over plain TCP, and a shard needs the socket itself"
        );
    };
    // The drain may have begun meanwhile: who is let in now would be forgotten by it.
    if node.admit(&handshake.request).is_err() {
        return;
    }
    let Ok(peer) = socket.peer_addr() else { return };
    let _ = socket.set_nodelay(true);
    (handshake.request.peer, handshake.early) = (peer, early);
    Counters::one(&node.front.upgraded);
    node.let_in(socket, handshake, Vec::new());
}

/// The socket, and what hyper had read beyond the request.
fn taken_out(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    type Io = TokioIo<tokio::net::TcpStream>;
    let (io, early) = match auto::upgrade::downcast::<Io>(upgraded) {
        Ok(parts) => (parts.io, parts.read_buf),
        Err(upgraded) => {
            let parts = upgraded.downcast::<Io>().ok()?;
            (parts.io, parts.read_buf)
        }
    };
    let socket = io.into_inner().into_std().ok()?;
    Some((socket, early.to_vec()))
}
