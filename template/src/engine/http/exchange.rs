//! How did a request end, and who is told?
//!
//! An exchange is opened when the head is parsed and closed exactly once: at the response's last byte,
//! or when it is dropped because the client left or shutdown cut it off. Closing moves the metrics and
//! writes the one log line of the request. The slowest requests are those that get dropped, so they
//! must not be missing.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::http::StatusCode;
use metrics::{Gauge, Histogram, gauge, histogram};
use tracing::info;

use crate::engine::context::{REQUEST, Request};

/// Locks over the list of open requests, so that cores rarely meet at one.
const SHARDS: usize = 16;

/// All open requests, and the handles of their metrics. One per service.
pub struct Exchanges {
    open: [Mutex<HashMap<u64, Arc<Request>>>; SHARDS],
    serial: AtomicU64,
    in_flight: Gauge,
    routes: RwLock<HashMap<Arc<str>, Arc<Route>>>,
    aborting: AtomicBool,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self {
            open: Default::default(),
            serial: AtomicU64::default(),
            in_flight: gauge!("http_requests_in_flight"),
            routes: RwLock::default(),
            aborting: AtomicBool::default(),
        }
    }
}

impl Exchanges {
    /// `template` is the matched route; whatever matched none shares one value, or scanners would make
    /// a series for each path they try.
    pub(super) fn route(&self, template: Option<&str>) -> Arc<Route> {
        let template = template.unwrap_or("_unmatched");
        if let Some(route) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(template) {
            return Arc::clone(route);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let template: Arc<str> = Arc::from(template);
        let route = routes.entry(Arc::clone(&template)).or_insert_with(|| Arc::new(Route::new(template)));
        Arc::clone(route)
    }

    pub(super) fn open(
        self: &Arc<Self>,
        request: Arc<Request>,
        route: Arc<Route>,
        connection: Option<Arc<AtomicUsize>>,
    ) -> Exchange {
        let serial = self.serial.fetch_add(1, Relaxed);
        self.shard(serial).insert(serial, Arc::clone(&request));
        self.in_flight.increment(1);
        if let Some(active) = &connection {
            active.fetch_add(1, Relaxed);
        }
        let exchanges = Arc::clone(self);
        Exchange { exchanges, request, route, connection, serial, status: None, closed: false }
    }

    fn shard(&self, serial: u64) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Request>>> {
        self.open[serial as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests whose response is not finished.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Request>> {
        (0..SHARDS as u64)
            .flat_map(|serial| self.shard(serial).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    pub(in crate::engine) fn any_open(&self) -> bool {
        (0..SHARDS as u64).any(|serial| !self.shard(serial).is_empty())
    }

    /// From now on a request that is dropped was cut off by us, not left by its client.
    pub(in crate::engine) fn abort(&self) {
        self.aborting.store(true, Relaxed);
    }
}

/// One route and its histograms, by method and status.
pub(super) struct Route {
    pub(super) template: Arc<str>,
    durations: RwLock<HashMap<(&'static str, u16), Histogram>>,
}

impl Route {
    fn new(template: Arc<str>) -> Self {
        Self { template, durations: RwLock::default() }
    }

    fn duration(&self, method: &'static str, status: StatusCode) -> Histogram {
        let key = (method, status.as_u16());
        if let Some(histogram) = self.durations.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return histogram.clone();
        }
        let route = self.template.to_string();
        let histogram = histogram!("http_request_duration_seconds",
            "method" => method, "route" => route, "status" => status.as_u16().to_string());
        self.durations.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(histogram).clone()
    }
}

/// One request between its head and its last byte.
pub(super) struct Exchange {
    exchanges: Arc<Exchanges>,
    request: Arc<Request>,
    route: Arc<Route>,
    /// Open requests of the same connection.
    connection: Option<Arc<AtomicUsize>>,
    serial: u64,
    status: Option<(StatusCode, &'static str)>,
    closed: bool,
}

/// nginx's status for a client that left; only metrics and log see it.
const CLIENT_GONE: u16 = 499;

impl Exchange {
    pub(super) fn request(&self) -> Arc<Request> {
        Arc::clone(&self.request)
    }

    /// The head of the response is known. `outcome` overrides what its status says.
    pub(super) fn answered(&mut self, status: StatusCode, outcome: Option<&'static str>) {
        let by_status = match status.as_u16() {
            503 => "shed",
            500.. => "server_error",
            400..500 => "client_error",
            _ => "ok",
        };
        self.status = Some((status, outcome.unwrap_or(by_status)));
    }

    pub(super) fn complete(mut self) {
        self.complete_in_place();
    }

    pub(super) fn complete_in_place(&mut self) {
        if let Some((status, outcome)) = self.status {
            self.close(status, outcome);
        }
    }

    /// The body broke off on our side.
    pub(super) fn fail(&mut self, error: &axum::Error) {
        REQUEST.sync_scope(self.request(), || tracing::error!(error = %error, "response body failed"));
        if let Some((status, _)) = self.status {
            self.close(status, "server_error");
        }
    }

    fn close(&mut self, status: StatusCode, outcome: &'static str) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let Request { method, started, .. } = &*self.request;
        let duration = started.elapsed();
        self.exchanges.shard(self.serial).remove(&self.serial);
        self.exchanges.in_flight.decrement(1);
        if let Some(active) = &self.connection {
            active.fetch_sub(1, Relaxed);
        }
        self.route.duration(method, status).record(duration);
        REQUEST.sync_scope(self.request(), || {
            info!(
                target: "request",
                method,
                route = &*self.route.template,
                status = status.as_u16(),
                outcome,
                duration_ms = duration.as_secs_f64() * 1e3,
                "request"
            );
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let gone = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST);
        if self.exchanges.aborting.load(Relaxed) {
            self.close(StatusCode::SERVICE_UNAVAILABLE, "aborted");
        } else {
            self.close(gone, "client_gone");
        }
    }
}
