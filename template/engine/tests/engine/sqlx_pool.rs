//! sqlx's own pool, for crates that want it: it is bounded, counted by `check`, in the metrics, and closed at the shutdown.

use longpole::Driver;
use longpole::internals::open_database;
use longpole::{Config, Migrations, sqlx};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Column, Executor, SqlSafeStr};

use crate::common::{Database, Service, Setup, client, setup};
use crate::engine::start::refuses;

fn with_pool(size: &str) -> Setup {
    setup().set("database.sqlx_pool_connections", size)
}

fn connections(service: &Service, state: &str) -> f64 {
    service.metric("db_pool_connections", &[("pool", "sqlx"), ("state", state)])
}

#[test]
fn it_is_bounded_and_in_the_metrics() {
    let service = with_pool("1").set("database.acquire_timeout", "300ms").start();
    assert_eq!(service.metric("db_pool_max_connections", &[("pool", "sqlx")]), 1.0);
    assert_eq!(
        connections(&service, "idle") + connections(&service, "in_use"),
        0.0,
        "none is opened in advance"
    );

    let mut first = service.begin("/sqlx/5000");
    service.await_metric("db_pool_connections", &[("pool", "sqlx"), ("state", "in_use")], |n| n == 1.0);
    service.get("/sqlx/0").problem(503);

    assert_eq!(client::read(&mut first).unwrap().status, 200);
    service.await_metric("db_pool_connections", &[("pool", "sqlx"), ("state", "idle")], |n| n == 1.0);
    assert_eq!(connections(&service, "in_use"), 0.0);
    assert_eq!(service.get("/sqlx/0").status, 200);
}

#[test]
fn a_wait_that_is_long_and_ends_well_leaves_a_line() {
    let service = with_pool("1").set("database.acquire_timeout", "2s").start();
    let mut first = service.begin("/sqlx/1000"); // longer than a quarter of the timeout
    service.await_metric("db_pool_connections", &[("pool", "sqlx"), ("state", "in_use")], |n| n == 1.0);

    assert_eq!(service.get("/sqlx/0").status, 200);

    assert_eq!(client::read(&mut first).unwrap().status, 200);
    service.await_line("the slow wait", |line| line["target"] == "sqlx::pool::acquire");
}

#[test]
fn check_counts_its_connections() {
    let check = |setup: Setup| String::from_utf8(setup.run(&["check"]).stdout).unwrap();
    let sum = "database.max_connections 3 + database.sqlx_pool_connections 4 + 1";

    let with = check(with_pool("4").set("database.max_connections", "3"));
    let without = check(setup().set("database.max_connections", "3"));

    let (writer, total) = if cfg!(feature = "sqlite") { (" writer + 1 probe", 9) } else { ("", 8) };
    let line = format!("  ok       {sum}{writer} = {total} connections of each replica\n");
    assert!(with.contains(&line), "{with}");
    assert!(!without.contains(" connections of each replica"), "{without}");
    if cfg!(feature = "postgres") {
        assert!(
            with.contains(&format!("platform.replicas 1 × ({sum}) = 8 ≤ ")),
            "the server was asked: {with}"
        );
    }
}

#[test]
fn it_is_closed_after_the_last_background_task() {
    let mut service = with_pool("2").start();
    assert_eq!(service.get("/sqlx/0").status, 200);

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    let log = service.log();
    let place = |message: &str| {
        let place = log.iter().position(|line| line["message"] == message);
        place.unwrap_or_else(|| panic!("{message} is missing: {log:?}"))
    };
    let used = place("drill: the last use of sqlx's pool");
    assert_eq!(log[used]["worked"], Value::Bool(true));
    let closed = place("shutdown: sqlx's own pool closed");
    assert!(log[closed]["connections"].as_u64() >= Some(1), "{}", log[closed]);
    assert!(used < place("shutdown: background tasks stopped"));
    assert!(place("shutdown: background tasks stopped") < closed);
    assert!(closed < place("shutdown: database closed"));
}

/// With SQLite there is nothing to set: a statement waits for the lock of the file, as the options of the connection say.
#[cfg(feature = "postgres")]
#[test]
fn its_connections_have_the_bounds_of_the_others() {
    let service = with_pool("1").set("database.statement_timeout", "1234ms").start();
    assert_eq!(service.get("/sqlx-timeout").text(), "1234ms");
}

#[test]
fn without_a_size_there_is_none_and_the_error_names_the_setting() {
    let setup = setup().variable("DRILL_START", "sqlx pool");
    refuses(setup, &["start: ", "database.sqlx_pool_connections is 0"]);
    assert_eq!(crate::common::setup().start().get("/sqlx/0").status, 404);
}

/// `query!` asks with this when it checks a statement. Every executor of sqlx's can be asked.
#[tokio::test]
async fn a_statement_can_be_described_through_our_pool_and_connection() {
    let database = Database::new();
    let mut config = Config::default();
    config.database.url = database.url().into();
    let db =
        open_database(&config, longpole::internals::IDENTITY, Migrations::default(), true).await.unwrap();
    let names = |described: sqlx::Describe<Driver>| -> Vec<String> {
        described.columns().iter().map(|column| column.name().to_owned()).collect()
    };
    let sql = || AssertSqlSafe("SELECT 1 AS one, 2 AS two").into_sql_str();

    let by_pool = (&db.read).describe(sql()).await.unwrap();
    let mut transaction = db.write.begin().await.unwrap();
    let by_transaction = (&mut *transaction).describe(sql()).await.unwrap();
    let wrong = (&mut *transaction).describe(AssertSqlSafe("SELECT a FROM nowhere").into_sql_str()).await;
    drop(transaction);

    assert_eq!(names(by_pool), ["one", "two"]);
    assert_eq!(names(by_transaction), ["one", "two"]);
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("nowhere"), "{wrong}");
    sqlx::query("SELECT 1").execute(&db.write).await.unwrap(); // the connection is usable again
}
