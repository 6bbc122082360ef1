//! What does an operator or a probe see?
//!
//! The admin listener, on the control thread: the [`status`] page, `/livez`, `/readyz` and `/metrics`. It is not
//! for users: keep its port away from the internet.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tracing::warn;

use super::config::load::Loaded;
use super::identity::Identity;
use super::life::Life;
use super::metrics::Metrics;
use super::status::{self, Overview};

/// What the handlers of the admin listener can reach.
#[derive(Clone)]
pub(super) struct Admin {
    pub overview: Overview,
    /// The main runtime, on which `/metrics` reports once the runtime is there.
    pub main: Arc<OnceLock<Handle>>,
    metrics: Metrics,
    allowed_hosts: Arc<[String]>,
    dead_after: Duration,
}

impl Admin {
    pub(super) fn new(identity: Identity, loaded: &Loaded, metrics: Metrics, life: &Life) -> Self {
        let config = &loaded.config;
        Self {
            overview: Overview::new(identity, loaded, life),
            main: Arc::default(),
            metrics,
            allowed_hosts: config.admin.allowed_hosts.clone().into(),
            dead_after: config.watchdog.dead_after,
        }
    }
}

pub(super) async fn serve(listener: TcpListener, admin: Admin) {
    let routes = Router::new()
        .route("/", get(status::page))
        .route("/status.json", get(async |State(admin): State<Admin>| status::json(&admin.overview)))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .layer(middleware::from_fn_with_state(admin.clone(), known_host))
        .with_state(admin);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(error = %error, "admin listener ended");
    }
}

async fn livez(State(admin): State<Admin>) -> (StatusCode, String) {
    let stall = admin.overview.health.stall();
    let dead = !admin.dead_after.is_zero() && stall >= admin.dead_after;
    let reason = || {
        let culprits = admin.overview.stalls.culprits().join(", ");
        format!("event loop stalled for {} ms by {culprits}", stall.as_millis())
    };
    answer(dead.then(reason).into_iter().collect())
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    answer(admin.overview.health.unready())
}

fn answer(reasons: Vec<String>) -> (StatusCode, String) {
    match reasons.is_empty() {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    }
}

async fn render_metrics(State(admin): State<Admin>) -> Response {
    match off_the_heartbeat(move || admin.metrics.render(admin.main.get())).await {
        Some(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Runs `work` on a thread of its own. Otherwise a scrape of thousands of series would hold up the heartbeat, and would
/// look like a stall of the main runtime.
#[expect(clippy::disallowed_methods, reason = "the control thread has no offload pool")]
pub(super) async fn off_the_heartbeat<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Refuses host names that a web page could have pointed at this listener (DNS rebinding).
async fn known_host(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let allowed = admin.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    if literal || allowed || name.eq_ignore_ascii_case("localhost") {
        return next.run(request).await;
    }
    warn!(host, "admin listener asked under an unknown name; see admin.allowed_hosts");
    (StatusCode::FORBIDDEN, "unknown host; see admin.allowed_hosts\n").into_response()
}
