//! How does a transaction begin and end?

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Error};

/// Begins a transaction that only reads.
pub const BEGIN_TO_READ: &str = "BEGIN";

/// Begins a transaction that will write. It takes the lock now: a transaction that begins as a reader and then writes
/// fails at once if another one has written in between.
pub const BEGIN_TO_WRITE: &str = "BEGIN IMMEDIATE";

/// This statement fails if there is no transaction to commit.
pub const COMMIT: &str = "COMMIT";

/// A statement that was given up while it ran is interrupted, which ends its whole transaction.
pub const GIVEN_UP_ENDS_TRANSACTION: bool = true;

/// Ends the transaction that is open, if one is. `ours` is one that was begun here and not ended.
pub async fn roll_back(connection: &mut SqliteConnection, _ours: bool) -> Result<bool, sqlx::Error> {
    // The driver knows whether a transaction is open. This is the only call that tells us.
    match connection.begin_with("").await {
        Ok(open) => open.rollback().await.map(|()| true),
        Err(Error::BeginFailed) => Ok(false),
        Err(error) => Err(error),
    }
}
