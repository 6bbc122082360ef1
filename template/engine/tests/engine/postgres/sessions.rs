//! What is each connection told, and what is left of its user?

use std::time::Duration;

use longpole::Trouble;
use sqlx::{query, query_scalar, raw_sql};

use super::super::database::{open, open_with, rows};
use crate::common::setup;

#[tokio::test]
async fn a_transaction_that_is_forgotten_is_ended_and_its_permit_comes_back() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.idle_in_transaction_timeout = Duration::from_millis(50);
    })
    .await;
    let mut forgotten = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *forgotten).await.unwrap();

    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = query("INSERT INTO t VALUES (2)").execute(&mut *forgotten).await.unwrap_err();
    drop(forgotten);

    assert!(matches!(Trouble::of(&error), Trouble::Slow | Trouble::Away), "{error}");
    assert_eq!(rows(&db).await, 0);
}

#[tokio::test]
async fn a_connection_whose_statement_was_given_up_and_failed_is_used_again() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(200);
    })
    .await;
    let pid = async || {
        let pid: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&db.read).await.unwrap();
        pid
    };
    let before = pid().await;

    let given_up = query("SELECT pg_sleep(60)").execute(&db.read);
    assert!(tokio::time::timeout(Duration::from_millis(50), given_up).await.is_err());

    assert_eq!(pid().await, before, "the server ended the statement, not the connection");
}

#[tokio::test]
async fn the_loss_of_the_probes_own_connection_is_no_outage() {
    let service = setup().set("database.statement_timeout", "9s").start();
    let probes = "state = 'idle' AND query = 'SELECT 1' AND datname = current_database()";
    let mut past = service.database.connect().await;
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE {probes}");
    for _ in 0..600 {
        let probes: i64 = query_scalar(sqlx::AssertSqlSafe(&*count)).fetch_one(&mut past).await.unwrap();
        if probes == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kill = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {probes}");
    let killed: bool = query_scalar(sqlx::AssertSqlSafe(kill)).fetch_one(&mut past).await.unwrap();
    assert!(killed);

    tokio::time::sleep(Duration::from_secs(2)).await; // several questions of the probe
    assert_eq!(service.ask("/readyz").status, 200);
    let silent = |line: &serde_json::Value| line["message"] == "database does not answer";
    assert!(!service.log().iter().any(silent), "it asked again on a new one");
}

#[tokio::test]
async fn each_connection_has_its_name_and_its_bounds() {
    let (db, _database) = open().await;
    let setting = async |name: &str| {
        let value = query_scalar("SELECT current_setting($1)").bind(name.to_owned()).fetch_one(&db.read);
        let value: String = value.await.unwrap();
        value
    };

    assert_eq!(setting("application_name").await, "longpole");
    assert_eq!(setting("statement_timeout").await, "5s");
    assert_eq!(setting("lock_timeout").await, "2s");
    assert_eq!(setting("idle_in_transaction_session_timeout").await, "5s");
}

#[tokio::test]
async fn the_password_is_in_no_debug_output() {
    let (db, database) = open().await;
    let url = database.url();
    let password = url.split_once('@').unwrap().0.rsplit_once(':').unwrap().1;

    let shown = format!("{db:?}");

    assert!(shown.contains("Connector(") && !shown.contains(password), "{shown}");
}

#[tokio::test]
async fn what_a_user_changes_for_good_in_its_session_is_taken_back() {
    let (db, _database) = open_with(|config| config.database.max_connections = 1).await;
    let state = "SELECT concat_ws(' ', current_setting('search_path'), current_setting('statement_timeout'), \
        coalesce(current_setting('a.b', true), ''), current_setting('application_name'), current_user, \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
        (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors), \
        (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), to_regclass('scratch'))";
    let state = async || query_scalar::<_, String>(state).fetch_one(&db.read).await.unwrap();
    let before = state().await;
    for change in [
        "SET search_path = pg_catalog",
        "SET SESSION statement_timeout = 0",
        "SELECT set_config('a.b', 'c', false)",
        "SET ROLE pg_monitor",
        "SELECT pg_advisory_lock(1)",
        "LISTEN news",
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT",
        "PREPARE p AS SELECT 1",
        "CREATE TEMP TABLE scratch (n int)",
        "CREATE TEMP TABLE scratch (n int); BEGIN; SET search_path = pg_catalog; LISTEN news",
    ] {
        let mut connection = db.read.acquire().await.unwrap();
        raw_sql(change).execute(&mut connection).await.unwrap();
        drop(connection);
        assert_eq!(state().await, before, "{change}");
    }
}
