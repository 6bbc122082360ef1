//! When is an answer of the database no longer waited for?

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::pulse::Pulse;
use super::timeouts::{stopped_answering, unanswered};

/// A statement gets this much longer than `database.statement_timeout`, so that the database reports its own timeout
/// first. The connection can then be used again, while a connection that is given up here must be closed. Higher:
/// requests wait longer for a connection that is cut. Lower: good connections are thrown away.
const MARGIN: Duration = Duration::from_millis(500);
/// A waiting statement looks this often whether the database is still there. Higher: the statement waits longer for a
/// database that is lost. Lower: looking costs CPU.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits for an answer of the database until the answer must have come. `waited` is the time that the request has already
/// waited for it. Without this bound, a request would wait until its own deadline for a database that is gone, or on a
/// connection that a firewall has cut without telling anybody.
pub(super) async fn bounded<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
    waited: Duration,
    statement_timeout: Duration,
    pulse: &Pulse,
) -> Result<T, sqlx::Error> {
    let mut answer = pin!(answer);
    let margin = pulse.patience(MARGIN);
    let give_up = Instant::now() + (statement_timeout + margin).saturating_sub(waited);
    loop {
        let look = give_up.min(Instant::now() + LOOK_EVERY);
        // `timeout_at` asks for the answer before it looks at the time. So an answer counts that came while the event
        // loop was stalled.
        match timeout_at(look, &mut answer).await {
            Ok(answer) => return answer,
            Err(_) if pulse.away() => return Err(stopped_answering()),
            Err(_) if Instant::now() >= give_up => return Err(unanswered()),
            Err(_) => {}
        }
    }
}
