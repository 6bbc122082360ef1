//! How is a new connection opened, and what if that takes long?
//!
//! Opening a connection to a far database takes some eight round trips, which may be more than a request can wait.
//! So it goes on in a task of its own for up to `database.connect_timeout`, whoever still waits for it, and the
//! connection is kept for the next request.

use std::io;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::driver::Connector;
use super::session::Session;
use super::{Pool, Pulse, Trouble};

/// A connection that was not opened, or not in time, with the permit for it if nobody else has that.
pub(super) struct Unopened {
    pub error: sqlx::Error,
    pub permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Opens a connection. The permit stays with the attempt, so that there are never more connections than
    /// permits.
    pub(super) async fn open(
        &self,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(Session, OwnedSemaphorePermit), Unopened> {
        let (done, opened) = oneshot::channel();
        let pool = self.clone();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        Handle::current().spawn(async move {
            if let Err((Ok(session), permit)) = done.send((pool.connect().await, permit)) {
                pool.give_back(session, permit); // nobody waits for it any more
            }
        });
        match timeout_at(deadline, opened).await {
            Ok(Ok((Ok(session), permit))) => Ok((session, permit)),
            Ok(Ok((Err(error), permit))) => Err(Unopened { error, permit: Some(permit) }),
            Ok(Err(_)) => Err(Unopened { error: sqlx::Error::PoolClosed, permit: None }),
            Err(_) => {
                self.0.meters.timeouts.increment(1);
                Err(Unopened { error: unreached("database.acquire_timeout"), permit: None })
            }
        }
    }

    pub(super) async fn connect(&self) -> Result<Session, sqlx::Error> {
        let connecting = in_time(&self.0.connector, &self.0.pulse);
        let Some(connected) = self.0.closing.run_until_cancelled(connecting).await else {
            return Err(sqlx::Error::PoolClosed);
        };
        match &connected {
            Ok(_) => self.0.pulse.answered(),
            Err(error) if Trouble::is_of_connection(error) => self.0.pulse.lost(), // perhaps the idle ones, too
            Err(_) => {}
        }
        connected
    }
}

/// One attempt after another, each with more time than the one before, until `database.connect_timeout`.
pub(super) async fn in_time(connector: &Connector, pulse: &Pulse) -> Result<Session, sqlx::Error> {
    let mut patience = pulse.opening_patience();
    let attempts = async {
        loop {
            match timeout(patience, connector.connect()).await {
                Ok(outcome) => return outcome,
                Err(_) => patience *= 2,
            }
        }
    };
    let bound = connector.connect_timeout();
    timeout(bound, attempts).await.unwrap_or_else(|_| Err(unreached(CONNECT_TIMEOUT)))
}

/// The bound of a driver's attempt to connect.
pub(super) const CONNECT_TIMEOUT: &str = "database.connect_timeout";

pub(super) fn unreached(bound: &str) -> sqlx::Error {
    let text = format!("no connection in time, within {bound}");
    sqlx::Error::Io(io::Error::new(io::ErrorKind::NotConnected, text))
}
