//! What does the one line of a request say?

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use tracing::info;

use crate::ledger::Statement;
use crate::request::{REQUEST, Request};
use crate::units::millis;

/// The module from which the line comes. No other code can write a line with this module.
pub(super) const MODULE: &str = module_path!();

/// How a request ended.
pub struct Summary {
    pub status: StatusCode,
    pub outcome: &'static str,
    pub statement: Statement,
    /// The client's address, if `log.client_addr` is on.
    pub client: Option<IpAddr>,
    /// Whether all work that went on without its client came to its end. None if no work did.
    pub finished: Option<bool>,
}

/// Writes the one line of a request that has ended.
pub fn log_request(request: &Arc<Request>, summary: &Summary) {
    let Summary { status, outcome, statement, client, finished } = summary;
    REQUEST.sync_scope(Arc::clone(request), || {
        info!(
            target: "request",
            method = request.meters.method,
            route = &*request.meters.route,
            status = status.as_u16(),
            outcome,
            duration_ms = millis(statement.duration),
            long_pole = statement.shares.longest().name(),
            phases = %statement.shares,
            // This field is only there if branches of the request waited at the same time.
            busy = statement.overlaps().then(|| display(&statement.busy)),
            client_addr = client.map(display),
            ended_in = statement.gave_up_in.map(|phase| phase.name()),
            finished,
            "request"
        );
    });
}
