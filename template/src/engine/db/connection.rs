//! What becomes of a connection when its user is done with it?
//!
//! One whose last statement ended well goes back at once, without a round trip. One that was given up
//! half-way, whose statement failed, or whose transaction is open, is settled first, in a task of its own: what
//! is left is read, the transaction rolled back. Whatever cannot be settled in time is closed. The permit
//! waits for that, so that no more statements run in the database than the pool has connections.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::{Connection as _, raw_sql};
use tokio::runtime::Handle;

use super::driver::{self, Raw};
use super::pool::Permit;
use super::{Pool, Trouble};

/// A connection with its permit. `&mut connection` runs queries.
#[derive(Debug)]
pub struct Connection {
    /// None only while it is dropped.
    parts: Option<(Raw, Permit)>,
    in_transaction: bool,
    pub(super) state: State,
    pub(super) pool: Pool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Settled,
    /// A statement failed or was given up half-way: nobody knows what the driver still has to read.
    Unsettled,
    /// The connection is lost, or its statement does not end.
    Lost,
}

impl Connection {
    pub(super) fn new(raw: Raw, permit: Permit, pool: &Pool) -> Self {
        Self { parts: Some((raw, permit)), in_transaction: false, state: State::Settled, pool: pool.clone() }
    }

    /// The driver's own connection, and in which state it is. What runs on it escapes `db_query_seconds`.
    #[expect(clippy::expect_used, reason = "taken in drop alone")]
    pub(super) fn parts(&mut self) -> (&mut Raw, &mut State) {
        (&mut self.parts.as_mut().expect("present until dropped").0, &mut self.state)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((mut raw, permit)) = self.parts.take() else { return };
        let (state, in_transaction) = (self.state, self.in_transaction);
        if !in_transaction && state == State::Settled {
            return self.pool.give_back(raw, permit);
        }
        // Without a runtime there is nobody left who could wait for it.
        let Ok(runtime) = Handle::try_current() else { return };
        let pool = self.pool.clone();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            let settled = state != State::Lost && settle(&pool, &mut raw, in_transaction).await;
            if settled {
                pool.give_back(raw, permit);
            } else {
                // The permit waits for this, too: the bound on connections holds.
                driver::discard(raw).await;
                drop(permit);
            }
        });
    }
}

/// Brings a connection to where its next user may begin, if that can be done. Waits as long as a
/// statement may take: one that was given up still keeps the database busy, so its permit is not free.
async fn settle(pool: &Pool, raw: &mut Raw, in_transaction: bool) -> bool {
    let settled = async {
        match raw.ping().await {
            // It read what was left over, and that was the error of the statement that was given up.
            Err(error) if !Trouble::is_of_connection(&error) => raw.ping().await?,
            outcome => outcome?,
        }
        match raw_sql("ROLLBACK").execute(raw).await {
            // Without a transaction of ours there may still be one that a statement began, or none.
            Err(error) if in_transaction || Trouble::is_of_connection(&error) => Err(error),
            _ => Ok(()),
        }
    };
    pool.0.bounded(settled, Duration::ZERO).await.is_ok()
}

/// A transaction: `&mut *transaction` runs queries, as with sqlx's own.
#[derive(Debug)]
pub struct Transaction(Connection);

impl Transaction {
    pub(super) async fn begin(mut connection: Connection, begin: &'static str) -> Result<Self, sqlx::Error> {
        connection.in_transaction = true; // before the statement: it may be cancelled half-way
        raw_sql(begin).execute(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Makes it all permanent.
    ///
    /// # Errors
    /// The database refused, or a statement before had failed: nothing was changed. Or the answer did not come:
    /// nobody knows, and the log says so. The same when this is dropped before it is done.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        let mut commit = Commit { is_answered: false };
        let outcome = raw_sql(driver::COMMIT).execute(&mut self.0).await;
        commit.is_answered = outcome.as_ref().err().is_none_or(|error| !Trouble::is_of_connection(error));
        outcome?;
        self.0.in_transaction = false;
        Ok(())
    }
}

/// A COMMIT on its way. The database may have done it although its answer never came.
struct Commit {
    is_answered: bool,
}

impl Drop for Commit {
    fn drop(&mut self) {
        if !self.is_answered {
            tracing::warn!("commit: nobody knows whether it was done");
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
