//! Ids, traces, refusals and outcomes: what a client sees, and the one line that each request leaves.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::common::{client, eventually, request, send, setup};

#[test]
fn an_id_is_on_every_line_of_its_request_and_comes_back() {
    let service = setup().start();

    let spawning = service.call("GET", "/drill/log/4", &[("x-request-id", "abc")], b"");
    let offloading = service.call("GET", "/drill/offload/1", &[("x-request-id", "def")], b"");

    assert_eq!(spawning.header("x-request-id"), Some("abc"));
    assert_eq!(offloading.header("x-request-id"), Some("def"));
    service.request_line("abc");
    service.request_line("def");
    let log = service.log();
    let lines_of = |message: &str| log.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    let spawned = lines_of("drill: line");
    assert_eq!(spawned.len(), 4);
    assert!(spawned.iter().all(|line| line["request_id"] == "abc"), "{spawned:?}");
    let offloaded = lines_of("drill: offloaded");
    assert_eq!(offloaded.len(), 1);
    assert_eq!(offloaded[0]["request_id"], "def");
    assert!(lines_of("serving")[0].get("request_id").is_none(), "no request, no id");
}

#[test]
fn an_id_that_is_not_well_formed_is_replaced() {
    let service = setup().start();
    let long = "a".repeat(10_000);
    let just_too_long = "a".repeat(65);

    for bad in ["", "two words", "semi;colon", "\"quoted\"", "tab\there", "ümlaut", &long, &just_too_long] {
        let response = service.call("GET", "/drill/sleep/0", &[("x-request-id", bad)], b"");
        assert_eq!(response.status, 200, "{bad:?}");
        let id = response.header("x-request-id").unwrap();
        assert_eq!(id.len(), 32, "{bad:?} gave {id}");
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    let longest = "a".repeat(64);
    let response = service.call("GET", "/drill/sleep/0", &[("x-request-id", &longest)], b"");
    assert_eq!(response.header("x-request-id"), Some(&*longest));
}

#[test]
fn a_trace_is_continued_or_started() {
    let service = setup().start();
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = format!("00-{trace_id}-00f067aa0ba902b7-01");

    let continued =
        service.call("GET", "/drill/sleep/0", &[("traceparent", &given), ("x-request-id", "t")], b"");
    let ours = continued.header("traceparent").unwrap();
    assert!(ours.starts_with(&format!("00-{trace_id}-")) && ours.ends_with("-01"), "{ours}");
    assert_ne!(ours, given, "the span is our own");
    assert_eq!(service.request_line("t")["trace_id"], trace_id);

    let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    for bad in ["nonsense", &given[..54], &given.to_uppercase(), &zero, &format!("ff{}", &given[2..])] {
        let response = service.call("GET", "/drill/sleep/0", &[("traceparent", bad)], b"");
        let started = response.header("traceparent").unwrap();
        assert_eq!(started.len(), 55);
        assert_ne!(bad.get(3..35), started.get(3..35), "{bad} was continued");
    }
}

#[test]
fn unknown_routes_and_methods_are_problems_and_share_their_labels() {
    let service = setup().start();

    service.get("/nothing/here").problem(404);
    service.get("/nothing/there").problem(404);
    let refused = service.call("DELETE", "/drill/sleep/0", &[], b"");
    refused.problem(405);
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    service.call("BREW", "/drill/sleep/0", &[("x-request-id", "odd")], b"").problem(405);

    assert_eq!(service.request_line("odd")["method"], "_OTHER");
    let count = |route, method| {
        let labels = [("route", route), ("method", method)];
        service.metric("http_request_duration_seconds_count", &labels)
    };
    assert_eq!(count("_unmatched", "GET"), 2.0);
    assert_eq!(count("/drill/sleep/{ms}", "DELETE"), 1.0);
    assert_eq!(count("/drill/sleep/{ms}", "_OTHER"), 1.0);
}

#[test]
fn what_hyper_refuses_is_closed_and_counted() {
    let service = setup().start();
    let parse_errors =
        |n| service.await_metric("http_connection_errors_total", &[("kind", "parse")], |v| v == n);

    let garbage = send(service.public, b"this is not http\r\n\r\n");
    assert_eq!((garbage.status, garbage.body.len()), (400, 0));
    parse_errors(1.0);
    let control = b"GET / HTTP/1.1\r\nhost: x\r\nx-request-id: a\x01b\r\n\r\n";
    assert_eq!(send(service.public, control).status, 400);
    parse_errors(2.0);

    assert_eq!(service.get("/drill/sleep/0").status, 200, "others are served");
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[test]
fn values_from_outside_cannot_forge_a_log_line() {
    let service = setup().start();
    let host = r#"x","level":"FORGED","y":"\"#;

    send(
        service.admin,
        format!("GET /livez HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes(),
    );
    service.call("GET", "/%0a%22,%22level%22:%22FORGED", &[("x-request-id", "safe")], b"").problem(404);

    service.request_line("safe"); // this fails if a line of the log cannot be parsed
    service.await_line("the host, escaped", |line| line["host"] == host && line["level"] == "WARN");
}

#[test]
fn our_timeout_is_504_and_the_clients_is_408() {
    let service = setup().set("server.request_timeout", "300ms").start();

    let begun = Instant::now();
    let late = service.call("GET", "/drill/never", &[("x-request-id", "late")], b"");
    late.problem(504);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(service.request_line("late")["outcome"], "timeout");

    let head = b"POST /drill/read HTTP/1.1\r\nhost: x\r\nx-request-id: slow\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhalf";
    let mut half = client::open(service.public, head);
    client::read(&mut half).unwrap().problem(408);
    assert_eq!(service.request_line("slow")["outcome"], "timeout");
}

#[test]
fn a_client_that_leaves_is_recorded() {
    let service = setup().start();

    let leaving =
        client::open(service.public, &request("GET", "/drill/never", &[("x-request-id", "gone")], b""));
    service.await_in_flight(1.0);
    drop(leaving);

    let line = service.request_line("gone");
    assert_eq!((&line["outcome"], &line["status"]), (&"client_gone".into(), &499.into()));
    assert_eq!(service.metric("http_request_duration_seconds_count", &[("status", "499")]), 1.0);
    service.await_metric("http_requests_in_flight", &[], |open| open == 0.0);
}

#[test]
fn a_body_that_breaks_off_is_recorded() {
    let service = setup().start();

    let mut stream = client::open(
        service.public,
        &request("GET", "/drill/broken-stream", &[("x-request-id", "broken")], b""),
    );
    assert!(client::read(&mut stream).is_none(), "the client must see that it is incomplete");

    assert_eq!(service.request_line("broken")["outcome"], "server_error");
    let error = service.await_line("cause", |line| line["message"] == "response body failed");
    assert_eq!(error["request_id"], "broken");
    assert!(error["error"].as_str().unwrap().contains("drill: broken"));
}

#[test]
fn a_body_that_ends_early_is_the_clients_fault() {
    let service = setup().start();

    let head = b"POST /drill/read HTTP/1.1\r\nhost: x\r\nx-request-id: cut\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhalf";
    let mut stream = client::open(service.public, head);
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = client::read(&mut stream);

    let line = service.request_line("cut");
    let status = line["status"].as_u64().unwrap();
    assert!([400, 499].contains(&status), "{line}");
    assert!(answer.is_none_or(|answer| answer.status == 400));
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let service = setup().start();
    let head = "GET /drill/sleep/0 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
    let last = "GET /drill/sleep/0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    let mut stream = client::open(service.public, head.as_bytes());
    stream.write_all(last.as_bytes()).unwrap();
    let mut answers = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answers).unwrap();

    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
    eventually("three request lines", || {
        (service.log().iter().filter(|line| line["message"] == "request").count() == 3).then_some(())
    });
}

#[test]
fn silence_is_closed_after_the_header_timeout() {
    let service = setup().set("server.header_timeout", "200ms").start();

    for opening in [&b""[..], b"GET / HTTP/1.1\r\nhost:"] {
        let mut silent = client::open(service.public, opening);
        client::read(&mut silent);
    }

    service.await_metric("http_connection_errors_total", &[("kind", "timeout")], |count| count == 2.0);
}

#[test]
fn an_idle_keep_alive_ends_after_the_header_timeout_and_is_no_error() {
    let service = setup().set("server.header_timeout", "300ms").start();

    let begun = Instant::now();
    let mut idle = client::open(service.public, b"GET /drill/sleep/400 HTTP/1.1\r\nhost: x\r\n\r\n");
    let answer = client::read(&mut idle).unwrap(); // reads to the connection's end

    assert_eq!(answer.status, 200, "a request longer than the header timeout is none of its business");
    assert!(begun.elapsed() >= Duration::from_millis(690), "{:?}", begun.elapsed());
    service.await_metric("http_connections", &[], |open| open == 0.0);
    assert_eq!(service.metric("http_connection_errors_total", &[]), 0.0);
}
