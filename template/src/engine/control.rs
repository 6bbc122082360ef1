//! Who answers when the service is stuck?
//!
//! The control thread: an OS thread with a small runtime of its own. Signals, the admin listener and the
//! watchdog live on it, so that `/livez`, `/readyz` and `/metrics` answer, and SIGTERM ends the process,
//! while every worker of the main runtime is blocked.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{process, thread};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::config::{self, Config};
use super::db::LastAnswer;
use super::health::Health;
use super::http::edge::Edge;
use super::metrics::Metrics;
use super::watchdog;

/// Samples of histograms are sorted into their buckets this often. Higher: memory. Lower: wake-ups.
const UPKEEP: Duration = Duration::from_secs(5);

/// The running control thread.
pub struct Control {
    pub health: Health,
    stop: CancellationToken,
    signals: mpsc::Receiver<Signal>,
    watch: UnboundedSender<(Handle, Arc<Edge>)>,
}

/// The first signal, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    pub at: Instant,
    pub name: &'static str,
}

impl Control {
    /// Binds the admin listener, installs the signal handlers and starts the thread.
    ///
    /// # Errors
    /// The address is in use, or the system refuses a thread.
    pub fn start(config: &Config, metrics: Metrics) -> Result<Self, String> {
        let bind = || {
            let listener = TcpListener::bind(config.admin.addr)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (addr, listener) =
            bind().map_err(|error: std::io::Error| format!("admin.addr {}: {error}", config.admin.addr))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("control-render")
            .build()
            .map_err(|error| format!("control thread: {error}"))?;
        let health = Health::default();
        let stop = CancellationToken::new();
        let (signalled, signals) = mpsc::channel();
        let (watch, to_watch) = unbounded_channel();
        let thread = Thread {
            admin: Admin {
                metrics,
                health: health.clone(),
                main: Arc::default(),
                config: Arc::new(config.admin.clone()),
                dead_after: config.watchdog.dead_after,
            },
            watchdog: config.watchdog.clone(),
            stop: stop.clone(),
            signalled,
            to_watch,
        };
        let (started, starting) = mpsc::channel();
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(thread.run(listener, started)))
            .map_err(|error| format!("control thread: {error}"))?;
        starting.recv().map_err(|_| "control thread: it ended at once".to_owned())??;
        info!(%addr, "admin listener ready");
        Ok(Self { health, stop, signals, watch })
    }

    /// Begins to watch the main runtime.
    pub fn watch(&self, main: &Handle, edge: &Edge) {
        let _ = self.watch.send((main.clone(), Arc::new(edge.clone())));
    }

    /// Runs a step of start-up; None if a signal came first.
    pub fn unless_stopped<T>(
        &self,
        main: &tokio::runtime::Runtime,
        step: impl Future<Output = T>,
    ) -> Option<T> {
        main.block_on(self.stop.run_until_cancelled(step))
    }

    /// From now on `/readyz` is 200.
    pub fn serving(&self, addr: SocketAddr, database: LastAnswer) {
        self.health.serving(database);
        info!(%addr, version = env!("CARGO_PKG_VERSION"), "serving");
    }

    /// Waits for SIGTERM or SIGINT.
    #[must_use]
    pub fn wait_for_signal(&self) -> Signal {
        self.signals.recv().unwrap_or(Signal { at: Instant::now(), name: "loss of the control thread" })
    }
}

/// What the thread needs; lives on it.
struct Thread {
    admin: Admin,
    watchdog: config::Watchdog,
    stop: CancellationToken,
    signalled: mpsc::Sender<Signal>,
    to_watch: UnboundedReceiver<(Handle, Arc<Edge>)>,
}

impl Thread {
    async fn run(self, listener: TcpListener, started: mpsc::Sender<Result<(), String>>) {
        let Self { admin, watchdog, stop, signalled, mut to_watch } = self;
        let prepared = tokio::net::TcpListener::from_std(listener).and_then(|listener| {
            Ok((listener, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
        });
        let (listener, mut terminate, mut interrupt) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = started.send(Err(format!("control thread: {error}")));
                return;
            }
        };
        let _ = started.send(Ok(()));

        let health = admin.health.clone();
        let signals = async {
            loop {
                let (name, number) = tokio::select! {
                    _ = terminate.recv() => ("SIGTERM", 15),
                    _ = interrupt.recv() => ("SIGINT", 2),
                };
                if stop.is_cancelled() {
                    eprintln!("second signal: exiting at once");
                    process::exit(128 + number);
                }
                health.draining();
                stop.cancel();
                let _ = signalled.send(Signal { at: Instant::now(), name });
            }
        };
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                let metrics = admin.metrics.clone();
                off_the_heartbeat(move || metrics.upkeep()).await;
            }
        };
        let watching = async {
            while let Some((main, edge)) = to_watch.recv().await {
                let _ = admin.main.set(main.clone());
                watchdog::watch(main, admin.health.clone(), edge, watchdog.clone()).await;
            }
            std::future::pending::<()>().await;
        };
        let serving = axum::serve(listener, routes(admin.clone()));
        tokio::join!(signals, upkeep, watching, async { drop(serving.await) });
    }
}

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    health: Health,
    main: Arc<OnceLock<Handle>>,
    config: Arc<config::Admin>,
    dead_after: Duration,
}

fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .layer(middleware::from_fn_with_state(admin.clone(), known_host))
        .with_state(admin)
}

async fn livez(State(admin): State<Admin>) -> (StatusCode, String) {
    let stall = admin.health.stall();
    if !admin.dead_after.is_zero() && stall >= admin.dead_after {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("event loop stalled for {} ms\n", stall.as_millis()),
        );
    }
    (StatusCode::OK, "ok\n".to_owned())
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    let reasons = admin.health.unready();
    if reasons.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n")))
}

async fn render_metrics(State(admin): State<Admin>) -> Response {
    let text = off_the_heartbeat(move || admin.metrics.render(admin.main.get())).await;
    match text {
        Some(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A scrape of thousands of series must not look like a stall of the main runtime.
async fn off_the_heartbeat<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "the control thread has no offload pool")]
    tokio::task::spawn_blocking(work).await.ok()
}

/// Refuses names that a web page could have pointed at us (DNS rebinding).
async fn known_host(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let allowed = admin.config.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    if literal || allowed || name.eq_ignore_ascii_case("localhost") {
        return next.run(request).await;
    }
    warn!(host, "admin listener asked under an unknown name; see admin.allowed_hosts");
    (StatusCode::FORBIDDEN, "unknown host; see admin.allowed_hosts\n").into_response()
}
