//! What is SQLite's own: a file that may be absent, foreign or locked, and one writer.

use std::thread;
use std::time::{Duration, Instant};

use longpole::{Problem, Trouble, step};
use sqlx::{Executor, query};

use super::database::{open, open_with, rows};
use super::migrations::{count, migrate, says};
use super::start::{never_works, refuses};
use crate::common::{Database, PastTheService, WRITE, eventually, setup};

#[test]
fn a_file_that_is_no_database() {
    let setup = setup().file("data/service.db", &"garbage ".repeat(1000));
    refuses(
        setup.set("database.url", "sqlite:data/service.db"),
        &["database.url", "data/service.db", "not a database"],
    );
}

#[test]
fn a_folder_that_cannot_be_made() {
    let setup = setup().file("data", "a file");
    refuses(setup.set("database.url", "sqlite:data/service.db"), &["database.url", "data"]);
}

#[test]
fn a_check_makes_no_database() {
    let setup = setup().set("database.url", "sqlite:data/service.db");

    let report = String::from_utf8(setup.run(&["check"]).stdout).unwrap();

    assert!(report.contains("database  warning: "), "there is none yet: {report}");
    assert!(!setup.dir.path().join("data").exists());
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let setup = setup();
    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    // A service without a schema of its own has made no such table.
    let later = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT,
            installed_on TIMESTAMP, success BOOLEAN, checksum BLOB, execution_time BIGINT);
        INSERT INTO _sqlx_migrations VALUES (999, 'later', '', TRUE, x'00', 0)";
    setup.database.run(later).await;

    refuses(setup, &["database.url", "migration 999", "newer"]);
}

#[tokio::test]
async fn the_start_waits_for_a_lock_and_a_signal_ends_the_waiting() {
    let setup = setup().set("database.lock_timeout", "1ms");
    let mut holder = setup.database.connect().await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let mut service = setup.start_admin();
    assert_eq!(service.ask("/readyz").text(), "starting\n");
    assert_eq!(service.ask("/livez").status, 200);
    service.await_line("it waits", |line| line["message"] == "waiting for the database");

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
}

#[tokio::test]
async fn a_lock_that_goes_lets_the_start_go_on_and_one_that_stays_does_not() {
    let setup = setup().set("database.lock_timeout", "1ms");
    let mut holder = setup.database.connect().await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let impatient = crate::common::setup().set("database.url", &setup.database.url());
    // sqlx tries for two seconds by itself to get past the lock.
    let refused =
        impatient.set("database.lock_timeout", "1ms").set("database.startup_timeout", "3s").run(&[]);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("locked") && stderr.contains("database.startup_timeout, 3s"), "{stderr}");

    let service = setup.start_admin();
    service.await_line("it waits", |line| line["message"] == "waiting for the database");
    holder.execute("ROLLBACK").await.unwrap();

    eventually("ready", || (service.ask("/readyz").status == 200).then_some(()));
}

#[tokio::test]
async fn readers_cannot_write() {
    let (db, _database) = open().await;

    let refused = query("INSERT INTO t VALUES (1)").execute(&db.read).await.unwrap_err();

    assert!(refused.to_string().contains("readonly"), "{refused}");
    assert_eq!(Trouble::of(&refused), Trouble::Refused);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up_and_its_connection_comes_back() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(1);
    })
    .await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000)
        SELECT count(*) FROM n";

    let given_up = query(endless).execute(&db.read).await.unwrap_err();

    assert_eq!(Trouble::of(&given_up), Trouble::Slow, "{given_up}");
    assert_eq!(Problem::from(given_up).status(), 504);
    assert_eq!(rows(&db).await, 0, "the only reader is there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_stays_under_load_costs_503s_and_no_permit() {
    let service =
        setup().set("database.lock_timeout", "200ms").set("database.acquire_timeout", "500ms").start();
    service.database.run("CREATE TABLE drill (n INTEGER)").await;
    let insert = || service.get("/drill/insert").status;
    assert_eq!(insert(), 200);

    for _ in 0..3 {
        let mut holder = service.database.connect().await;
        holder.execute("BEGIN EXCLUSIVE").await.unwrap();
        let (mut statuses, begun) = (Vec::new(), Instant::now());
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(insert)).collect();
            statuses.extend(clients.into_iter().map(|client| client.join().unwrap()));
        });
        assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(service.ask("/livez").status, 200);

        holder.execute("ROLLBACK").await.unwrap();
        eventually("a good answer", || (insert() == 200).then_some(()));
    }
    let in_use = [("pool", WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &in_use, |n| n == 0.0);
}

#[tokio::test]
async fn a_lock_of_another_process_is_a_503() {
    let (db, database) = open_with(|config| config.database.lock_timeout = Duration::from_millis(1)).await;
    let mut holder = database.connect().await;
    holder.execute("BEGIN IMMEDIATE").await.unwrap();

    let busy = query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap_err();

    assert_eq!(Trouble::of(&busy), Trouble::Busy, "{busy}");
    assert_eq!(Problem::from(busy).status(), 503);
}

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
    database.run(&format!("PRAGMA foreign_keys = OFF; {wrong}")).await; // it is there already
    let db = migrate(&database, [step(1, "family", FAMILY)]).await.unwrap();
    assert_eq!(count(&db, CHILDREN).await, 3);
    drop(
        migrate(&database, [step(1, "family", FAMILY), step(2, "mends", "CREATE UNIQUE INDEX ax ON a (x)")])
            .await,
    );
}

#[tokio::test]
async fn temporary_tables_pragmas_and_attached_files_reach_nobody_else() {
    let (db, database) = open().await;
    for change in [
        "CREATE TEMP TABLE t (n)",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA query_only(1)",
        "ATTACH ':memory:' AS other; CREATE TABLE other.t (n)",
    ] {
        let mut connection = db.write.acquire().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&mut connection).await.unwrap();
        drop(connection);
        query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap();
        let on: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&db.write).await.unwrap();
        let databases = sqlx::query("PRAGMA database_list").fetch_all(&db.write).await.unwrap().len();
        assert_eq!((on, databases), (1, 1), "{change}");
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
        assert_eq!(kept, 1, "{change}: in the file");
        query("DELETE FROM t").execute(&db.write).await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_that_was_given_up_ends_its_transaction() {
    let (db, _database) =
        open_with(|config| config.database.statement_timeout = Duration::from_millis(300)).await;
    let mut transaction = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
    let endless = sqlx::AssertSqlSafe(format!("INSERT INTO t {ENDLESS} SELECT i FROM n"));
    let given_up = tokio::time::timeout(Duration::from_millis(50), query(endless).execute(&mut *transaction));
    assert!(given_up.await.is_err());

    let alone = query("INSERT INTO t VALUES (2)").execute(&mut *transaction).await.unwrap_err();

    assert_eq!(Trouble::of(&alone), Trouble::Slow, "{alone}");
    transaction.commit().await.unwrap_err();
    query("INSERT INTO t VALUES (3)").execute(&db.write).await.unwrap();
    assert_eq!(rows(&db).await, 1);
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

/// Would run for minutes.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)";

#[test]
fn a_write_that_runs_away_is_ended_at_its_timeout_and_costs_the_others_no_more() {
    let service = setup().set("database.statement_timeout", "1s").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)");
    let in_use = [("pool", "write"), ("state", "in_use")];
    thread::scope(|scope| {
        let begun = Instant::now();
        let runaway = scope.spawn(|| service.get("/drill/run-away").status);
        service.await_metric("db_pool_connections", &in_use, |in_use| in_use == 1.0);
        let writers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..25).map(|_| service.get("/drill/insert").status).collect::<Vec<_>>()))
            .collect();
        assert_eq!(runaway.join().unwrap(), 504);
        for writer in writers {
            assert_eq!(writer.join().unwrap(), vec![200; 25], "a second's wait is within acquire_timeout");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
    let count = || service.database.count("SELECT count(*) FROM drill");
    assert_eq!(count(), 200, "nothing of what ran away, and everything else");
}

#[test]
fn a_write_whose_client_leaves_frees_the_writer_at_once() {
    let service = setup().set("database.statement_timeout", "9s").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)");
    let labels = [("pool", "write"), ("state", "in_use")];
    let leaves = service.begin("/drill/run-away");
    service.await_metric("db_pool_connections", &labels, |in_use| in_use == 1.0);
    let begun = Instant::now();
    drop(leaves);
    assert_eq!(service.get("/drill/insert").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_write_that_runs_away_does_not_hold_up_the_shutdown() {
    let mut service = setup().set("database.statement_timeout", "9s").set("shutdown.grace", "1s").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)");
    let labels = [("pool", "write"), ("state", "in_use")];
    let _client = service.begin("/drill/run-away");
    service.await_metric("db_pool_connections", &labels, |in_use| in_use == 1.0);
    let begun = Instant::now();
    service.signal("TERM");
    assert_eq!(service.wait(), 3, "a request was cut off");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(service.log().iter().any(|line| line["message"] == "shutdown: database closed"));
}

#[tokio::test]
async fn a_read_that_runs_away_is_ended_too() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(200);
    })
    .await;
    let begun = Instant::now();
    let endless = sqlx::AssertSqlSafe(format!("{ENDLESS} SELECT count(*) FROM n"));
    let error = query(endless).execute(&db.read).await.unwrap_err();
    assert_eq!(Trouble::of(&error), Trouble::Slow, "{error}");
    assert_eq!(rows(&db).await, 0, "the only reader is there again");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn after_a_statement_that_ran_away_nothing_of_its_transaction_can_be_kept() {
    let (db, _database) =
        open_with(|config| config.database.statement_timeout = Duration::from_millis(200)).await;
    let mut transaction = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
    let endless = sqlx::AssertSqlSafe(format!("INSERT INTO t {ENDLESS} SELECT i FROM n"));
    query(endless).execute(&mut *transaction).await.unwrap_err();

    // SQLite has rolled it back, and would keep this alone.
    let alone = query("INSERT INTO t VALUES (2)").execute(&mut *transaction).await.unwrap_err();

    assert!(alone.to_string().contains("rolled this transaction back"), "{alone}");
    transaction.commit().await.unwrap_err();
    assert_eq!(rows(&db).await, 0);
    query("INSERT INTO t VALUES (3)").execute(&db.write).await.unwrap();
    assert_eq!(rows(&db).await, 1);
}

#[test]
fn a_url_that_can_never_work_is_refused_by_check_and_start_alike() {
    for (url, words) in [
        ("mysql://app:hunter2@db/app", "is not a SQLite URL"),
        ("sqlite::memory:", "a database of its own"),
        ("sqlite:data/x.db?mode=memory", "a database of its own"),
        ("sqlite:%3Amemory%3A", "a database of its own"),
        ("sqlite:", "names no file"),
        ("sqlite:data/", "names a folder"),
        ("sqlite:data/x.db?mode=hunter2", "an unknown mode"),
        ("sqlite:data/x.db?password=hunter2", "none of mode, cache, immutable and vfs"),
    ] {
        never_works(url, &[words]);
    }
}
