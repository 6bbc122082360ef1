//! The metrics of the pool move, and tell waiting for a connection from waiting for an answer.

use super::metrics::busy;
use crate::common::{WRITE, client, setup};

#[test]
fn the_pool_tells_waiting_from_querying() {
    let service = busy();
    let write = [("pool", WRITE)];
    let timeouts = service.metric("db_pool_timeouts_total", &write);
    let queries = service.metric("db_query_seconds_count", &write);
    assert_eq!(service.metric("db_pool_max_connections", &write), 1.0);
    assert!(service.metric("db_pool_connect_seconds_count", &write) >= 1.0, "it connects at start");

    // The first holds the only writer, the second gets it in time, the third does not.
    let mut first = service.begin("/drill/hold/200");
    service.await_metric("db_pool_connections", &[("pool", WRITE), ("state", "in_use")], |n| n == 1.0);
    assert_eq!(service.metric("db_pool_connections", &[("pool", WRITE), ("state", "idle")]), 0.0);
    let mut second = service.begin("/drill/hold/1000");
    service.await_metric("db_pool_waiters", &write, |waiters| waiters == 1.0);
    assert_eq!(client::read(&mut first).unwrap().status, 200);
    service.await_metric("db_pool_waiters", &write, |waiters| waiters == 0.0);
    let third = service.get("/drill/hold/0");
    third.problem(503);
    assert!(third.header("retry-after").is_some());
    assert_eq!(client::read(&mut second).unwrap().status, 200);

    assert_eq!(service.metric("db_pool_timeouts_total", &write), timeouts + 1.0);
    assert!(service.metric("db_pool_acquire_seconds_sum", &write) >= 0.3, "the third waited that long");
    // Background work asks, too, now and then.
    assert!(service.metric("db_query_seconds_count", &write) >= queries + 2.0);
    assert!(service.metric("db_query_seconds_sum", &write) < 0.2, "holding is not querying");
    service.await_metric("db_pool_connections", &[("pool", WRITE), ("state", "idle")], |n| n == 1.0);
}

#[test]
fn ten_requests_at_a_pool_of_one_wait_in_the_pool_and_not_in_their_queries() {
    let service = setup()
        .set("server.request_timeout", "60s")
        .set("database.acquire_timeout", "30s")
        .set("database.max_connections", "1")
        .start();
    let write = [("pool", WRITE)];
    let metric = |name| service.metric(name, &write);
    let queries = metric("db_query_seconds_count");
    let queried = metric("db_query_seconds_sum");

    let mut holding = service.begin("/drill/hold/1000");
    service.await_metric("db_pool_connections", &[write[0], ("state", "in_use")], |n| n == 1.0);
    let mut waiting: Vec<_> = (0..9).map(|_| service.begin("/drill/hold/0")).collect();
    service.await_metric("db_pool_waiters", &write, |waiters| waiters == 9.0);
    drop(waiting.split_off(5)); // these clients leave
    service.await_metric("db_pool_waiters", &write, |waiters| waiters == 5.0);
    for stream in std::iter::once(&mut holding).chain(&mut waiting) {
        assert_eq!(client::read(stream).unwrap().status, 200);
    }

    assert_eq!(metric("db_pool_waiters"), 0.0);
    // Background work asks, too, now and then.
    assert!((6.0..9.0).contains(&(metric("db_query_seconds_count") - queries)));
    let (waited, queried) = (metric("db_pool_acquire_seconds_sum"), metric("db_query_seconds_sum") - queried);
    assert!(waited > 5.0 * queried && waited > 1.0, "{waited} s in the pool, {queried} s in queries");
    assert_eq!(metric("db_pool_timeouts_total"), 0.0);
    service.await_metric("db_pool_connections", &[write[0], ("state", "idle")], |n| n == 1.0);
}
