//! How does a transaction begin and end?

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Error, raw_sql};

use super::codes::code;

/// Begins a transaction, whether or not it will write.
pub const BEGIN_TO_WRITE: &str = "BEGIN";

/// PostgreSQL answers COMMIT of a transaction that has failed with a rollback and no error, but a statement before COMMIT
/// fails there. Both together take one round trip.
pub const COMMIT: &str = "SELECT 1; COMMIT";

/// The server goes on with a statement that was given up, and the transaction stays open.
pub const GIVEN_UP_ENDS_TRANSACTION: bool = false;

/// Ends the transaction that is open, if one is. `ours` is one that was begun here and not ended.
pub async fn roll_back(connection: &mut PgConnection, ours: bool) -> Result<bool, sqlx::Error> {
    if ours {
        return raw_sql("ROLLBACK").execute(connection).await.map(|_| true);
    }
    // Where no transaction is open, a ROLLBACK would put a warning into the server's log. The driver knows whether one is
    // open. This is the only call that tells us.
    match connection.begin_with("").await {
        Ok(open) => return open.rollback().await.map(|()| true),
        Err(Error::BeginFailed) => {}
        Err(error) => return Err(error),
    }
    match raw_sql("SELECT 1").execute(&mut *connection).await {
        Ok(_) => Ok(false),
        // The transaction has failed, and refuses everything but its end.
        Err(error) if code(&error) == "25P02" => raw_sql("ROLLBACK").execute(connection).await.map(|_| true),
        Err(error) => Err(error),
    }
}
