//! How is a connection made fit for its next user?
//!
//! Answers that are left over are read, the transaction is rolled back, and the session is reset.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Error};

use super::bound::bounded;
use super::driver;
use super::leftovers::Leftovers;
use super::pool::Pool;
use super::session::DbSession;
use super::statement::Change;
use super::trouble::Trouble;
use crate::request::{self, REQUEST, Request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Settled,
    /// A statement failed, or its rows were not read to their end.
    Unsettled,
    /// A statement runs. If nobody waits for it any more, nobody knows what the driver still has to read.
    Running,
    /// The connection is lost, or its statement does not end. This state never changes.
    Lost,
}

/// How a user left a connection.
pub(super) struct Left {
    state: ConnectionState,
    /// A transaction that `begin` of the pool began, and that is not ended.
    in_transaction: bool,
    leftovers: Leftovers,
    /// The request that left something behind.
    request: Option<Arc<Request>>,
}

impl Left {
    pub fn new(state: ConnectionState, in_transaction: bool, leftovers: Leftovers) -> Self {
        let request = if leftovers.any() { request::current() } else { None };
        Self { state, in_transaction, leftovers, request }
    }

    /// Brings the connection to where its next user may begin, if that can be done. Waits as long as a
    /// statement may take: a statement that was given up still keeps the database busy, so its permit is not free.
    pub async fn is_settled(&self, pool: &Pool, session: &mut DbSession) -> bool {
        if self.state == ConnectionState::Lost {
            return false;
        }
        let settled =
            bounded(self.settle(pool, session), Duration::ZERO, pool.0.statement_timeout, &pool.0.pulse);
        settled.await.is_ok() && self.leftovers.session != Change::BeyondRepair
    }

    async fn settle(&self, pool: &Pool, session: &mut DbSession) -> Result<(), Error> {
        let raw = &mut session.raw;
        let asked = match raw.ping().await {
            // The first ping read what was left over, and this was the error of the statement that was given up.
            Err(error) if !Trouble::is_of_connection(&error) => raw.ping().await,
            outcome => outcome,
        };
        // The statement that was given up has ended. What follows must not be interrupted.
        session.brake.release();
        asked?;
        if self.in_transaction || self.leftovers.transaction {
            let was_open = driver::roll_back(raw, self.in_transaction).await?;
            if was_open && !self.in_transaction {
                self.warn("a transaction was left open: it is rolled back. Use `begin` of the pool");
            }
        }
        let taken_back = match self.leftovers.session {
            Change::Nothing => return Ok(()),
            Change::Reversible => pool.0.connector.reset(raw).await?,
            Change::BeyondRepair => true, // the change ends with the connection
        };
        self.warn(match taken_back {
            true => "the session was changed for good: that is taken back. Use `SET LOCAL` and the like",
            false => "the session was changed for good, and a pooler stands between: others may get it",
        });
        Ok(())
    }

    /// Logs a warning with the id of the request that left something behind.
    fn warn(&self, what: &'static str) {
        let route = self.request.as_ref().map(|request| &*request.meters.route);
        let say = || tracing::warn!(route, "{what}");
        match &self.request {
            Some(request) => REQUEST.sync_scope(Arc::clone(request), say),
            None => say(),
        }
    }
}
