//! What do the errors of PostgreSQL mean?

use std::borrow::Cow;
use std::io::ErrorKind;

use sqlx::postgres::PgDatabaseError;

use super::super::super::trouble::Trouble;

/// What an SQLSTATE means (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub fn trouble(code: &str) -> Trouble {
    match code {
        "40001" | "40P01" => Trouble::Conflict, // serialization_failure, deadlock_detected
        "55P03" => Trouble::Busy,               // lock_not_available
        "57014" | "25P03" => Trouble::Slow,     // query_canceled, idle_in_transaction_session_timeout
        // The server is read-only: after a failover, another server is the one to write to.
        "25006" => Trouble::Away,
        _ => match code.get(..2) {
            Some("53") => Trouble::Busy, // insufficient resources: connections, memory, disk
            // Connection exceptions, refused log-ins, no such database, operator intervention, system errors.
            Some("08" | "28" | "3D" | "57" | "58") => Trouble::Away,
            _ => Trouble::Refused,
        },
    }
}

/// Whether a migration changed what a prepared statement returns. The connection would refuse this statement for
/// ever, since sqlx prepares it once.
pub fn is_stale(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.is_some_and(|error| error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery"))
}

pub fn no_such_table(error: &sqlx::Error) -> bool {
    code(error) == "42P01"
}

/// No error ends a transaction here: a transaction that has failed refuses everything until it is ended.
pub fn ends_transaction(_error: &sqlx::Error) -> bool {
    false
}

/// The SQLSTATE. Empty if the error does not come from the server.
pub fn code(error: &sqlx::Error) -> Cow<'_, str> {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default()
}

/// Whether the connection could not be encrypted as the URL asks for.
pub fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == ErrorKind::InvalidData, // a certificate
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_by_themselves_or_else_by_their_class() {
        for (code, expected) in [
            ("40001", Trouble::Conflict),
            ("40P01", Trouble::Conflict),
            ("55P03", Trouble::Busy),
            ("53300", Trouble::Busy), // too_many_connections
            ("57014", Trouble::Slow),
            ("25P03", Trouble::Slow),
            ("25006", Trouble::Away),
            ("08006", Trouble::Away),    // connection_failure
            ("28P01", Trouble::Away),    // invalid_password
            ("3D000", Trouble::Away),    // invalid_catalog_name
            ("57P03", Trouble::Away),    // cannot_connect_now
            ("58030", Trouble::Away),    // io_error
            ("23505", Trouble::Refused), // unique_violation
            ("42P01", Trouble::Refused), // undefined_table
            ("40002", Trouble::Refused), // transaction_integrity_constraint_violation
            ("5", Trouble::Refused),
            ("", Trouble::Refused),
            ("ä", Trouble::Refused),
            ("1ä", Trouble::Refused),
        ] {
            assert_eq!(trouble(code), expected, "{code}");
        }
    }

    #[test]
    fn an_error_that_the_server_did_not_send_has_no_code() {
        assert_eq!(code(&sqlx::Error::RowNotFound), "");
        assert!(!is_stale(&sqlx::Error::RowNotFound));
        assert!(!no_such_table(&sqlx::Error::RowNotFound));
    }

    #[test]
    fn a_certificate_that_is_refused_is_told_from_a_lost_connection() {
        let error = |kind: ErrorKind| sqlx::Error::Io(kind.into());
        assert!(is_tls(&error(ErrorKind::InvalidData)));
        assert!(is_tls(&sqlx::Error::Tls("refused".into())));
        assert!(!is_tls(&error(ErrorKind::ConnectionReset)));
    }
}
