//! What do the metrics say about a pool?

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The handles of a pool's metrics, registered once: to look one up by name costs more than to move it.
#[derive(Debug)]
pub(super) struct PoolMeters {
    pub acquire: Histogram,
    pub connect: Histogram,
    pub query: Histogram,
    pub waiters: Gauge,
    pub in_use: Gauge,
    pub timeouts: Counter,
}

impl PoolMeters {
    pub fn new(name: &'static str, size: u32) -> Self {
        gauge!("db_pool_max_connections", "pool" => name).set(size);
        Self {
            acquire: histogram!("db_pool_acquire_seconds", "pool" => name),
            connect: histogram!("db_pool_connect_seconds", "pool" => name),
            query: histogram!("db_query_seconds", "pool" => name),
            waiters: gauge!("db_pool_waiters", "pool" => name),
            in_use: in_use(name),
            timeouts: counter!("db_pool_timeouts_total", "pool" => name),
        }
    }
}

/// How many connections are in use.
pub(super) fn in_use(name: &'static str) -> Gauge {
    gauge!("db_pool_connections", "pool" => name, "state" => "in_use")
}

/// How many connections are idle.
pub(super) fn idle(name: &'static str) -> Gauge {
    gauge!("db_pool_connections", "pool" => name, "state" => "idle")
}
