//! How often and for how long does the start try, while the database is not there yet?

use std::time::Duration;

use tokio::time::sleep;

/// While the start waits for the database, it tries this often. Higher: the service is up later than it
/// could be. Lower: replicas that start together ask a struggling database again and again.
pub(super) const TRY_EVERY: Duration = Duration::from_millis(500);

/// The answer to a question on an open connection may take this long at the start. Higher: a first packet that was lost
/// holds up the start. Lower: a database that is slow while it recovers, or far away, is never opened.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);

/// Waits until the next try. Replicas that started together must not try at the same moments, since each may hold what
/// the others wait for: a place at a pooler, or the lock for the migrations.
pub(super) async fn until_the_next() {
    sleep(TRY_EVERY.mul_f64(0.5 + fastrand::f64())).await;
}
