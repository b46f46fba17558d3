//! A front on a port of its own with a small service behind it, and a client that speaks raw bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use wshub::front::{
    Answer, Compression, Counters, FrontLimits, Handshake, Request, Service, serve,
};
use wshub::origin::may_speak;
use wshub_protocol::ErrorCode;

/// What the service has seen and what it is told.
pub(crate) struct Desk {
    upgrades: mpsc::UnboundedSender<(std::net::TcpStream, Handshake)>,
    pub(crate) admits: AtomicBool,
    /// How many requests for `/meet` have begun, and what they wait for.
    pub(crate) begun: AtomicUsize,
    pub(crate) meet: usize,
    pub(crate) met: Notify,
    pub(crate) seen: Mutex<Vec<String>>,
}

impl Service for Desk {
    fn socket_at(&self, path: &str) -> Option<Compression> {
        (path == "/ws").then_some(Compression::Offered)
    }

    fn admit(&self, request: &Request) -> Result<(), Answer> {
        check_origin(request)?;
        match self.admits.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(Answer::overloaded("this node drains")),
        }
    }

    fn upgrade(&self, socket: std::net::TcpStream, handshake: Handshake) {
        self.upgrades.send((socket, handshake)).unwrap();
    }

    async fn answer(&self, request: Request) -> Answer {
        if let Err(stranger) = check_origin(&request) {
            return stranger;
        }
        let line = format!("{:?} {}", request.method, request.path);
        self.seen.lock().unwrap().push(line.clone());
        match line.as_str() {
            "Get /hello" => Answer::new(200, "text/plain", b"hello".as_slice()),
            "Get /large" => Answer::new(200, "text/plain", vec![b'x'; 64 << 20]),
            "Post /echo" => Answer::new(200, "text/plain", request.body),
            "Post /never" | "Get /never" => std::future::pending().await,
            "Post /meet" => {
                let met = self.met.notified();
                if self.begun.fetch_add(1, Ordering::Relaxed) + 1 == self.meet {
                    self.met.notify_waiters();
                } else {
                    met.await;
                }
                Answer::new(200, "text/plain", request.body)
            }
            _ if request.path == "/hello" => Answer::method_not_allowed("GET"),
            _ => Answer::error(ErrorCode::NotFound, "there is nothing here"),
        }
    }
}

/// As a node that is reached from afar does it.
fn check_origin(request: &Request) -> Result<(), Answer> {
    let (origin, host) = (request.origin.as_deref(), request.host.as_deref());
    match may_speak(origin, host, false, &[]) {
        true => Ok(()),
        false => Err(Answer::error(ErrorCode::Forbidden, "a page of strangers")),
    }
}

/// A running front.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) desk: Arc<Desk>,
    pub(crate) counters: Arc<Counters>,
    upgraded: mpsc::UnboundedReceiver<(std::net::TcpStream, Handshake)>,
    shutdown: watch::Sender<bool>,
    front: JoinHandle<std::io::Result<()>>,
}

pub(crate) fn limits() -> FrontLimits {
    FrontLimits::for_descriptors(1000)
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(limits(), 0).await
    }

    pub(crate) async fn bounded(limits: FrontLimits) -> Self {
        Self::with(limits, 0).await
    }

    /// A world in which requests for `/meet` wait for one another until `meet` have begun.
    pub(crate) async fn with(limits: FrontLimits, meet: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (upgrades, upgraded) = mpsc::unbounded_channel();
        let (shutdown, told) = watch::channel(false);
        let desk = Arc::new(Desk {
            upgrades,
            admits: AtomicBool::new(true),
            begun: AtomicUsize::new(0),
            meet,
            met: Notify::new(),
            seen: Mutex::default(),
        });
        let counters = Arc::new(Counters::default());
        let serving = serve(vec![listener], desk.clone(), limits, counters.clone(), told);
        let front = tokio::spawn(serving);
        Self {
            address,
            desk,
            counters,
            upgraded,
            shutdown,
            front,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client {
            socket: TcpStream::connect(self.address).await.unwrap(),
            unread: Vec::new(),
        }
    }

    /// Sends the bytes over a new connection and gives what comes back until it closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut client = self.client().await;
        client.send(bytes).await;
        client.rest().await
    }

    pub(crate) async fn upgraded(&mut self) -> (std::net::TcpStream, Handshake) {
        self.upgraded.recv().await.unwrap()
    }

    pub(crate) fn tell_to_shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    /// Waits until the front has returned.
    pub(crate) async fn end(self) -> Arc<Counters> {
        self.tell_to_shut_down();
        self.front.await.unwrap().unwrap();
        self.counters
    }
}

/// A client that sends what it is told, right or wrong.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// A client over a connection that is there already.
    pub(crate) fn over(socket: std::net::TcpStream) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self {
            socket: TcpStream::from_std(socket).unwrap(),
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next answer, by its `Content-Length`: its head and its body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        loop {
            let text = String::from_utf8_lossy(&self.unread).into_owned();
            if let Some((head, rest)) = text.split_once("\r\n\r\n") {
                let length = head.split("Content-Length: ").nth(1).map_or(0, |value| {
                    value.lines().next().unwrap().parse::<usize>().unwrap()
                });
                if rest.len() >= length {
                    self.unread.drain(..head.len() + 4 + length);
                    return (head.to_owned(), rest[..length].to_owned());
                }
            }
            assert!(self.read().await > 0, "closed within an answer: {text}");
        }
    }

    /// Reads once.
    pub(crate) async fn read(&mut self) -> usize {
        self.unread.reserve(1 << 20);
        self.socket.read_buf(&mut self.unread).await.unwrap()
    }

    /// All that comes until the other side closes.
    pub(crate) async fn rest(&mut self) -> String {
        while self.read().await > 0 {}
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }
}

/// The status and the `code` of an answer that is an error.
pub(crate) fn error(answer: &str) -> (u16, String) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: application/json"), "{answer}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(
        body["error"]
            .as_str()
            .is_some_and(|sentence| sentence.contains(' ')),
        "{body}"
    );
    (status, body["code"].as_str().unwrap().to_owned())
}

pub(crate) const UPGRADE: &str = "GET /ws?user_id=ann HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://a\r\n\r\n";
