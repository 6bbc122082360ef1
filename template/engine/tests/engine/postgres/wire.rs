//! What does a statement cost on the wire, and which part of a wait is told?

use std::time::Duration;

use sqlx::{query_scalar, raw_sql};

use super::super::blame::{blames, header, line_and_metric_blame, small};
use super::super::database::open_with;
use crate::common::{Database, WRITE, eventually, setup};
use longpole_testing::Proxy;

#[tokio::test]
async fn a_query_is_one_round_trip_and_one_more_after_a_pause() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let (db, _other) = open_with(|config| {
        config.database.url = database.url_at(proxy.addr).into();
        config.database.max_connections = 1;
    })
    .await;
    let one_row = async || {
        let before = proxy.round_trips();
        let found: i64 = query_scalar("SELECT count(*) FROM t").fetch_one(&db.read).await.unwrap();
        assert_eq!(found, 0);
        proxy.round_trips() - before
    };
    one_row().await; // is prepared now

    for _ in 0..10 {
        assert_eq!(one_row().await, 1);
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(one_row().await, 2, "it was idle for so long that it is asked first");
}

#[tokio::test]
async fn the_gauges_of_a_busy_pool_stay_within_its_size() {
    let service = setup().set("database.max_connections", "2").start();
    let pool = ("pool", WRITE);
    let clients: Vec<_> = (0..20).map(|_| service.begin("/drill/hold/20")).collect();

    eventually("all answers", || {
        let count = |state| service.metric("db_pool_connections", &[pool, ("state", state)]);
        let (idle, in_use) = (count("idle"), count("in_use"));
        assert!((0.0..=2.0).contains(&idle) && (0.0..=2.0).contains(&in_use), "{idle} idle, {in_use} in use");
        (service.metric("db_pool_acquire_seconds_count", &[pool]) >= 20.0 && in_use == 0.0).then_some(())
    });
    drop(clients);
}

#[test]
fn slow_connecting_is_told_from_waiting_and_querying() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let by_proxy = database.url_at(proxy.addr);
    let service = small().set("database.url", &by_proxy).set("database.max_connections", "2").start();
    let _holding = service.begin("/drill/hold/60000");
    let in_use = [("pool", WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &in_use, |n| n == 1.0);
    proxy.delay_connections(Duration::from_millis(600));

    let response = service.call("GET", "/drill/query/0", &[("x-request-id", "victim")], b"");

    blames("db_connect", &header(&response), 500.0, "header");
    line_and_metric_blame(&service, "victim", "db_connect");
}

#[tokio::test]
async fn what_lasts_for_a_transaction_alone_costs_no_round_trip() {
    let database = Database::new();
    let proxy = Proxy::to(database.addr());
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.url = database.url_at(proxy.addr).into();
    })
    .await;
    let run = async || {
        let mut transaction = db.write.begin().await.unwrap();
        raw_sql("SET LOCAL search_path = pg_catalog").execute(&mut *transaction).await.unwrap();
        raw_sql("SAVEPOINT here").execute(&mut *transaction).await.unwrap();
        raw_sql("SELECT pg_advisory_xact_lock(1), set_config('app.tenant', 'one', true)")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    };
    run().await;
    let before = proxy.round_trips();
    run().await;
    assert_eq!(proxy.round_trips() - before, 5, "begin, three statements, commit");
}
