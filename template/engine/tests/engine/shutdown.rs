//! Signals to the built binary: what finishes, what is cut off, and which exit code says so?

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{Service, client, eventually, hold, make_pipe, request, setup, without_drill};

#[test]
fn a_request_in_flight_completes_and_the_last_lines_are_in_the_file() {
    let mut service = setup().start();
    let two_seconds = request("GET", "/drill/sleep/2000", &[("x-request-id", "patient")], b"");
    let mut stream = client::open(service.public, &two_seconds);
    service.await_in_flight(1.0);

    service.signal("TERM");

    let response = client::read(&mut stream).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(service.wait(), 0);
    let log = service.log();
    assert_eq!(service.request_line("patient")["outcome"], "ok");
    assert_eq!(log.last().unwrap()["message"], "shutdown: done");
    assert!(without_drill(&service.stderr()).is_empty(), "{}", service.stderr());
}

#[test]
fn a_download_in_flight_completes() {
    let mut service = setup().start();
    let mut stream = service.begin("/drill/stream/300");
    service.await_line("the first part", |line| line["message"] == "drill: streaming");

    service.signal("INT");

    assert_eq!(client::read(&mut stream).unwrap().text(), "part\npart\npart\n");
    assert_eq!(service.wait(), 0);
}

#[test]
fn an_answer_that_is_being_read_slowly_is_sent_whole() {
    const SIZE: usize = 20_000_000; // more than the kernel buffers
    let mut service = setup().start();
    let mut stream = service.begin(&format!("/drill/bytes/{SIZE}"));
    service.await_in_flight(1.0);

    service.signal("TERM");
    service.await_line("the drain", |line| line["message"] == "shutdown: no new connections");
    std::thread::sleep(Duration::from_millis(600)); // longer than a connection may linger without cause

    assert_eq!(client::read(&mut stream).map(|response| response.body.len()), Some(SIZE));
    assert_eq!(service.wait(), 0);
}

#[test]
fn connections_without_a_request_are_no_errors() {
    let service = setup().start();
    let silent = ["", "G", "GET / HTT", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    let mut silent = silent.map(|bytes| client::open(service.public, bytes.as_bytes()));
    let _busy = service.begin("/drill/never");
    service.await_in_flight(1.0);

    service.signal("TERM");
    for stream in &mut silent {
        let _ = stream.read_to_end(&mut Vec::new());
    }

    service.await_metric("http_connections", &[], |open| open == 1.0);
    assert_eq!(service.metric("http_connection_errors_total", &[]), 0.0);
}

/// Opens a stream of events and waits until the first one is there.
fn listen(service: &Service, path: &str) -> TcpStream {
    let mut stream = service.begin(path);
    let mut seen = Vec::new();
    while !seen.windows(4).any(|four| four == b"tick") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "{path} ended");
        seen.extend_from_slice(&piece[..length]);
    }
    stream
}

#[test]
fn an_endless_stream_that_listens_to_the_shutdown_costs_no_time() {
    let mut service = setup().set("shutdown.grace", "20s").start();
    let mut stream = listen(&service, "/drill/events");

    let signalled = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(signalled.elapsed() < Duration::from_secs(2), "{:?}", signalled.elapsed());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "ended in order: {}", String::from_utf8_lossy(&rest));
    let lines = service.log();
    let line = lines.iter().find(|line| line["route"] == "/drill/events").unwrap();
    assert_eq!(line["outcome"], "ok", "{line}");
}

#[test]
fn an_endless_stream_that_does_not_listen_is_cut_off_at_the_grace() {
    let mut service = setup().set("shutdown.grace", "1s").start();
    let _stream = listen(&service, "/drill/deaf-events");

    let signalled = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 3);
    assert!(signalled.elapsed() >= Duration::from_secs(1), "{:?}", signalled.elapsed());
    let lines = service.log();
    let line = lines.iter().find(|line| line["message"] == "request").unwrap();
    assert_eq!(
        (&line["route"], &line["outcome"]),
        (&"/drill/deaf-events".into(), &"aborted".into()),
        "{line}"
    );
}

#[test]
fn a_request_that_never_ends_is_cut_off_and_named() {
    let mut service = setup().set("shutdown.grace", "700ms").start();
    let endless = request("GET", "/drill/never", &[("x-request-id", "endless")], b"");
    let mut stream = client::open(service.public, &endless);
    service.await_in_flight(1.0);

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 3);
    assert!(begun.elapsed() >= Duration::from_millis(700), "it had its grace");
    assert!(client::read(&mut stream).is_none());
    let named = service.await_line("the name", |line| {
        line["message"] == "shutdown: request cut off at the deadline" && line["request_id"] == "endless"
    });
    assert_eq!(named["route"], "/drill/never");
    assert_eq!(service.request_line("endless")["outcome"], "aborted");
    let log = service.log();
    let at = |message: &str| log.iter().position(|line| line["message"] == message);
    let ended = at("background task stopped").or(at("shutdown: background tasks stopped")).unwrap();
    assert!(at("request").unwrap() < ended, "requests may need background work until their end: {log:?}");
}

#[test]
fn blocked_workers_do_not_outlast_the_deadline() {
    let mut service = setup().set("server.worker_threads", "2").set("shutdown.grace", "1s").start();
    service.get("/drill/block-all/60000");
    service.await_metric("tokio_global_queue_depth", &[], |depth| depth >= 1.0);

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 3);
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
    assert!(service.log().iter().any(|line| line["message"] == "shutdown: done"));
}

#[test]
fn a_second_signal_exits_at_once() {
    for (second, code) in [("TERM", 143), ("INT", 130)] {
        let mut service = setup().start();
        let _never = service.begin("/drill/never");
        service.await_in_flight(1.0);
        service.signal("TERM");
        service.await_line("the first", |line| line["message"] == "shutdown: draining");

        let begun = Instant::now();
        service.signal(second);

        assert_eq!(service.wait(), code);
        assert!(begun.elapsed() < Duration::from_secs(5), "the grace is 25 s");
    }
}

#[test]
fn readiness_turns_first_and_the_service_goes_on_for_the_drain_delay() {
    let mut service = setup().set("shutdown.drain_delay", "1s").start();
    assert_eq!(service.ask("/readyz").status, 200);

    service.signal("TERM");

    let reason = eventually("/readyz 503", || Some(service.ask("/readyz")).filter(|r| r.status == 503));
    assert_eq!(reason.text(), "draining\n");
    let keep_alive = b"GET /drill/sleep/0 HTTP/1.1\r\nhost: x\r\n\r\n";
    let served = client::read(&mut client::open(service.public, keep_alive)).unwrap();
    assert_eq!((served.status, served.header("connection")), (200, Some("close")));
    assert_eq!(service.wait(), 0);
}

#[test]
fn connections_without_a_request_close_at_once() {
    let mut service = setup().start();
    let _silent = client::open(service.public, b"");
    let _half_a_head = client::open(service.public, b"GET /drill/sleep/0 HTT");
    let _idle = client::open(service.public, b"GET /drill/sleep/0 HTTP/1.1\r\nhost: x\r\n\r\n");
    service.await_line("the idle one's request", |line| line["message"] == "request");
    service.await_metric("http_connections", &[], |open| open == 3.0);

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "the grace is 25 s: {:?}", begun.elapsed());
}

#[test]
fn background_work_and_tasks_of_requests_are_awaited() {
    let mut service = setup().start();
    service.get("/drill/spawn/500");

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    let log = service.log();
    let at = |message: &str| log.iter().position(|line| line["message"] == message);
    assert!(at("drill: spawned task ended").unwrap() < at("shutdown: background tasks stopped").unwrap());
    assert!(at("background task stopped").unwrap() < at("shutdown: background tasks stopped").unwrap());
}

#[test]
fn a_start_that_blocks_its_thread_is_given_up() {
    let setup = setup().variable("SSL_CERT_FILE", "certificates");
    let pipe = setup.dir.path().join("certificates");
    make_pipe(&pipe);
    let mut service = setup.start_admin();
    // The pipe is held open, and nothing is written: a reader waits for ever.
    let _held = hold(&pipe);

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
