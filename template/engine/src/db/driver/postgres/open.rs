//! How is PostgreSQL opened?
//!
//! Two connections are opened at once, because [`pooler`] needs both to find out what stands between us and the server.
//! Then one becomes the first connection of the pool, and the other one is used for the migrations.

use std::time::Duration;

use futures_util::future::try_join;
use tokio::time::{Instant, timeout};

use super::super::super::unusable::Unusable;
use super::super::opened::{Opened, PoolPlan};
use super::advice::{loses_statements, silent, unusable};
use super::connector::{Connector, ask};
use super::migrator::Migrator;
use super::pooler::{self, LOOK, Way};
use super::transaction::BEGIN_TO_WRITE;
use crate::config::Config;
use crate::identity::Identity;

/// Connects, and finds out what stands between us and the server.
///
/// # Errors
/// The URL is not valid, the server cannot be reached or refuses us, or a pooler loses prepared statements.
pub async fn open(config: &Config, identity: Identity) -> Result<Opened, Unusable> {
    let config = &config.database;
    let url = &config.url;
    let plain = Connector::new(config, identity)?;
    let begun = Instant::now();
    let opened = pooler::open_two(&plain).await;
    let (mut first, mut migrating) = opened.map_err(|error| unusable(url, &error))?;
    let opening = begun.elapsed();
    let way = timeout(LOOK, pooler::way(&mut first, &mut migrating)).await.map_err(|_| silent(url))?;
    let begun = Instant::now();
    let (connector, without_limit, can_migrate) = match way.map_err(|error| unusable(url, &error))? {
        Way::Straight => {
            let connector = plain.bounded(config, config.statement_timeout);
            // A migration may run for any time. But it waits no longer for a lock than other statements do. If it does
            // not get the lock, the start tries again.
            let without_limit = plain.bounded(config, Duration::ZERO);
            let set_up = try_join(connector.set_up(&mut first), without_limit.set_up(&mut migrating));
            let set_up = timeout(LOOK, set_up).await.map_err(|_| silent(url))?;
            set_up.map_err(|error| unusable(url, &error))?;
            (connector, without_limit, true)
        }
        Way::Transactions { statements: true } => {
            let asked = timeout(LOOK, ask(&mut first)).await.map_err(|_| silent(url))?;
            asked.map_err(|error| unusable(url, &error))?;
            (plain.clone(), plain, false)
        }
        Way::Transactions { statements: false } => return Err(loses_statements(url)),
    };
    let round_trip = Some(begun.elapsed());
    let (size, begin) = (config.max_connections, BEGIN_TO_WRITE);
    // The server has no single writer, so one pool serves both.
    let write = PoolPlan { name: "main", size, begin, connector, first, opening };
    let migrator = Migrator { raw: migrating, connector: without_limit };
    Ok(Opened { write, read: None, migrator, can_migrate, round_trip })
}
