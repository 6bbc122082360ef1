//! How is a statement ended that runs too long?
//!
//! The server ends the statement by itself, because each connection has a `statement_timeout`. So there is nothing to do
//! here.

use sqlx::postgres::PgConnection;
use tokio::time::Instant;

/// Does nothing, because the server ends the statement.
#[derive(Clone, Copy, Debug)]
pub struct Brake;

impl Brake {
    #[expect(clippy::unused_async, reason = "SQLite has to ask its connection")]
    pub async fn of(_connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        Ok(Self)
    }

    pub fn set(self, _due: Instant) {}
    pub fn pull(self) {}
    pub fn release(self) {}
}
