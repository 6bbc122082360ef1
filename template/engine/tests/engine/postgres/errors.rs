//! What do PostgreSQL's errors become for a client?

use std::time::Duration;

use axum::body::to_bytes;
use axum::response::IntoResponse;
use futures_util::future::join;
use longpole::{Problem, Trouble};
use sqlx::{query, raw_sql};

use super::super::database::{open, open_with, rows};
use crate::common::database::OnAServer;
use crate::common::{Database, PastTheService};

/// Asserts what a client sees of it, and that nothing internal is in there.
async fn becomes(error: sqlx::Error, trouble: Trouble, status: u16) {
    assert_eq!(Trouble::of(&error), trouble, "{error}");
    let response = Problem::from(error).into_response();
    assert_eq!(response.status(), status);
    assert_eq!(response.headers().contains_key("retry-after"), status == 503);
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    for internal in ["SQL", "unique", "deadlock", "statement", "t_", "pg_", "INSERT"] {
        assert!(!text.contains(internal), "{internal} is in {text}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_a_504_and_the_server_gives_it_up() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(100);
    })
    .await;

    let error = query("SELECT pg_sleep(60)").execute(&db.read).await.unwrap_err();

    assert!(error.as_database_error().is_some(), "the server says so, not we: {error}");
    becomes(error, Trouble::Slow, 504).await;
    assert_eq!(rows(&db).await, 0, "the only connection is there again");
}

#[tokio::test]
async fn a_lock_that_stays_taken_is_a_503() {
    let (db, _database) = open_with(|config| config.database.lock_timeout = Duration::from_millis(50)).await;
    let mut holder = db.write.begin().await.unwrap();
    query("LOCK TABLE t").execute(&mut *holder).await.unwrap();

    let error = query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap_err();

    becomes(error, Trouble::Busy, 503).await;
}

#[tokio::test]
async fn a_deadlock_is_a_503_for_one_of_the_two() {
    let (db, database) = open().await;
    database.run("INSERT INTO t VALUES (1), (2)").await;
    let (mut one, mut two) = (db.write.begin().await.unwrap(), db.write.begin().await.unwrap());
    for (transaction, n) in [(&mut one, 1_i64), (&mut two, 2)] {
        query("UPDATE t SET n = n WHERE n = $1").bind(n).execute(&mut **transaction).await.unwrap();
    }

    let crossed = join(
        query("UPDATE t SET n = n WHERE n = 2").execute(&mut *one),
        query("UPDATE t SET n = n WHERE n = 1").execute(&mut *two),
    );
    let (one, two) = crossed.await;

    assert!(one.is_ok() != two.is_ok(), "one goes on: {one:?}, {two:?}");
    becomes(one.and(two).unwrap_err(), Trouble::Conflict, 503).await;
}

#[tokio::test]
async fn a_serialization_failure_is_a_503() {
    let (db, database) = open().await;
    database.run("INSERT INTO t VALUES (1)").await;
    let (mut one, mut two) = (db.write.begin().await.unwrap(), db.write.begin().await.unwrap());
    for transaction in [&mut one, &mut two] {
        raw_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").execute(&mut **transaction).await.unwrap();
        query("SELECT n FROM t").execute(&mut **transaction).await.unwrap();
    }
    query("UPDATE t SET n = 2").execute(&mut *one).await.unwrap();
    one.commit().await.unwrap();

    let error = query("UPDATE t SET n = 3").execute(&mut *two).await.unwrap_err();

    becomes(error, Trouble::Conflict, 503).await;
}

#[tokio::test]
async fn what_exists_or_is_referred_to_is_a_409() {
    let (db, database) = open().await;
    database.run("CREATE TABLE t_unique (id int PRIMARY KEY); INSERT INTO t_unique VALUES (1)").await;
    database.run("CREATE TABLE t_refers (id int REFERENCES t_unique)").await;

    let exists = query("INSERT INTO t_unique VALUES (1)").execute(&db.write).await.unwrap_err();
    let dangles = query("INSERT INTO t_refers VALUES (2)").execute(&db.write).await.unwrap_err();

    becomes(exists, Trouble::Refused, 409).await;
    becomes(dangles, Trouble::Refused, 409).await;
}

#[tokio::test]
async fn a_mistake_in_a_statement_is_a_500_that_says_nothing() {
    let (db, _database) = open().await;

    let error = query("SELECT secret FROM t_internal").execute(&db.read).await.unwrap_err();

    becomes(error, Trouble::Refused, 500).await;
}

#[tokio::test]
async fn a_transaction_that_has_failed_cannot_be_committed() {
    let (db, database) = open().await;
    database.run("CREATE TABLE t_unique (id int PRIMARY KEY)").await;
    let mut transaction = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
    for _ in 0..2 {
        let _ = query("INSERT INTO t_unique VALUES (1)").execute(&mut *transaction).await; // the second fails
    }

    let committed = transaction.commit().await;

    assert!(committed.is_err(), "nothing of it is there");
    assert_eq!(rows(&db).await, 0);
}

#[tokio::test]
async fn a_prepared_statement_that_a_migration_made_stale_is_prepared_anew() {
    let (db, database) = open_with(|config| config.database.max_connections = 1).await;
    database.run("CREATE TABLE t_changes (a int); INSERT INTO t_changes VALUES (1)").await;
    let read = async || query("SELECT * FROM t_changes").fetch_all(&db.read).await.map(|rows| rows.len());
    assert_eq!(read().await.unwrap(), 1);
    database.run("ALTER TABLE t_changes ADD COLUMN b text").await;

    becomes(read().await.unwrap_err(), Trouble::Conflict, 503).await;

    assert_eq!(read().await.unwrap(), 1, "once for each connection, not until a restart");
}

#[tokio::test]
async fn a_full_server_is_waited_for_and_an_idle_connection_of_ours_is_taken_first() {
    let database = Database::new();
    let (role, url) = database.role().await;
    let (db, _other) = open_with(|config| {
        config.database.url = url.into();
        config.database.max_connections = 2;
        config.database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    database.run(&format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
    let one = db.write.acquire().await.unwrap();

    let refused = db.write.acquire().await.unwrap_err();
    becomes(refused, Trouble::Busy, 503).await;
    let waits = join(db.write.acquire(), async { drop(one) }).await;

    assert!(waits.0.is_ok(), "{:?}", waits.0);
}
