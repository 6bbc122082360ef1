//! Was a transaction done, or is it undone?

use std::ops::{Deref, DerefMut};

use sqlx::raw_sql;

use super::connection::Connection;
use super::driver;
use super::pool::Pool;
use super::trouble::Trouble;

/// A transaction of the database, which [`Pool::begin`] returns. Give `&mut *transaction` to a query, as with sqlx's own
/// transaction.
///
/// It is rolled back unless it is committed. To roll it back, drop it; there is no method for that. For a part that can be
/// undone alone, run `SAVEPOINT` and `ROLLBACK TO` as statements.
#[derive(Debug)]
pub struct Transaction(Connection);

impl Pool {
    /// Begins a transaction. If it is dropped without [`commit`](Transaction::commit), it is rolled back.
    ///
    /// Until the transaction ends, run its statements on `&mut *transaction` and never on `&db.write`. With SQLite's one
    /// connection for writing, such a statement would wait for the end of the transaction, and the transaction for the
    /// statement, until `database.acquire_timeout` ends the wait.
    ///
    /// # Errors
    /// The errors of [`acquire`](Self::acquire), and the database's own if it refuses to begin.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let mut connection = self.acquire().await?;
        connection.in_transaction = true; // before the statement, which may be cancelled half-way
        raw_sql(self.0.begin).execute(&mut connection).await?;
        Ok(Transaction(connection))
    }
}

impl Transaction {
    /// Makes permanent what was done in the transaction.
    ///
    /// # Errors
    /// The database has refused, or an earlier statement has failed in such a way that the database has given up the
    /// transaction. Then nothing was changed. If the database did not answer, nobody knows whether the changes were made,
    /// and the log says so. The same holds if the future of this call is dropped before it is ready.
    ///
    /// With PostgreSQL, each statement that fails gives up the transaction. With SQLite, only some errors do. After others,
    /// such as a broken unique index, the statements before it can still be committed, so return the error of each
    /// statement (`?`), and the transaction is dropped.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        // For a transaction that the database has rolled back already, no COMMIT is sent.
        let mut commit = Commit { is_answered: self.0.is_over() };
        let outcome = raw_sql(driver::COMMIT).execute(&mut self.0).await;
        commit.is_answered |= outcome.as_ref().err().is_none_or(|error| !Trouble::is_of_connection(error));
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
