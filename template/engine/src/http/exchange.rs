//! How did a request end, and who is told?
//!
//! An exchange is opened when the head is parsed. It is closed exactly once: at the response's last byte, or when it is
//! dropped because the client left or the shutdown cut it off. When it is closed, the metrics are counted and the one
//! log line of the request is written. Dropped requests are often the slowest ones, so they must be counted as well.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::http::StatusCode;
use axum::response::Response;
use metrics::Gauge;

use super::activity::Activity;
use super::answer::SentPieces;
use super::limit::TooLarge;
use crate::admission::Admitted;
use crate::ledger::Phases;
use crate::life::Stage;
use crate::log::{Summary, log_request};
use crate::measure::Counted;
use crate::request::{Afterwards, REQUEST, Request};

/// One request between its head and its last byte.
pub(super) struct Exchange {
    request: Arc<Request>,
    connection: Option<Activity>,
    /// The index of the request in the list of open requests.
    slot: usize,
    /// The request's place among the requests that were let in.
    place: Option<Admitted>,
    /// The setting `log.client_addr`.
    tells_client: bool,
    status: Option<(StatusCode, &'static str)>,
    /// For an endless answer: the phases until its head. Only these go into the metrics.
    until_head: Option<Phases>,
    /// For work that went on without its client: whether the work has come to its end.
    finished: Option<bool>,
    /// None as soon as the exchange is closed.
    in_flight: Option<Counted>,
}

/// nginx's status for a client that left; only metrics and log see it.
const CLIENT_GONE: u16 = 499;

impl Exchange {
    /// The gauge `in_flight` counts the exchange until it is closed.
    pub(super) fn open(
        request: Arc<Request>,
        connection: Option<Activity>,
        in_flight: &Gauge,
        tells_client: bool,
    ) -> Self {
        let slot = request.all.insert(Arc::clone(&request));
        connection.iter().for_each(Activity::begin_request);
        Self {
            request,
            connection,
            slot,
            place: None,
            tells_client,
            status: None,
            until_head: None,
            finished: None,
            in_flight: Some(Counted::enter(in_flight)),
        }
    }

    pub(super) fn record(&self) -> Arc<Request> {
        Arc::clone(&self.request)
    }

    /// Keeps the place of the request until the last byte.
    pub(super) fn admitted(&mut self, place: Admitted) {
        self.place = Some(place);
    }

    /// Notes the head of the response. `outcome` overrides the outcome that follows from the status. An endless body may
    /// last for hours, so it leaves its place to other requests, and its time does not count in the metrics of the
    /// phases, where it would hide the times of other requests. Returns whether the connection goes on with HTTP.
    pub(super) fn answered(
        &mut self,
        status: StatusCode,
        outcome: Option<&'static str>,
        is_endless: bool,
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
            self.connection.iter().for_each(|connection| connection.leave_http(self.record()));
            self.complete();
        }
        if is_endless {
            self.place = None;
            self.until_head = Some(self.request.account.shares());
        }
        !leaves_http
    }

    /// Closes the exchange when the last byte is handed to the connection.
    pub(super) fn complete(&mut self) {
        if let Some((status, outcome)) = self.status {
            self.close(status, outcome);
        }
    }

    /// Closes the exchange when the body broke off. The fault is ours, unless the handler passes on the body of a request
    /// and that body is too large.
    pub(super) fn fail(&mut self, error: &axum::Error) {
        let is_ours = !TooLarge::is_behind(error);
        if is_ours {
            REQUEST.sync_scope(self.record(), || tracing::error!(error = %error, "response body failed"));
        }
        if let Some((status, _)) = self.status {
            self.close(status, if is_ours { "server_error" } else { "client_error" });
        }
    }

    /// Follows the pieces of the answer until the client takes them. None if nobody has to follow them.
    pub(super) fn sent_pieces(&self) -> Option<SentPieces> {
        self.connection.as_ref()?.sent_pieces()
    }

    /// Whether the connection ended before anybody looked at the request.
    pub(super) fn is_unseen(&self) -> bool {
        self.connection.as_ref().is_some_and(Activity::was_dropped_unseen)
    }

    /// Ends the exchange with a response that nobody gets.
    pub(super) fn without_an_answer(self) -> Response {
        self.give_up();
        Response::default()
    }

    /// Tells the account that the body is dropped before its end.
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
        self.request.all.remove(self.slot);
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
        let phases = self.until_head.as_ref().unwrap_or(&statement.shares);
        self.request.meters.record(status, statement.duration, phases);
        let client = self.request.client.filter(|_| self.tells_client);
        log_request(&self.request, &Summary { status, outcome, statement, client, finished: self.finished });
    }

    /// Moves everything that is open into a new exchange. The old exchange is closed then.
    fn take(&mut self) -> Self {
        // The client is gone, so for the connection the request ends here.
        self.connection.take().inspect(Activity::end_request);
        Self {
            request: Arc::clone(&self.request),
            connection: None,
            slot: self.slot,
            place: self.place.take(),
            tells_client: self.tells_client,
            status: self.status,
            until_head: self.until_head.take(),
            finished: self.finished,
            in_flight: self.in_flight.take(),
        }
    }

    /// Keeps the exchange open until the work that goes on without the client has ended.
    fn until_finished(mut self) -> Afterwards {
        Box::new(move |finished| {
            self.finished = Some(finished);
            drop(self); // this closes the exchange
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.in_flight.is_none() {
            return;
        }
        let request = Arc::clone(&self.request);
        // From this stage on we cut requests off, so a drop does not mean that the client has left.
        if request.all.life.stage() >= Stage::Aborting {
            self.close(StatusCode::SERVICE_UNAVAILABLE, "aborted");
        } else if !request.finishing.then(|| self.take().until_finished()) {
            let gone = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST);
            self.close(gone, "client_gone");
        }
    }
}
