//! Why can the server not be used, and what can be done about it?

use super::super::super::trouble::Trouble;
use super::super::super::unusable::Unusable;
use super::codes::{code, is_tls};
use crate::config::SecretUrl;

/// Why the server cannot be used. A server that is not there yet, or is full, may be usable soon.
pub fn unusable(url: &SecretUrl, error: &sqlx::Error) -> Unusable {
    let advice = match &*code(error) {
        code if code.starts_with("28") => "Check the user, its password, and pg_hba.conf of the server",
        "3D000" => "Create it, or name another",
        _ if is_tls(error) => "Check sslmode, sslrootcert and the server's certificate",
        "55P03" | "40P01" => {
            let advice = "Somebody else holds a lock that this needs: see pg_stat_activity and pg_locks";
            return Unusable::new(url, error, advice).passing();
        }
        code if code.starts_with("53") => {
            let advice = "The server has no place left: see its max_connections, and platform.replicas here";
            return Unusable::new(url, error, advice).passing();
        }
        _ if matches!(Trouble::of(error), Trouble::Away | Trouble::Busy | Trouble::Conflict) => {
            return Unusable::new(url, error, "Is it running, and can it be reached from here?").passing();
        }
        _ => "May this user do that?",
    };
    Unusable::new(url, error, advice)
}

/// The server did not answer in time.
pub fn silent(url: &SecretUrl) -> Unusable {
    Unusable::new(url, &"no answer", "Is it running, and does a firewall swallow the packets?").passing()
}

/// The pooler that stands before the server cannot be used.
pub fn loses_statements(url: &SecretUrl) -> Unusable {
    let problem = "a pooler in transaction mode stands before the server, and loses prepared statements";
    let advice = "Go to the server directly, or let the pooler use session mode, or PgBouncer 1.21 or later \
                  with max_prepared_statements above 0";
    Unusable::new(url, &problem, advice)
}
