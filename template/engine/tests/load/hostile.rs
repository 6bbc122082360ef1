//! Clients send nonsense, and handlers panic: there is no 5xx but the expected ones, no line is forged, nothing leaks.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use super::alone;
use crate::common::client::{KeepAlive, Outcome};
use crate::common::{PATIENCE, Service, eventually, setup, without_drill};

/// Another seed makes other nonsense: `SEED=7 cargo test …`.
fn seed() -> u64 {
    std::env::var("SEED").map_or(20261127, |seed| seed.parse().unwrap())
}

/// Bytes that sometimes begin like HTTP, and go wrong in many ways.
fn nonsense(random: &mut fastrand::Rng) -> Vec<u8> {
    let pick = |random: &mut fastrand::Rng, from: &[&str]| from[random.usize(..from.len())].to_owned();
    let junk = |random: &mut fastrand::Rng, most: usize| {
        let length = random.usize(..most);
        (0..length).map(|_| random.u8(..)).collect::<Vec<_>>()
    };
    let long = "x".repeat(random.usize(..20_000));
    let method =
        pick(random, &["GET", "POST", "PUT", "BREW", "get", "", "G\0T", "OPTIONS", "CONNECT", "HEAD", &long]);
    let path = pick(
        random,
        &[
            "/",
            "/drill/sleep/0",
            "/drill/sleep/x",
            "/drill/sleep/-1",
            "*",
            "//",
            "/%00",
            "/%ff%fe",
            "/../..",
            "no-slash",
            "/drill/read",
            "http://evil/",
            "/drill/bytes/99999999999999999999",
            &long,
        ],
    );
    let version = pick(random, &["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "http/1.1"]);
    let mut bytes = format!("{method} {path} {version}\r\n").into_bytes();
    if random.u8(..) < 16 {
        bytes = junk(random, 300);
    }
    for _ in 0..random.usize(..6) {
        let name = pick(
            random,
            &[
                "host",
                "x-request-id",
                "traceparent",
                "content-type",
                "content-length",
                "transfer-encoding",
                "accept-encoding",
                "connection",
                "upgrade",
                "expect",
                "x: y",
                "",
                "\u{fc}",
            ],
        );
        let value = pick(
            random,
            &[
                "x",
                "localhost",
                "abc\\r\\n{\"message\":\"forged\"}",
                "\"}{\"message\":\"forged\"",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "application/json",
                "-1",
                "5",
                "99999999999999999999",
                "chunked",
                "gzip, chunked",
                "close",
                "h2c",
                "100-continue",
                "\u{1b}[31m",
                &long,
            ],
        );
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    if random.u8(..) < 200 {
        bytes.extend(b"\r\n");
    }
    match random.u8(..4) {
        0 => bytes.extend(junk(random, 2_000)),
        1 => bytes.extend(b"{\"name\": \"\\ud800\"}"),
        2 => bytes.extend(b"ffffffffffffffff\r\nx"),
        _ => {}
    }
    bytes
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn fifty_thousand_hostile_requests() {
    const CLIENTS: u64 = 8;
    const REQUESTS: u64 = 50_000 / CLIENTS;
    let _alone = alone();
    let service = setup().set("server.body_limit", "64KiB").start();

    let statuses: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let service = &service;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed() + client);
                    (0..REQUESTS).flat_map(|_| throw(service, &nonsense(&mut random))).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });

    let bad: Vec<_> = statuses.iter().filter(|status| **status >= 500 && **status != 503).collect();
    assert!(bad.is_empty(), "seed {}: {bad:?}", seed());
    assert!(statuses.len() > 25_000, "most are answered: {}", statuses.len());
    service.await_metric("http_connections", &[], |open| open == 0.0);
    service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);
    for line in service.log() {
        // Each line was parsed, and none was made by a client.
        let message = line["message"].as_str().unwrap();
        assert!(!message.contains("forged") && !message.starts_with("panic"), "{line}");
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    }
    assert_eq!(service.metric("log_lines_failed_total", &[]), 0.0);
    assert!(without_drill(&service.stderr()).is_empty(), "{}", service.stderr());
    assert_eq!(service.get("/drill/sleep/0").status, 200);
    assert_eq!(service.metric("http_requests_in_flight", &[]), 0.0);
}

/// Sends the bytes, and reads every status that comes back.
fn throw(service: &Service, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(service.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        // The service may close a connection that it has not read to the end, but it must not let the client wait.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{:?}", String::from_utf8_lossy(bytes));
    }
    let text = String::from_utf8_lossy(&answer);
    let lines = text.split("HTTP/1.").skip(1);
    lines.filter_map(|line| line.get(2..5)?.parse().ok()).collect()
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn panics_under_load_are_500s_with_their_ids_and_leak_nothing() {
    let _alone = alone();
    let service = setup().start();
    thread::scope(|scope| {
        for client in 0..8 {
            let service = &service;
            scope.spawn(move || {
                let mut connection = KeepAlive::open(service.public).unwrap();
                for n in 0..200 {
                    let id = format!("{client}-{n}");
                    let path = ["/drill/panic", "/drill/offload-panic", "/drill/sleep/0"][n % 3];
                    let outcome = connection.get(path, &format!("x-request-id: {id}\r\n"));
                    let Outcome::Answer(response) = outcome else { panic!("{path}: {outcome:?}") };
                    assert_eq!(response.header("x-request-id"), Some(&*id));
                    if n % 3 == 2 {
                        assert_eq!(response.status, 200);
                    } else {
                        assert_eq!(response.problem(500)["request_id"], id);
                    }
                }
            });
        }
    });

    for gauge in ["http_requests_in_flight", "http_requests_admitted", "offload_running", "http_connections"]
    {
        service.await_metric(gauge, &[], |n| n == 0.0);
    }
    let offload = service.get("/drill/offload/0");
    assert_eq!(offload.status, 200, "every thread came back");
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn file_descriptors_run_out_and_come_back() {
    let _alone = alone();
    let setup = setup().shell("ulimit -n 60");
    #[cfg(feature = "_database")]
    let setup = setup.set("database.max_connections", "1");
    let path = if cfg!(feature = "_database") { "/drill/hold/0" } else { "/drill/sleep/0" };
    let service = setup.start();
    assert_eq!(service.get(path).status, 200);
    let descriptors = || {
        let listed = Command::new("ls").arg(format!("/proc/{}/fd", service.pid())).output().unwrap().stdout;
        String::from_utf8(listed).unwrap().lines().count()
    };
    eventually("no connection of ours", || (service.metric("http_connections", &[]) == 0.0).then_some(()));
    let before = descriptors();
    let greedy: Vec<_> = (0..80).filter_map(|_| TcpStream::connect(service.public).ok()).collect();
    eventually("the shortage", || {
        service.log().iter().any(|line| line["message"] == "cannot accept connections").then_some(())
    });

    drop(greedy);

    eventually("a good answer", || {
        let stream = TcpStream::connect(service.public).ok()?;
        drop(stream);
        (service.get(path).status == 200).then_some(())
    });
    eventually("the descriptors", || (descriptors() <= before + 3).then_some(()));
}
