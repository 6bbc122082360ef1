//! How is a connection opened, when an attempt may get no answer at all?

use tokio::time::timeout;

use super::driver::Connector;
use super::pulse::Pulse;
use super::session::DbSession;
use super::timeouts::{CONNECT_TIMEOUT, unreached};

/// Makes one attempt after another, each with more time than the one before, until `database.connect_timeout`.
pub(super) async fn in_time(connector: &Connector, pulse: &Pulse) -> Result<DbSession, sqlx::Error> {
    let mut patience = pulse.opening_patience();
    let attempts = async {
        loop {
            match timeout(patience, DbSession::open(connector)).await {
                Ok(outcome) => return outcome,
                Err(_) => patience *= 2,
            }
        }
    };
    let bound = connector.connect_timeout();
    timeout(bound, attempts).await.unwrap_or_else(|_| Err(unreached(CONNECT_TIMEOUT)))
}
