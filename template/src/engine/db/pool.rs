//! Who waits for a connection, and for how long?
//!
//! Permits in front, as many as the pool may have connections, and a stack of idle connections behind:
//! whoever has a permit finds a connection or opens one, and never waits for another. sqlx's own pool
//! cannot tell these apart: its `acquire` is permit wait, ping and connecting in one
//! (<https://github.com/launchbadge/sqlx/pull/1860>), and it pings at each return, too.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use sqlx::{ConnectOptions, Connection as _, Database, raw_sql};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Driver, LastAnswer};
use crate::engine::config;
use crate::engine::metrics::{Counted, Timed};

/// The driver's own connection, and what opens one.
pub(super) type Raw = <Driver as Database>::Connection;
pub(super) type Options = <Raw as sqlx::Connection>::Options;

/// A bounded pool of connections. Cheap to clone. Give `&pool` to a query, or [`begin`](Self::begin) a
/// transaction.
#[derive(Clone, Debug)]
pub struct Pool(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    permits: Arc<Semaphore>,
    /// The one used last is used next, so that the others can rest.
    idle: Mutex<Vec<Raw>>,
    options: Options,
    size: u32,
    begin: &'static str,
    acquire_timeout: Duration,
    pub(super) last_answer: LastAnswer,
    pub(super) meters: Meters,
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
        options: Options,
        last_answer: LastAnswer,
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
            options,
            size,
            begin,
            acquire_timeout: config.acquire_timeout,
            last_answer,
            meters,
        }))
    }

    /// A connection, for when several statements must use the same one. Hold it as shortly as you can:
    /// never across a call to another service.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] after `database.acquire_timeout`.
    pub async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let deadline = Instant::now() + self.0.acquire_timeout;
        let permit = self.permit(deadline).await?;
        let idle = self.change_idle(Vec::pop);
        let raw = match idle {
            Some(raw) => raw,
            None => {
                let _timed = Timed::into(&self.0.meters.connect);
                timeout_at(deadline, self.0.options.connect()).await.map_err(|_| self.timed_out())??
            }
        };
        let permit = Permit { _free: permit, _in_use: Counted::enter(&self.0.meters.in_use) };
        let parts = Some((raw, permit));
        Ok(Connection { parts, in_transaction: false, unsettled: false, pool: self.clone() })
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
            Err(_) => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> sqlx::Error {
        self.0.meters.timeouts.increment(1);
        sqlx::Error::PoolTimedOut
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
        for raw in self.change_idle(mem::take) {
            let _ = raw.close().await;
        }
    }

    fn give_back(&self, raw: Raw, permit: Permit) {
        self.change_idle(|idle| idle.push(raw));
        drop(permit); // only now may the next one look for it
    }

    fn change_idle<T>(&self, change: impl FnOnce(&mut Vec<Raw>) -> T) -> T {
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
    /// A statement failed or was given up half-way: nobody knows what the driver still has to read.
    pub(super) unsettled: bool,
    pub(super) pool: Pool,
}

impl Connection {
    /// The driver's own connection. What runs on it escapes `db_query_seconds`.
    #[expect(clippy::expect_used, reason = "taken in drop alone")]
    pub(super) fn raw(&mut self) -> &mut Raw {
        &mut self.parts.as_mut().expect("present until dropped").0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((mut raw, permit)) = self.parts.take() else { return };
        if !self.in_transaction && !self.unsettled {
            return self.pool.give_back(raw, permit);
        }
        // Without a runtime there is nobody left who could wait for it.
        let Ok(runtime) = Handle::try_current() else { return };
        let (pool, in_transaction) = (self.pool.clone(), self.in_transaction);
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            let settle = async {
                raw.ping().await?; // reads what is left over
                let rolled_back = raw_sql("ROLLBACK").execute(&mut raw).await;
                // Without a transaction of ours there may still be one that a statement began.
                if in_transaction { rolled_back.map(drop) } else { Ok(()) }
            };
            if let Ok(Ok(())) = timeout(pool.0.acquire_timeout, settle).await {
                pool.give_back(raw, permit);
            } else {
                // The permit waits for the end of whatever still runs, so that the bound holds.
                let _ = raw.close().await;
                drop(permit);
            }
        });
    }
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
