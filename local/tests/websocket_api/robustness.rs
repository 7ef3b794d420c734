//! Bad input: refused with the right code, in bounded memory, and nobody else is disturbed.

use std::time::Duration;

use futures_util::future::join_all;
use local::websocket_api::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::rig::{Browser, Invoked, PATIENCE, Rig, echoing, upgrade};

/// What a masked frame begins with.
const TEXT: u8 = 0x81;
const MASK: u8 = 0x80;

/// The code of the close frame that ends a socket on which nothing else comes.
async fn close_code(socket: &mut TcpStream) -> u16 {
    let mut head = [0; 2];
    timeout(PATIENCE, socket.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[0], 0x88, "a close frame");
    timeout(PATIENCE, socket.read_u16()).await.unwrap().unwrap()
}

async fn start() -> (Rig, Browser) {
    let rig = Rig::start(echoing(&Invoked::default())).await;
    let browser = rig.connect().await;
    (rig, browser)
}

#[tokio::test]
async fn a_malformed_frame_is_1002_and_invalid_utf_8_1007() {
    let (rig, mut other) = start().await;
    let malformed: [(&[u8], u16); 6] = [
        (&[TEXT, 0x01, b'a'], 1002),                       // not masked
        (&[0xc1, MASK, 0, 0, 0, 0], 1002),                 // a reserved bit
        (&[0x83, MASK, 0, 0, 0, 0], 1002),                 // a reserved opcode
        (&[0x09, MASK, 0, 0, 0, 0], 1002),                 // a control frame in parts
        (&[0x80, MASK, 0, 0, 0, 0], 1002),                 // the end of nothing
        (&[TEXT, MASK | 2, 0, 0, 0, 0, 0xc3, 0x28], 1007), // no UTF-8
    ];
    for (frame, code) in malformed {
        let mut socket = rig.upgraded().await;
        socket.write_all(frame).await.unwrap();
        assert_eq!(close_code(&mut socket).await, code, "{frame:x?}");
    }
    other.ask("{}").await;
}

#[tokio::test]
async fn a_frame_header_of_1_gb_is_1009_before_any_of_it_has_come() {
    let (rig, mut other) = start().await;
    for length in [1_u64 << 30, u64::MAX >> 1] {
        let mut socket = rig.upgraded().await;
        let mut header = vec![TEXT, MASK | 127];
        header.extend(length.to_be_bytes());
        header.extend([0; 4]);
        socket.write_all(&header).await.unwrap();
        assert_eq!(close_code(&mut socket).await, 1009);
    }
    other.ask("{}").await;
}

#[tokio::test]
async fn a_browser_that_dribbles_its_upgrade_is_given_up() {
    let limits = Limits { header_time_out: Duration::from_secs(1), ..Limits::default() };
    let rig = Rig::start_with(echoing(&Invoked::default()), limits).await;
    let request = upgrade("/live", "");
    let mut dribbling = rig.socket().await;
    dribbling.write_all(&request.as_bytes()[..request.len() - 2]).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, dribbling.read_to_end(&mut answer)).await.unwrap().ok();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    rig.connect().await.ask("{}").await;
}

#[tokio::test]
async fn a_head_without_end_is_431() {
    let (rig, mut other) = start().await;
    let mut socket = rig.socket().await;
    let endless = upgrade("/live", &format!("x-endless: {}\r\n", "a".repeat(256 * 1024)));
    // Who is refused may not take the rest.
    socket.write_all(endless.as_bytes()).await.ok();
    let mut answer = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().ok();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    other.ask("{}").await;
}

#[tokio::test]
async fn what_is_no_http_is_400() {
    let (rig, mut other) = start().await;
    for request in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET /live HTTP/9.9\r\n\r\n"] {
        let answer = rig.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
    }
    other.ask("{}").await;
}

#[tokio::test]
async fn a_burst_of_upgrades_is_429_beyond_the_accounts_and_open_connections_are_not_disturbed() {
    let limits = Limits { connections_burst_max: 51, connections_per_second_max: 0, ..Limits::default() };
    let invoked = Invoked::default();
    let rig = Rig::start_with(echoing(&invoked), limits).await;
    let mut other = rig.connect().await;
    let burst = join_all((0..500).map(|_| rig.connect_to("/live", &[]))).await;
    let statuses: Vec<u16> =
        burst.iter().map(|outcome| outcome.as_ref().map_or_else(|refusal| refusal.status, |_| 101)).collect();
    let count = |status: u16| statuses.iter().filter(|other| **other == status).count();
    assert_eq!((count(101), count(429)), (50, 450));
    assert_eq!(invoked.events().len(), 51, "who is refused costs no invocation");
    other.ask("{}").await;
}
