//! How a browser spelled the names of its headers.
//!
//! Owns: overhearing the first request of a connection, whose spelling the HTTP parser gives up.
//! Must not know: what the headers are for.
//! Source: CONNECT events show the names as the client wrote them; HTTP itself gives their case no meaning.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

const HEAD_END: &[u8] = b"\r\n\r\n";

/// What was overheard: the bytes up to the end of the first head.
#[derive(Clone, Debug, Default)]
pub(super) struct Overheard(Arc<Mutex<Vec<u8>>>);

/// A socket whose first head is overheard.
pub(super) struct OverheardStream {
    stream: TcpStream,
    overheard: Overheard,
    head_bytes_max: usize,
    is_over: bool,
}

impl Overheard {
    /// The names of the first head by their lower case; none from the second call on.
    pub(super) fn take(&self) -> Spelling {
        let head = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Spelling::of(&head)
    }
}

impl OverheardStream {
    pub(super) fn new(stream: TcpStream, overheard: Overheard, head_bytes_max: usize) -> Self {
        Self { stream, overheard, head_bytes_max, is_over: false }
    }

    fn overhear(&mut self, read: &[u8]) {
        let mut head = self.overheard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = head.len().saturating_sub(HEAD_END.len());
        head.extend_from_slice(read);
        let ends = head.get(before..).is_some_and(|tail| tail.windows(HEAD_END.len()).any(|window| window == HEAD_END));
        self.is_over = ends || head.len() > self.head_bytes_max;
    }
}

impl AsyncRead for OverheardStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.is_over
            && let Some(read) = buf.filled().get(before..).filter(|read| !read.is_empty())
        {
            self.overhear(read);
        }
        polled
    }
}

impl AsyncWrite for OverheardStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Header names as they were spelled, by their lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spelling(HashMap<String, String>);

impl Spelling {
    fn of(head: &[u8]) -> Self {
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        let names = lines.filter_map(|line| std::str::from_utf8(line.split(|byte| *byte == b':').next()?).ok());
        Self(names.map(|name| (name.to_ascii_lowercase(), name.to_owned())).collect())
    }

    /// A header's name as it was spelled, else in the usual spelling.
    pub(super) fn name(&self, lower_case: &str) -> String {
        self.0.get(lower_case).cloned().unwrap_or_else(|| capitalized(lower_case))
    }
}

/// The usual spelling of a header's name.
fn capitalized(name: &str) -> String {
    let word = |word: &str| match word {
        "websocket" => "WebSocket".to_owned(),
        other => {
            let (first, rest) = other.split_at_checked(1).unwrap_or((other, ""));
            first.to_ascii_uppercase() + rest
        }
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_it_was_spelled_or_as_is_usual() {
        let spelling = Spelling::of(b"GET / HTTP/1.1\r\nhost: a\r\nX-mixed-CASE: 1:2\r\n\r\n");
        let names = ["host", "x-mixed-case", "sec-websocket-key", "x-other"].map(|name| spelling.name(name));
        assert_eq!(names, ["host", "X-mixed-CASE", "Sec-WebSocket-Key", "X-Other"]);
    }
}
