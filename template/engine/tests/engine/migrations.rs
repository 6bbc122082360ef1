//! The schema is brought up to date whole or not at all, once, and nothing is lost on the way.

use std::sync::LazyLock;

use longpole::internals::{IDENTITY, Unusable, open_database};
use longpole::{Config, Db, Migrations, Step, step};
use sqlx::{query, query_scalar};

use crate::common::{Database, PastTheService, setup};

/// Opens the database with these steps, as the start does.
pub async fn migrate(database: &Database, steps: impl IntoIterator<Item = Step>) -> Result<Db, Unusable> {
    migrate_with(database, steps, |_| {}).await
}

pub async fn migrate_with(
    database: &Database,
    steps: impl IntoIterator<Item = Step>,
    change: impl FnOnce(&mut Config),
) -> Result<Db, Unusable> {
    let mut config = Config::default();
    config.database.url = database.url().into();
    config.database.max_connections = 2;
    change(&mut config);
    open_database(&config, IDENTITY, Migrations::new(steps), true).await
}

pub fn says(refused: Result<Db, Unusable>, words: &[&str]) {
    let text = refused.unwrap_err().to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} are not all in: {text}");
}

pub async fn count(db: &Db, of: &'static str) -> i64 {
    query_scalar(of).fetch_one(&db.read).await.unwrap()
}

const TABLE: &str = "CREATE TABLE t (n BIGINT NOT NULL);\nINSERT INTO t VALUES (1);\n";
const ROWS: &str = "SELECT count(*) FROM t";

#[tokio::test]
async fn the_same_text_with_other_line_ends_is_the_same_step() {
    static WINDOWS: LazyLock<String> = LazyLock::new(|| TABLE.replace('\n', "\r\n"));
    for (first, then) in [(TABLE, WINDOWS.as_str()), (WINDOWS.as_str(), TABLE)] {
        let database = Database::new();
        drop(migrate(&database, [step(1, "t", first)]).await.unwrap());
        let db = migrate(&database, [step(1, "t", then)]).await.unwrap();
        assert_eq!(count(&db, ROWS).await, 1);
    }
}

#[tokio::test]
async fn what_sqlx_applied_from_a_checkout_with_other_line_ends_is_known() {
    use sqlx::SqlSafeStr;
    use sqlx::migrate::{Migration, MigrationType, Migrator};
    static WINDOWS: LazyLock<String> = LazyLock::new(|| TABLE.replace('\n', "\r\n"));
    let database = Database::new();
    let migration =
        Migration::new(1, "t".into(), MigrationType::Simple, WINDOWS.as_str().into_sql_str(), false);
    Migrator::with_migrations(vec![migration])
        .run_direct(None, &mut database.connect().await, false)
        .await
        .unwrap();

    let db = migrate(&database, [step(1, "t", TABLE)]).await.unwrap();

    assert_eq!(count(&db, ROWS).await, 1);
}

#[tokio::test]
async fn an_edited_step_is_refused_all_the_same() {
    let database = Database::new();
    drop(migrate(&database, [step(1, "t", TABLE)]).await.unwrap());
    let edited = "CREATE TABLE t (n BIGINT NOT NULL);\nINSERT INTO t VALUES (2);\n";
    says(migrate(&database, [step(1, "t", edited)]).await, &["migration 1", "was edited"]);
}

#[tokio::test]
async fn two_steps_of_one_version_are_refused() {
    let steps = [step(1, "t", TABLE), step(1, "u", "CREATE TABLE u (n BIGINT)")];
    says(migrate(&Database::new(), steps).await, &["two migrations have the version 1"]);
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_behind() {
    let database = Database::new();
    let broken = "INSERT INTO t VALUES (2); INSERT INTO nowhere VALUES (1)";
    says(
        migrate(&database, [step(1, "t", TABLE), step(2, "broken", broken)]).await,
        &["migration 2 (broken) fails", "nothing of it was kept", "nowhere"],
    );

    let db = migrate(&database, [step(1, "t", TABLE), step(2, "mended", "INSERT INTO t VALUES (2)")]).await;

    assert_eq!(count(&db.unwrap(), ROWS).await, 2);
}

#[tokio::test]
async fn processes_that_start_at_once_apply_each_step_once() {
    let database = Database::new();
    let steps = || [step(1, "t", TABLE), step(2, "more", "INSERT INTO t VALUES (2)")];

    let opened = tokio::join!(
        migrate(&database, steps()),
        migrate(&database, steps()),
        migrate(&database, steps()),
        migrate(&database, steps()),
    );

    for db in [opened.0, opened.1, opened.2, opened.3] {
        assert_eq!(count(&db.unwrap(), ROWS).await, 2);
    }
}

#[tokio::test]
async fn a_step_outside_a_transaction_that_fails_is_not_repeated_until_somebody_has_looked() {
    let database = Database::new();
    let steps =
        || [step(1, "t", TABLE), step(2, "outside", "INSERT INTO nowhere VALUES (1)").outside_transaction()];
    says(migrate(&database, steps()).await, &["migration 2", "half done", "nowhere"]);
    database.run("CREATE TABLE nowhere (n BIGINT)").await;
    let advice = "DELETE FROM _sqlx_migrations WHERE version = 2";
    says(migrate(&database, steps()).await, &["migration 2", "half done", "not repeated", advice]);

    database.run("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let db = migrate(&database, steps()).await.unwrap();

    assert_eq!(count(&db, "SELECT count(*) FROM nowhere").await, 1);
    drop(migrate(&database, steps()).await.unwrap());
    assert_eq!(count(&db, "SELECT count(*) FROM nowhere").await, 1, "done once");
}

#[test]
fn a_pending_step_stops_a_start_that_may_not_apply_it() {
    let setup = setup().set("database.migrate_on_start", "false");

    let refused = setup.run(&[]);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("migration 1 is pending") && stderr.contains("Run the `migrate` command"),
        "{stderr}"
    );

    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    assert_eq!(setup.start().get("/drill/query/0").status, 200);
}

#[tokio::test]
async fn a_step_that_was_edited_after_it_was_applied_stops_every_start() {
    let mut setup = setup();
    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    let mut database = setup.database.connect().await;
    let edit = query("UPDATE _sqlx_migrations SET checksum = $1 WHERE version = 1").bind(vec![0_u8]);
    edit.execute(&mut database).await.unwrap();

    for migrate_on_start in ["true", "false"] {
        setup = setup.set("database.migrate_on_start", migrate_on_start);
        let refused = setup.run(&[]);
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("migration 1 was edited"), "{stderr}");
    }
}
