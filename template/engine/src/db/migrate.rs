//! Does the schema fit this program, and who brings it up to date?
//!
//! Migrations are part of the program. The start applies them (`database.migrate_on_start`), or `NAME migrate` does.
//! Only one replica applies them at a time. Before a step counts as done, it is checked that it has left no
//! [flaws](super::flaws) behind.

use std::time::Duration;

use sqlx::migrate::Migrate;
use sqlx::{Row, query, raw_sql};
use tokio::time::{Instant, timeout};

use super::driver::{self, Migrator, Raw};
use super::flaws::Flaws;
use super::schema_fault::{SchemaFault, TABLE};
use super::steps::{Migrations, Step};
use super::tries::{self, ATTEMPT, TRY_EVERY};

/// A step as the database remembers it.
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

/// Applies pending steps on this connection, or only verifies that none is pending.
///
/// # Errors
/// The database is newer than this program (where the driver refuses that), an applied step was edited or is half done, a
/// step fails, or a step is pending although it must not be applied.
pub(super) async fn migrate(
    migrations: &Migrations,
    apply: bool,
    mut migrator: Migrator,
    can_migrate: bool,
    give_up: Instant,
) -> Result<(), SchemaFault> {
    // Only a change of the schema may take long. The question which steps are pending must be answered soon.
    let looked = timeout(ATTEMPT, pending(migrations, &mut migrator.raw)).await;
    let outcome = match looked {
        Err(_) => Err(SchemaFault::Silent),
        Ok(Ok(steps)) if steps.is_empty() => Ok(()),
        Ok(Ok(steps)) if !can_migrate => Err(SchemaFault::NeedsSession(steps[0].version)),
        Ok(Ok(steps)) if !apply => Err(SchemaFault::Pending(steps[0].version)),
        // Another replica may be at work on a step that is half done. The lock tells whether this is so.
        Ok(Ok(_) | Err(SchemaFault::HalfDone { .. })) if can_migrate => {
            locked(migrations, apply, &mut migrator, give_up).await
        }
        Ok(outcome) => outcome.map(drop),
    };
    // The connection is closed also after a failure: it may still hold the lock that keeps replicas apart.
    driver::discard(migrator.raw).await;
    outcome
}

/// The steps that are still to be applied. This writes nothing, since the role that serves may be another one than
/// the owner of the tables.
async fn pending<'a>(migrations: &'a Migrations, connection: &mut Raw) -> Result<Vec<&'a Step>, SchemaFault> {
    let applied = applied(connection).await?;
    let unknown = applied.iter().rfind(|applied| !migrations.knows(applied.version));
    match unknown {
        Some(Applied { version, .. }) if driver::NEWER_IS_REFUSED => {
            return Err(SchemaFault::Newer(*version));
        }
        Some(Applied { version, .. }) => {
            tracing::warn!(version, "the database has a migration that this program does not know");
        }
        None => {}
    }
    // A half-done step that only a newer program knows is left to that program.
    if let Some(half_done) = applied.iter().find(|it| !it.success && migrations.knows(it.version)) {
        let flaws = flaws_now(migrations, half_done.version, connection).await;
        return Err(SchemaFault::HalfDone { version: half_done.version, what: flaws });
    }
    let mut pending = Vec::new();
    for step in &migrations.0 {
        match applied.iter().find(|applied| applied.version == step.version) {
            None => pending.push(step),
            Some(applied) if !step.was(&applied.checksum) => return Err(SchemaFault::Edited(step.version)),
            Some(_) => {}
        }
    }
    Ok(pending)
}

/// The steps that were applied, in the order of their versions. The list is empty if the table of the steps does not
/// exist yet.
async fn applied(connection: &mut Raw) -> Result<Vec<Applied>, sqlx::Error> {
    let rows = query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version");
    match rows.fetch_all(connection).await {
        Ok(rows) => rows
            .iter()
            .map(|row| {
                Ok(Applied {
                    version: row.try_get("version")?,
                    checksum: row.try_get("checksum")?,
                    success: row.try_get("success")?,
                })
            })
            .collect(),
        Err(error) if driver::no_such_table(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Waits until no other replica applies steps. Then applies what is still to be done, or says which step that would
/// be.
async fn locked(
    migrations: &Migrations,
    applies: bool,
    migrator: &mut Migrator,
    give_up: Instant,
) -> Result<(), SchemaFault> {
    let connection = &mut migrator.raw;
    lock(connection, give_up).await?;
    if !applies {
        let steps = pending(migrations, connection).await?;
        return steps.first().map_or(Ok(()), |step| Err(SchemaFault::Pending(step.version)));
    }
    connection.ensure_migrations_table(TABLE).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => SchemaFault::Database(error),
        other => SchemaFault::Database(sqlx::Error::Configuration(other.into())),
    })?;
    // Another replica may have applied them meanwhile.
    let steps = pending(migrations, connection).await?;
    let mut before = Flaws::default();
    if let Some(step) = steps.first() {
        before = driver::flaws(connection, step, &before).await?;
    }
    for step in steps {
        tracing::info!(version = step.version, name = %step.name, "migration: begins");
        migrator.begin_step().await?;
        before = match step.is_outside {
            true => apply_outside(step, &mut migrator.raw, &before).await?,
            false => apply_whole(step, &mut migrator.raw, &before).await?,
        };
        tracing::info!(version = step.version, name = %step.name, "migration: done");
    }
    Ok(())
}

/// Keeps replicas apart. This asks for the lock again and again instead of waiting in the database: a statement that
/// waits there holds a snapshot, which `CREATE INDEX CONCURRENTLY` of the other replica would wait for.
async fn lock(connection: &mut Raw, give_up: Instant) -> Result<(), SchemaFault> {
    let mut told = false;
    while !driver::try_lock(connection).await? {
        if !told {
            tracing::info!("another replica applies migrations: waiting for it");
            told = true;
        }
        if Instant::now() + TRY_EVERY > give_up {
            return Err(SchemaFault::Locked);
        }
        tries::until_the_next().await;
    }
    Ok(())
}

/// Applies all of the step or nothing, in one transaction with the note that it is done.
async fn apply_whole(step: &Step, connection: &mut Raw, before: &Flaws) -> Result<Flaws, SchemaFault> {
    let begun = Instant::now();
    raw_sql(driver::BEGIN_TO_WRITE).execute(&mut *connection).await?;
    // Where no lock keeps processes apart, this transaction does: another process may have applied the step before it
    // began.
    if applied(connection).await?.iter().any(|applied| applied.version == step.version) {
        raw_sql("ROLLBACK").execute(&mut *connection).await?;
        return driver::flaws(connection, step, before).await.map_err(SchemaFault::from);
    }
    let (version, name) = (step.version, &step.name);
    let failed = |error| SchemaFault::Failed { version, name: name.to_string(), error };
    raw_sql(step.sql.clone()).execute(&mut *connection).await.map_err(failed)?;
    let after = driver::flaws(connection, step, before).await?;
    if after.count > 0 {
        raw_sql("ROLLBACK").execute(&mut *connection).await?;
        return Err(SchemaFault::Flawed { version, name: name.to_string(), flaws: after });
    }
    note(step, true, begun.elapsed(), connection).await.map_err(failed)?;
    raw_sql(driver::COMMIT).execute(&mut *connection).await.map_err(failed)?;
    Ok(after)
}

/// Applies the step outside a transaction. The note that it has begun comes first, so that the step is never repeated
/// blindly.
async fn apply_outside(step: &Step, connection: &mut Raw, before: &Flaws) -> Result<Flaws, SchemaFault> {
    let begun = Instant::now();
    note(step, false, Duration::ZERO, connection).await?;
    driver::unbounded(connection).await?;
    let ran = raw_sql(step.sql.clone()).execute(&mut *connection).await;
    let after = driver::flaws(connection, step, before).await;
    let half_done = |cause: String, flaws: Option<&Flaws>| {
        let flaws = flaws.map_or(String::new(), ToString::to_string);
        SchemaFault::HalfDone { version: step.version, what: format!("{cause}{flaws}") }
    };
    match (ran, after) {
        (Ok(_), Ok(after)) if after.count == 0 => {
            let done =
                query("UPDATE _sqlx_migrations SET success = TRUE, execution_time = $1 WHERE version = $2");
            let nanos = begun.elapsed().as_nanos() as i64;
            let noted = done.bind(nanos).bind(step.version).execute(&mut *connection).await?;
            match noted.rows_affected() {
                1 => Ok(after),
                _ => Err(half_done("it ran to its end, but its note is gone. ".to_owned(), None)),
            }
        }
        (Ok(_), after) => Err(half_done(String::new(), after.ok().as_ref())),
        (Err(error), after) => Err(half_done(format!("{error}. "), after.ok().as_ref())),
    }
}

async fn note(step: &Step, success: bool, took: Duration, connection: &mut Raw) -> Result<(), sqlx::Error> {
    let note = query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES ($1, $2, $3, $4, $5)",
    );
    let note = note.bind(step.version).bind(&*step.name).bind(success).bind(step.checksum());
    note.bind(took.as_nanos() as i64).execute(connection).await.map(drop)
}

/// What is wrong with the schema, told when a step is found half done. Empty if nobody can tell.
async fn flaws_now(migrations: &Migrations, version: i64, connection: &mut Raw) -> String {
    let Some(step) = migrations.0.iter().find(|step| step.version == version) else { return String::new() };
    driver::flaws(connection, step, &Flaws::default()).await.map_or(String::new(), |flaws| flaws.to_string())
}
