//! However a connection ends, each request that was begun leaves its line, and no request has written without a line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Shutdown;

use tokio::task::JoinSet;

use super::connections::read_all;
use super::http2::send;
use crate::common::http2::well_behaved;
use crate::common::{PastTheService, Service, client, setup};

/// A way in which a client can end. Its request writes this id into the database.
type End = fn(&Service, i64);

fn insert(n: i64, length: usize) -> Vec<u8> {
    let head = format!("POST /drill/insert/{n} HTTP/1.1\r\nhost: x\r\nx-request-id: n-{n}\r\n");
    format!("{head}content-length: {length}\r\n\r\nbody").into_bytes()
}

const ENDS: [(&str, End); 8] = [
    ("half-close", |service, n| drop(read_all(client::half_close(service.public, &insert(n, 4))))),
    ("close", |service, n| drop(client::open(service.public, &insert(n, 4)))),
    ("reset", |service, n| client::reset(client::open(service.public, &insert(n, 4)))),
    ("close within the body", |service, n| drop(client::open(service.public, &insert(n, 5)))),
    ("half-close within the body", |service, n| {
        drop(read_all(client::half_close(service.public, &insert(n, 5))));
    }),
    ("the body late, and close", |service, n| {
        let mut stream = client::open(service.public, &insert(n, 8));
        let _ = stream.write_all(b"more").and_then(|()| stream.shutdown(Shutdown::Both));
    }),
    ("half-close behind a second request", |service, n| {
        let two = [insert(n, 4), insert(n + 1, 4)].concat();
        drop(read_all(client::half_close(service.public, &two)));
    }),
    ("reset behind a second request", |service, n| {
        client::reset(client::open(service.public, &[insert(n, 4), insert(n + 1, 4)].concat()));
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_was_begun_leaves_its_line_however_its_connection_ends() {
    const EACH: i64 = 40;
    for half_close in ["false", "true"] {
        let service = setup().set("server.half_close", half_close).start();
        service.database.run("CREATE TABLE drill (n BIGINT)").await;

        for (way, (_, end)) in (0..).zip(ENDS) {
            for n in 0..EACH {
                end(&service, 10_000 * way + 2 * n);
            }
        }

        service.await_metric("http_connections", &[], |open| open == 0.0);
        let lines = settled_lines(&service).await;
        let rows = rows(&service).await;
        for n in &rows {
            assert_eq!(lines.get(&format!("n-{n}")), Some(&1), "half_close {half_close}: {n} was written");
        }
        assert!(lines.values().all(|lines| *lines == 1), "{lines:?}");
        // In these ways the whole request was sent before the end, so each request was begun.
        for way in [0, 1] {
            let missing = |n: &i64| !lines.contains_key(&format!("n-{}", 10_000 * way + 2 * n));
            let missing: Vec<_> = (0..EACH).filter(missing).collect();
            assert!(missing.is_empty(), "half_close {half_close}, {}: {missing:?}", ENDS[way as usize].0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shutdown_cuts_off_leaves_its_line_too() {
    let setup = setup().set("shutdown.grace", "2700ms").set("database.max_connections", "1");
    let mut service = setup.set("database.acquire_timeout", "9s").start();
    service.database.run("CREATE TABLE drill (n BIGINT)").await;
    let _held = service.begin("/drill/hold/3000"); // so that the writers come free at the very end
    service.await_in_flight(1.0);
    let mut streams: Vec<_> = (0..100).map(|n| client::open(service.public, &insert(n, 4))).collect();
    let _never = service.begin("/drill/never");
    service.await_in_flight(100.0);

    service.signal("TERM");
    for stream in &mut streams {
        let _ = client::read(stream);
    }

    assert_eq!(service.wait(), 3);
    let lines = lines(&service);
    for n in rows(&service).await {
        assert_eq!(lines.get(&format!("n-{n}")), Some(&1), "{n} was written");
    }
    assert_eq!(lines.len(), 102, "{lines:?}");
}

/// How many lines each request has, once no more lines come.
async fn settled_lines(service: &Service) -> BTreeMap<String, usize> {
    service.await_metric("http_requests_in_flight", &[], |open| open == 0.0);
    service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);
    lines(service)
}

fn lines(service: &Service) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    for line in service.log().iter().filter(|line| line["message"] == "request") {
        *lines.entry(line["request_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    lines
}

async fn rows(service: &Service) -> Vec<i64> {
    let mut connection = service.database.connect().await;
    sqlx::query_scalar("SELECT n FROM drill").fetch_all(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a test's own calls")]
async fn every_request_that_was_begun_leaves_its_line_however_its_stream_ends() {
    let service = setup().start();
    service.database.run("CREATE TABLE drill (n BIGINT)").await;
    for round in 0..10 {
        let client = well_behaved();
        let mut sending = JoinSet::new();
        for n in 0..20 {
            let url = format!("http://{}/drill/insert/{}", service.public, 100 * round + n);
            let id = format!("n-{}", 100 * round + n);
            sending.spawn(send(client.post(url).header("x-request-id", id).body("body")));
        }
        // Some requests are answered, and the others are reset. In every second round their connection ends, too.
        for _ in 0..round {
            sending.join_next().await;
        }
        if round % 2 == 0 {
            sending.abort_all();
        }
        drop((sending, client));
    }

    service.await_metric("http_requests_in_flight", &[], |open| open == 0.0);
    service.await_metric("http_connections", &[], |open| open == 0.0);
    let mut connection = service.database.connect().await;
    let rows: Vec<i64> = sqlx::query_scalar("SELECT n FROM drill").fetch_all(&mut connection).await.unwrap();
    service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);
    let log = service.log();
    let lines: Vec<_> = log.iter().filter(|line| line["message"] == "request").collect();
    let ids: BTreeSet<_> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), lines.len(), "one for each");
    assert!(rows.len() >= 20, "some were answered: {}", rows.len());
    for n in rows {
        assert!(ids.contains(&*format!("n-{n}")), "{n} was written");
    }
}
