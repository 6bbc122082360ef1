//! What changes the schema, step by step?
//!
//! The owner hands the steps to the service, and [`migrate`](super::migrate) applies them. A step that was released
//! is never edited, since databases remember its text.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The steps that bring the database's schema up to date, for [`Service::migrations`](crate::Service::migrations).
///
/// Never edit a step that was released: add another step. The database remembers each step in sqlx's own table
/// `_sqlx_migrations`, with a checksum of its text. The start fails if a step was edited after it was applied. It also
/// fails if the database has a step that the program does not know, since a newer program has been there; with
/// PostgreSQL, this is only a warning.
///
/// The list that sqlx's own `migrate!()` makes can be given instead.
#[derive(Clone, Debug, Default)]
pub struct Migrations(pub(super) Vec<Step>);

/// One change of the database's schema, made by [`step()`].
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) version: i64,
    pub(super) name: Cow<'static, str>,
    pub(super) sql: SqlStr,
    /// The checksums of the text, with each kind of line end. The database remembers the first of them.
    checksums: Vec<Cow<'static, [u8]>>,
    pub(super) is_outside: bool,
}

/// Makes a step of the [`Migrations`] from its version, its name and its SQL. The step is applied whole or not at all, in
/// a transaction of its own.
///
/// ```
/// use longpole::{Migrations, step};
///
/// let items = step(1, "items", "CREATE TABLE items (name TEXT NOT NULL)");
/// let by_name = step(2, "items_by_name", "CREATE INDEX items_by_name ON items (name)");
/// let migrations = Migrations::new([items, by_name]);
/// ```
///
/// The steps are applied in the order of their versions, and each version may be used once. The name is for the log and
/// for messages. The SQL may have several statements. If there are several replicas, one of them applies the steps, and
/// the others wait for it.
///
/// Keep a longer text in a file of its own: `include_str!("../migrations/0001_items.sql")`.
#[must_use]
pub fn step(version: i64, name: &'static str, sql: &'static str) -> Step {
    Step::new(version, name.into(), sql.into_sql_str(), false)
}

impl Step {
    /// Runs the step outside a transaction. Some statements need that: `CREATE INDEX CONCURRENTLY`, `VACUUM`. On a
    /// database server the step must then be one statement, and it waits for locks as long as it has to. If the step
    /// fails half-way, it stays half done. So the service never repeats it by itself: the error says what is left,
    /// and how to go on.
    #[must_use]
    pub fn outside_transaction(self) -> Self {
        Self { is_outside: true, ..self }
    }

    fn new(version: i64, name: Cow<'static, str>, sql: SqlStr, is_outside: bool) -> Self {
        let checksum = |sql: SqlStr| {
            Migration::new(version, name.clone(), MigrationType::Simple, sql, is_outside).checksum
        };
        // A checkout may change the line ends. The text still counts as the same text.
        let unix = sql.as_str().replace("\r\n", "\n");
        let windows = AssertSqlSafe(unix.replace('\n', "\r\n")).into_sql_str();
        let unix = AssertSqlSafe(unix).into_sql_str();
        let checksums = vec![checksum(unix.clone()), checksum(windows), checksum(sql)];
        Self { version, name, sql: unix, checksums, is_outside }
    }

    /// What the database remembers of the step.
    pub(super) fn checksum(&self) -> &[u8] {
        self.checksums.first().map_or(&[], |checksum| checksum)
    }

    /// Whether the text is the one that was applied.
    pub(super) fn was(&self, checksum: &[u8]) -> bool {
        self.checksums.iter().any(|known| **known == *checksum)
    }
}

impl Migrations {
    /// Collects the steps. They may stand in any order: they are applied in the order of their versions. If two steps have
    /// the same version, the start fails and says so.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut steps: Vec<_> = steps.into_iter().collect();
        steps.sort_by_key(|step| step.version);
        Self(steps)
    }

    /// A version that two steps share.
    pub(super) fn twice(&self) -> Option<i64> {
        let pair = self.0.windows(2).find(|pair| pair[0].version == pair[1].version)?;
        Some(pair[0].version)
    }

    pub(super) fn knows(&self, version: i64) -> bool {
        self.0.iter().any(|step| step.version == version)
    }
}

/// Takes the steps of sqlx's own list. Steps that undo another step are left out.
impl From<Migrator> for Migrations {
    fn from(migrator: Migrator) -> Self {
        let forth = migrator.iter().filter(|migration| !migration.migration_type.is_down_migration());
        Self::new(forth.map(|migration| {
            let Migration { version, description, sql, no_tx, .. } = migration.clone();
            Step::new(version, description, sql, no_tx)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_with_other_line_ends_and_another_one_with_other_words() {
        const WINDOWS: &str = "CREATE TABLE items (\r\n  n INT\r\n)";
        let unix = step(1, "items", "CREATE TABLE items (\n  n INT\n)");
        let windows = step(1, "items", WINDOWS);
        let edited = step(1, "items", "CREATE TABLE items (\n  n BIGINT\n)");
        assert_eq!(unix.checksum(), windows.checksum(), "both are remembered with the line ends of Unix");
        assert!(!edited.was(unix.checksum()));
        let kind = MigrationType::Simple;
        let as_it_stands = Migration::new(1, "items".into(), kind, WINDOWS.into_sql_str(), false).checksum;
        assert!(unix.was(&as_it_stands), "sqlx's own tool remembers the line ends of the file");
    }

    #[test]
    fn steps_are_sorted_by_version_and_a_version_that_two_have_is_found() {
        let some = |versions: &[i64]| Migrations::new(versions.iter().map(|n| step(*n, "step", "SELECT 1")));
        let versions: Vec<_> = some(&[3, 1, 2]).0.iter().map(|step| step.version).collect();
        assert_eq!(versions, [1, 2, 3]);
        assert_eq!(some(&[3, 1, 2]).twice(), None);
        assert_eq!(some(&[2, 1, 2]).twice(), Some(2));
        assert!(some(&[1]).knows(1) && !some(&[1]).knows(2));
    }
}
