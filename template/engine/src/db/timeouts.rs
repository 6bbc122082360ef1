//! Which error says that a bound of ours was reached?
//!
//! sqlx has no error for that. So we make an error of input and output. [`Trouble::of`](super::Trouble::of) tells it
//! from an error of the system, which has a number.

use std::io::{self, ErrorKind};

/// The name of the setting that bounds the opening of a connection.
pub(super) const CONNECT_TIMEOUT: &str = "database.connect_timeout";

/// No connection could be opened, or none that answers, within this bound.
pub(super) fn unreached(bound: &str) -> sqlx::Error {
    error(ErrorKind::NotConnected, format!("no connection in time, within {bound}"))
}

/// The probe found that the database is away, while a statement waited for its answer.
pub(super) fn stopped_answering() -> sqlx::Error {
    error(ErrorKind::ConnectionAborted, "the database has stopped answering")
}

/// The statement has had all the time that it may have.
pub(super) fn unanswered() -> sqlx::Error {
    error(ErrorKind::TimedOut, "no answer within database.statement_timeout")
}

/// A statement of this transaction had to be interrupted, and the interruption has ended the whole transaction.
pub(super) fn rolled_back() -> sqlx::Error {
    let text = "a statement took too long, and the database has rolled this transaction back";
    error(ErrorKind::TimedOut, text)
}

fn error(kind: ErrorKind, text: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(kind, text.into()))
}
