//! What can an error of the database mean to a request, and to its client?

use axum::http::StatusCode;
use sqlx::error::ErrorKind;

use crate::http::problem::Problem;

/// What an error of the database means to a request, for example whether to try again.
///
/// ```
/// use longpole::{Trouble, sqlx};
///
/// let error = sqlx::Error::RowNotFound;
///
/// assert_eq!(Trouble::of(&error), Trouble::Refused);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The statement cannot be done. The database is well.
    Refused,
    /// Another request did the same, or holds what this request needs. The statement may work the next time.
    Conflict,
    /// Somebody else holds the lock, or the last place on the server, for longer than we wait.
    Busy,
    /// The statement took longer than `database.statement_timeout`.
    Slow,
    /// The database cannot be reached, or cannot use its files.
    Away,
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        match (&error, Trouble::of(&error)) {
            (sqlx::Error::RowNotFound, _) => Self::not_found(),
            (sqlx::Error::PoolTimedOut, _) => {
                tracing::warn!("no database connection within database.acquire_timeout");
                Self::overloaded("No database connection became free in time.")
            }
            (sqlx::Error::PoolClosed, _) => Self::overloaded("The service is shutting down."),
            (_, Trouble::Away) => {
                tracing::error!(error = %error, "database away");
                Self::overloaded("The database does not answer.")
            }
            (_, Trouble::Busy) => {
                tracing::warn!(error = %error, "database busy");
                Self::overloaded("The database is busy.")
            }
            (_, Trouble::Conflict) => {
                tracing::warn!(error = %error, "database conflict");
                Self::overloaded("Another request changed the same data. Nothing was done.")
            }
            (_, Trouble::Slow) => {
                tracing::warn!(error = %error, "database too slow");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "The database took too long.")
            }
            _ if is(&error, ErrorKind::UniqueViolation) => {
                Self::new(StatusCode::CONFLICT, "This already exists.")
            }
            _ if is(&error, ErrorKind::ForeignKeyViolation) => Self::new(
                StatusCode::CONFLICT,
                "It refers to something that does not exist, or something still refers to it.",
            ),
            _ => {
                tracing::error!(error = %error, "database error");
                Self::internal()
            }
        }
    }
}

fn is(error: &sqlx::Error, kind: ErrorKind) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() == kind)
}
