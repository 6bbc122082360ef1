//! Bottlenecks on demand, to see what the service says about each. Only with the cargo feature `drill`, with
//! which a release refuses to start: these routes do on purpose what the engine exists to prevent.
//!
//! One for each phase; some need a second request that gets in the way:
//!
//! | phase | ask | while |
//! |---|---|---|
//! | `admission` | anything | `/drill/hold-places/MS` |
//! | `request_body` | `POST /drill/read`, and send slowly | |
//! | `db_wait` | `/drill/query/0` | `/drill/hold-all/MS` |
//! | `db_connect` | `/drill/connect/MS` (it only says so: opening a file is not slow) | |
//! | `db_query` | `/drill/query/MS` | |
//! | `http_wait` | `/drill/call/0` | more than `http_client.max_per_host` of `/drill/call/MS` |
//! | `http_upstream` | `/drill/call/MS` | |
//! | `offload_wait` | `/drill/offload/0` | more than `offload.threads` of `/drill/offload/MS` |
//! | `offload_run` | `/drill/offload/MS` | |
//! | `loop_delay` | anything | `/drill/block-all/MS` |
//! | `cpu` | `/drill/spin/MS` | |
//! | `response_body` | `/drill/bytes/20000000`, and read slowly | |
//! | `other` | `/drill/sleep/MS` | |
//! | `mail`, a name of the owner's | `/drill/named/MS` | |

#[cfg(feature = "_database")]
mod database;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::{FutureExt, StreamExt, stream};
use hyper_util::rt::TokioIo;
use metrics::{describe_histogram, histogram};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use super::finish::finish;
use super::http::extract::Body;
use super::http::problem::Problem;
use super::http::stopping::{Endless, Stopping};
use super::ledger::Phase;
use super::links::Links;
use super::request::{self, wait};

pub(super) fn routes(links: &Links) -> Router {
    let routes = Router::new()
        .route("/drill/sleep/{ms}", get(async |Path(ms)| sleep(Duration::from_millis(ms)).await))
        .route(
            "/drill/named/{ms}",
            get(async |Path(ms)| wait(Phase::named("mail"), sleep(Duration::from_millis(ms))).await),
        )
        // unblock: allow(blocks one worker, to show what that looks like)
        .route("/drill/block/{ms}", get(async |Path(ms)| thread::sleep(Duration::from_millis(ms))))
        .route("/drill/block-all/{ms}", get(async |Path(ms)| block_all(ms)))
        .route("/drill/block-background/{ms}", get(block_in_background))
        .route("/drill/bytes/{n}", get(async |Path(n): Path<usize>| vec![b'x'; n]))
        .route("/drill/never", get(std::future::pending::<()>))
        .route("/drill/stream/{ms}", get(async |Path(ms)| (Endless, slow_stream(ms))))
        .route("/drill/events", get(events))
        .route("/drill/deaf-events", get(async || (Endless, Sse::new(endless()))))
        .route("/drill/broken-stream", get(async || axum::body::Body::from_stream(broken_stream())))
        .route("/drill/panic", get(panics))
        .route("/drill/log-moody", get(async || log_what_panics()))
        .route("/drill/log-crate", get(async || log_as_others_do()))
        .route("/drill/log/{lines}", get(log))
        .route("/drill/hold-places/{ms}", get(hold_places))
        .route("/drill/finish/{ms}", get(finishes))
        .route("/drill/unread/{ms}", post(keep_unread))
        .route("/drill/call/{ms}", get(call))
        .route("/drill/fetch", any(fetch))
        .route("/drill/echo/{ms}", any(echo))
        .route("/drill/offload/{ms}", get(offload))
        .route("/drill/offload-panic", get(offload_panic))
        .route("/drill/read", post(async |Body(body)| body))
        .route("/drill/collect", post(collect))
        .route("/drill/spawn/{ms}", get(spawn))
        .route("/drill/spawn-beside/{ms}", get(spawn_beside))
        .route("/drill/spawn-block/{ms}", get(spawn_block))
        .route("/drill/spin/{ms}", get(async |Path(ms)| spin(Duration::from_millis(ms))))
        .with_state(links.clone());
    #[cfg(feature = "_database")]
    let routes = routes.merge(database::routes(links));
    routes
}

/// Blocks every worker of the main runtime at once.
fn block_all(ms: u64) {
    let runtime = Handle::current();
    let workers = runtime.metrics().num_workers();
    let all = Arc::new(Barrier::new(workers));
    // From outside the runtime, so that no task waits behind a blocked one in a worker's own queue.
    thread::spawn(move || {
        for _ in 0..workers {
            let all = Arc::clone(&all);
            #[expect(clippy::disallowed_methods, reason = "must come from outside the runtime")]
            runtime.spawn(async move {
                // unblock: allow(blocks every worker, to show what that looks like)
                all.wait();
                // unblock: allow(as above)
                thread::sleep(Duration::from_millis(ms));
            });
        }
    });
}

async fn block_in_background(State(links): State<Links>, Path(ms): Path<u64>) {
    // unblock: allow(blocks one worker, to show what that looks like)
    links.background.start("drill: blocks", async move |_| thread::sleep(Duration::from_millis(ms)));
}

fn slow_stream(ms: u64) -> axum::body::Body {
    axum::body::Body::from_stream(stream::unfold(0, move |sent| async move {
        if sent == 3 {
            return None;
        }
        sleep(Duration::from_millis(ms)).await;
        tracing::info!(sent, "drill: streaming");
        Some((Ok::<_, Infallible>(Bytes::from_static(b"part\n")), sent + 1))
    }))
}

/// An event each 50 ms, until the process stops.
async fn events(stopping: Stopping) -> impl IntoResponse {
    (Endless, Sse::new(stopping.end(endless())))
}

fn endless() -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    stream::repeat(()).then(async |()| {
        sleep(Duration::from_millis(50)).await;
        Ok(Event::default().data("tick"))
    })
}

fn broken_stream() -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::iter([Ok(Bytes::from_static(b"part\n")), Err(io::Error::other("drill: broken"))])
}

#[expect(clippy::panic, reason = "the drill")]
async fn panics() {
    panic!("drill: panic");
}

async fn log(Path(lines): Path<u64>) {
    let tasks = (0..4).map(|task| {
        request::spawn(async move {
            for line in (task..lines).step_by(4) {
                tracing::info!(line, "drill: line");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let _ = task.await;
    }
}

/// Values that panic when they are logged.
fn log_what_panics() {
    struct Moody;
    #[expect(clippy::panic, reason = "the drill")]
    impl fmt::Debug for Moody {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("drill: a mood")
        }
    }
    let span = tracing::info_span!("drill", first = ?Moody, second = tracing::field::Empty);
    let _entered = span.enter();
    span.record("second", tracing::field::debug(Moody));
    tracing::info!(third = ?Moody, "drill: moody");
}

/// As a crate does that knows nothing of tracing.
fn log_as_others_do() {
    use tracing_log::log;
    log::warn!("drill: a record");
    log::info!(target: "drill::other", "drill: a record of another target");
    log::debug!(target: "drill::fine", "drill: a fine record");
    log::error!(target: "drill::\"odd\"\n", "drill: a record\nof two lines");
}

/// Every place that is free.
async fn hold_places(State(links): State<Links>, Path(ms): Path<u64>) {
    let held: Vec<_> = std::iter::from_fn(|| links.admission.enter().now_or_never()?.ok()).collect();
    sleep(Duration::from_millis(ms)).await;
    drop(held);
}

async fn finishes(Path(ms): Path<u64>) -> Result<(), Problem> {
    finish(async move {
        tracing::info!("drill: begun");
        sleep(Duration::from_millis(ms)).await;
        Ok::<_, Problem>(())
    })
    .await
}

/// Keeps the request's body, and reads nothing of it.
async fn keep_unread(Path(ms): Path<u64>, request: Request) {
    sleep(Duration::from_millis(ms)).await;
    drop(request);
}

/// Leaves HTTP and sends back what comes, as a WebSocket would: in a task that knows of no request. When the service
/// stops, it says goodbye after that many milliseconds.
async fn echo(Path(ms): Path<u64>, Stopping(stop): Stopping, request: Request) -> Response {
    let tunnel = request.method() == Method::CONNECT;
    let upgrade = hyper::upgrade::on(request);
    let talk = request::carry(move |socket| async move {
        tracing::info!("drill: upgraded");
        let mut socket = TokioIo::new(socket);
        let mut bytes = vec![0; 64 * 1024];
        let mut goodbye = pin!(async {
            stop.cancelled().await;
            sleep(Duration::from_millis(ms)).await;
        });
        loop {
            tokio::select! {
                () = goodbye.as_mut() => return drop(socket.write_all(b"goodbye").await),
                read = socket.read(&mut bytes) => match read {
                    Ok(length @ 1..) if socket.write_all(&bytes[..length]).await.is_ok() => {}
                    _ => return,
                },
            }
        }
    });
    #[expect(clippy::disallowed_methods, reason = "as axum does it")]
    tokio::spawn(async {
        match upgrade.await {
            Ok(socket) => talk(socket).await,
            Err(error) => tracing::info!(error = %error, "drill: not upgraded"),
        }
    });
    let switch = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    if tunnel { ().into_response() } else { (StatusCode::SWITCHING_PROTOCOLS, switch).into_response() }
}

/// Asks a service that takes its time.
async fn call(State(links): State<Links>, Path(ms): Path<u64>) -> Result<Bytes, Problem> {
    let url = format!("http://{}/{ms}", upstream().await);
    Ok(links.http.send(links.http.get(url)).await?.bytes().await?)
}

#[derive(Deserialize)]
struct Fetch {
    url: String,
}

/// Calls `?url=` with the method, the body and some headers of the request, and answers what it was answered.
async fn fetch(
    State(links): State<Links>,
    Query(Fetch { url }): Query<Fetch>,
    method: Method,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, HeaderMap, Bytes), Problem> {
    let mut call = links.http.request(method, url);
    for name in ["authorization", "idempotency-key"] {
        if let Some(value) = headers.get(name) {
            call = call.header(name, value);
        }
    }
    if !body.is_empty() {
        call = call.body(body);
    }
    let reply = links.http.send(call).await?;
    let location = reply.headers().get(header::LOCATION).map(|location| (header::LOCATION, location.clone()));
    Ok((reply.status(), location.into_iter().collect(), reply.bytes().await?))
}

/// Answers `/MS` after that many milliseconds with the headers that came. Started with the first call.
async fn upstream() -> SocketAddr {
    static ADDR: OnceCell<SocketAddr> = OnceCell::const_new();
    #[expect(clippy::unwrap_used, reason = "the drill")]
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process")]
    let start = async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let wait = async |Path(ms), headers: HeaderMap| {
            sleep(Duration::from_millis(ms)).await;
            let text =
                |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}\n", value.to_str().unwrap());
            headers.iter().map(text).collect::<String>()
        };
        tokio::spawn(axum::serve(listener, Router::new().route("/{ms}", get(wait))).into_future());
        addr
    };
    *ADDR.get_or_init(start).await
}

async fn offload(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let work = move || {
        thread::sleep(Duration::from_millis(ms));
        tracing::info!("drill: offloaded");
    };
    Ok(links.offload.run(work).await?)
}

#[expect(clippy::panic, reason = "the drill")]
async fn offload_panic(State(links): State<Links>) -> Result<(), Problem> {
    Ok(links.offload.run(|| panic!("drill: panic")).await?)
}

/// Reads a body whole, and knows nothing of limits.
async fn collect(body: axum::body::Body) -> Result<String, Problem> {
    let bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal())?;
    Ok(bytes.len().to_string())
}

/// A task that outlives its request.
async fn spawn(Path(ms): Path<u64>) {
    request::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        tracing::info!("drill: spawned task ended");
    });
}

/// Tasks that end, and that are aborted, while the request goes on.
async fn spawn_beside(Path(ms): Path<u64>) {
    request::spawn(async {});
    request::spawn(std::future::pending::<()>()).abort();
    sleep(Duration::from_millis(ms)).await;
}

/// A task that outlives its request, and blocks.
async fn spawn_block(Path(ms): Path<u64>) {
    request::spawn(async move {
        sleep(Duration::from_millis(50)).await;
        // unblock: allow(blocks one worker, to show what that looks like)
        thread::sleep(Duration::from_millis(ms));
    });
}

/// Burns CPU on the event loop.
fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
    describe_histogram!("drill_spin_seconds", "A metric as an owner may add one.");
    histogram!("drill_spin_seconds").record(begun.elapsed());
}
