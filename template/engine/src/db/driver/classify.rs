//! What does an error mean to a request?

use std::io::ErrorKind::TimedOut;

use super::super::trouble::Trouble;
#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
use super::postgres::codes;
#[cfg(feature = "sqlite")]
use super::sqlite::codes;

impl Trouble {
    /// Which of these an error is. An error is always one of them; what fits none of the others is
    /// [`Refused`](Self::Refused).
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            _ if codes::is_stale(error) => Self::Conflict,
            sqlx::Error::Database(error) => codes::trouble(error.code().as_deref().unwrap_or_default()),
            // This timeout is ours. A timeout of the system has a number, and says that the connection is lost.
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

    /// Whether the connection that gave this error is of no use any more.
    pub(in crate::db) fn is_of_connection(error: &sqlx::Error) -> bool {
        Self::of(error) == Self::Away || matches!(error, sqlx::Error::Io(_))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::super::timeouts::{rolled_back, stopped_answering, unanswered, unreached};
    use super::*;

    #[test]
    fn a_bound_of_ours_means_slow_or_away_and_ends_the_connection() {
        for (error, trouble) in [
            (unanswered(), Trouble::Slow),
            (rolled_back(), Trouble::Slow),
            (unreached("database.connect_timeout"), Trouble::Away),
            (stopped_answering(), Trouble::Away),
        ] {
            assert_eq!(Trouble::of(&error), trouble, "{error}");
            assert!(Trouble::is_of_connection(&error), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_timeout_of_the_system_means_that_the_database_is_away() {
        let timed_out = io::Error::from_raw_os_error(110); // ETIMEDOUT of Linux
        if timed_out.kind() == TimedOut {
            assert_eq!(Trouble::of(&sqlx::Error::Io(timed_out)), Trouble::Away);
        }
    }

    #[test]
    fn what_is_no_error_of_the_database_leaves_the_connection_as_it_is() {
        for error in [sqlx::Error::RowNotFound, sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert_eq!(Trouble::of(&error), Trouble::Refused, "{error}");
            assert!(!Trouble::is_of_connection(&error), "{error}");
        }
        let lost = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(Trouble::is_of_connection(&sqlx::Error::Io(lost)));
        assert_eq!(Trouble::of(&sqlx::Error::WorkerCrashed), Trouble::Away);
    }
}
