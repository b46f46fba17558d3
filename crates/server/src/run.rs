//! The program's node in the foreground: its addresses, its front, and the signals that stop it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wshub_hub::Mode;

use crate::config::{Config, ListenAddress};
use crate::drain::Farewell;
use crate::front::{self, FrontLimits};
use crate::node::Reached;
use crate::running::Running;

/// Connections that the kernel may hold ready for us between two looks, in a storm of them.
const BACKLOG: u32 = 4096;
/// Threads of the front. It only reads heads and small bodies; the shards do the work.
const FRONT_THREADS: usize = 2;

/// Runs a node in the foreground until SIGTERM or SIGINT, and drains it then. `descriptors` is how many files the process may open.
///
/// # Errors
/// When an address can't be listened on, or the system refuses a thread or a poll.
pub fn until_told(config: Config, mode: Mode, descriptors: usize) -> io::Result<Farewell> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let serving = Serving::start(config, mode, descriptors).await?;
        serving.say_where();
        told(&mut terminate, &mut interrupt).await;
        tracing::info!(
            clients = serving.running.node().clients(),
            "draining; a second signal ends at once"
        );
        serving.end(told(&mut terminate, &mut interrupt)).await
    })
}

async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(FRONT_THREADS)
        .thread_name("front")
        .enable_all()
        .build()
}

/// A node that serves its own addresses.
struct Serving {
    running: Running,
    /// Where it listens, in the order of the configuration.
    addresses: Vec<SocketAddr>,
    front: JoinHandle<io::Result<()>>,
    stop_front: watch::Sender<bool>,
}

impl Serving {
    /// Starts a node on the current tokio runtime.
    async fn start(config: Config, mode: Mode, descriptors: usize) -> io::Result<Self> {
        let listeners = listen(config.listen.addresses())?;
        let addresses = listeners
            .iter()
            .map(tokio::net::TcpListener::local_addr)
            .collect::<io::Result<_>>()?;
        let reached = match config.listen.beyond_loopback() {
            None => Reached::OnLoopback,
            Some(_) => Reached::ByItsName,
        };
        let mut running = Running::start(config, mode, reached, descriptors)?;
        running.meet_redis().await?;
        let node = running.node();
        let limits = front_limits(&node.config, descriptors);
        let counters = Arc::clone(&node.front);
        let (stop_front, stopped) = watch::channel(false);
        let front = front::serve(listeners, Arc::clone(node), limits, counters, stopped);
        Ok(Self {
            front: tokio::spawn(front),
            running,
            addresses,
            stop_front,
        })
    }

    /// Tells the person who started it where to look.
    fn say_where(&self) {
        for address in &self.addresses {
            match self.running.node().mode {
                Mode::Hub => println!("wshub: open http://{address}/ in a browser"),
                Mode::Echo => println!("wshub: echoing at ws://{address}/"),
            }
        }
    }

    /// Drains it; at once when `hurry` is over.
    async fn end(self, hurry: impl Future<Output = ()>) -> io::Result<Farewell> {
        let door = async {
            self.stop_front.send_replace(true);
            self.front.await?
        };
        self.running.end(hurry, door).await
    }
}

/// Listens on every address; one that may fail is left out if it does.
fn listen(addresses: &[ListenAddress]) -> io::Result<Vec<tokio::net::TcpListener>> {
    let mut listeners = Vec::new();
    for ListenAddress { address, optional } in addresses {
        match listen_on(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if *optional => tracing::debug!(%address, %error, "not listening"),
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot listen on {address}: {error}"),
                ));
            }
        }
    }
    Ok(listeners)
}

fn listen_on(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn front_limits(config: &Config, descriptors: usize) -> FrontLimits {
    FrontLimits {
        handshake_timeout: config.limits.handshake_timeout,
        http_idle_timeout: config.limits.http_idle_timeout,
        ..FrontLimits::for_descriptors(descriptors)
    }
}
