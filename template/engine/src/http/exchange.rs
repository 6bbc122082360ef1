//! How did a request end, and who is told?
//!
//! An exchange is opened when the head is parsed and closed exactly once: at the response's last byte,
//! or when it is dropped because the client left or shutdown cut it off. Closing moves the metrics and
//! writes the one log line of the request. The slowest requests are those that get dropped, so they
//! must not be missing.

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
    /// Where it is in the list of open requests.
    slot: usize,
    /// Its place among those that were let in.
    place: Option<Admitted>,
    /// `log.client_addr`.
    tells_client: bool,
    status: Option<(StatusCode, &'static str)>,
    /// The phases of a stream that go into the metrics.
    until_head: Option<Phases>,
    /// Whether what went on without its client has come to its end.
    finished: Option<bool>,
    /// None once it is closed.
    in_flight: Option<Counted>,
}

/// nginx's status for a client that left; only metrics and log see it.
const CLIENT_GONE: u16 = 499;

impl Exchange {
    /// `in_flight` is raised until the exchange is closed.
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

    /// Holds its place until the last byte.
    pub(super) fn admitted(&mut self, place: Admitted) {
        self.place = Some(place);
    }

    /// The head of the response is known. `outcome` overrides what its status says. An endless body may last for
    /// hours: it leaves its place to others, and its phases would drown those of other requests.
    /// Returns whether the connection goes on with HTTP.
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
            REQUEST.sync_scope(self.record(), || tracing::error!(error = %error, "response body failed"));
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
    pub(super) fn is_unseen(&self) -> bool {
        self.connection.as_ref().is_some_and(Activity::was_dropped_unseen)
    }

    /// Ends the exchange with a response that nobody gets.
    pub(super) fn without_an_answer(self) -> Response {
        self.give_up();
        Response::default()
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
        self.request.all.remove(self.slot);
        if let Some(connection) = &self.connection {
            connection.end_request();
        }
        let phases = self.until_head.as_ref().unwrap_or(&statement.shares);
        self.request.meters.record(status, statement.duration, phases);
        let client = self.request.client.filter(|_| self.tells_client);
        log_request(&self.request, &Summary { status, outcome, statement, client, finished: self.finished });
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
            tells_client: self.tells_client,
            status: self.status,
            until_head: self.until_head.take(),
            finished: self.finished,
            in_flight: self.in_flight.take(),
        }
    }

    /// Open until the work has ended that goes on without the client.
    fn until_finished(mut self) -> Afterwards {
        Box::new(move |finished| {
            self.finished = Some(finished);
            drop(self); // which closes it
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.in_flight.is_none() {
            return;
        }
        let request = Arc::clone(&self.request);
        // What is dropped from here on was cut off by us, not left by its client.
        if request.all.life.stage() >= Stage::Aborting {
            self.close(StatusCode::SERVICE_UNAVAILABLE, "aborted");
        } else if !request.finishing.then(|| self.take().until_finished()) {
            let gone = StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST);
            self.close(gone, "client_gone");
        }
    }
}
