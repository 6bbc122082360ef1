//! What does a connection need that changes the schema?

use sqlx::sqlite::SqliteConnection;
use sqlx::{Error, Row, query, query_scalar, raw_sql};

use super::super::super::flaws::Flaws;
use super::super::super::steps::Step;

/// One file has one program: a schema that is newer than the program is a mistake.
pub const NEWER_IS_REFUSED: bool = true;

/// What an owner does about rows that a migration would leave pointing at nothing.
pub const CURE_OF_FLAWS: &str = "Let the migration carry these rows along or delete them. While it runs, foreign keys \
                                 are not enforced, and afterwards they must hold";

/// How many flaws an error names. Higher: longer messages. Lower: fewer places to look at.
const FLAWS_SHOWN: i64 = 5;

/// A connection that changes the schema.
pub struct Migrator {
    pub raw: SqliteConnection,
}

impl Migrator {
    /// Puts back what a step before may have changed for good. Foreign keys must not be enforced. Otherwise the rebuild of
    /// a table deletes the rows that refer to it.
    pub async fn begin_step(&mut self) -> Result<(), sqlx::Error> {
        raw_sql("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = OFF; PRAGMA writable_schema = OFF")
            .execute(&mut self.raw)
            .await?;
        let enforced: i64 = query_scalar("PRAGMA foreign_keys").fetch_one(&mut self.raw).await?;
        match enforced {
            0 => Ok(()),
            _ => Err(Error::Protocol("a transaction that a migration began is still open".to_owned())),
        }
    }
}

/// Nobody has to be kept out: only one process writes at a time in any case, and a migration looks again when it has
/// SQLite's own lock.
pub async fn try_lock(_connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(true)
}

/// A step outside a transaction has the same bounds as a step inside a transaction.
pub async fn unbounded(_connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    Ok(())
}

/// Rows that refer to a row which does not exist.
pub async fn flaws(
    connection: &mut SqliteConnection,
    _: &Step,
    before: &Flaws,
) -> Result<Flaws, sqlx::Error> {
    let counted =
        query_scalar("SELECT count(*) FROM pragma_foreign_key_check").fetch_one(&mut *connection).await;
    let count: i64 = match counted {
        Ok(0) => return Ok(Flaws::default()),
        Ok(count) => count,
        // A reference to columns that are not unique. If there was one before the step, the step is not to blame.
        Err(Error::Database(error)) if error.message().contains("foreign key mismatch") => {
            let all = vec![error.message().to_owned()];
            let shown = if before.all == all { Vec::new() } else { all.clone() };
            return Ok(Flaws { count: shown.len(), shown, all });
        }
        Err(error) => return Err(error),
    };
    let first =
        query("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT $1").bind(FLAWS_SHOWN);
    let mut shown = Vec::new();
    for row in first.fetch_all(connection).await? {
        let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        let row = row.try_get::<Option<i64>, _>(1)?.map_or("a row".to_owned(), |row| format!("row {row}"));
        shown.push(format!("{row} of {table} refers to a row of {parent} that does not exist"));
    }
    if before.count > 0
        && let Some(first) = shown.first_mut()
    {
        first.insert_str(0, &format!("(before it there were {} such rows) ", before.count));
    }
    Ok(Flaws { count: usize::try_from(count).unwrap_or(usize::MAX), shown, all: Vec::new() })
}
