//! Is the process alive, and may it be sent requests?
//!
//! `/livez` is 503 when only a restart can help: the main runtime has been stuck for `watchdog.dead_after`. `/readyz`
//! is 503 when this replica should get no requests now: while it starts or drains, while its event loop is stalled, and
//! while its database does not answer. A replica whose pool is exhausted stays ready: without it, the other replicas
//! would be busier.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "_database")]
use super::db::Pulse;
use super::ledger::Clock;
use super::life::{Life, Stage};
#[cfg(feature = "_database")]
use super::links::Links;

/// A stall that is longer than this makes the replica unready. Higher: users wait longer in a replica that is stuck.
/// Lower: one long poll moves the load of this replica to the others.
pub const UNREADY_STALL: Duration = Duration::from_secs(1);

/// What the probes know. Clones share it.
#[derive(Clone)]
pub struct Health {
    life: Life,
    #[cfg(feature = "_database")]
    database: Arc<OnceLock<Pulse>>,
    clock: Arc<OnceLock<Clock>>,
}

impl Health {
    pub(super) fn new(life: &Life) -> Self {
        Self {
            life: life.clone(),
            #[cfg(feature = "_database")]
            database: Arc::default(),
            clock: Arc::default(),
        }
    }

    /// From now on `/readyz` asks whether the database answers, too.
    #[cfg(feature = "_database")]
    pub(super) fn links_are_open(&self, links: &Links) {
        let _ = self.database.set(links.db.pulse());
    }

    pub(super) fn watched(&self, clock: Clock) {
        let _ = self.clock.set(clock);
    }

    /// The time for which the main runtime has not answered; zero if it answers.
    #[must_use]
    pub fn stall(&self) -> Duration {
        let stall = |clock: &Clock| {
            let since = clock.outstanding()?;
            Some(Duration::from_nanos(clock.now().saturating_sub(since)))
        };
        self.clock.get().and_then(stall).unwrap_or_default()
    }

    /// The reasons why this replica must not get requests; empty if it may.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.life.stage() {
            Stage::Starting => reasons.push("starting".to_owned()),
            Stage::Serving => {}
            _ => reasons.push("draining".to_owned()),
        }
        let stall = self.stall();
        if stall > UNREADY_STALL {
            reasons.push(format!("event loop stalled for {} ms", stall.as_millis()));
        }
        // The probe of the database runs on the event loop. While the loop is stalled, silence says nothing about the
        // database.
        #[cfg(feature = "_database")]
        if let Some(database) = self.database.get()
            && database.age() > database.unready_after()
            && stall <= UNREADY_STALL
        {
            reasons.push(match database.refusal() {
                Some(refusal) => format!("database refuses this service: {refusal}"),
                None => format!("database has not answered for {} ms", database.age().as_millis()),
            });
        }
        reasons
    }
}
