//! `bare [ADDRESS]`: the server that only sends (see [`wshub_bench::bare`]). It prints its address, as wshub does.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};
use wshub_bench::bare;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args()
        .nth(1)
        .as_deref()
        .unwrap_or("127.0.0.1:0")
        .parse()?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    let listener = TcpListener::from(socket);
    println!("http://{}/", listener.local_addr()?);
    Ok(bare::serve(listener)?)
}
