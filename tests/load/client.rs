//! Clients by the thousand: small buffers, and an address of its own for each few.
//!
//! Owns: sockets that do not run out of ports.
//! Must not know: what is measured.
//! Source: all of 127.0.0.0/8 is loopback on Linux.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, protocol::WebSocketConfig},
};

/// Clients of one address: its ports are fewer than 28,000.
const CLIENTS_PER_ADDRESS: u32 = 1_000;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Opens a WebSocket at `ws://HOST:PORT/STAGE`.
pub(crate) async fn connect(url: &str) -> Result<Socket, Error> {
    static CLIENTS: AtomicU32 = AtomicU32::new(0);
    let [_, a, b, c] = (CLIENTS.fetch_add(1, Ordering::Relaxed) / CLIENTS_PER_ADDRESS + 2).to_be_bytes();
    let address: SocketAddr = url.trim_start_matches("ws://").split('/').next().unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, a, b, c), 0).into())?;
    let stream = socket.connect(address).await?;
    let config = WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0);
    client_async_with_config(url, stream, Some(config)).await.map(|(socket, _)| socket)
}
