//! Is the client still reading, and is it still there?
//!
//! hyper asks a body for its last bytes before it has sent the ones before, so the end of a body says
//! nothing about the end of sending. The socket knows: while its last write could not be taken whole,
//! something is left to send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::upgrade::Cause;

/// Bytes that the kernel keeps unsent for a connection before it takes more. Without, it asks for more only when a
/// third of a buffer of megabytes is free, and a slow reader looks like one that takes nothing. Higher: memory, and
/// slow readers that `server.write_timeout` closes. Lower: more wake-ups for each megabyte.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 32 * 1024;
/// A peer that has been silent for so long is asked by the kernel whether it is there (TCP keepalive). Without, a peer
/// that has vanished without a word stays for ever, if nothing is sent to it. Higher: peers that are gone hold
/// connections, and what a stream or a WebSocket has. Lower: packets that say nothing.
const ASKED_AFTER: Duration = Duration::from_secs(60);
/// And so often until it answers. Higher and lower as above.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// So many questions without an answer are the end. Linux counts the time instead: the end is the first question
/// without an answer after which `server.write_timeout` has passed since the last sign of life. Higher: as above.
/// Lower: lost packets end connections.
const QUESTIONS: u32 = 3;

/// What the kernel does for an accepted connection by itself.
pub(super) fn set_options(stream: &TcpStream, write_timeout: Duration) {
    // Answers are written whole; waiting for more to send along only delays them.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(ASKED_AFTER).with_interval(ASKED_AGAIN);
    let _ = socket.set_tcp_keepalive(&keepalive.with_retries(QUESTIONS));
    #[cfg(target_os = "linux")]
    {
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
        // For a peer that has vanished without a word, and has something to be sent.
        let _ = socket.set_tcp_user_timeout(Some(write_timeout));
    }
}

pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) activity: Activity,
}

impl Socket {
    fn note_write(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.wrote(polled.is_ready());
        if let (Some(upgrade), Poll::Ready(Err(_))) = (self.activity.upgrade(), &polled) {
            upgrade.saw(Cause::Io);
        }
        polled
    }

    fn may_write(&self, cx: &Context<'_>) -> io::Result<()> {
        self.activity.upgrade().map_or(Ok(()), |upgrade| upgrade.may_write(cx))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(upgrade) = self.activity.upgrade() {
            upgrade.close();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(upgrade) = this.activity.upgrade() else {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        };
        upgrade.may_read(cx)?;
        let before = buffer.remaining();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match &polled {
            Poll::Ready(Ok(())) if before > 0 && before == buffer.remaining() => upgrade.saw(Cause::Client),
            Poll::Ready(Err(_)) => upgrade.saw(Cause::Io),
            _ => {}
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.may_write(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_write(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.may_write(cx)?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note_write(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes whenever it looks at the connection, also when it does not read: after the client has ended its
    /// sending (`server.half_close`), or while a request is left unread.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_socket_asked()
            && let Some(error) = SockRef::from(&self.stream).take_error()?
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
