//! What becomes of a connection when its user is done with it?
//!
//! If its last statement ended well, it goes back at once, without a round trip. It is [settled](super::settle) first, in
//! a task of its own, when its user gave it up half-way, when its statement failed, when its transaction is open, or when
//! a statement may have [left something behind](super::leftovers). A connection that cannot be settled in time is closed.
//! The permit waits for that, so that no more statements run in the database than the pool has connections.

use sqlx::Error;
use tokio::runtime::Handle;

use super::driver::{self, Brake, Raw};
use super::leftovers::Leftovers;
use super::pool::{Permit, Pool};
use super::session::DbSession;
use super::settle::{ConnectionState, Left};
use super::timeouts::rolled_back;

/// A connection to the database, which [`Pool::acquire`] returns. Give `&mut connection` to a query of sqlx's.
///
/// When it is dropped, it goes back to its [`Pool`]. What was left on it is undone first: a transaction that is open is
/// rolled back, and changes of the session (`SET`, temporary tables) are reset. If that is not possible, the connection is
/// closed. You need not do any of this yourself.
///
/// sqlx's own connection within cannot be reached, because nothing would measure or bound its statements.
#[derive(Debug)]
pub struct Connection {
    /// None only while the connection is dropped.
    parts: Option<(DbSession, Permit)>,
    /// `begin` of the pool has begun a transaction that is not ended yet.
    pub(super) in_transaction: bool,
    /// The database has rolled the transaction back by itself.
    rolled_back: bool,
    leftovers: Leftovers,
    state: ConnectionState,
    pub(super) pool: Pool,
}

impl Pool {
    /// Takes a connection, for several statements that must use the same one. Hold it as briefly as you can, and
    /// never across a call to another service. While you hold it, do not ask the same pool for another one: if every
    /// request did that, all would wait for each other until `database.acquire_timeout`.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] if no connection became free within `database.acquire_timeout`.
    /// [`sqlx::Error::PoolClosed`] during the shutdown. If a new connection cannot be opened, the error of the attempt, for
    /// example [`sqlx::Error::Io`]; this may come before `database.acquire_timeout` is over.
    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let (session, permit) = self.take().await?;
        Ok(Connection {
            parts: Some((session, permit)),
            in_transaction: false,
            rolled_back: false,
            leftovers: Leftovers::default(),
            state: ConnectionState::Settled,
            pool: self.clone(),
        })
    }
}

impl Connection {
    /// Must be called before each statement. From here until the statement ends well, the connection is unsettled.
    pub(super) fn begin_statement(&mut self, sql: &str) -> Result<(), Error> {
        let in_transaction = self.in_transaction || self.leftovers.transaction;
        self.rolled_back |= in_transaction && self.is_over();
        if self.rolled_back {
            // Outside the transaction, the statement would take effect although those before it did not.
            return Err(rolled_back());
        }
        let before = self.leftovers;
        self.leftovers.note(sql);
        if self.in_transaction {
            // A savepoint ends with our transaction.
            self.leftovers.transaction = before.transaction;
        }
        if self.state != ConnectionState::Lost {
            self.state = ConnectionState::Unsettled;
        }
        Ok(())
    }

    /// Must be called after each statement, with its outcome.
    pub(super) fn end_statement<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        match &outcome {
            Ok(_) if self.state != ConnectionState::Lost => self.state = ConnectionState::Settled,
            Ok(_) => {}
            Err(error) => {
                let in_transaction = self.in_transaction || self.leftovers.transaction;
                self.rolled_back |= in_transaction && driver::ends_transaction(error);
            }
        }
        outcome
    }

    /// Whether the database has ended our transaction by itself, or will.
    pub(super) fn is_over(&self) -> bool {
        self.rolled_back || (self.state == ConnectionState::Running && driver::GIVEN_UP_ENDS_TRANSACTION)
    }

    /// The driver's own connection, what ends its statement, and in which state it is. A statement that runs on it
    /// directly is missing in `db_query_seconds`.
    #[expect(clippy::expect_used, reason = "taken in drop alone")]
    pub(super) fn parts(&mut self) -> (&mut Raw, &Brake, &mut ConnectionState) {
        let session = &mut self.parts.as_mut().expect("present until dropped").0;
        (&mut session.raw, &session.brake, &mut self.state)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((session, permit)) = self.parts.take() else { return };
        if !self.in_transaction && self.state == ConnectionState::Settled && !self.leftovers.any() {
            return self.pool.give_back(session, permit);
        }
        // Without a runtime nobody could settle the connection.
        let Ok(runtime) = Handle::try_current() else { return };
        let left = Left::new(self.state, self.in_transaction, self.leftovers);
        let pool = self.pool.clone();
        // Nobody waits for this statement any more.
        session.brake.pull();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            let mut session = session;
            if left.is_settled(&pool, &mut session).await {
                pool.give_back(session, permit);
            } else {
                // The permit waits until the connection is closed, so that the bound on connections holds.
                driver::discard(session.raw).await;
                drop(permit);
            }
        });
    }
}
