//! How did a request end, and who is told?
//!
//! An exchange is opened when the head is parsed and closed exactly once: at the response's last byte,
//! or when it is dropped because the client left or shutdown cut it off. Closing moves the metrics and
//! writes the one log line of the request. The slowest requests are those that get dropped, so they
//! must not be missing.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use axum::http::StatusCode;
use metrics::{Gauge, Histogram, gauge, histogram};
use slab::Slab;
use tracing::info;

use super::activity::Activity;
use crate::engine::context::{REQUEST, Request};
use crate::engine::log::millis;
use crate::engine::metrics::Counted;

/// What tells the histograms of `http_request_duration_seconds` apart.
type Labels = (&'static str, Arc<str>, StatusCode);

/// All open requests, and the handles of their metrics. One per service.
pub struct Exchanges {
    open: Mutex<Slab<Arc<Request>>>,
    in_flight: Gauge,
    durations: RwLock<HashMap<Labels, Histogram>>,
    aborting: AtomicBool,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            in_flight: gauge!("http_requests_in_flight"),
            durations: RwLock::default(),
            aborting: AtomicBool::default(),
        }
    }
}

impl Exchanges {
    pub(super) fn open(self: &Arc<Self>, request: Arc<Request>, connection: Option<Activity>) -> Exchange {
        let slot = self.lock().insert(Arc::clone(&request));
        if let Some(connection) = &connection {
            connection.begin_request();
        }
        let in_flight = Counted::enter(&self.in_flight);
        Exchange {
            exchanges: Arc::clone(self),
            request,
            connection,
            slot,
            status: None,
            in_flight: Some(in_flight),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Request>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests whose response is not finished.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Request>> {
        self.lock().iter().map(|(_, request)| Arc::clone(request)).collect()
    }

    pub(in crate::engine) fn any_open(&self) -> bool {
        !self.lock().is_empty()
    }

    /// From now on a request that is dropped was cut off by us, not left by its client.
    pub(in crate::engine) fn abort(&self) {
        self.aborting.store(true, Relaxed);
    }

    /// Registered once for each set of labels: looking one up in the recorder costs ten times as much.
    fn duration(&self, method: &'static str, route: &Arc<str>, status: StatusCode) -> Histogram {
        let labels = (method, Arc::clone(route), status);
        if let Some(known) = self.durations.read().unwrap_or_else(PoisonError::into_inner).get(&labels) {
            return known.clone();
        }
        let histogram = histogram!("http_request_duration_seconds",
            "method" => method, "route" => route.to_string(), "status" => status.as_str().to_owned());
        self.durations
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(labels)
            .or_insert(histogram)
            .clone()
    }
}

/// One request between its head and its last byte.
pub(super) struct Exchange {
    exchanges: Arc<Exchanges>,
    request: Arc<Request>,
    connection: Option<Activity>,
    /// Its place in the list of open ones.
    slot: usize,
    status: Option<(StatusCode, &'static str)>,
    /// None once it is closed.
    in_flight: Option<Counted>,
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

    /// The last byte is handed to the connection.
    pub(super) fn complete(&mut self) {
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
        if self.in_flight.take().is_none() {
            return;
        }
        let Request { method, route, started, .. } = &*self.request;
        let duration = started.elapsed();
        self.exchanges.lock().remove(self.slot);
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
        self.exchanges.duration(method, route, status).record(duration);
        REQUEST.sync_scope(self.request(), || {
            info!(
                target: "request",
                method,
                route = &**route,
                status = status.as_u16(),
                outcome,
                duration_ms = millis(duration),
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
