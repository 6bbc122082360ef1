//! Is the database there?
//!
//! Every answer to a request says so. When no request asks for a while, a probe does, on a connection of
//! its own: a saturated pool is not an outage. What it finds decides over readiness, over statements that
//! wait for an answer that will not come, and over connections that were idle meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::driver::{self, Connector};
use super::{Db, Trouble};
use crate::engine::log::millis;

/// Readiness turns 503 after this long without an answer of the database. Higher: users see the outage
/// first. Lower: one slow checkpoint takes the service out of rotation.
pub const UNREADY_AFTER: Duration = Duration::from_secs(2);
/// A quiet service asks the database this often whether it is there.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// An answer that takes longer is none; two attempts with [`PROBE_EVERY`] before them, and an outage is known
/// within [`UNREADY_AFTER`]. Higher: statements wait longer for a lost database. Lower: they are given up while it
/// is only slow.
const PROBE_PATIENCE: Duration = Duration::from_millis(650);

/// What is known of the database without asking it. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse {
    origin: Instant,
    state: Arc<State>,
}

/// Times in milliseconds since the origin.
#[derive(Debug, Default)]
struct State {
    answered: AtomicU64,
    lost: AtomicU64,
    away: AtomicBool,
}

impl Pulse {
    pub(super) fn now() -> Self {
        Self { origin: Instant::now(), state: Arc::default() }
    }

    /// The database answered.
    pub(super) fn answered(&self) {
        self.state.answered.store(self.millis(), Relaxed);
        // Read first: a store by each statement would make the cores wait for each other.
        if self.away() {
            self.state.away.store(false, Relaxed);
        }
    }

    /// A connection was lost.
    pub(super) fn lost(&self) {
        self.state.lost.store(self.millis(), Relaxed);
    }

    /// Whether a connection was lost after `idle_since`: then that one may be lost, too.
    pub(super) fn lost_since(&self, idle_since: Instant) -> bool {
        let idle_since = idle_since.saturating_duration_since(self.origin).as_millis() as u64;
        let lost = self.state.lost.load(Relaxed);
        lost > 0 && lost >= idle_since
    }

    /// Whether the probe found nobody, and nothing has answered since.
    pub(super) fn away(&self) -> bool {
        self.state.away.load(Relaxed)
    }

    /// Time since the database last answered anything.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_millis(self.state.answered.load(Relaxed)))
    }

    fn millis(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

impl Db {
    /// Asks the database whether it is there whenever no request did lately.
    pub(in crate::engine) async fn probe(self, stop: CancellationToken) {
        let (pulse, connector) = (self.pulse(), &self.about.reader);
        let mut connection = None;
        let mut pause = PROBE_EVERY;
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            pause = PROBE_EVERY.saturating_sub(pulse.age());
            if !pause.is_zero() {
                continue; // a request has asked meanwhile
            }
            pause = PROBE_EVERY;
            let asked = Instant::now();
            let Err(error) = ask(&mut connection, connector).await else {
                pulse.answered();
                continue;
            };
            connection = None;
            // Somebody else's statement may have been answered meanwhile.
            if pulse.age() >= asked.elapsed() {
                pulse.lost();
                pulse.state.away.store(true, Relaxed);
            }
            tracing::warn!(error, unanswered_ms = millis(pulse.age()), "database does not answer");
        }
    }
}

/// Asks on the open connection, if there is one; that one alone may be lost, so then on a new one.
async fn ask(connection: &mut Option<driver::Raw>, connector: &Connector) -> Result<(), String> {
    if let Some(open) = connection
        && let Ok(Ok(())) = timeout(PROBE_PATIENCE, driver::ask(open)).await
    {
        return Ok(());
    }
    let anew = async { driver::ask(connection.insert(connector.connect().await?)).await };
    match timeout(PROBE_PATIENCE, anew).await {
        Err(_) => Err("no answer".to_owned()),
        Ok(Err(error)) if Trouble::of(&error) == Trouble::Away => Err(format!("{error:?}")),
        // One that is full or refuses the question is there.
        Ok(_) => Ok(()),
    }
}
