//! Who waits for a connection, and for how long?
//!
//! Permits in front, as many as the pool may have connections, and a stack of idle connections behind:
//! whoever has a permit finds a connection or opens one, and never waits for another. sqlx's own pool
//! cannot tell these apart: its `acquire` is permit wait, ping and connecting in one
//! (<https://github.com/launchbadge/sqlx/pull/1860>), and it pings at each return, too. Nor has this one
//! its troubles: a count of idle connections that underflows (issue 3645), a permit lost for ever to a
//! dead peer (4349: here whatever settles a connection has a bound), a wait for a place at a full server while
//! a connection of ours is idle (2848: here each attempt looks for an idle one first).

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, mem};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use sqlx::Connection as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::driver::{self, Connector, Raw};
use super::{Connection, Pulse, Transaction, Trouble};
use crate::engine::config;
use crate::engine::ledger::{self, Phase};
use crate::engine::metrics::{Counted, Timed};

/// A connection that was idle for longer is asked whether it is still there before it is used. Higher: after
/// a restart of the database or a firewall's forgetting, first statements fail. Lower: a round trip more
/// for a service that is not busy.
const TRUSTED: Duration = Duration::from_secs(1);
/// One that does not answer within this time is given up for a new one. Higher: requests wait for dead
/// connections. Lower: a slow network costs connections.
const CHECK: Duration = Duration::from_millis(500);
/// Where the server has no place for another connection, the next attempt comes after this. Higher: a place
/// that is free again stays empty. Lower: a full server is asked more often.
const FULL: Duration = Duration::from_millis(50);
/// For the database's own timeout to be told first: its connection can be used again. Higher: requests wait
/// longer for a connection that is cut. Lower: good connections are thrown away.
const MARGIN: Duration = Duration::from_millis(500);
/// A waiting statement looks this often whether the database is still there. Higher: it waits longer for
/// one that is lost. Lower: CPU.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A bounded pool of connections. Cheap to clone. Give `&pool` to a query, or [`begin`](Self::begin) a
/// transaction.
#[derive(Clone, Debug)]
pub struct Pool(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    permits: Arc<Semaphore>,
    /// The one used last is used next, so that the others can rest.
    idle: Mutex<Vec<Idle>>,
    connector: Connector,
    size: u32,
    begin: &'static str,
    acquire_timeout: Duration,
    statement_timeout: Duration,
    pub(super) pulse: Pulse,
    pub(super) meters: Meters,
}

#[derive(Debug)]
struct Idle {
    raw: Raw,
    since: Instant,
}

#[derive(Debug)]
pub(super) struct Meters {
    acquire: Histogram,
    connect: Histogram,
    pub(super) query: Histogram,
    waiters: Gauge,
    idle: Gauge,
    in_use: Gauge,
    timeouts: Counter,
}

impl Pool {
    /// `begin` is the statement that begins a transaction.
    pub(super) fn new(
        name: &'static str,
        size: u32,
        begin: &'static str,
        config: &config::Database,
        connector: Connector,
        pulse: Pulse,
    ) -> Self {
        let meters = Meters {
            acquire: histogram!("db_pool_acquire_seconds", "pool" => name),
            connect: histogram!("db_pool_connect_seconds", "pool" => name),
            query: histogram!("db_query_seconds", "pool" => name),
            waiters: gauge!("db_pool_waiters", "pool" => name),
            idle: gauge!("db_pool_connections", "pool" => name, "state" => "idle"),
            in_use: gauge!("db_pool_connections", "pool" => name, "state" => "in_use"),
            timeouts: counter!("db_pool_timeouts_total", "pool" => name),
        };
        gauge!("db_pool_max_connections", "pool" => name).set(size);
        Self(Arc::new(Inner {
            permits: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::default(),
            connector,
            size,
            begin,
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.statement_timeout,
            pulse,
            meters,
        }))
    }

    /// A connection, for when several statements must use the same one. Hold it as shortly as you can:
    /// never across a call to another service.
    ///
    /// # Errors
    /// After `database.acquire_timeout`: [`sqlx::Error::PoolTimedOut`] if no connection became free,
    /// [`sqlx::Error::Io`] if none could be opened.
    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let deadline = Instant::now() + self.0.acquire_timeout;
        let permit = self.permit(deadline).await?;
        let mut full = None;
        let raw = loop {
            match self.idle_or_new(deadline).await {
                Ok(raw) => break raw,
                // The server has no place left: one of ours may become idle before another's ends.
                Err(error) if Trouble::of(&error) == Trouble::Busy && Instant::now() + FULL < deadline => {
                    full = Some(error);
                    ledger::wait(Phase::DbConnect, sleep(FULL)).await;
                }
                // The last attempt may have been cut short.
                Err(error) => return Err(full.unwrap_or(error)),
            }
        };
        let permit = Permit { _free: permit, _in_use: Counted::enter(&self.0.meters.in_use) };
        Ok(Connection::new(raw, permit, self))
    }

    async fn idle_or_new(&self, deadline: Instant) -> Result<Raw, sqlx::Error> {
        let idle = match self.change_idle(Vec::pop) {
            Some(Idle { raw, since }) if self.is_trusted(since) => return Ok(raw),
            idle => idle,
        };
        let _timed = Timed::into(&self.0.meters.connect);
        let ready = async {
            match self.check(idle, deadline).await {
                Some(raw) => Ok(raw),
                None => self.connect(deadline).await,
            }
        };
        ledger::wait(Phase::DbConnect, ready).await
    }

    fn is_trusted(&self, idle_since: Instant) -> bool {
        idle_since.elapsed() < TRUSTED && !self.0.pulse.lost_since(idle_since.into_std())
    }

    /// The idle connection, if there is one and it answers.
    async fn check(&self, idle: Option<Idle>, deadline: Instant) -> Option<Raw> {
        let mut raw = idle?.raw;
        let patience = deadline.min(Instant::now() + CHECK);
        if let Ok(Ok(())) = timeout_at(patience, raw.ping()).await {
            self.0.pulse.answered();
            return Some(raw);
        }
        self.0.pulse.lost(); // others that were idle with it may be lost, too
        let _ = timeout_at(patience, driver::discard(raw)).await;
        None
    }

    async fn connect(&self, deadline: Instant) -> Result<Raw, sqlx::Error> {
        let connected = timeout_at(deadline, self.0.connector.connect()).await.unwrap_or_else(|_| {
            self.0.meters.timeouts.increment(1);
            let text = "cannot connect within database.acquire_timeout";
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::NotConnected, text)))
        });
        match &connected {
            Ok(_) => self.0.pulse.answered(),
            Err(error) if Trouble::is_of_connection(error) => self.0.pulse.lost(), // perhaps the idle ones, too
            Err(_) => {}
        }
        connected
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        let meters = &self.0.meters;
        if let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            meters.acquire.record(0.0);
            return Ok(permit);
        }
        let _waiting = Counted::enter(&meters.waiters);
        let _timed = Timed::into(&meters.acquire);
        let permit = timeout_at(deadline, Arc::clone(&self.0.permits).acquire_owned());
        match ledger::wait(Phase::DbWait, permit).await {
            Ok(permit) => permit.map_err(|_| sqlx::Error::PoolClosed),
            Err(_) => {
                meters.timeouts.increment(1);
                Err(sqlx::Error::PoolTimedOut)
            }
        }
    }

    /// Begins a transaction; dropped without [`commit`](Transaction::commit) it is rolled back.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire), and when the database refuses to begin.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        Transaction::begin(self.acquire().await?, self.0.begin).await
    }

    /// Closes the connections, once all are back.
    pub(super) async fn close(&self) {
        let _all = self.0.permits.acquire_many(self.0.size).await;
        self.0.permits.close();
        for idle in self.change_idle(mem::take) {
            let _ = idle.raw.close().await;
        }
    }

    pub(super) fn give_back(&self, raw: Raw, permit: Permit) {
        self.change_idle(|idle| idle.push(Idle { raw, since: Instant::now() }));
        drop(permit); // only now may the next one look for it
    }

    fn change_idle<T>(&self, change: impl FnOnce(&mut Vec<Idle>) -> T) -> T {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut idle);
        self.0.meters.idle.set(idle.len() as f64);
        changed
    }
}

/// The right to one connection, counted while it is in use.
#[derive(Debug)]
pub(super) struct Permit {
    _free: OwnedSemaphorePermit,
    _in_use: Counted,
}

impl Inner {
    /// Waits for an answer of the database, `waited` already, until it must have come. One that is gone, or a
    /// connection that a firewall has cut without a word, would else be waited for until the request's own
    /// deadline.
    pub(super) async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
        waited: Duration,
    ) -> Result<T, sqlx::Error> {
        let mut answer = pin!(answer);
        let give_up = Instant::now() + (self.statement_timeout + MARGIN).saturating_sub(waited);
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
