//! How a client gets to the server: from this network or from the far one, with a kernel that takes much or little for it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, SockRef, Socket, Type};

use crate::client::Client;
use crate::trouble::{Trouble, while_doing};

/// The receive buffer of clients that are to be slow: what the kernel takes for them doesn't count as slow.
const NARROW: usize = 16 * 1024;
/// Their segments. Loopback's are 64 KiB, of which so small a buffer drops some, and the server's kernel sizes its own
/// buffer by them.
const SEGMENT: u32 = 1_400;

/// The way to one server.
pub struct Road {
    /// The server.
    pub server: SocketAddr,
    /// This network namespace, and the one in which far clients live.
    pub far: Option<(File, File)>,
}

impl Road {
    /// The road, with the far namespace of this name, as `ip netns` makes them.
    pub fn new(server: SocketAddr, namespace: Option<&str>) -> Result<Road, Trouble> {
        let open = |path: &str| File::open(path).map_err(while_doing("opening a namespace"));
        let far = match namespace {
            None => None,
            Some(name) => Some((
                open("/proc/thread-self/ns/net")?,
                open(&format!("/run/netns/{name}"))?,
            )),
        };
        Ok(Road { server, far })
    }

    /// A socket that is being connected. The thread is in the far namespace only while the socket is made.
    pub fn connect(&self, far: bool, number: usize, narrow: bool) -> std::io::Result<TcpStream> {
        let enter = |namespace: &File| {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network)
        };
        let make = || Socket::new(Domain::for_address(self.server), Type::STREAM, None);
        let socket = match &self.far {
            Some((home, away)) if far => {
                enter(away)?;
                let made = make();
                enter(home)?;
                made?
            }
            _ => make()?,
        };
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if narrow {
            socket.set_recv_buffer_size(NARROW)?;
            socket.set_tcp_mss(SEGMENT)?;
        }
        if self.server.ip() == Ipv4Addr::LOCALHOST {
            // Another address for every few clients: what churn leaves in TIME_WAIT takes no port away.
            let host = 1 + (number % 250) as u8;
            let process = 1 + (std::process::id() % 250) as u8;
            let source: SocketAddr = (Ipv4Addr::new(127, process, 2, host), 0).into();
            socket.bind(&source.into())?;
        }
        match socket.connect(&self.server.into()) {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}

/// Ends a connection without a word: what the server sends from now on is answered by a reset.
pub fn cut(client: Client) {
    // Where it can't be set the connection ends by a FIN, which is as good an end.
    let _ = SockRef::from(&client.socket).set_linger(Some(Duration::ZERO));
}
