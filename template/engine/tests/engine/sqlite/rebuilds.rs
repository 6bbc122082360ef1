//! What must a migration not leave behind, even if it rebuilds a table?

use longpole::step;
use sqlx::query;

use super::super::migrations::{count, migrate, says};
use crate::common::{Database, PastTheService};

const FAMILY: &str = "CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parent(id) ON DELETE CASCADE);
    INSERT INTO parent VALUES (1), (2);
    INSERT INTO child (parent_id) VALUES (1), (1), (2)";

const REBUILT: &str = "PRAGMA foreign_keys=OFF;
    CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO parent_new (id) SELECT id FROM parent;
    DROP TABLE parent;
    ALTER TABLE parent_new RENAME TO parent;
    PRAGMA foreign_keys=ON;";

const CHILDREN: &str = "SELECT count(*) FROM child";

#[tokio::test]
async fn a_table_that_is_rebuilt_keeps_the_rows_that_refer_to_it() {
    let rebuilt = || step(2, "rebuilt", REBUILT);
    // Without the pragmas, which do nothing within a transaction, and with nothing but a delete, too.
    static PLAIN: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        REBUILT.replace("PRAGMA foreign_keys=OFF;", "").replace("PRAGMA foreign_keys=ON;", "")
    });
    for rebuilt in [rebuilt(), rebuilt().outside_transaction(), step(2, "plain", &PLAIN)] {
        let database = Database::new();
        let db = migrate(&database, [step(1, "family", FAMILY), rebuilt]).await.unwrap();
        assert_eq!(count(&db, CHILDREN).await, 3);
        assert_eq!(count(&db, "SELECT count(name IS NULL) FROM parent").await, 2, "the new table");
        let orphan = query("INSERT INTO child (parent_id) VALUES (99)").execute(&db.write).await;
        assert!(orphan.unwrap_err().to_string().contains("FOREIGN KEY"), "requests are held to the keys");
    }
}

#[tokio::test]
async fn what_one_step_switches_on_is_off_for_the_next() {
    let again = REBUILT.replace("parent_new", "parent_newer");
    let again: &'static str = Box::leak(again.into_boxed_str());
    let steps = [
        step(1, "family", FAMILY),
        step(2, "outside", REBUILT).outside_transaction(), // leaves foreign keys enforced
        step(3, "inside", again),
    ];
    let db = migrate(&Database::new(), steps).await.unwrap();
    assert_eq!(count(&db, CHILDREN).await, 3);
}

#[tokio::test]
async fn a_reference_that_cannot_be_checked_is_named_where_it_comes_in_and_no_hindrance_later() {
    let wrong =
        "CREATE TABLE a (x INTEGER); CREATE TABLE b (x INTEGER REFERENCES a(x)); INSERT INTO b VALUES (1)";
    let database = Database::new();
    says(
        migrate(&database, [step(1, "wrong", wrong)]).await,
        &["migration 1 (wrong)", "foreign key mismatch"],
    );
    database.run(&format!("PRAGMA foreign_keys = OFF; {wrong}")).await; // the wrong row is there before the migration
    let db = migrate(&database, [step(1, "family", FAMILY)]).await.unwrap();
    assert_eq!(count(&db, CHILDREN).await, 3);
    drop(
        migrate(&database, [step(1, "family", FAMILY), step(2, "mends", "CREATE UNIQUE INDEX ax ON a (x)")])
            .await,
    );
}

#[tokio::test]
async fn a_migration_after_which_rows_refer_to_nothing_is_refused_with_table_and_rows() {
    let forgets = "DELETE FROM parent WHERE id = 2";
    let words =
        ["migration 2 (forgets)", "refused", "row 3 of child refers to a row of parent that does not exist"];
    let database = Database::new();
    let steps = [step(1, "family", FAMILY), step(2, "forgets", forgets)];
    says(migrate(&database, steps).await, &words);
    let db = migrate(&database, [step(1, "family", FAMILY)]).await.unwrap();
    assert_eq!(count(&db, "SELECT count(*) FROM parent").await, 2, "nothing of it was kept");

    let outside = step(2, "forgets", forgets).outside_transaction();
    says(
        migrate(&database, [step(1, "family", FAMILY), outside]).await,
        &["migration 2", "half done", "row 3 of child refers to a row of parent"],
    );
}

#[tokio::test]
async fn rows_that_referred_to_nothing_before_a_migration_are_named_until_one_mends_them() {
    let database = Database::new();
    drop(migrate(&database, [step(1, "family", FAMILY)]).await.unwrap());
    let orphans =
        "PRAGMA foreign_keys=OFF; INSERT INTO child (parent_id) SELECT 77 FROM parent, parent, parent";
    database.run(orphans).await;
    let column = || step(2, "column", "ALTER TABLE parent ADD COLUMN name TEXT");
    says(
        migrate(&database, [step(1, "family", FAMILY), column()]).await,
        &["before it there were 8 such rows", "row 4 of child", "and 3 more"],
    );

    let mends = step(2, "mends", "DELETE FROM child WHERE parent_id NOT IN (SELECT id FROM parent)");
    let db = migrate(&database, [step(1, "family", FAMILY), mends]).await.unwrap();

    assert_eq!(count(&db, CHILDREN).await, 3);
}
