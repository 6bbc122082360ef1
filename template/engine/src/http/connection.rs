//! How does a connection end?
//!
//! It ends with its last answer, by its client, by one of the bounds, or by the shutdown. When the service stops, a
//! connection without a request is closed within [`LINGER`]. A connection with a request lives until its response is
//! sent, and a connection that has left HTTP until its handler closes it. Both are cut off at the end of the grace.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::Version;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use metrics::{Gauge, counter};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::activity::{Activity, Taken};
use super::answer::Streams;
use super::socket::{self, Socket};
use super::upgrade::{Cause, Upgrade};
use crate::config;
use crate::life::{Life, Stage};
use crate::measure::Counted;

/// At shutdown, a connection without a request has this long to send the rest of its last response. An HTTP/2
/// connection that we end has this long after its client was told so (GOAWAY). Higher: heads that are only half sent
/// delay the exit. Lower: slow readers lose that rest, and requests that were on their way get no answer.
const LINGER: Duration = Duration::from_millis(250);
/// We check this often whether the socket has failed, because hyper does not always read from it. Higher: a request
/// goes on for longer after its client is gone. Lower: each connection costs more system calls.
const ASK: Duration = Duration::from_secs(30);
/// HTTP/2: the most concurrent requests of one connection. Higher: one client can take the whole service. Lower: the
/// requests of one client wait for each other.
const MAX_STREAMS: u32 = 250;
/// HTTP/2: a silent peer gets a PING this often, and has as long to answer it. Higher: dead connections stay for
/// longer. Lower: idle connections send more packets.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// HTTP/2: the bytes that a client may send of one request's body before its handler reads. Higher: fewer bodies that
/// nobody reads fill the connection's window. Lower: an upload waits for more round trips.
const STREAM_WINDOW: u32 = 64 * 1024;
/// HTTP/2: the same for all bodies of a connection together. When bodies that nobody reads fill this window, all other
/// bodies wait until one of those requests ends. Higher: each connection can take more memory. Lower: fewer unread
/// bodies stop all others.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

pub(super) fn protocol(config: &config::ServerConfig, streams: Streams) -> auto::Builder<Streams> {
    let mut http = auto::Builder::new(streams);
    // hyper's own header timer would be set and removed for each request. Ours looks once in a while.
    http.http1().header_read_timeout(None).half_close(config.half_close);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    http
}

/// What is the same for every connection.
pub(super) struct Terms {
    pub(super) http: auto::Builder<Streams>,
    pub(super) header_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) open: Gauge,
    pub(super) life: Life,
    /// The connections that have left HTTP.
    pub(super) upgraded: TaskTracker,
    pub(super) router: Router,
}

impl Terms {
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        _slot: OwnedSemaphorePermit,
    ) {
        let _open = Counted::enter(&self.open);
        socket::set_options(&stream, self.write_timeout);
        let activity = Activity::new(self.life.clone());
        if let Err(kind) = self.speak_http(stream, peer, &activity).await {
            count(kind, 1);
        }
        if let Some(upgrade) = activity.upgrade() {
            self.follow(upgrade, &activity).await;
        }
    }

    async fn speak_http(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        activity: &Activity,
    ) -> Result<(), &'static str> {
        let socket = Socket { stream, activity: activity.clone() };
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(activity.clone());
            request.extensions_mut().insert(ConnectInfo(peer));
            if request.version() == Version::HTTP_2 {
                activity.speaks_http2();
                request.extensions_mut().remove::<OnUpgrade>();
            }
            Begun { router: self.router.clone(), request: Some(request) }.answer()
        });
        let mut connection = pin!(self.http.serve_connection_with_upgrades(TokioIo::new(socket), service));
        let mut stage = self.life.watch();
        stage.mark_changed(); // a stage that was reached before this connection came counts, too
        let mut head_timer = pin!(sleep(self.header_timeout));
        let mut write_timer = pin!(sleep(self.write_timeout.min(ASK)));
        let mut linger = pin!(sleep(Duration::MAX));
        let mut now = Stage::Starting;
        let mut sent_away = false;
        loop {
            // This is polled again whenever the connection is, because only the first request tells that it is HTTP/2.
            let draining = poll_fn(|_| match now >= Stage::Draining && !sent_away && activity.is_http2() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            tokio::select! {
                biased;
                // If we have ended the connection before its first request, that is no error of the client's.
                ended = connection.as_mut() => return match ended {
                    Err(_) if now == Stage::Stopping && !activity.has_served() => Ok(()),
                    ended => ended.map_err(|error| kind(&*error)),
                },
                changed = stage.changed() => {
                    now = *stage.borrow_and_update();
                    if changed.is_err() || now >= Stage::Aborting {
                        return Ok(());
                    }
                    if now == Stage::Stopping {
                        sent_away = true;
                        connection.as_mut().graceful_shutdown();
                        linger.as_mut().reset(Instant::now() + LINGER);
                    }
                }
                () = draining => {
                    sent_away = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = linger.as_mut() => {
                    if !activity.is_busy() {
                        return Ok(());
                    }
                    linger.as_mut().reset(Instant::now() + LINGER);
                }
                () = write_timer.as_mut() => {
                    activity.ask_socket();
                    let next = match activity.reset_stuck(self.write_timeout) {
                        Taken::Enough(next) => next.min(ASK),
                        Taken::Reset(answers) => {
                            count("write_timeout", answers);
                            self.write_timeout.min(ASK)
                        }
                        Taken::Stuck { others: false } if sent_away => return Err("write_timeout"),
                        Taken::Stuck { .. } => {
                            sent_away = true;
                            connection.as_mut().graceful_shutdown();
                            LINGER
                        }
                        Taken::Nothing => return Err("write_timeout"),
                    };
                    write_timer.as_mut().reset(Instant::now() + next);
                }
                () = head_timer.as_mut() => match self.header_timeout.checked_sub(activity.idle()) {
                    Some(left) if !left.is_zero() => head_timer.as_mut().reset(Instant::now() + left),
                    // An HTTP/2 client is told first, so that no request is lost on its way.
                    _ if activity.is_http2() && !sent_away => {
                        sent_away = true;
                        connection.as_mut().graceful_shutdown();
                        head_timer.as_mut().reset(Instant::now() + LINGER);
                    }
                    // The end of an idle keep-alive is no error.
                    _ if activity.has_served() => return Ok(()),
                    _ => return Err("timeout"),
                },
            }
        }
    }

    /// Waits until the handler closes a connection that has left HTTP. Cuts the connection off at the end of the grace,
    /// and when its client takes nothing for `server.write_timeout`.
    async fn follow(&self, upgrade: &Upgrade, activity: &Activity) {
        let _upgraded = self.upgraded.token();
        let mut aborting = pin!(self.life.reached(Stage::Aborting));
        let unread = async {
            while let Taken::Enough(next) = activity.reset_stuck(self.write_timeout) {
                sleep(next).await;
            }
        };
        let cause = tokio::select! {
            biased;
            cause = upgrade.closed() => cause,
            _ = aborting.as_mut() => Cause::Shutdown,
            () = unread => Cause::WriteTimeout,
        };
        upgrade.log(cause);
        if cause == Cause::WriteTimeout {
            count("write_timeout", 1);
        }
        upgrade.cut();
        if cause != Cause::Shutdown {
            tokio::select! { _ = upgrade.closed() => {}, _ = aborting => {} }
        }
    }
}

/// A request whose head is parsed. hyper may drop it before it asks for the answer, when it sees at the same moment
/// that the client is gone. The request then still writes its log line, and does nothing else.
struct Begun {
    router: Router,
    request: Option<Request>,
}

impl Begun {
    async fn answer(mut self) -> Result<Response, Infallible> {
        match self.request.take() {
            Some(request) => self.router.call(request).await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            request.extensions().get::<Activity>().map(Activity::drop_unseen);
            let _ = self.router.call(request).now_or_never();
        }
    }
}

fn kind(error: &(dyn Error + 'static)) -> &'static str {
    let is_io = |error: &(dyn Error + 'static)| error.is::<io::Error>();
    match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_parse() => "parse",
        Some(error) if error.is_timeout() => "timeout",
        Some(error) if error.is_incomplete_message() => "incomplete",
        Some(error) if error.source().is_some_and(is_io) => "io",
        None if is_io(error) => "io",
        _ => "other",
    }
}

fn count(kind: &'static str, times: u64) {
    counter!("http_connection_errors_total", "kind" => kind).increment(times);
}
