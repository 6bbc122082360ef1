//! Does the schema fit this program, and who brings it up to date?
//!
//! Migrations are part of the program. The start applies them (`database.migrate_on_start`), or
//! `NAME migrate` does.

use std::borrow::Cow;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use tokio::time::timeout;

use super::driver::{self, Raw};
use super::{ATTEMPT, Db, Trouble, Unusable};

impl Db {
    /// Applies pending migrations, or only verifies that none is.
    ///
    /// # Errors
    /// The database is newer than this program (where the driver refuses that), an applied migration was
    /// edited, or one is pending although `apply` is off.
    pub(super) async fn migrate(&self, migrations: &Migrator, apply: bool) -> Result<(), Unusable> {
        let url = self.about.url.as_str();
        let can_apply = self.about.owner.is_some();
        let connector = self.about.owner.as_ref().unwrap_or(&self.about.reader);
        let connected = timeout(ATTEMPT, connector.connect()).await.map_err(|_| driver::silent(url))?;
        let mut connection = connected.map_err(|error| driver::unusable(url, &error))?;
        let applies = apply && can_apply;
        // Only what changes something may take its time.
        let looked = timeout(ATTEMPT, look(migrations, applies, &mut connection)).await;
        let outcome = match looked.map_err(|_| driver::silent(url)) {
            Err(silent) => {
                driver::discard(connection).await;
                return Err(silent);
            }
            Ok(Ok(())) if applies => migrations.run_direct(None, &mut connection, false).await,
            Ok(outcome) => outcome,
        };
        // Closed also after a failure: it may still hold the lock that keeps replicas apart.
        driver::discard(connection).await;
        outcome.map_err(|error| match error {
            MigrateError::VersionNotPresent(version) if !can_apply => Unusable::new(
                url,
                &format!("migration {version} is pending, and needs a session that lasts"),
                "Run the `migrate` command with a database.url that goes to the server itself",
            ),
            error => explain(url, error),
        })
    }
}

/// Whether the database is newer than the program, and, if nothing will be applied, older.
async fn look(migrations: &Migrator, applies: bool, connection: &mut Raw) -> Result<(), MigrateError> {
    let applied = applied(migrations, connection).await?;
    let unknown = applied.iter().rfind(|(version, _)| !migrations.version_exists(*version));
    match unknown {
        Some((version, _)) if driver::NEWER_IS_REFUSED => return Err(MigrateError::VersionMissing(*version)),
        Some((version, _)) => {
            tracing::warn!(version, "the database has a migration that this program does not know");
        }
        None => {}
    }
    if applies { Ok(()) } else { verify(migrations, connection).await }
}

/// Fails where `Migrator::run` would have something to do, and where it would fail. Writes nothing: the
/// role that serves need not be the one that owns the tables.
async fn verify(migrations: &Migrator, connection: &mut Raw) -> Result<(), MigrateError> {
    let applied = applied(migrations, connection).await?;
    if !applied.is_empty()
        && let Some(version) = connection.dirty_version(&migrations.table_name).await?
    {
        return Err(MigrateError::Dirty(version));
    }
    for known in migrations.iter().filter(|known| !known.migration_type.is_down_migration()) {
        match applied.iter().find(|(version, _)| *version == known.version) {
            None => return Err(MigrateError::VersionNotPresent(known.version)),
            Some((version, checksum)) if *checksum != known.checksum => {
                return Err(MigrateError::VersionMismatch(*version));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Versions in order, with their checksums; none where no migration was ever applied.
async fn applied(
    migrations: &Migrator,
    connection: &mut Raw,
) -> Result<Vec<(i64, Cow<'static, [u8]>)>, MigrateError> {
    match connection.list_applied_migrations(&migrations.table_name).await {
        Ok(applied) => Ok(applied.into_iter().map(|one| (one.version, one.checksum)).collect()),
        Err(MigrateError::Execute(error)) if driver::no_such_table(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn explain(url: &str, error: MigrateError) -> Unusable {
    match error {
        MigrateError::VersionMissing(version) => Unusable::new(
            url,
            &format!("it has migration {version}, which this program does not know"),
            "The database is newer: deploy the program that brought it there, or a later one",
        ),
        MigrateError::VersionMismatch(version) => Unusable::new(
            url,
            &format!("migration {version} was edited after it was applied"),
            "Restore the file in `migrations` and write a new migration instead",
        ),
        MigrateError::VersionNotPresent(version) => Unusable::new(
            url,
            &format!("migration {version} is pending and database.migrate_on_start is off"),
            "Run the `migrate` command of this program first",
        ),
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if matches!(Trouble::of(&cause), Trouble::Busy | Trouble::Away | Trouble::Conflict) =>
        {
            driver::unusable(url, &cause)
        }
        other => Unusable::new(url, &other, "Is it a database of this service?"),
    }
}
