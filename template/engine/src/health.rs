//! Is the process alive, and may it be sent requests?
//!
//! `/livez` asks whether a restart would help: only a main runtime that has been stuck for
//! `watchdog.dead_after` says no. `/readyz` asks whether this replica should get requests now: not while
//! it starts or drains, while its event loop is stalled, or while its database does not answer. A
//! saturated pool is ready: taking a busy replica away makes the others busier.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "_database")]
use super::db::Pulse;
use super::ledger::Clock;
use super::life::{Life, Stage};
#[cfg(feature = "_database")]
use super::links::Links;

/// A stall of this length makes the replica unready. Higher: users wait longer in a stuck one. Lower: one
/// long poll moves its load to the others.
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

    /// From now on the links are watched, too.
    #[cfg(feature = "_database")]
    pub(super) fn links_are_open(&self, links: &Links) {
        let _ = self.database.set(links.db.pulse());
    }

    pub(super) fn watched(&self, clock: Clock) {
        let _ = self.clock.set(clock);
    }

    /// How long the main runtime has not answered; zero when it is well.
    #[must_use]
    pub fn stall(&self) -> Duration {
        let stall = |clock: &Clock| {
            let since = clock.outstanding()?;
            Some(Duration::from_nanos(clock.now().saturating_sub(since)))
        };
        self.clock.get().and_then(stall).unwrap_or_default()
    }

    /// Why this replica must not get requests; empty when it may.
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
        // The probe runs on the event loop: while that is stalled, the database's silence says nothing.
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
