//! Who waits for a connection, and for how long?
//!
//! sqlx's pool cannot tell: its `acquire` is permit wait, ping and connecting in one
//! (https://github.com/launchbadge/sqlx/pull/1860). So a permit of our own stands in front of it, as many
//! as it has connections. It is held until the connection is back in sqlx's pool, so behind it nobody
//! ever waits for another.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{Database, raw_sql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::{Driver, LastAnswer};
use crate::engine::config;
use crate::engine::metrics::{Counted, Timed};

pub(super) type Options = <<Driver as Database>::Connection as sqlx::Connection>::Options;

tokio::task_local! {
    /// Set by sqlx's hook when the acquire that runs in this scope opened a connection.
    static OPENED: Cell<bool>;
}

/// A bounded pool of connections. Cheap to clone. Give `&pool` to a query, or [`begin`](Self::begin) a
/// transaction.
#[derive(Clone, Debug)]
pub struct Pool(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pool: sqlx::Pool<Driver>,
    permits: Arc<Semaphore>,
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
        let pool = PoolOptions::new()
            .max_connections(size)
            .acquire_timeout(config.acquire_timeout)
            // A ping at each checkout costs 12 µs and tells nothing that the query would not.
            .test_before_acquire(false)
            // Off, both: sqlx's maintenance can spin for ever on a counter that wrapped
            // (https://github.com/launchbadge/sqlx/issues/3645).
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|_, _| {
                let _ = OPENED.try_with(|opened| opened.set(true));
                Box::pin(async { Ok(()) })
            })
            .connect_lazy_with(options);
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
            pool,
            permits: Arc::new(Semaphore::new(size as usize)),
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
        let deadline = tokio::time::Instant::now() + self.0.acquire_timeout;
        let permit = self.permit(deadline).await?;
        let begun = Instant::now();
        let opening = OPENED.scope(Cell::new(false), async {
            let connection = self.0.pool.acquire().await;
            (connection, OPENED.with(Cell::get))
        });
        let Ok((connection, opened)) = timeout_at(deadline, opening).await else {
            return Err(self.timed_out());
        };
        if opened {
            self.0.meters.connect.record(begun.elapsed());
        }
        let connection = match connection {
            Err(sqlx::Error::PoolTimedOut) => return Err(self.timed_out()),
            other => other?,
        };
        self.publish();
        Ok(Connection { parts: Some((connection, permit)), in_transaction: false, pool: self.clone() })
    }

    async fn permit(&self, deadline: tokio::time::Instant) -> Result<OwnedSemaphorePermit, sqlx::Error> {
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

    pub(super) async fn close(&self) {
        self.0.permits.close();
        self.0.pool.close().await;
    }

    /// Counted by permits: sqlx's own idle count can wrap (issue 3645, above).
    fn publish(&self) {
        let in_use = self.0.size as usize - self.0.permits.available_permits().min(self.0.size as usize);
        let open = self.0.pool.size() as usize;
        self.0.meters.in_use.set(in_use.min(open) as f64);
        self.0.meters.idle.set(open.saturating_sub(in_use) as f64);
    }
}

/// A connection with its permit. `&mut connection` runs queries.
#[derive(Debug)]
pub struct Connection {
    /// None only while it is dropped.
    parts: Option<(PoolConnection<Driver>, OwnedSemaphorePermit)>,
    in_transaction: bool,
    pub(super) pool: Pool,
}

impl Connection {
    /// The driver's own connection. What runs on it escapes `db_query_seconds`.
    #[expect(clippy::expect_used, reason = "taken in drop alone")]
    pub(super) fn driver(&mut self) -> &mut <Driver as Database>::Connection {
        &mut self.parts.as_mut().expect("present until dropped").0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (Some((mut connection, permit)), Ok(runtime)) =
            (self.parts.take(), tokio::runtime::Handle::try_current())
        else {
            return; // The runtime is gone, and with it everyone who could wait.
        };
        let (pool, unfinished) = (self.pool.clone(), self.in_transaction);
        #[expect(clippy::disallowed_methods, reason = "belongs to the pool, not to the request")]
        runtime.spawn(async move {
            if unfinished && raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
                connection.close_on_drop(); // nobody knows what state it is in
                return;
            }
            // sqlx's own drop would do this in a task that nobody can wait for.
            connection.return_to_pool().await;
            drop(permit);
            pool.publish();
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
