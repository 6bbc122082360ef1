//! How did a request end, and who is told?
//!
//! An exchange is opened when the head is parsed and closed exactly once: at the response's last byte,
//! or when it is dropped because the client left or shutdown cut it off. Closing moves the metrics and
//! writes the one log line of the request. The slowest requests are those that get dropped, so they
//! must not be missing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Gauge, gauge};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::activity::Activity;
use super::answer::SentPieces;
use super::limit::TooLarge;
use super::meters::Routes;
use crate::admission::Place;
use crate::config::Config;
use crate::context::{REQUEST, Request};
use crate::ledger::{Ledger, Phases, Statement};
use crate::links::Links;
use crate::log::millis;
use crate::metrics::Counted;

/// What all exchanges share. One per service.
pub struct Exchanges {
    pub ledger: Ledger,
    pub(super) routes: Routes,
    in_flight: Gauge,
    /// `log.client_addr`.
    logs_client: bool,
    pub(crate) request_timeout: Duration,
    /// Cancelled once what is dropped was cut off by us, not left by its client.
    pub(crate) aborting: CancellationToken,
    /// What requests have started beside themselves; shutdown waits for it with the background tasks.
    pub(crate) tasks: TaskTracker,
    /// What is done whether or not the client is still there; shutdown waits for it with the requests.
    pub(crate) finishing: TaskTracker,
}

impl fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanges").finish_non_exhaustive()
    }
}

impl Exchanges {
    pub(super) fn new(links: &Links, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            ledger: links.ledger.clone(),
            routes: Routes::default(),
            in_flight: gauge!("http_requests_in_flight"),
            aborting: CancellationToken::default(),
            logs_client: config.log.client_addr,
            request_timeout: config.server.request_timeout,
            tasks: links.background.tasks(),
            finishing: TaskTracker::default(),
        })
    }

    pub(super) fn open(&self, request: Arc<Request>, connection: Option<Activity>) -> Exchange {
        let slot = self.ledger.open(Arc::clone(&request));
        if let Some(connection) = &connection {
            connection.begin_request();
        }
        let in_flight = Counted::enter(&self.in_flight);
        Exchange {
            request,
            connection,
            slot,
            place: None,
            status: None,
            until_head: None,
            finished: None,
            in_flight: Some(in_flight),
        }
    }

    /// From now on a request that is dropped was cut off by us, not left by its client.
    pub(crate) fn abort(&self) {
        self.aborting.cancel();
    }

    /// Waits for what goes on without its client. For the shutdown: no request begins any more.
    pub(crate) async fn finish(&self) {
        self.finishing.close();
        self.finishing.wait().await;
    }
}

/// One request between its head and its last byte.
pub(crate) struct Exchange {
    request: Arc<Request>,
    connection: Option<Activity>,
    /// Where the ledger has it.
    slot: usize,
    /// Its place among those that were let in.
    place: Option<Place>,
    status: Option<(StatusCode, &'static str)>,
    /// The phases of a stream that go into the metrics.
    until_head: Option<Phases>,
    /// Whether what went on without its client has come to its end.
    pub(crate) finished: Option<bool>,
    /// None once it is closed.
    in_flight: Option<Counted>,
}

/// Where the line of a request comes from.
pub(crate) const MODULE: &str = module_path!();

/// nginx's status for a client that left; only metrics and log see it.
const CLIENT_GONE: u16 = 499;

impl Exchange {
    pub(super) fn request(&self) -> Arc<Request> {
        Arc::clone(&self.request)
    }

    /// Holds its place until the last byte.
    pub(super) fn admitted(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// The head of the response is known. `outcome` overrides what its status says. A stream may last for
    /// hours: it leaves its place to others, and the phases of its body would drown those of other requests.
    /// Returns whether the connection goes on with HTTP.
    pub(super) fn answered(
        &mut self,
        status: StatusCode,
        outcome: Option<&'static str>,
        is_stream: bool,
    ) -> bool {
        let by_status = match status.as_u16() {
            503 => "shed",
            500.. => "server_error",
            400..500 => "client_error",
            _ => "ok",
        };
        self.status = Some((status, outcome.unwrap_or(by_status)));
        self.request.is_answered.store(true, Relaxed);
        let tunnel = self.request.meters.method == "CONNECT" && status.is_success();
        let leaves_http = status == StatusCode::SWITCHING_PROTOCOLS || tunnel;
        if leaves_http {
            self.connection.iter().for_each(|connection| connection.leave_http(self.request()));
            self.complete();
        }
        if is_stream {
            self.place = None;
            self.until_head = Some(self.request.account.shares());
        }
        !leaves_http
    }

    /// The last byte is handed to the connection.
    pub(super) fn complete(&mut self) {
        if let Some((status, outcome)) = self.status {
            self.close(status, outcome);
        }
    }

    /// The body broke off: on our side, unless its handler passes on a request's body that is too large.
    pub(super) fn fail(&mut self, error: &axum::Error) {
        let is_ours = !TooLarge::is_behind(error);
        if is_ours {
            REQUEST.sync_scope(self.request(), || tracing::error!(error = %error, "response body failed"));
        }
        if let Some((status, _)) = self.status {
            self.close(status, if is_ours { "server_error" } else { "client_error" });
        }
    }

    /// For the pieces of the answer, if what the client takes of them has to be followed.
    pub(super) fn sent_pieces(&self) -> Option<SentPieces> {
        self.connection.as_ref()?.sent_pieces()
    }

    /// Whether the connection ended before anybody looked at the request.
    pub(super) fn is_too_late(&self) -> bool {
        self.connection.as_ref().is_some_and(Activity::was_dropped_unseen)
    }

    /// The body is dropped before its end.
    pub(super) fn give_up(&self) {
        if self.in_flight.is_some() {
            let _ = self.request.account.give_up();
        }
    }

    fn close(&mut self, status: StatusCode, outcome: &'static str) {
        if self.in_flight.take().is_none() {
            return;
        }
        self.place = None;
        let statement = self.request.account.close();
        self.request.home.ledger.close(self.slot);
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
        let phases = self.until_head.as_ref().unwrap_or(&statement.shares);
        self.request.meters.record(status, statement.duration, phases);
        REQUEST.sync_scope(self.request(), || {
            log(&self.request, status, outcome, &statement, self.finished);
        });
    }

    /// Everything that is open of it. What stays behind is closed.
    fn take(&mut self) -> Self {
        // Its client is gone: for the connection, this is the end of the request.
        self.connection.take().inspect(Activity::end_request);
        Self {
            request: Arc::clone(&self.request),
            connection: None,
            slot: self.slot,
            place: self.place.take(),
            status: self.status,
            until_head: self.until_head.take(),
            finished: self.finished,
            in_flight: self.in_flight.take(),
        }
    }
}

/// The one line of a request.
fn log(request: &Request, status: StatusCode, outcome: &str, statement: &Statement, finished: Option<bool>) {
    let Statement { duration, shares, busy, gave_up_in } = statement;
    info!(
        target: "request",
        method = request.meters.method,
        route = &*request.meters.route,
        status = status.as_u16(),
        outcome,
        duration_ms = millis(*duration),
        long_pole = shares.longest().name(),
        phases = %shares,
        // Only where branches waited side by side.
        busy = statement.overlaps().then(|| display(busy)),
        client_addr = request.client.filter(|_| request.home.logs_client).map(display),
        ended_in = gave_up_in.map(|phase| phase.name()),
        // Only where something went on without its client.
        finished,
        "request"
    );
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.in_flight.is_none() {
            return;
        }
        let request = Arc::clone(&self.request);
        if request.home.aborting.is_cancelled() {
            self.close(StatusCode::SERVICE_UNAVAILABLE, "aborted");
        } else if !request.finishing.keep(|| self.take()) {
            let gone = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST);
            self.close(gone, "client_gone");
        }
    }
}
