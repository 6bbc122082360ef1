//! What does a driver hand over once the database answers?

use std::time::Duration;

#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
use super::postgres::{
    connector::{Connector, Raw},
    migrator::Migrator,
};
#[cfg(feature = "sqlite")]
use super::sqlite::{
    connector::{Connector, Raw},
    migrator::Migrator,
};

/// A database that answers, before there are pools.
pub struct Opened {
    /// The pool for statements that write.
    pub write: PoolPlan,
    /// The pool for statements that only read. None if the pool for writing serves them, too.
    pub read: Option<PoolPlan>,
    /// The connection for the migrations.
    pub migrator: Migrator,
    /// Whether sessions last, which migrations need.
    pub can_migrate: bool,
    /// How long a short answer took. None if this does not show how far away the database is.
    pub round_trip: Option<Duration>,
}

/// A pool that is to be built.
pub struct PoolPlan {
    /// Its label in the metrics.
    pub name: &'static str,
    /// How many connections it may have.
    pub size: u32,
    /// The statement that begins a transaction.
    pub begin: &'static str,
    pub connector: Connector,
    /// A connection that is open already.
    pub first: Raw,
    /// How long opening it took.
    pub opening: Duration,
}
