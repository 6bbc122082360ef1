//! Who is connected, and how does a connection end?
//!
//! An accept loop of our own, since `axum::serve` sets no header timeout, tracks nothing and never gives
//! up at shutdown. A connection without a request is closed at once; one with a request lives until
//! its response is sent or the deadline cuts it off.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use metrics::{Gauge, counter, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::activity::Activity;
use super::socket::Socket;
use crate::engine::config;
use crate::engine::metrics::Counted;

/// Pause after the system refused a connection, out of file descriptors say. Higher: slower recovery.
/// Lower: a busy loop that fills the log.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At shutdown, a connection without a request has this long to send the tail of its last response.
/// Higher: half-sent heads delay the exit. Lower: slow readers lose that tail.
const LINGER: Duration = Duration::from_millis(250);
/// Bytes that the kernel keeps unsent for a connection before it takes more. Without, it asks for more only when a
/// third of a buffer of megabytes is free, and a slow reader looks like one that takes nothing. Higher: memory, and
/// slow readers that `server.write_timeout` closes. Lower: more wake-ups for each megabyte.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 32 * 1024;
/// HTTP/2: concurrent requests per connection. Higher: one client can take the whole service. Lower: it
/// waits for itself.
const MAX_STREAMS: u32 = 250;
/// HTTP/2: a silent peer is asked whether it lives this often, and given as long to answer. Higher: dead
/// connections stay. Lower: chatter.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How far shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Still accepting; HTTP/2 clients are told to go elsewhere.
    Draining,
    /// Requests in flight finish, everything else closes.
    Stopping,
    Aborting,
}

/// The public listener, accepting.
pub struct Server {
    addr: SocketAddr,
    stage: watch::Sender<Stage>,
    connections: TaskTracker,
}

impl Server {
    /// Binds and begins to accept.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub async fn start(config: &config::Server, router: Router) -> Result<Self, String> {
        let bound = TcpListener::bind(config.addr).await;
        let listener = bound.map_err(|error| format!("server.addr {}: {error}", config.addr))?;
        let addr = listener.local_addr().map_err(|error| error.to_string())?;
        let (stage, watching) = watch::channel(Stage::Serving);
        let connections = TaskTracker::new();
        let loop_ = Acceptor {
            slots: Arc::new(Semaphore::new(config.max_connections)),
            http: Arc::new(protocol()),
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
            connections: connections.clone(),
            open: gauge!("http_connections"),
            stage: watching,
            router,
        };
        // Tracked like a connection, so that none is accepted behind shutdown's back.
        connections.spawn(loop_.run(listener));
        Ok(Self { addr, stage, connections })
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(in crate::engine) fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
    }

    pub(in crate::engine) fn stop(&self) {
        self.stage.send_replace(Stage::Stopping);
        self.connections.close();
    }

    pub(in crate::engine) fn abort(&self) {
        self.stage.send_replace(Stage::Aborting);
    }

    pub(in crate::engine) fn connections(&self) -> TaskTracker {
        self.connections.clone()
    }
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    // Its own header timer would be set and taken down for each request; ours looks once in a while.
    http.http1().header_read_timeout(None);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    http
}

#[derive(Clone)]
struct Acceptor {
    slots: Arc<Semaphore>,
    http: Arc<auto::Builder<TokioExecutor>>,
    header_timeout: Duration,
    write_timeout: Duration,
    connections: TaskTracker,
    open: Gauge,
    stage: watch::Receiver<Stage>,
    router: Router,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut stage = self.stage.clone();
        let stopping = async { stage.wait_for(|stage| *stage >= Stage::Stopping).await.map(drop) };
        let accepting = async {
            loop {
                let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        drop(self.connections.spawn(self.clone().connection(stream, peer, slot)));
                    }
                    Err(error) if is_of_the_peer(&error) => {}
                    Err(error) => {
                        tracing::error!(error = %error, "cannot accept connections");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! { _ = stopping => {}, () = accepting => {} }
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, _slot: OwnedSemaphorePermit) {
        let _open = Counted::enter(&self.open);
        // Answers are written whole; waiting for more to send along only delays them.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        {
            let socket = socket2::SockRef::from(&stream);
            let _ = socket.set_tcp_notsent_lowat(UNSENT);
            // For a peer that has vanished without a word, and has little to be sent.
            let _ = socket.set_tcp_user_timeout(Some(self.write_timeout));
        }
        let activity = Activity::new();
        let socket = Socket { stream, activity: activity.clone() };
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(activity.clone());
            request.extensions_mut().insert(ConnectInfo(peer));
            self.router.clone().call(request)
        });
        let mut connection = pin!(self.http.serve_connection_with_upgrades(TokioIo::new(socket), service));
        let mut stage = self.stage.clone();
        let mut head_timer = pin!(sleep(self.header_timeout));
        let mut write_timer = pin!(sleep(self.write_timeout));
        let mut linger = pin!(sleep(Duration::MAX));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return ended.map_or_else(|error| count(&*error), |()| ()),
                changed = stage.changed() => {
                    let now = *stage.borrow_and_update();
                    if changed.is_err() || now == Stage::Aborting {
                        return;
                    }
                    if now == Stage::Stopping || activity.is_http2() {
                        connection.as_mut().graceful_shutdown();
                    }
                    if now == Stage::Stopping {
                        linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
                    }
                }
                () = linger.as_mut() => {
                    if !activity.is_busy() {
                        return;
                    }
                    linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
                }
                () = write_timer.as_mut() => match self.write_timeout.checked_sub(activity.stuck()) {
                    Some(left) if !left.is_zero() => {
                        write_timer.as_mut().reset(tokio::time::Instant::now() + left);
                    }
                    _ => return count_kind("write_timeout"),
                },
                () = head_timer.as_mut() => match self.header_timeout.checked_sub(activity.idle()) {
                    Some(left) if !left.is_zero() => head_timer.as_mut().reset(tokio::time::Instant::now() + left),
                    // The end of an idle keep-alive is no error.
                    _ if activity.has_served() => return,
                    _ => return count_kind("timeout"),
                },
            }
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn count(error: &(dyn Error + 'static)) {
    let is_io = |error: &(dyn Error + 'static)| error.is::<io::Error>();
    count_kind(match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse() => "parse",
        Some(error) if error.is_timeout() => "timeout",
        Some(error) if error.is_incomplete_message() => "incomplete",
        Some(error) if error.source().is_some_and(is_io) => "io",
        None if is_io(error) => "io",
        _ => "other",
    });
}

fn count_kind(kind: &'static str) {
    counter!("http_connection_errors_total", "kind" => kind).increment(1);
}
