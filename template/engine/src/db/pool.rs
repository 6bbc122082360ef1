//! Who waits for a connection, and for how long?
//!
//! Permits in front, as many as the pool may have connections, and a stack of idle connections behind:
//! whoever has a permit finds a connection or opens one, and never waits for another. sqlx's own pool
//! cannot tell these apart: its `acquire` is permit wait, ping and connecting in one
//! (<https://github.com/launchbadge/sqlx/pull/1860>), and it pings at each return, too. Nor has this one
//! its troubles: a count of idle connections that underflows (issue 3645), a permit lost for ever to a
//! dead peer (4349: here whatever settles a connection has a bound), a wait for a place at a full server while
//! a connection of ours is idle (2848: here each attempt looks for an idle one first).

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use sqlx::Connection as _;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::driver::{self, Connector};
use super::opening::Unopened;
use super::session::Session;
use super::{Connection, Pulse, Transaction, Trouble};
use crate::config;
use crate::ledger::Phase;
use crate::measure::{Counted, Timed};
use crate::request;

/// A connection that was idle for longer is asked whether it is still there before it is used. Higher: after
/// a restart of the database or a firewall's forgetting, first statements fail. Lower: a round trip more
/// for a service that is not busy.
const TRUSTED: Duration = Duration::from_secs(1);
/// One that does not answer within this time is given up for a new one; a far database has
/// [longer](Pulse::patience). Higher: requests wait for dead connections. Lower: a slow network costs connections.
const CHECK: Duration = Duration::from_millis(500);
/// Where the server has no place for another connection, the next attempt comes after this. Higher: a place
/// that is free again stays empty. Lower: a full server is asked more often.
const FULL: Duration = Duration::from_millis(50);

/// A pool of connections to the database, with a bound on how many are used at once. Cheap to clone.
///
/// Give `&pool` to a query of sqlx's, or [`begin`](Self::begin) a transaction:
///
/// ```
/// use longpole::{Pool, sqlx};
///
/// async fn move_all(pool: &Pool, from: i64, to: i64) -> Result<(), sqlx::Error> {
///     let mut transaction = pool.begin().await?;
///     sqlx::query("UPDATE books SET shelf = $1 WHERE shelf = $2").bind(to).bind(from).execute(&mut *transaction).await?;
///     sqlx::query("DELETE FROM shelves WHERE id = $1").bind(from).execute(&mut *transaction).await?;
///     transaction.commit().await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Pool(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    permits: Arc<Semaphore>,
    /// The one used last is used next, so that the others can rest.
    idle: Mutex<Vec<Idle>>,
    pub(super) connector: Connector,
    size: u32,
    begin: &'static str,
    acquire_timeout: Duration,
    idle_timeout: Duration,
    pub(super) statement_timeout: Duration,
    /// From now on no connection is opened.
    pub(super) closing: CancellationToken,
    pub(super) pulse: Pulse,
    pub(super) meters: Meters,
}

#[derive(Debug)]
struct Idle {
    session: Session,
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
    pub(super) timeouts: Counter,
}

impl Pool {
    /// `begin` is the statement that begins a transaction.
    pub(super) fn new(
        name: &'static str,
        size: u32,
        begin: &'static str,
        config: &config::DatabaseConfig,
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
            idle_timeout: config.idle_timeout,
            closing: CancellationToken::new(),
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
        let mut permit = self.permit(deadline).await?;
        let mut full = None;
        let (session, permit) = loop {
            match self.idle_or_new(permit, deadline).await {
                Ok(ready) => break ready,
                // The server has no place left: one of ours may become idle before another's ends.
                Err(Unopened { error, permit: Some(again) })
                    if Trouble::of(&error) == Trouble::Busy && Instant::now() + FULL < deadline =>
                {
                    (full, permit) = (Some(error), again);
                    request::wait(Phase::DbConnect, sleep(FULL)).await;
                }
                // The last attempt may have been cut short.
                Err(Unopened { error, .. }) => return Err(full.unwrap_or(error)),
            }
        };
        let permit = Permit { _free: permit, _in_use: Counted::enter(&self.0.meters.in_use) };
        Ok(Connection::new(session, permit, self))
    }

    async fn idle_or_new(
        &self,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(Session, OwnedSemaphorePermit), Unopened> {
        let idle = match self.change_idle(Vec::pop) {
            Some(Idle { session, since }) if self.is_trusted(since) => return Ok((session, permit)),
            idle => idle,
        };
        let _timed = Timed::into(&self.0.meters.connect);
        let ready = async {
            match self.check(idle, deadline).await {
                Some(session) => Ok((session, permit)),
                None => self.open(permit, deadline).await,
            }
        };
        request::wait(Phase::DbConnect, ready).await
    }

    fn is_trusted(&self, idle_since: Instant) -> bool {
        idle_since.elapsed() < TRUSTED && !self.0.pulse.lost_since(idle_since.into_std())
    }

    /// The idle connection, if there is one and it answers.
    async fn check(&self, idle: Option<Idle>, deadline: Instant) -> Option<Session> {
        let mut session = idle?.session;
        let patience = deadline.min(Instant::now() + self.0.pulse.patience(CHECK));
        if let Ok(Ok(())) = timeout_at(patience, session.raw.ping()).await {
            self.0.pulse.answered();
            return Some(session);
        }
        self.0.pulse.lost(); // others that were idle with it may be lost, too
        let _ = timeout_at(patience, driver::discard(session.raw)).await;
        None
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
        match request::wait(Phase::DbWait, permit).await {
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
        self.0.closing.cancel();
        let _all = self.0.permits.acquire_many(self.0.size).await;
        self.0.permits.close();
        for idle in self.change_idle(mem::take) {
            let _ = idle.session.raw.close().await;
        }
    }

    /// A connection that is open already, and took so long to open.
    pub(super) fn adopt(&self, session: Session, opening: Duration) {
        self.0.meters.connect.record(opening);
        self.put(session);
    }

    fn put(&self, session: Session) {
        self.change_idle(|idle| idle.push(Idle { session, since: Instant::now() }));
    }

    /// The permit may be the one of whoever used the connection, with what counts the use.
    pub(super) fn give_back<P: Send + 'static>(&self, session: Session, permit: P) {
        let now = Instant::now();
        if session.has_expired(now) {
            return self.replace(session, permit);
        }
        self.change_idle(|idle| idle.push(Idle { session, since: now }));
        drop(permit); // only now may the next one look for it
    }

    /// Closes what has not been used for `database.idle_timeout`, but for the last one, which the next request is
    /// spared to open; and replaces what is older than `database.max_lifetime`. Each with a permit in hand, since a
    /// request that comes meanwhile may open another.
    pub(super) async fn close_unused(&self) {
        while let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            let now = Instant::now();
            let unused = self.change_idle(|idle| {
                let may_go = idle.len() > 1;
                let is_unused = |idle: &Idle| may_go && now - idle.since > self.0.idle_timeout;
                let place = idle.iter().position(|idle| idle.session.has_expired(now) || is_unused(idle));
                place.map(|place| idle.remove(place))
            });
            match unused {
                None => return,
                Some(idle) if idle.session.has_expired(now) => self.replace(idle.session, permit),
                Some(idle) => driver::discard(idle.session.raw).await,
            }
        }
    }

    /// The connection has lived long enough. Its permit waits until another one is open in its place, so that no
    /// request has to wait for that, and the bound on connections holds.
    fn replace<P: Send + 'static>(&self, session: Session, permit: P) {
        let Ok(runtime) = Handle::try_current() else { return };
        let pool = self.clone();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            driver::discard(session.raw).await;
            let _timed = Timed::into(&pool.0.meters.connect);
            if let Ok(session) = pool.connect().await {
                pool.put(session);
            }
            drop(permit);
        });
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
