//! Is the client still reading, and is it still there?
//!
//! hyper asks a body for its last bytes before it has sent the bytes before them, so the end of a body says nothing
//! about the end of sending. The socket knows more: while the kernel has not accepted the last write, something is
//! left to send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::upgrade::Cause;

/// The kernel accepts more bytes for a connection only while it has fewer than this many that are not sent yet.
/// Without this bound, it accepts more only when a third of its buffer is free. The buffer can have megabytes, so a
/// client that reads slowly looks like a client that takes nothing. Higher: connections take more memory, and
/// `server.write_timeout` closes slow readers. Lower: each megabyte takes more wake-ups.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 32 * 1024;
/// When a peer has been silent for this long, the kernel asks it whether it is there (TCP keepalive). Without this
/// question, the connection of a peer that has vanished stays for ever, if nothing is sent to it. Higher: peers that
/// are gone hold connections for longer, and what a stream or a WebSocket has. Lower: idle connections send more
/// packets.
const ASKED_AFTER: Duration = Duration::from_secs(60);
/// The kernel asks again after this time, until the peer answers. Higher and lower: as for `ASKED_AFTER`.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// After this many questions without an answer, the connection ends. Linux looks at the time instead: the connection
/// ends with the first unanswered question after `server.write_timeout` without a sign of life. Higher: as for
/// `ASKED_AFTER`. Lower: a few lost packets end a connection.
const QUESTIONS: u32 = 3;

/// Sets what the kernel does by itself for an accepted connection.
pub(super) fn set_options(stream: &TcpStream, write_timeout: Duration) {
    // Answers are written as a whole. To wait for more bytes (Nagle's algorithm) would only delay them.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(ASKED_AFTER).with_interval(ASKED_AGAIN);
    let _ = socket.set_tcp_keepalive(&keepalive.with_retries(QUESTIONS));
    #[cfg(target_os = "linux")]
    {
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
        // This ends the connection of a peer that vanished while something was being sent to it.
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

    /// hyper flushes whenever it looks at the connection, even when it does not read: after the client has said that it
    /// sends no more (`server.half_close`), or while a request is left unread.
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
