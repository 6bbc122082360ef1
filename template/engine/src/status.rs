//! What does the status page show?
//!
//! `GET /` is one file, `status.html`. The page asks for `/metrics`, and for `/status.json`, which has what metrics
//! cannot say. The page keeps the history itself, so it costs the service nothing when nobody looks.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use super::config::load::Loaded;
use super::health::Health;
use super::identity::Identity;
use super::ledger::Phase;
use super::life::Life;
use super::request::Requests;
use super::units::millis;
use super::watchdog::{Stall, Stalls};

const PAGE: &str = include_str!("status.html");

/// What the page shows. Clones share it.
#[derive(Clone)]
pub(super) struct Overview {
    pub health: Health,
    pub stalls: Stalls,
    /// The list of open requests, once the service has that list.
    pub requests: Arc<OnceLock<Arc<Requests>>>,
    facts: Arc<Facts>,
}

impl Overview {
    pub(super) fn new(identity: Identity, loaded: &Loaded, life: &Life) -> Self {
        Self {
            health: Health::new(life),
            stalls: Stalls::default(),
            requests: Arc::default(),
            facts: Arc::new(Facts::new(identity, loaded)),
        }
    }
}

/// What does not change while the process lives.
#[derive(Debug, Serialize)]
struct Facts {
    name: &'static str,
    version: &'static str,
    /// Where Longpole's docs are: a URL, or a path that nobody can click.
    docs: &'static str,
    /// In milliseconds since 1970. If the value changes, the page knows that another process answers.
    started: u64,
    /// By configuration key: numbers as they are, times in seconds, sizes in bytes.
    limits: BTreeMap<&'static str, f64>,
    alignment: Vec<String>,
}

impl Facts {
    fn new(identity: Identity, loaded: &Loaded) -> Self {
        let c = &loaded.config;
        let limits = BTreeMap::from([
            ("server.worker_threads", c.server.worker_threads as f64),
            ("server.max_connections", c.server.max_connections as f64),
            ("server.request_timeout", c.server.request_timeout.as_secs_f64()),
            ("admission.max_in_flight", c.admission.max_in_flight as f64),
            ("admission.max_queue", c.admission.max_queue as f64),
            ("admission.max_wait", c.admission.max_wait.as_secs_f64()),
            #[cfg(feature = "_database")]
            ("database.max_connections", f64::from(c.database.max_connections)),
            #[cfg(feature = "_database")]
            ("database.acquire_timeout", c.database.acquire_timeout.as_secs_f64()),
            ("http_client.max_in_flight", c.http_client.max_in_flight as f64),
            ("http_client.max_per_host", c.http_client.max_per_host as f64),
            ("offload.threads", c.offload.threads as f64),
            ("offload.max_queue", c.offload.max_queue as f64),
            ("watchdog.stall_warn", c.watchdog.stall_warn.as_secs_f64()),
            ("log.queue_size", c.log.queue_size.as_u64() as f64),
        ]);
        Self {
            name: identity.package,
            version: identity.version,
            docs: identity.homepage,
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            limits,
            alignment: loaded.alignment(),
        }
    }
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    /// The name of each phase, and what it means in words. The owner's phases are among them once they have been used.
    phases: Vec<(&'static str, Cow<'static, str>)>,
    /// Why `/readyz` is 503; empty if it is not.
    unready: Vec<String>,
    /// The last stalls, newest first.
    stalls: Vec<Stall>,
    /// The oldest open requests.
    open: Vec<Open>,
}

/// A request that is not finished.
#[derive(Serialize)]
struct Open {
    method: &'static str,
    route: String,
    request_id: String,
    phase: &'static str,
    age_ms: f64,
}

/// The page shows so many open requests. Higher: the page is long. Lower: there is less to see when everything hangs.
const OPEN: usize = 10;

fn oldest(requests: &Requests) -> Vec<Open> {
    let mut open: Vec<_> =
        requests.list().into_iter().map(|request| (request.account.age(), request)).collect();
    open.sort_by_key(|(age, _)| Reverse(*age));
    let oldest = open.into_iter().take(OPEN).map(|(age, request)| Open {
        method: request.meters.method,
        route: request.meters.route.to_string(),
        request_id: request.id.as_str().to_owned(),
        phase: request.account.phase().name(),
        age_ms: millis(age),
    });
    oldest.collect()
}

pub(super) fn json(overview: &Overview) -> Response {
    let status = Status {
        facts: &overview.facts,
        phases: Phase::there().map(|phase| (phase.name(), phase.words())).collect(),
        unready: overview.health.unready(),
        stalls: overview.stalls.list(),
        open: overview.requests.get().map(|requests| oldest(requests)).unwrap_or_default(),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(&status)).into_response()
}

/// Only the page's own script and style may run: they carry the nonce of this answer.
pub(super) async fn page() -> impl IntoResponse {
    let nonce = format!("{:032x}", fastrand::u128(..));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Html(PAGE.replace("NONCE", &nonce)))
}
