//! Clients send no more, leave, reset and vanish: are they answered, and does the service notice?

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{client, eventually, request, setup};

const GET: &[u8] = b"GET /drill/sleep/100 HTTP/1.1\r\nhost: x\r\nx-request-id: half\r\n\r\n";

pub fn read_all(mut stream: TcpStream) -> String {
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
        // The answer is read until the connection ends, because nothing more can come on it.
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
    // The socket is checked each time `server.write_timeout` has passed.
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
    // hyper does not read while it has bytes that it has not looked at.
    let service = setup().set("server.write_timeout", "200ms").start();
    let never = b"GET /drill/never HTTP/1.1\r\nhost: x\r\nx-request-id: first\r\n\r\n";
    let stream = client::open(service.public, &[never, GET].concat());
    service.await_in_flight(1.0);

    client::reset(stream);

    assert_eq!(service.request_line("first")["outcome"], "client_gone");
    service.await_metric("http_connections", &[], |open| open == 0.0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_asks_a_silent_peer_whether_it_is_there() {
    let service = setup().start();
    let stream = client::open(service.public, GET);
    let peer = stream.local_addr().unwrap().port();

    // The timer that runs for the socket of the service, and the hundredths of a second until it fires.
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
