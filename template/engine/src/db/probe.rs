//! Who asks the database whether it is there, when no request does?
//!
//! The probe has a connection of its own, since a saturated pool is not an outage. What it finds is kept in the
//! [pulse](super::pulse). Look at the lines "database does not answer" of the log.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::driver::{self, Connector};
use super::opening::in_time;
use super::pool::Pool;
use super::pulse::{PROBE_EVERY, Pulse};
use super::session::DbSession;
use super::sqlx_pool::SqlxPool;
use super::timeouts::unreached;
use super::tries::ATTEMPT;
use super::trouble::Trouble;
use crate::units::millis;

/// How long the probe waits for an answer if the database is near. A pause of [`PROBE_EVERY`] and two attempts, one on the
/// old connection and one on a new one, fit into the time after which the replica is not ready. Higher: statements wait
/// longer for a lost database. Lower: statements are given up although the database is only slow.
const PROBE_PATIENCE: Duration = Duration::from_millis(650);

/// Why a question was not answered.
enum Silence {
    NoAnswer,
    /// The database cannot be reached, or refuses us.
    Error(sqlx::Error),
}

/// Asks the database whether it is there whenever no request has asked it lately, and closes connections that nobody
/// uses.
pub(super) struct Probe {
    pub pools: [Pool; 2],
    pub sqlx_pool: Option<SqlxPool>,
    /// Opens the probe's own connection.
    pub connector: Connector,
    pub pulse: Pulse,
}

impl Probe {
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep_asking()).await;
    }

    async fn keep_asking(&self) {
        let pulse = &self.pulse;
        let mut connection = None;
        let mut pause = PROBE_EVERY;
        loop {
            sleep(pause).await;
            self.close_unused().await;
            self.sqlx_pool.iter().for_each(SqlxPool::publish);
            pause = PROBE_EVERY.saturating_sub(pulse.age());
            if !pause.is_zero() {
                continue; // a request has asked meanwhile
            }
            pause = PROBE_EVERY;
            if let Some(open) = connection.take()
                && let Some(open) = still_there(open, pulse).await
            {
                pulse.answered();
                connection = Some(if open.has_expired(tokio::time::Instant::now()) {
                    self.renewed(open).await
                } else {
                    open
                });
                continue;
            }
            connection = self.ask_anew().await;
        }
    }

    /// Opens a new connection in the place of an old one that still works. If that takes long, the old connection
    /// stays: a busy server is no outage.
    async fn renewed(&self, old: DbSession) -> DbSession {
        match timeout(PROBE_PATIENCE, DbSession::open(&self.connector)).await {
            Ok(Ok(new)) => {
                driver::discard(old.raw).await;
                new
            }
            _ => old,
        }
    }

    /// Asks on a new connection. The opening goes on for `database.connect_timeout`, even when the database already
    /// counts as away. If the database has moved far away, the probe would otherwise give up each time before the database
    /// can answer.
    async fn ask_anew(&self) -> Option<DbSession> {
        let pulse = &self.pulse;
        let asked = Instant::now();
        let mut asking = pin!(async {
            let mut session = in_time(&self.connector, pulse).await?;
            let asked = Instant::now();
            let answer = timeout(pulse.patience(ATTEMPT), driver::ask(&mut session.raw)).await;
            answer.unwrap_or_else(|_| Err(unreached("the time for an answer")))?;
            pulse.first_round_trip(asked.elapsed());
            Ok(session)
        });
        let mut outcome = timeout(pulse.first_answer_patience(PROBE_PATIENCE), &mut asking).await;
        if outcome.is_err() {
            self.missed(asked, &Silence::NoAnswer);
            outcome = Ok(asking.await);
        }
        match outcome {
            Ok(Ok(session)) => {
                pulse.answered();
                Some(session)
            }
            // A database that is full or refuses the question is there.
            Ok(Err(error)) if Trouble::of(&error) != Trouble::Away => {
                pulse.answered();
                None
            }
            Ok(Err(error)) => {
                self.missed(asked, &Silence::Error(error));
                None
            }
            _ => {
                self.missed(asked, &Silence::NoAnswer);
                None
            }
        }
    }

    fn missed(&self, asked: Instant, silence: &Silence) {
        self.pulse.missed(
            asked,
            match silence {
                Silence::Error(error) => error.as_database_error().map(|error| error.message().to_owned()),
                Silence::NoAnswer => None,
            },
        );
        let unanswered_ms = millis(self.pulse.age());
        match silence {
            Silence::NoAnswer => {
                tracing::warn!(error = "no answer", unanswered_ms, "database does not answer")
            }
            Silence::Error(error) => tracing::warn!(?error, unanswered_ms, "database does not answer"),
        }
    }

    async fn close_unused(&self) {
        for pool in &self.pools {
            pool.close_unused().await;
        }
    }
}

/// The connection, if it answers.
async fn still_there(mut open: DbSession, pulse: &Pulse) -> Option<DbSession> {
    let asked = Instant::now();
    let answer = timeout(pulse.patience(PROBE_PATIENCE), driver::ask(&mut open.raw)).await;
    matches!(answer, Ok(Ok(()))).then(|| {
        pulse.round_trip(asked.elapsed());
        open
    })
}
