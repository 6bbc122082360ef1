//! Clients that say no more, leave, reset and vanish: who is answered, and does each request leave its line?

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::common::{Service, client, eventually, request, setup};

const GET: &[u8] = b"GET /drill/sleep/100 HTTP/1.1\r\nhost: x\r\nx-request-id: half\r\n\r\n";

fn read_all(mut stream: TcpStream) -> String {
    let mut all = String::new();
    let _ = stream.read_to_string(&mut all);
    all
}

#[test]
fn the_end_of_sending_means_that_the_client_is_gone() {
    let service = setup().start();

    assert_eq!(read_all(client::half_close(service.public, GET)), "");

    let line = service.request_line("half");
    assert_eq!((&line["status"], &line["outcome"]), (&499.into(), &"client_gone".into()));
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[test]
fn the_end_of_sending_means_no_more_than_that_if_the_owner_says_so() {
    let service = setup().set("server.half_close", "true").start();
    let pipelined = [GET, GET].concat();
    let body = b"POST /drill/read HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody";

    for (bytes, answers) in [(GET, 1), (&pipelined, 2), (body, 1)] {
        // To the connection's end: nothing more can come on it.
        let all = read_all(client::half_close(service.public, bytes));
        assert_eq!(all.matches("HTTP/1.1 200 OK").count(), answers, "{all}");
    }

    assert_eq!(service.request_line("half")["outcome"], "ok");
    let cut = b"POST /drill/read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
    assert!(read_all(client::half_close(service.public, cut)).starts_with("HTTP/1.1 400"));
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[test]
fn a_client_that_leaves_after_the_end_of_its_sending_is_noticed() {
    // The socket is asked as often as a write may last.
    let service = setup().set("server.half_close", "true").set("server.write_timeout", "200ms").start();
    let never = request("GET", "/drill/never", &[("x-request-id", "left")], b"");
    let stream = client::half_close(service.public, &never);
    service.await_in_flight(1.0);

    client::reset(stream);

    let line = service.request_line("left");
    assert_eq!(line["outcome"], "client_gone");
    assert!(line["duration_ms"].as_f64().unwrap() < 5_000.0, "not the request's timeout: {line}");
}

#[test]
fn so_is_one_that_leaves_while_more_of_its_requests_wait() {
    // hyper does not read while there is something that it has not looked at.
    let service = setup().set("server.write_timeout", "200ms").start();
    let never = b"GET /drill/never HTTP/1.1\r\nhost: x\r\nx-request-id: first\r\n\r\n";
    let stream = client::open(service.public, &[never, GET].concat());
    service.await_in_flight(1.0);

    client::reset(stream);

    assert_eq!(service.request_line("first")["outcome"], "client_gone");
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

/// How a client can end, with a request that has this id in the database.
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
        service.database.execute("CREATE TABLE drill (n BIGINT)").await;

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
        // All of it was sent before its end: all of them were begun.
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
    service.database.execute("CREATE TABLE drill (n BIGINT)").await;
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

/// The lines of requests by their ids, once there come no more.
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

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_asks_a_silent_peer_whether_it_is_there() {
    let service = setup().start();
    let stream = client::open(service.public, GET);
    let peer = stream.local_addr().unwrap().port();

    // Of the socket on the service's side: the timer that runs, and when it fires, in hundredths of a second.
    let timer = eventually("a keepalive timer", || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        let ours = format!(":{:04X} ", service.public.port());
        let theirs = format!(":{peer:04X} ");
        let line = sockets.lines().find(|line| {
            let mut addresses = line.split_whitespace().skip(1).map(|address| format!("{address} "));
            addresses.next().is_some_and(|local| local.ends_with(&ours))
                && addresses.next().is_some_and(|remote| remote.ends_with(&theirs))
        })?;
        let (kind, when) = line.split_whitespace().nth(5)?.split_once(':')?;
        (kind == "02").then(|| Duration::from_millis(10 * u64::from_str_radix(when, 16).unwrap()))
    });

    assert!((Duration::from_secs(30)..=Duration::from_secs(61)).contains(&timer), "{timer:?}");
}
