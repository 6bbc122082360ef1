//! How is SQLite opened here, and why two pools?
//!
//! SQLite has one writer at a time. With a pool of one writer, waiting for the lock is a wait for the
//! pool, in order and measured; without, it hides as a busy loop inside the query. Readers go on
//! beside the writer (WAL). What a crash may cost with `synchronous = NORMAL`: the last commits, never
//! the file.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use super::pool::Pool;
use super::{About, Db, LastAnswer, Trouble, Unusable};
use crate::engine::config::Database;

/// The sqlx driver: the one type that the rest of the service names.
pub type Driver = sqlx::Sqlite;

/// Opens the file (made if missing, with its folder) and connects once to each pool.
///
/// # Errors
/// The URL is not one of a file, or the file cannot be opened.
pub async fn open(config: &Database) -> Result<Db, Unusable> {
    let url = config.url.as_str();
    let options = connect_options(config)?;
    if let Some(folder) = options.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| {
            Unusable::new(url, &error, &format!("Its folder {} cannot be made", folder.display()))
        })?;
    }
    let last_answer = LastAnswer::now();
    // A transaction that begins as a reader and then writes fails at once if another has written in
    // between, so writers take the lock when they begin.
    let write = Pool::new("write", 1, "BEGIN IMMEDIATE", config, options.clone(), last_answer.clone());
    let options = options.read_only(true).create_if_missing(false);
    let read =
        Pool::new("read", config.max_connections, "BEGIN", config, options.clone(), last_answer.clone());
    for pool in [&write, &read] {
        let opened = pool.acquire().await.map(drop);
        opened.map_err(|error| {
            Unusable::new(url, &error, "Is it a SQLite database that this user can read and write?")
        })?;
    }
    Ok(Db { read, write, about: Arc::new(About { url: url.to_owned(), options, last_answer }) })
}

/// What a result code means (<https://www.sqlite.org/rescode.html>); the lowest byte is the primary code.
pub(super) fn trouble(code: Option<&str>) -> Trouble {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IOERR: u32 = 10;
    const CORRUPT: u32 = 11;
    const FULL: u32 = 13;
    const CANTOPEN: u32 = 14;
    match code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
        Some(BUSY | LOCKED) => Trouble::Busy,
        Some(IOERR | CORRUPT | FULL | CANTOPEN) => Trouble::Away,
        _ => Trouble::Refused,
    }
}

/// Asks a database that is there, and makes none.
///
/// # Errors
/// There is none, or it does not answer.
pub async fn look(config: &Database) -> Result<(), Unusable> {
    let options = connect_options(config)?.create_if_missing(false);
    let asked = ask(&mut None, &options.read_only(true)).await;
    asked.map_err(|error| {
        Unusable::new(&config.url, &error, "If it does not exist yet, the start will make it")
    })
}

fn connect_options(config: &Database) -> Result<SqliteConnectOptions, Unusable> {
    let url = config.url.as_str();
    let advice = "Write it like sqlite:data/service.db";
    if !url.starts_with("sqlite:") {
        return Err(Unusable::new(url, &"is not a SQLite URL", advice));
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|error| Unusable::new(url, &error, advice))?;
    if url.contains(":memory:") || url.contains("mode=memory") || options.get_filename() == Path::new("") {
        return Err(Unusable::new(url, &"each connection would see a database of its own", advice));
    }
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(config.lock_timeout)
        .statement_cache_capacity(config.statement_cache)
        // Slow statements are logged by our executor, where the request is known.
        .disable_statement_logging())
}

/// Reads from the file, not from a cache: the question behind readiness.
pub(super) async fn ask(
    connection: &mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(open) => open,
        closed => closed.insert(SqliteConnection::connect_with(options).await?),
    };
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(connection).await.map(drop)
}

/// Fails where `Migrator::run` would have something to do, and where it would fail.
pub(super) async fn verify(
    migrations: &Migrator,
    connection: &mut SqliteConnection,
) -> Result<(), MigrateError> {
    connection.ensure_migrations_table(&migrations.table_name).await?;
    if let Some(version) = connection.dirty_version(&migrations.table_name).await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = connection.list_applied_migrations(&migrations.table_name).await?;
    if let Some(unknown) = applied.iter().find(|applied| !migrations.version_exists(applied.version)) {
        return Err(MigrateError::VersionMissing(unknown.version));
    }
    for known in migrations.iter().filter(|known| !known.migration_type.is_down_migration()) {
        match applied.iter().find(|applied| applied.version == known.version) {
            None => return Err(MigrateError::VersionNotPresent(known.version)),
            Some(applied) if applied.checksum != known.checksum => {
                return Err(MigrateError::VersionMismatch(known.version));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
