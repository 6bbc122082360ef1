//! What becomes of a connection that leaves HTTP?
//!
//! A WebSocket, say: the answer 101, or 2xx to CONNECT, ends the request, and the connection belongs to its handler.
//! It is counted and bounded as before (`http_connections`, `server.max_connections`), but holds no place of
//! `admission`, for it may last for hours. The handler is told of the shutdown by [`Stopping`](crate::Stopping), and starts its work
//! through [`carry`](crate::carry). What is left at the end of the grace is cut off.
//!
//! Over HTTP/2 no stream can leave HTTP: it would be one of many, with windows and an end of its own.

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
    /// The handler let go of it.
    Service,
    /// The client ended its sending.
    Client,
    /// Reading or writing failed: the client is gone, or has vanished.
    Io,
    /// The client took nothing for `server.write_timeout`.
    WriteTimeout,
    /// It was there at the end of the grace.
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
    /// What the socket saw first.
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

    /// The socket asks before it reads and writes.
    pub(super) fn may_read(&self, cx: &Context<'_>) -> io::Result<()> {
        self.reader.register(cx.waker());
        self.may_go_on()
    }

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

    /// The socket saw the end.
    pub(super) fn saw(&self, cause: Cause) {
        let _ = self.cause.set(cause);
    }

    /// The socket is closed.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    pub(super) async fn closed(&self) -> Cause {
        self.closed.cancelled().await;
        self.cause.get().copied().unwrap_or(Cause::Service)
    }

    /// Whatever its handler waits for there fails.
    pub(super) fn cut(&self) {
        self.cut.store(true, Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// The connection's one line.
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
