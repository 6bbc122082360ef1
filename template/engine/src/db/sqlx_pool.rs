//! What do crates get that want a pool of sqlx's own?
//!
//! A session store or a queue of jobs asks for a `sqlx::Pool`, and cannot use ours. It gets a pool that has the same
//! address and the same bounds, and as many connections as `database.sqlx_pool_connections` says. `check` counts these
//! connections, and the shutdown closes them after the background tasks have ended.
//!
//! What cannot be told apart there: the wait for a place, the ping and the connecting are one call of sqlx's, and nothing
//! can be measured around a statement. So these statements are missing in `db_query_seconds`, and a request that waits for
//! them waits in the phase `other`, unless the call is within [`wait`](crate::wait). Look at
//! `db_pool_connections{pool="sqlx"}`: if all connections are in use, the pool is too small. The lines of `sqlx::query` and
//! `sqlx::pool::acquire` in the log name what was slow.

use metrics::{Gauge, gauge};
use sqlx::pool::PoolOptions;

use super::driver::{Connector, Driver};
use super::executor::SLOW;
use super::meters;
use crate::config::DatabaseConfig;

/// The label in the metrics.
const NAME: &str = "sqlx";

/// A wait for a connection that takes longer than this part of `database.acquire_timeout` is logged when it ends well. Higher:
/// short waits fill the log. Lower: the first sign of a small pool is an error.
const SLOW_ACQUIRE: u32 = 4;

/// sqlx's own pool, and what the metrics say about it.
#[derive(Clone, Debug)]
pub(super) struct SqlxPool {
    pool: sqlx::Pool<Driver>,
    idle: Gauge,
    in_use: Gauge,
}

impl SqlxPool {
    /// None if there is to be no such pool. No connection is opened yet.
    pub fn new(config: &DatabaseConfig, connector: &Connector) -> Option<Self> {
        let size = config.sqlx_pool_connections;
        if size == 0 {
            return None;
        }
        gauge!("db_pool_max_connections", "pool" => NAME).set(size);
        let options = PoolOptions::new()
            .max_connections(size)
            .acquire_timeout(config.acquire_timeout)
            .acquire_slow_threshold(config.acquire_timeout / SLOW_ACQUIRE)
            .idle_timeout(config.idle_timeout)
            .max_lifetime(config.max_lifetime);
        Some(Self {
            pool: connector.sqlx_pool(options, SLOW),
            idle: meters::idle(NAME),
            in_use: meters::in_use(NAME),
        })
    }

    pub fn handle(&self) -> sqlx::Pool<Driver> {
        self.pool.clone()
    }

    /// Writes into the metrics how many connections there are. sqlx tells nobody when they change, so they have to be
    /// asked for from time to time.
    pub fn publish(&self) {
        let open = self.pool.size();
        // sqlx counts the idle connections in a way that can go below zero and wrap (its issue 3645).
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(0).min(open);
        self.idle.set(idle);
        self.in_use.set(open - idle);
    }

    /// Closes the pool, once all its connections are back. Returns how many connections were closed.
    pub async fn close(&self) -> u32 {
        let open = self.pool.size();
        self.pool.close().await;
        self.publish();
        open.saturating_sub(self.pool.size())
    }
}
