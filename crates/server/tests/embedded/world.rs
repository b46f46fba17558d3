//! A program around a hub on a port of its own, and people who connect to it with a client that somebody else wrote.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request as Asked;
use wshub::{Builder, Farewell, Hub, Message, PublishError, Published};

/// No test waits for longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// An axum program with one route, `/ws/{user}`, which believes any name.
pub(crate) struct Program {
    pub(crate) runtime: Runtime,
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    served: JoinHandle<std::io::Result<()>>,
}

impl Program {
    pub(crate) fn runtime() -> Runtime {
        Runtime::new().expect("a runtime")
    }

    /// A hub that ends quickly, and is otherwise as the test wants it.
    pub(crate) fn with(builder: Builder) -> Self {
        let runtime = Self::runtime();
        let started = async {
            let hub = builder.set("drain.timeout", "2s").start().expect("a hub");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            (hub, listener)
        };
        let (hub, listener) = runtime.block_on(started);
        let address = listener.local_addr().expect("an address");
        let app = Router::new()
            .route("/ws/{user}", any(connect))
            .with_state(hub.clone());
        let served = runtime.spawn(axum::serve(listener, app).into_future());
        Self {
            runtime,
            hub,
            address,
            served,
        }
    }

    pub(crate) fn start() -> Self {
        Self::with(Hub::builder().shards(2))
    }

    pub(crate) fn publish(&self, message: Message) -> Result<Published, PublishError> {
        self.runtime.block_on(self.hub.publish(message))
    }

    pub(crate) fn shutdown(&self) -> Farewell {
        self.runtime
            .block_on(self.hub.shutdown())
            .expect("a good end")
    }

    /// Ends its server and drops each copy of its hub; what it ran on stays.
    pub(crate) fn let_go(self) -> Runtime {
        self.served.abort();
        let _ = self.runtime.block_on(self.served);
        self.runtime
    }

    pub(crate) fn comes(&self, path: &str) -> Person {
        Person::comes(self.address, path)
    }
}

async fn connect(
    State(hub): State<Hub>,
    Path(user): Path<String>,
    request: Request,
) -> impl IntoResponse {
    hub.accept(request, &user)
}

/// One connection of somebody.
pub(crate) struct Person {
    socket: WebSocket<TcpStream>,
    pub(crate) connected: Value,
}

impl Person {
    /// Connects and has heard `connected`.
    pub(crate) fn comes(address: SocketAddr, path: &str) -> Self {
        let request = format!("ws://{address}{path}").into_client_request();
        Self::asks(address, request.expect("a request")).expect("an upgrade")
    }

    /// The same with any request; the status where it is refused.
    pub(crate) fn asks(address: SocketAddr, request: Asked) -> Result<Self, u16> {
        match tungstenite::client(request, dial(address)) {
            Ok((socket, _)) => {
                let mut person = Self {
                    socket,
                    connected: Value::Null,
                };
                person.connected = person.hear("connected");
                Ok(person)
            }
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.socket
            .send(tungstenite::Message::text(text))
            .expect("it is sent");
    }

    /// The next message, which must be of this type.
    pub(crate) fn hear(&mut self, kind: &str) -> Value {
        loop {
            if let tungstenite::Message::Text(text) = self.socket.read().expect("a message") {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(message["type"], kind, "{message}");
                return message;
            }
        }
    }

    /// Reads to the end, and gives the close code.
    pub(crate) fn hear_close(&mut self) -> u16 {
        loop {
            if let tungstenite::Message::Close(frame) = self.socket.read().expect("a message") {
                return frame.expect("a code").code.into();
            }
        }
    }
}

pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Sends a request as it stands and reads all that comes up to the end: the status and the body.
pub(crate) fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut socket = dial(address);
    socket.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    )
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}
