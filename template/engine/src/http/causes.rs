//! What does a client see of each error that `?` turns into a [`Problem`]?
//!
//! Links and extractors fail with errors of their own. Here, and only here, each of these errors gets a status and
//! words for the client, and its details go to the log.

use axum::extract::path::ErrorKind as PathErrorKind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
#[cfg(feature = "_database")]
use sqlx::error::ErrorKind;

use super::limit::TooLarge;
use super::problem::{Problem, without_types};
#[cfg(feature = "_database")]
use crate::db::Trouble;
use crate::http_client::CallError;
use crate::offload::OffloadError;

#[cfg(feature = "_database")]
impl From<sqlx::Error> for Problem {
    /// Chooses the status, and logs the error. It is not logged if the status is 404 or 409, or if the pool is closed.
    ///
    /// | the error | status |
    /// |---|---|
    /// | [`RowNotFound`](sqlx::Error::RowNotFound) | 404 |
    /// | a value breaks a unique index or a foreign key | 409 |
    /// | [`PoolTimedOut`](sqlx::Error::PoolTimedOut), [`PoolClosed`](sqlx::Error::PoolClosed) | 503 |
    /// | [`Trouble::Away`], [`Trouble::Busy`], [`Trouble::Conflict`] | 503 |
    /// | [`Trouble::Slow`] | 504 |
    /// | any other error | 500 |
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

#[cfg(feature = "_database")]
fn is(error: &sqlx::Error, kind: ErrorKind) -> bool {
    error.as_database_error().is_some_and(|error| error.kind() == kind)
}

impl From<CallError> for Problem {
    /// 504 for [`CallError::TimedOut`], and 502 for every other error. The error is logged.
    fn from(error: CallError) -> Self {
        match error {
            CallError::TimedOut => {
                tracing::warn!("another service took longer than http_client.timeout");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "Another service took too long.")
            }
            CallError::Failed(error) => Self::bad_gateway(&error),
            CallError::Closed(error) => {
                tracing::warn!(
                    error = ?error,
                    "another service closed a connection that had been idle instead of answering, and the request \
                     must not be sent twice: lower http_client.idle_timeout, or send an idempotency-key"
                );
                Self::new(StatusCode::BAD_GATEWAY, "Another service does not answer as it should.")
            }
            CallError::TooLarge => Self::bad_gateway(&"an answer is larger than http_client.body_limit"),
            // The error itself is not logged, because it quotes the answer.
            CallError::NotJson(error) => {
                Self::bad_gateway(&("not the JSON that was expected", error.line(), error.column()))
            }
        }
    }
}

impl Problem {
    fn bad_gateway(error: &dyn std::fmt::Debug) -> Self {
        tracing::warn!(error = ?error, "another service cannot be asked");
        Self::new(StatusCode::BAD_GATEWAY, "Another service does not answer as it should.")
    }
}

impl From<OffloadError> for Problem {
    /// 503 for [`OffloadError::QueueFull`], and 500 for [`OffloadError::Panicked`].
    fn from(error: OffloadError) -> Self {
        match error {
            OffloadError::QueueFull => Self::overloaded("Too much work is waiting for a thread."),
            OffloadError::Panicked => Self::internal(), // the panic hook has logged it
        }
    }
}

impl From<TooLarge> for Problem {
    /// 413.
    fn from(_: TooLarge) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than this service accepts.")
    }
}

impl From<PathRejection> for Problem {
    /// A parameter of the wrong kind makes 404, because nothing has such an address. A type that does not fit its route
    /// makes 500, because it is a mistake in the service.
    fn from(rejection: PathRejection) -> Self {
        let kind = match &rejection {
            PathRejection::FailedToDeserializePathParams(failed) => Some(failed.kind()),
            _ => None,
        };
        match kind {
            Some(
                PathErrorKind::ParseError { .. }
                | PathErrorKind::ParseErrorAtIndex { .. }
                | PathErrorKind::ParseErrorAtKey { .. }
                | PathErrorKind::DeserializeError { .. },
            ) => Self::not_found(),
            Some(PathErrorKind::InvalidUtf8InPathParam { .. }) => {
                Self::new(StatusCode::BAD_REQUEST, "The address is not valid UTF-8 once it is decoded.")
            }
            // A type of the owner has refused the value. If a type does not fit its route, the message is another one.
            Some(PathErrorKind::Message(text)) if !is_of_shape(text) => Self::not_found(),
            _ => {
                tracing::error!(error = rejection.body_text(), "this `Path<…>` does not fit its route");
                Self::internal()
            }
        }
    }
}

/// Whether serde says that the type expects other names, or another number of values, than the route has.
fn is_of_shape(text: &str) -> bool {
    ["missing field `", "unknown field `", "invalid length ", "invalid type: "]
        .iter()
        .any(|words| text.starts_with(words))
}

impl From<QueryRejection> for Problem {
    /// 400 with a sentence about the parameter that is wrong. A type that is not a struct makes 500, because it is a
    /// mistake in the service.
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        // A query string is a map, whatever the client writes, so the type of the handler is wrong.
        if detail.starts_with("invalid type: map, expected ") {
            tracing::error!(error = text, "this `Query<…>` is not a struct");
            return Self::internal();
        }
        let detail = without_types(detail);
        Self::new(StatusCode::BAD_REQUEST, format!("The query string is not valid: {detail}."))
    }
}
