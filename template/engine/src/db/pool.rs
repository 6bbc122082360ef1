//! Who waits for a connection, and for how long?
//!
//! There are as many permits as the pool may have connections, and there is a stack of idle connections. A request that
//! has a permit takes an idle connection or opens a new one, and never waits for another request. sqlx's own pool cannot
//! tell these waits apart: its `acquire` is the wait for a permit, the ping and the connecting in one
//! (<https://github.com/launchbadge/sqlx/pull/1860>), and it pings at each return, too. This pool does not have three
//! other problems of sqlx's pool either. There, a count of idle connections underflows (issue 3645). A permit is lost for
//! ever to a dead peer (4349); here, all steps that settle a connection have a bound. A request waits for a place at a
//! full server while a connection of ours is idle (2848); here, each attempt looks for an idle connection first.
//!
//! Opening a connection to a far database takes some eight round trips, which may be more than a request can wait. So the
//! opening goes on in a task of its own for up to `database.connect_timeout`, even when nobody waits for it any more, and
//! the connection is kept for the next request.
//!
//! If `db_pool_acquire_seconds` is high, the pool is too small, or connections are held for too long. If
//! `db_pool_connect_seconds` is high, the way to the database is slow, or the server has no place left.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::driver::{self, Connector, PoolPlan};
use super::idle::IdleStack;
use super::meters::{self, PoolMeters};
use super::opening::in_time;
use super::pulse::Pulse;
use super::session::DbSession;
use super::timeouts::unreached;
use super::trouble::Trouble;
use crate::config;
use crate::ledger::Phase;
use crate::measure::{Counted, Timed};
use crate::request;

/// Where the server has no place for another connection, the next attempt comes after this. Higher: a place
/// that is free again stays empty. Lower: a full server is asked more often.
const FULL: Duration = Duration::from_millis(50);

/// A pool of connections to the database. It has a bound on how many are used at once (`database.max_connections`; one
/// connection in SQLite's pool for writing). Cheap to clone.
///
/// Give `&pool` to a query of sqlx's, or call [`begin`](Self::begin) for a transaction:
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
///
/// The wait for a connection fails after `database.acquire_timeout`. The wait for the answer to a statement fails after
/// `database.statement_timeout`. A statement that takes longer than a second is in the log, with its text.
///
/// A statement runs to its end, even if your code asks for one row only (`fetch_one`, `fetch_optional`). So write
/// `LIMIT 1` if you want one row.
#[derive(Clone, Debug)]
pub struct Pool(pub(super) Arc<PoolCore>);

/// What the clones of a pool share.
#[derive(Debug)]
pub(super) struct PoolCore {
    permits: Arc<Semaphore>,
    idle: IdleStack,
    pub connector: Connector,
    size: u32,
    /// The statement that begins a transaction.
    pub begin: &'static str,
    acquire_timeout: Duration,
    idle_timeout: Duration,
    pub statement_timeout: Duration,
    /// Once it is cancelled, no connection is opened any more.
    closing: CancellationToken,
    pub pulse: Pulse,
    pub meters: PoolMeters,
}

/// The right to one connection, counted while the connection is in use.
#[derive(Debug)]
pub(super) struct Permit {
    _free: OwnedSemaphorePermit,
    _in_use: Counted,
}

/// The error when a connection was not opened in time or not at all. It has the permit, unless the attempt goes on and
/// keeps the permit.
struct Unopened {
    error: sqlx::Error,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// A pool with one connection.
    pub(super) async fn new(
        plan: PoolPlan,
        config: &config::DatabaseConfig,
        pulse: Pulse,
    ) -> Result<Self, sqlx::Error> {
        let PoolPlan { name, size, begin, connector, first, opening } = plan;
        let first = DbSession::of(first, &connector).await?;
        let pool = Self(Arc::new(PoolCore {
            permits: Arc::new(Semaphore::new(size as usize)),
            idle: IdleStack::new(meters::idle(name)),
            connector,
            size,
            begin,
            acquire_timeout: config.acquire_timeout,
            idle_timeout: config.idle_timeout,
            closing: CancellationToken::new(),
            statement_timeout: config.statement_timeout,
            pulse,
            meters: PoolMeters::new(name, size),
        }));
        pool.0.meters.connect.record(opening);
        pool.0.idle.push(first, Instant::now());
        Ok(pool)
    }

    /// A connection that is idle, or a new one, and the right to use it.
    pub(super) async fn take(&self) -> Result<(DbSession, Permit), sqlx::Error> {
        let deadline = Instant::now() + self.0.acquire_timeout;
        let mut permit = self.permit(deadline).await?;
        let mut full = None;
        let (session, permit) = loop {
            match self.idle_or_new(permit, deadline).await {
                Ok(ready) => break ready,
                // The server has no place left. One of our connections may become idle before another client leaves.
                Err(Unopened { error, permit: Some(again) })
                    if Trouble::of(&error) == Trouble::Busy && Instant::now() + FULL < deadline =>
                {
                    (full, permit) = (Some(error), again);
                    request::wait(Phase::DbConnect, sleep(FULL)).await;
                }
                // The last attempt may have been cut short. Then its error says less than the error of the attempt before.
                Err(Unopened { error, .. }) => return Err(full.unwrap_or(error)),
            }
        };
        let permit = Permit { _free: permit, _in_use: Counted::enter(&self.0.meters.in_use) };
        Ok((session, permit))
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

    async fn idle_or_new(
        &self,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(DbSession, OwnedSemaphorePermit), Unopened> {
        let pulse = &self.0.pulse;
        let idle = match self.0.idle.pop() {
            Some(idle) if idle.is_trusted(pulse) => return Ok((idle.session, permit)),
            idle => idle,
        };
        let _timed = Timed::into(&self.0.meters.connect);
        let ready = async {
            if let Some(idle) = idle
                && let Some(session) = idle.checked(pulse, deadline).await
            {
                return Ok((session, permit));
            }
            self.open(permit, deadline).await
        };
        request::wait(Phase::DbConnect, ready).await
    }

    /// Opens a connection. The permit stays with the attempt, so that there are never more connections than permits.
    async fn open(
        &self,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(DbSession, OwnedSemaphorePermit), Unopened> {
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

    async fn connect(&self) -> Result<DbSession, sqlx::Error> {
        let connecting = in_time(&self.0.connector, &self.0.pulse);
        let Some(connected) = self.0.closing.run_until_cancelled(connecting).await else {
            return Err(sqlx::Error::PoolClosed);
        };
        match &connected {
            Ok(_) => self.0.pulse.answered(),
            Err(error) if Trouble::is_of_connection(error) => self.0.pulse.lost(), // idle connections may be lost, too
            Err(_) => {}
        }
        connected
    }

    /// Takes a connection back. `permit` may hold more than the permit, such as what counts the use of the connection.
    pub(super) fn give_back<P: Send + 'static>(&self, session: DbSession, permit: P) {
        let now = Instant::now();
        if session.has_expired(now) {
            return self.replace(session, permit);
        }
        self.0.idle.push(session, now);
        drop(permit); // only now may the next request look for the connection
    }

    /// Closes connections that have not been used for `database.idle_timeout`, except the last one, and replaces
    /// connections that are older than `database.max_lifetime`. It holds a permit for each of them, since a request that
    /// comes meanwhile may open another connection.
    pub(super) async fn close_unused(&self) {
        while let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            let now = Instant::now();
            match self.0.idle.take_unused(now, self.0.idle_timeout) {
                None => return,
                Some(idle) if idle.session.has_expired(now) => self.replace(idle.session, permit),
                Some(idle) => driver::discard(idle.session.raw).await,
            }
        }
    }

    /// Opens another connection in the place of one that has lived long enough. The permit waits until the new connection
    /// is open, so that no request has to wait for that, and the bound on connections holds.
    fn replace<P: Send + 'static>(&self, session: DbSession, permit: P) {
        let Ok(runtime) = Handle::try_current() else { return };
        let pool = self.clone();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            driver::discard(session.raw).await;
            let _timed = Timed::into(&pool.0.meters.connect);
            if let Ok(session) = pool.connect().await {
                pool.0.idle.push(session, Instant::now());
            }
            drop(permit);
        });
    }

    /// From now on, no connection is opened.
    pub(super) fn begin_to_close(&self) {
        self.0.closing.cancel();
    }

    /// Closes the connections, once all are back.
    pub(super) async fn close(&self) {
        self.begin_to_close();
        let _all = self.0.permits.acquire_many(self.0.size).await;
        self.0.permits.close();
        for idle in self.0.idle.take_all() {
            driver::close(idle.session.raw).await;
        }
    }
}
