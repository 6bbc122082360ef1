//! The pool keeps its promises when transactions are dropped and clients leave.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use longpole::internals::{IDENTITY, open_database};
use longpole::{Config, Db, Migrations, spawn};
use sqlx::{Executor, query, query_scalar};

use crate::common::{Database, WRITE, eventually, setup};

pub async fn open() -> (Db, Database) {
    open_with(|_| {}).await
}

/// A database with a table, opened as the service does.
pub async fn open_with(change: impl FnOnce(&mut Config)) -> (Db, Database) {
    let database = Database::new();
    let mut config = Config::default();
    config.database.url = database.url().into();
    config.database.acquire_timeout = Duration::from_secs(20);
    change(&mut config);
    let db = open_database(&config, IDENTITY, Migrations::default(), true).await.unwrap();
    query("CREATE TABLE t (n BIGINT NOT NULL)").execute(&db.write).await.unwrap();
    (db, database)
}

pub async fn rows(db: &Db) -> i64 {
    query_scalar("SELECT count(*) FROM t").fetch_one(&db.read).await.unwrap()
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_before_the_next_begins() {
    let (db, _database) = open().await;

    let mut dropped = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *dropped).await.unwrap();
    drop(dropped);
    let mut kept = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (2)").execute(&mut *kept).await.unwrap();
    kept.commit().await.unwrap();

    assert_eq!(rows(&db).await, 1);
}

#[tokio::test]
async fn the_writer_survives_being_cancelled_at_any_moment() {
    let (db, _database) = open().await;

    let (mut committed, mut given_up) = (0, 0);
    for polls in 0..200 {
        let mut write = pin!(async {
            let mut transaction = db.write.begin().await?;
            query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await?;
            query("INSERT INTO t VALUES (2)").execute(&mut *transaction).await?;
            transaction.commit().await
        });
        let mut done = false;
        for _ in 0..polls {
            if let Poll::Ready(outcome) = poll!(write.as_mut()) {
                outcome.unwrap();
                done = true;
                break;
            }
            tokio::time::sleep(Duration::from_micros(1)).await; // a tick of the timer
        }
        *(if done { &mut committed } else { &mut given_up }) += 1;
    }
    assert!(committed > 0 && given_up > 0, "{committed} committed, {given_up} given up");

    query("INSERT INTO t VALUES (3)").execute(&db.write).await.unwrap();
    let halves: i64 =
        query_scalar("SELECT count(*) FILTER (WHERE n = 1) - count(*) FILTER (WHERE n = 2) FROM t")
            .fetch_one(&db.read)
            .await
            .unwrap();
    assert_eq!(halves, 0, "a transaction is whole or not at all");
}

#[tokio::test]
async fn a_pool_whose_waiters_leave_gives_all_its_connections_again() {
    let (db, _database) = open_with(|config| config.database.max_connections = 1).await;
    let held = db.write.acquire().await.unwrap();
    let waiters: Vec<_> = (0..10)
        .map(|n| {
            let pool = db.write.clone();
            spawn(async move {
                let patience = Duration::from_millis(if n % 2 == 0 { 1 } else { 20_000 });
                tokio::time::timeout(patience, query("INSERT INTO t VALUES (1)").execute(&pool)).await
            })
        })
        .collect();
    let mut waiters = waiters.into_iter().enumerate().collect::<Vec<_>>();
    for (_, impatient) in waiters.extract_if(.., |(n, _)| *n % 2 == 0) {
        assert!(impatient.await.unwrap().is_err(), "nothing is free");
    }
    drop(held);
    for (_, patient) in waiters {
        patient.await.unwrap().unwrap().unwrap();
    }

    assert_eq!(rows(&db).await, 5);
}

#[tokio::test]
async fn rows_can_be_streamed_from_a_connection() {
    use futures_util::TryStreamExt;
    let (db, _database) = open().await;
    db.write.execute("INSERT INTO t VALUES (1), (2), (3)").await.unwrap();

    let mut connection = db.read.acquire().await.unwrap();
    let rows: Vec<i64> = query_scalar::<_, i64>("SELECT n FROM t ORDER BY n")
        .fetch(&mut connection)
        .try_collect()
        .await
        .unwrap();

    assert_eq!(rows, [1, 2, 3]);
}

/// The `pool` label of the connections that read.
fn read() -> &'static str {
    if WRITE == "main" { "main" } else { "read" }
}

#[test]
fn what_nobody_uses_is_given_back() {
    let service = setup().set("database.max_connections", "3").set("database.idle_timeout", "300ms").start();
    let of = |state| [("pool", read()), ("state", state)];
    let holding: Vec<_> = (0..3).map(|_| service.begin("/drill/hold-read/200")).collect();
    service.await_metric("db_pool_connections", &of("in_use"), |in_use| in_use == 3.0);
    drop(holding);

    // All but one, which the next request is spared to open.
    service.await_metric("db_pool_connections", &of("idle"), |idle| idle == 1.0);
    assert_eq!(service.get("/drill/query/0").status, 200);
    assert_eq!(service.ask("/readyz").status, 200);
}

#[test]
fn connections_are_replaced_by_new_ones_before_they_are_old() {
    let service = setup().set("database.max_connections", "1").set("database.max_lifetime", "200ms").start();
    let opened = || service.metric("db_pool_connect_seconds_count", &[("pool", WRITE)]);
    let before = opened();
    // Busy all the time, and no request is the worse for it.
    eventually("three new connections", || {
        assert_eq!(service.get("/drill/query/0").status, 200);
        (opened() >= before + 3.0).then_some(())
    });
}
