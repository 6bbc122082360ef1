//! Who waits for a connection, and for how long?
//!
//! Permits in front, as many as the pool may have connections, and a stack of idle connections behind:
//! whoever has a permit finds a connection or opens one, and never waits for another. sqlx's own pool
//! cannot tell these apart: its `acquire` is permit wait, ping and connecting in one
//! (<https://github.com/launchbadge/sqlx/pull/1860>), and it pings at each return, too. Nor has this one
//! its troubles: a count of idle connections that underflows (issue 3645), a permit lost for ever to a
//! dead peer (4349: here whatever settles a connection has a bound), a connect that fails although a
//! connection is idle (2848: here only who finds none idle connects).

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, mem};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use sqlx::{Connection as _, raw_sql};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::driver::{self, Connector, Raw};
use super::{Pulse, Trouble};
use crate::engine::config;
use crate::engine::metrics::{Counted, Timed};

/// A connection that was idle for longer is asked whether it is still there before it is used. Higher: after
/// a restart of the database or a firewall's forgetting, first statements fail. Lower: a round trip more
/// for a service that is not busy.
const TRUSTED: Duration = Duration::from_secs(1);
/// One that does not answer within this time is given up for a new one. Higher: requests wait for dead
/// connections. Lower: a slow network costs connections.
const CHECK: Duration = Duration::from_millis(500);

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
    pub(super) statement_timeout: Duration,
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
        let idle = self.change_idle(Vec::pop);
        let raw = match idle {
            Some(Idle { raw, since }) if self.is_trusted(since) => raw,
            idle => {
                let _timed = Timed::into(&self.0.meters.connect);
                match self.check(idle).await {
                    Some(raw) => raw,
                    None => self.connect(deadline).await?,
                }
            }
        };
        let permit = Permit { _free: permit, _in_use: Counted::enter(&self.0.meters.in_use) };
        let parts = Some((raw, permit));
        Ok(Connection { parts, in_transaction: false, state: State::Settled, pool: self.clone() })
    }

    fn is_trusted(&self, idle_since: Instant) -> bool {
        idle_since.elapsed() < TRUSTED && !self.0.pulse.lost_since(idle_since.into_std())
    }

    /// The idle connection, if there is one and it answers.
    async fn check(&self, idle: Option<Idle>) -> Option<Raw> {
        let mut raw = idle?.raw;
        if let Ok(Ok(())) = timeout(CHECK, raw.ping()).await {
            return Some(raw);
        }
        self.0.pulse.lost(); // others that were idle with it may be lost, too
        driver::discard(raw).await;
        None
    }

    async fn connect(&self, deadline: Instant) -> Result<Raw, sqlx::Error> {
        let connected = timeout_at(deadline, self.0.connector.connect()).await.unwrap_or_else(|_| {
            self.0.meters.timeouts.increment(1);
            let text = "cannot connect within database.acquire_timeout";
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::NotConnected, text)))
        });
        connected.inspect_err(|error| {
            if Trouble::is_of_connection(error) {
                self.0.pulse.lost(); // perhaps the idle ones, too
            }
        })
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        let meters = &self.0.meters;
        if let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            meters.acquire.record(0.0);
            return Ok(permit);
        }
        let _waiting = Counted::enter(&meters.waiters);
        let _timed = Timed::into(&meters.acquire);
        match timeout_at(deadline, Arc::clone(&self.0.permits).acquire_owned()).await {
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
        let mut connection = self.acquire().await?;
        connection.in_transaction = true; // before the statement: it may be cancelled half-way
        raw_sql(self.0.begin).execute(&mut connection).await?;
        Ok(Transaction(connection))
    }

    /// Closes the connections, once all are back.
    pub(super) async fn close(&self) {
        let _all = self.0.permits.acquire_many(self.0.size).await;
        self.0.permits.close();
        for idle in self.change_idle(mem::take) {
            let _ = idle.raw.close().await;
        }
    }

    fn give_back(&self, raw: Raw, permit: Permit) {
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
struct Permit {
    _free: OwnedSemaphorePermit,
    _in_use: Counted,
}

/// A connection with its permit. `&mut connection` runs queries.
#[derive(Debug)]
pub struct Connection {
    /// None only while it is dropped.
    parts: Option<(Raw, Permit)>,
    in_transaction: bool,
    pub(super) state: State,
    pub(super) pool: Pool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Settled,
    /// A statement failed or was given up half-way: nobody knows what the driver still has to read.
    Unsettled,
    /// The connection is lost, or its statement does not end.
    Lost,
}

impl Connection {
    /// The driver's own connection, and in which state it is. What runs on it escapes `db_query_seconds`.
    #[expect(clippy::expect_used, reason = "taken in drop alone")]
    pub(super) fn parts(&mut self) -> (&mut Raw, &mut State) {
        (&mut self.parts.as_mut().expect("present until dropped").0, &mut self.state)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((mut raw, permit)) = self.parts.take() else { return };
        let (state, in_transaction) = (self.state, self.in_transaction);
        if !in_transaction && state == State::Settled {
            return self.pool.give_back(raw, permit);
        }
        // Without a runtime there is nobody left who could wait for it.
        let Ok(runtime) = Handle::try_current() else { return };
        let pool = self.pool.clone();
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            let settled = state != State::Lost
                && matches!(
                    timeout(pool.0.acquire_timeout, settle(&mut raw, in_transaction)).await,
                    Ok(Ok(()))
                );
            if settled {
                pool.give_back(raw, permit);
            } else {
                // The permit waits for it, so that the bound on connections holds.
                driver::discard(raw).await;
                drop(permit);
            }
        });
    }
}

/// Brings a connection to where its next user may begin.
async fn settle(raw: &mut Raw, in_transaction: bool) -> Result<(), sqlx::Error> {
    raw.ping().await?; // reads what is left over
    let rolled_back = raw_sql("ROLLBACK").execute(raw).await;
    // Without a transaction of ours there may still be one that a statement began.
    if in_transaction { rolled_back.map(drop) } else { Ok(()) }
}

/// A transaction: `&mut *transaction` runs queries, as with sqlx's own.
#[derive(Debug)]
pub struct Transaction(Connection);

impl Transaction {
    /// Makes it all permanent.
    ///
    /// # Errors
    /// The database refused; nothing was changed.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        raw_sql("COMMIT").execute(&mut self.0).await?;
        self.0.in_transaction = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
