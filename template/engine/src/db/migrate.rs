//! Does the schema fit this program, and who brings it up to date?
//!
//! Migrations are part of the program. The start applies them (`database.migrate_on_start`), or
//! `NAME migrate` does. One replica does so at a time; what a step must not leave behind is looked for before the
//! step counts as done.

use std::time::Duration;

use sqlx::migrate::Migrate;
use sqlx::{Row, query, raw_sql};
use tokio::time::{Instant, sleep, timeout};

use super::driver::{self, Migrator, Raw};
use super::steps::{Migrations, Step};
use super::{ATTEMPT, Db, TRY_EVERY, Trouble, Unusable};

/// sqlx's own, so that its command line tool and older programs see the same steps.
const TABLE: &str = "_sqlx_migrations";

/// Why the schema cannot be brought to fit.
#[derive(Debug)]
enum Fault {
    /// The database has a step that the program does not know.
    Newer(i64),
    /// A step's text is no longer the one that was applied.
    Edited(i64),
    /// A step is to be applied, and must not be.
    Pending(i64),
    /// A step outside a transaction has begun once, and did not end well.
    HalfDone(i64, String),
    /// A step did not run; nothing of it is left.
    Failed(i64, String, sqlx::Error),
    /// A step ran, and what it left behind cannot stay; nothing of it is left.
    Flawed(i64, String, Flaws),
    /// Another replica went on applying its steps.
    Locked,
    Database(sqlx::Error),
}

/// What a schema must not have after a step, in words.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    pub count: usize,
    /// The first few, each with its place and, where there is one, its cure.
    pub shown: Vec<String>,
    /// What is wrong, but not the step's fault, included.
    pub all: Vec<String>,
}

/// A step as the database remembers it.
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Db {
    /// Applies pending steps on this connection, or only verifies that none is.
    ///
    /// # Errors
    /// The database is newer than this program (where the driver refuses that), an applied step was
    /// edited or is half done, one fails, or one is pending although `apply` is off.
    pub(super) async fn migrate(
        &self,
        migrations: &Migrations,
        apply: bool,
        mut migrator: Migrator,
        give_up: Instant,
    ) -> Result<(), Unusable> {
        let url = self.about.url.as_str();
        // Only what changes something may take its time.
        let looked = timeout(ATTEMPT, pending(migrations, &mut migrator.raw)).await;
        let applies = apply && self.about.can_migrate;
        let outcome = match looked {
            Err(_) => {
                driver::discard(migrator.raw).await;
                return Err(driver::silent(url));
            }
            Ok(Ok(steps)) if steps.is_empty() => Ok(()),
            Ok(Ok(steps)) if !applies => Err(Fault::Pending(steps[0].version)),
            // What is half done may be another replica's work of this moment: its lock tells.
            Ok(Ok(_) | Err(Fault::HalfDone(..))) if self.about.can_migrate => {
                locked(migrations, applies, &mut migrator, give_up).await
            }
            Ok(outcome) => outcome.map(drop),
        };
        // Closed also after a failure: it may still hold the lock that keeps replicas apart.
        driver::discard(migrator.raw).await;
        outcome.map_err(|fault| explain(url, fault, self.about.can_migrate))
    }
}

/// The steps that are still to be applied. Writes nothing: the role that serves need not be the one that owns the
/// tables.
async fn pending<'a>(migrations: &'a Migrations, connection: &mut Raw) -> Result<Vec<&'a Step>, Fault> {
    let applied = applied(connection).await?;
    let unknown = applied.iter().rfind(|applied| !migrations.knows(applied.version));
    match unknown {
        Some(Applied { version, .. }) if driver::NEWER_IS_REFUSED => return Err(Fault::Newer(*version)),
        Some(Applied { version, .. }) => {
            tracing::warn!(version, "the database has a migration that this program does not know");
        }
        None => {}
    }
    // One that only a newer program knows is that program's to put right.
    if let Some(half_done) = applied.iter().find(|it| !it.success && migrations.knows(it.version)) {
        let flaws = flaws_now(migrations, half_done.version, connection).await;
        return Err(Fault::HalfDone(half_done.version, flaws));
    }
    let mut pending = Vec::new();
    for step in &migrations.0 {
        match applied.iter().find(|applied| applied.version == step.version) {
            None => pending.push(step),
            Some(applied) if !step.was(&applied.checksum) => return Err(Fault::Edited(step.version)),
            Some(_) => {}
        }
    }
    Ok(pending)
}

/// In the order of their versions; none where no step was ever applied.
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

/// Once no other replica is at it: applies what is still to be done, or says what is.
async fn locked(
    migrations: &Migrations,
    applies: bool,
    migrator: &mut Migrator,
    give_up: Instant,
) -> Result<(), Fault> {
    let connection = &mut migrator.raw;
    lock(connection, give_up).await?;
    if !applies {
        let steps = pending(migrations, connection).await?;
        return steps.first().map_or(Ok(()), |step| Err(Fault::Pending(step.version)));
    }
    connection.ensure_migrations_table(TABLE).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => Fault::Database(error),
        other => Fault::Database(sqlx::Error::Configuration(other.into())),
    })?;
    // Another replica may have been first.
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

/// Keeps replicas apart. It asks again and again instead of waiting in the database: a statement that waits there
/// holds a snapshot, which `CREATE INDEX CONCURRENTLY` of the other replica would wait for.
async fn lock(connection: &mut Raw, give_up: Instant) -> Result<(), Fault> {
    let mut told = false;
    while !driver::try_lock(connection).await? {
        if !told {
            tracing::info!("another replica applies migrations: waiting for it");
            told = true;
        }
        if Instant::now() + TRY_EVERY > give_up {
            return Err(Fault::Locked);
        }
        sleep(TRY_EVERY.mul_f64(0.5 + fastrand::f64())).await;
    }
    Ok(())
}

/// All of the step or nothing, in one transaction with the note that it is done.
async fn apply_whole(step: &Step, connection: &mut Raw, before: &Flaws) -> Result<Flaws, Fault> {
    let begun = Instant::now();
    raw_sql(driver::BEGIN_TO_WRITE).execute(&mut *connection).await?;
    // Where there is no lock that keeps processes apart, this transaction does.
    if applied(connection).await?.iter().any(|applied| applied.version == step.version) {
        raw_sql("ROLLBACK").execute(&mut *connection).await?;
        return driver::flaws(connection, step, before).await.map_err(Fault::from);
    }
    let failed = |error| Fault::Failed(step.version, step.name.to_string(), error);
    raw_sql(step.sql.clone()).execute(&mut *connection).await.map_err(failed)?;
    let after = driver::flaws(connection, step, before).await?;
    if after.count > 0 {
        raw_sql("ROLLBACK").execute(&mut *connection).await?;
        return Err(Fault::Flawed(step.version, step.name.to_string(), after));
    }
    note(step, true, begun.elapsed(), connection).await.map_err(failed)?;
    raw_sql(driver::COMMIT).execute(&mut *connection).await.map_err(failed)?;
    Ok(after)
}

/// First the note that it has begun, so that it is never repeated blindly.
async fn apply_outside(step: &Step, connection: &mut Raw, before: &Flaws) -> Result<Flaws, Fault> {
    let begun = Instant::now();
    note(step, false, Duration::ZERO, connection).await?;
    driver::unbounded(connection).await?;
    let ran = raw_sql(step.sql.clone()).execute(&mut *connection).await;
    let after = driver::flaws(connection, step, before).await;
    let half_done = |cause: String, flaws: Option<&Flaws>| {
        let flaws = flaws.map_or(String::new(), ToString::to_string);
        Fault::HalfDone(step.version, format!("{cause}{flaws}"))
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

/// What is wrong with the schema now that a step is found half done; empty if nobody can tell.
async fn flaws_now(migrations: &Migrations, version: i64, connection: &mut Raw) -> String {
    let Some(step) = migrations.0.iter().find(|step| step.version == version) else { return String::new() };
    driver::flaws(connection, step, &Flaws::default()).await.map_or(String::new(), |flaws| flaws.to_string())
}

impl std::fmt::Display for Flaws {
    /// A sentence, or nothing where there is no flaw.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        f.write_str(&self.shown.join("; "))?;
        match self.count.saturating_sub(self.shown.len()) {
            0 => f.write_str(". "),
            more => write!(f, "; and {more} more. "),
        }
    }
}

fn explain(url: &str, fault: Fault, can_migrate: bool) -> Unusable {
    match fault {
        Fault::Newer(version) => Unusable::new(
            url,
            &format!("it has migration {version}, which this program does not know"),
            "The database is newer: deploy the program that brought it there, or a later one",
        ),
        Fault::Edited(version) => Unusable::new(
            url,
            &format!("migration {version} was edited after it was applied"),
            "Restore the file in `migrations` and write a new migration instead",
        ),
        Fault::Pending(version) if !can_migrate => Unusable::new(
            url,
            &format!("migration {version} is pending, and needs a session that lasts"),
            "Run the `migrate` command with a database.url that goes to the server itself",
        ),
        Fault::Pending(version) => Unusable::new(
            url,
            &format!("migration {version} is pending and database.migrate_on_start is off"),
            "Run the `migrate` command of this program first",
        ),
        Fault::HalfDone(version, what) => Unusable::new(
            url,
            &format!(
                "migration {version} runs outside a transaction, and is half done. {what}It is not repeated"
            ),
            &format!(
                "Look at what it has left and put that right; then `DELETE FROM {TABLE} WHERE version = {version}` \
                 lets the next start run it again, and `UPDATE {TABLE} SET success = TRUE WHERE version = {version}` \
                 takes it as done"
            ),
        ),
        Fault::Flawed(version, name, flaws) => Unusable::new(
            url,
            &format!("migration {version} ({name}) is refused, and nothing of it was kept: {flaws}"),
            driver::CURE_OF_FLAWS,
        ),
        Fault::Locked => Unusable::new(
            url,
            &"another replica applies migrations",
            "Its log says how far it is. Wait for it, and start again",
        )
        .passing(),
        Fault::Failed(version, name, error)
            if matches!(Trouble::of(&error), Trouble::Busy | Trouble::Away | Trouble::Conflict) =>
        {
            let unusable = driver::unusable(url, &error);
            Unusable { text: format!("migration {version} ({name}): {unusable}"), ..unusable }
        }
        Fault::Database(error)
            if matches!(Trouble::of(&error), Trouble::Busy | Trouble::Away | Trouble::Conflict) =>
        {
            driver::unusable(url, &error)
        }
        Fault::Failed(version, name, error) => Unusable::new(
            url,
            &format!("migration {version} ({name}) fails, and nothing of it was kept: {error}"),
            "Is it a database of this service?",
        ),
        Fault::Database(error) => Unusable::new(url, &error, "Is it a database of this service?"),
    }
}
