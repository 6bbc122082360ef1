//! What becomes of a connection that leaves HTTP?
//!
//! A WebSocket is an example. The answer 101, or 2xx to CONNECT, ends the request, and from then on the connection
//! belongs to its handler. It is counted and bounded as before (`http_connections`, `server.max_connections`), but it
//! holds no place of `admission`, because it may last for hours. [`Stopping`](crate::Stopping) tells the handler of
//! the shutdown, and the handler starts its work through [`carry`](crate::carry). A connection that is still open at
//! the end of the grace is cut off.
//!
//! Over HTTP/2 nothing can leave HTTP: it would be one stream of many, with windows and an end of its own.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, OnceLock};
use std::task::Context;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::request::{REQUEST, Request};
use crate::units::millis;

/// What ended a connection that had left HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The handler has closed it.
    Service,
    /// The client has said that it sends no more.
    Client,
    /// Reading or writing has failed: the client is gone, or has vanished.
    Io,
    /// The client took nothing for `server.write_timeout`.
    WriteTimeout,
    /// It was still open at the end of the grace.
    Shutdown,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Client => "client",
            Self::Io => "io",
            Self::WriteTimeout => "write_timeout",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A connection that has left HTTP, as its socket and its own loop see it.
pub(super) struct Upgrade {
    request: Arc<Request>,
    begun: Instant,
    /// The first sign of an end that the socket saw.
    cause: OnceLock<Cause>,
    closed: CancellationToken,
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Upgrade {
    pub(super) fn new(request: Arc<Request>) -> Self {
        Self {
            request,
            begun: Instant::now(),
            cause: OnceLock::new(),
            closed: CancellationToken::new(),
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }
    }

    /// The socket calls this before it reads. It fails after [`cut`](Self::cut), which also wakes a reader that waits.
    pub(super) fn may_read(&self, cx: &Context<'_>) -> io::Result<()> {
        self.reader.register(cx.waker());
        self.may_go_on()
    }

    /// The same before the socket writes.
    pub(super) fn may_write(&self, cx: &Context<'_>) -> io::Result<()> {
        self.writer.register(cx.waker());
        self.may_go_on()
    }

    fn may_go_on(&self) -> io::Result<()> {
        match self.cut.load(Acquire) {
            true => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut off by the service")),
            false => Ok(()),
        }
    }

    /// Notes why the connection ends, as far as the socket can see. The first cause counts.
    pub(super) fn saw(&self, cause: Cause) {
        let _ = self.cause.set(cause);
    }

    /// Notes that the socket is closed.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Waits until the socket is closed, and says what the cause was.
    pub(super) async fn closed(&self) -> Cause {
        self.closed.cancelled().await;
        self.cause.get().copied().unwrap_or(Cause::Service)
    }

    /// Cuts the connection off: whatever its handler reads or writes there fails.
    pub(super) fn cut(&self) {
        self.cut.store(true, Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// Writes the one log line of the connection.
    pub(super) fn log(&self, cause: Cause) {
        let (method, route) = (self.request.meters.method, &*self.request.meters.route);
        let (duration_ms, ended_by) = (millis(self.begun.elapsed()), cause.name());
        REQUEST.sync_scope(Arc::clone(&self.request), || match cause {
            Cause::Shutdown => {
                error!(
                    method,
                    route, duration_ms, ended_by, "shutdown: upgraded connection cut off at the deadline"
                );
            }
            _ => info!(method, route, duration_ms, ended_by, "upgraded connection ended"),
        });
    }
}
