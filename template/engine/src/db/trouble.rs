//! What does an error of the database mean to a request?

use std::io::ErrorKind::TimedOut;

use super::driver;

/// What an error of the database means to a request: whether to try again, for one.
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
    /// The statement cannot be done, the database is well.
    Refused,
    /// Another request did the same, or holds what this one needs: it may work the next time.
    Conflict,
    /// Somebody else holds the lock, or the last place, for longer than we wait.
    Busy,
    /// The statement took longer than `database.statement_timeout`.
    Slow,
    /// The database cannot be reached, or cannot use its files.
    Away,
}

impl Trouble {
    /// Which of these an error is.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            _ if driver::is_stale(error) => Self::Conflict,
            sqlx::Error::Database(error) => driver::trouble(error.code().as_deref().unwrap_or_default()),
            // Our own. The system's timeouts say that a connection is lost.
            sqlx::Error::Io(error) if error.kind() == TimedOut && error.raw_os_error().is_none() => {
                Self::Slow
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Self::Away,
            _ => Self::Refused,
        }
    }

    /// Whether the connection that says so is of no use any more.
    pub(super) fn is_of_connection(error: &sqlx::Error) -> bool {
        Self::of(error) == Self::Away || matches!(error, sqlx::Error::Io(_))
    }
}
