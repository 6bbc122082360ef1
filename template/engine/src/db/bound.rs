//! When is an answer of the database no longer waited for?

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::pool::Inner;

/// For the database's own timeout to be told first: its connection can be used again. Higher: requests wait
/// longer for a connection that is cut. Lower: good connections are thrown away.
const MARGIN: Duration = Duration::from_millis(500);
/// A waiting statement looks this often whether the database is still there. Higher: it waits longer for
/// one that is lost. Lower: CPU.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Inner {
    /// Waits for an answer of the database, `waited` already, until it must have come. Otherwise a database that is
    /// gone, or a connection that a firewall has cut without a word, would be waited for until the request's own
    /// deadline.
    pub(super) async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
        waited: Duration,
    ) -> Result<T, sqlx::Error> {
        let mut answer = pin!(answer);
        let margin = self.pulse.patience(MARGIN);
        let give_up = Instant::now() + (self.statement_timeout + margin).saturating_sub(waited);
        loop {
            let look = give_up.min(Instant::now() + LOOK_EVERY);
            // In this order: an answer that came while the event loop was stalled counts.
            match timeout_at(look, &mut answer).await {
                Ok(answer) => return answer,
                Err(_) if self.pulse.away() => {
                    let text = "the database has stopped answering";
                    return Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionAborted, text)));
                }
                Err(_) if Instant::now() >= give_up => {
                    let text = "no answer within database.statement_timeout";
                    return Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)));
                }
                Err(_) => {}
            }
        }
    }
}
