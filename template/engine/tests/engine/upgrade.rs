//! Connections that leave HTTP, as a WebSocket does: they are counted, bounded, told of the shutdown, and have a line
//! at their end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{PATIENCE, Service, client, eventually, setup};

/// Opens a connection that leaves HTTP. The service says goodbye on it `ms` milliseconds after the shutdown has begun.
fn upgrade(service: &Service, method: &str, ms: u64, id: &str) -> TcpStream {
    let status = if method == "CONNECT" { "200" } else { "101" };
    let mut stream = client::open_narrow(service.public, &head(method, ms, id));
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert_eq!(answer.contains("connection: upgrade\r\n"), status == "101", "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
    stream
}

fn head(method: &str, ms: u64, id: &str) -> Vec<u8> {
    let head = format!("{method} /drill/echo/{ms} HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\n");
    format!("{head}connection: upgrade\r\nupgrade: echo\r\n\r\n").into_bytes()
}

fn echo(stream: &mut TcpStream) {
    stream.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

/// The line that is written when the connection ends.
fn end(service: &Service, id: &str) -> Value {
    service.await_line("the end", |line| {
        line["message"] == "upgraded connection ended" && line["request_id"] == id
    })
}

#[test]
fn it_is_counted_and_bounded_like_any_connection_and_holds_no_place() {
    let service = setup()
        .set("server.max_connections", "3")
        .set("admission.max_in_flight", "1")
        .set("admission.max_queue", "0")
        .start();
    let mut first = upgrade(&service, "GET", 0, "first");
    let second = upgrade(&service, "GET", 0, "second");
    assert_eq!(service.request_line("first")["status"], 101);
    assert_eq!(service.get("/drill/sleep/0").status, 200, "the places are free");
    let mut third = upgrade(&service, "GET", 0, "third");
    service.await_metric("http_connections", &[], |open| open == 3.0);
    for gauge in ["http_requests_in_flight", "http_requests_admitted"] {
        assert_eq!(service.metric(gauge, &[]), 0.0, "{gauge}");
    }

    // The kernel accepts this connection, but the service does not.
    let mut outside =
        client::open(service.public, b"GET /drill/sleep/0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    outside.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let refused = outside.read(&mut [0]).unwrap_err().kind();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&refused), "{refused:?}");
    echo(&mut first);
    echo(&mut third);
    drop(second);
    outside.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(client::read(&mut outside).unwrap().status, 200);

    drop((first, third));
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[test]
fn its_task_carries_the_id_and_its_end_is_a_line() {
    let service = setup().set("server.write_timeout", "500ms").start();

    for method in ["GET", "CONNECT"] {
        let mut stream = upgrade(&service, method, 0, method);
        echo(&mut stream);
        thread::sleep(Duration::from_millis(600)); // no bound of HTTP ends it while it is silent
        echo(&mut stream);
        drop(stream);

        service.await_line("the task's", |line| {
            line["message"] == "drill: upgraded" && line["request_id"] == method
        });
        let end = end(&service, method);
        assert_eq!((&end["ended_by"], &end["route"]), (&"client".into(), &"/drill/echo/{ms}".into()));
        assert!((600.0..20_000.0).contains(&end["duration_ms"].as_f64().unwrap()), "{end}");
        let request = service.request_line(method);
        assert!(request["duration_ms"].as_f64().unwrap() < 500.0, "it ended with its head: {request}");
    }
    assert_eq!(service.metric("http_connection_errors_total", &[]), 0.0);

    let stream = upgrade(&service, "GET", 0, "reset");
    client::reset(stream);
    assert_eq!(end(&service, "reset")["ended_by"], "io");

    let mut stream = upgrade(&service, "GET", 0, "unread");
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let begun = Instant::now();
    while stream.write_all(&[b'x'; 64 * 1024]).is_ok() {}
    assert_eq!(end(&service, "unread")["ended_by"], "write_timeout");
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    assert_eq!(service.metric("http_connection_errors_total", &[("kind", "write_timeout")]), 1.0);
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[test]
fn told_of_the_shutdown_it_says_goodbye_in_time() {
    let mut service = setup().start();
    let mut streams = ["a", "b"].map(|id| upgrade(&service, "GET", 400, id));
    service.await_metric("http_connections", &[], |open| open == 2.0);

    let begun = Instant::now();
    service.signal("TERM");

    for stream in &mut streams {
        let mut goodbye = String::new();
        stream.read_to_string(&mut goodbye).unwrap();
        assert_eq!(goodbye, "goodbye");
    }
    assert_eq!(service.wait(), 0);
    assert!(
        begun.elapsed() >= Duration::from_millis(400),
        "longer than a connection may linger without cause"
    );
    assert_eq!(end(&service, "a")["ended_by"], "service");
    let log = service.log();
    let at = |message: &str| log.iter().position(|line| line["message"] == message).unwrap();
    assert_eq!(log[at("shutdown: no new connections")]["upgraded"], 2);
    assert!(at("upgraded connection ended") < at("shutdown: requests finished"));
}

#[test]
fn one_that_comes_during_the_drain_delay_is_upgraded() {
    let setup = setup().set("shutdown.drain_delay", "20s").set("shutdown.grace", "40s");
    let service = setup.set("platform.termination_grace", "60s").start();
    service.signal("TERM");
    service.await_line("the drain", |line| line["message"] == "shutdown: draining");

    for method in ["GET", "CONNECT"] {
        echo(&mut upgrade(&service, method, 60_000, method));
    }

    assert_eq!(service.get("/drill/sleep/0").header("connection"), Some("close"));
}

#[test]
fn one_that_does_not_end_is_cut_off_at_the_deadline() {
    let mut service = setup().set("shutdown.grace", "500ms").start();
    let mut stream = upgrade(&service, "GET", 60_000, "endless");

    let begun = Instant::now();
    service.signal("TERM");
    eventually("it is told", || service.log().iter().any(|line| line["upgraded"] == 1).then_some(()));
    echo(&mut stream);

    assert_eq!(service.wait(), 3);
    assert!(begun.elapsed() >= Duration::from_millis(500), "it had its grace");
    let cut = service.await_line("the cut", |line| line["ended_by"] == "shutdown");
    assert_eq!((&cut["level"], &cut["request_id"]), (&"ERROR".into(), &"endless".into()));
}
