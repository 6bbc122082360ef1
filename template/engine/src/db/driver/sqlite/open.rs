//! How is SQLite opened, and why has it two pools?
//!
//! SQLite has one writer at a time. With a pool of one writer, requests wait for the pool, in order, and the wait is
//! measured. Otherwise the wait for the lock would be hidden in a busy loop inside the query. Readers go on beside the
//! writer (WAL).

use std::time::Instant;

use super::super::super::unusable::Unusable;
use super::super::opened::{Opened, PoolPlan};
use super::advice::unusable;
use super::connector::Connector;
use super::migrator::Migrator;
use super::transaction::{BEGIN_TO_READ, BEGIN_TO_WRITE};
use crate::config::{Config, SecretUrl};
use crate::identity::Identity;

/// Opens the file. It is created if it is missing, with its folder. Connects once for each pool, and once more for the
/// migrations.
///
/// # Errors
/// The URL does not name a file, or the file cannot be opened.
pub async fn open(config: &Config, _: Identity) -> Result<Opened, Unusable> {
    let config = &config.database;
    let url = &config.url;
    let writer = Connector::new(config)?;
    if let Some(folder) = writer.folder() {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| {
            Unusable::new(url, &error, &format!("Its folder {} cannot be made", folder.display()))
        })?;
    }
    let reader = writer.read_only();
    let write = plan("write", 1, BEGIN_TO_WRITE, writer.clone(), url).await?;
    let read = plan("read", config.max_connections, BEGIN_TO_READ, reader, url).await?;
    let raw = writer.connect_to_migrate().await.map_err(|error| unusable(url, &error))?;
    let migrator = Migrator { raw };
    Ok(Opened { write, read: Some(read), migrator, can_migrate: true, round_trip: None })
}

async fn plan(
    name: &'static str,
    size: u32,
    begin: &'static str,
    connector: Connector,
    url: &SecretUrl,
) -> Result<PoolPlan, Unusable> {
    let begun = Instant::now();
    let first = connector.connect().await.map_err(|error| unusable(url, &error))?;
    Ok(PoolPlan { name, size, begin, connector, first, opening: begun.elapsed() })
}
