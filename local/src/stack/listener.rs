//! The ports of a stack.
//!
//! Owns: that many who come at once are all let in.
//! Must not know: who comes.
//! Source: `listen(2)`: a connection for which there is no room is tried again by its client's machine a second later.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use super::StartError;
use crate::limits;

pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|source| StartError::Port { address, source })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a stack that has ended do not keep the next one from its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::CONNECTIONS_WAITING_MAX)
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use futures_util::future::join_all;
    use tokio::{net::TcpStream, time::timeout};

    use super::*;

    /// As many as ten processes of a function that pushes open at once.
    const AT_ONCE: usize = 640;

    #[tokio::test]
    async fn as_many_as_all_pushing_functions_open_at_once_have_room_before_they_are_accepted() {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let all = join_all((0..AT_ONCE).map(|_| TcpStream::connect(address)));
        // Without room some would be tried again and again, and in vain: nobody accepts.
        let connected = timeout(Duration::from_secs(20), all).await.unwrap();
        assert!(connected.iter().all(Result::is_ok));
    }
}
