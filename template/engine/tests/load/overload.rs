//! There is ten times more load than the service can serve: it goes on serving what it can, and refuses the rest at
//! once.

#![cfg_attr(
    not(feature = "_database"),
    expect(dead_code, unused_imports, reason = "the capacity of a pool needs a database")
)]

use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::alone;
use crate::common::{Service, client, eventually, request, send, setup};

struct Answer {
    status: u16,
    took: Duration,
    /// The time since the begin of the load.
    at: Duration,
}

/// Sends this many requests a second. Each request is sent when it is due, whether or not the others were answered: a
/// sender that is free takes the next request.
fn open_loop(service: &Service, path: &str, rate: u32, seconds: u32) -> Vec<Answer> {
    const SENDERS: usize = 400; // more than the requests that can be let in or wait
    let answers = Mutex::new(Vec::new());
    let next = AtomicU32::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    if n >= rate * seconds {
                        return;
                    }
                    let due = begun + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let sent = Instant::now();
                    let status = send(service.public, &request("GET", path, &[], b"")).status;
                    answers.lock().unwrap().push(Answer {
                        status,
                        took: sent.elapsed(),
                        at: begun.elapsed(),
                    });
                }
            });
        }
    });
    answers.into_inner().unwrap()
}

#[cfg(feature = "_database")]
#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn ten_times_the_load_costs_nothing_of_the_capacity() {
    const SECONDS: u32 = 8;
    const CAPACITY: f64 = 80.0; // a second: 4 connections, 50 ms each
    let _alone = alone();
    let service = setup().set("database.max_connections", "4").start();
    open_loop(&service, "/drill/hold-read/50", 40, 1); // connections are open now
    let memory = |service: &Service| service.metric("process_resident_memory_bytes", &[]);
    let before = memory(&service);

    let answers = open_loop(&service, "/drill/hold-read/50", 800, SECONDS);

    let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let mut refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(refused.iter().all(|answer| answer.status == 503), "refused is 503");
    let in_time = good.iter().filter(|answer| answer.at <= Duration::from_secs(SECONDS.into())).count();
    let goodput = in_time as f64 / f64::from(SECONDS);
    assert!(goodput >= 0.8 * CAPACITY, "{goodput} a second");
    let late = good.iter().filter(|answer| answer.took > Duration::from_secs(10)).count();
    assert_eq!(late, 0, "who is let in keeps the deadline");
    refused.sort_by_key(|answer| answer.took);
    let median = refused[refused.len() / 2].took;
    assert!(median < Duration::from_millis(550), "a refusal takes {median:?}, of {}", refused.len());
    let grown = memory(&service) - before;
    assert!(grown < 64e6, "{grown} bytes more");
    println!(
        "{goodput:.1} of {CAPACITY} a second, {} refused after {median:?} at the median, {grown} bytes more",
        refused.len()
    );
    eventually("an empty service", || (service.metric("http_requests_admitted", &[]) == 0.0).then_some(()));
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn a_thousand_half_sent_heads_delay_nobody() {
    const ROUNDS: usize = 5;
    let _alone = alone();
    let service = setup().start();
    let p99 = || {
        let mut answers = open_loop(&service, "/drill/spin/0", 200, 2);
        assert!(answers.iter().all(|answer| answer.status == 200));
        answers.sort_by_key(|answer| answer.took);
        answers[answers.len() * 99 / 100].took.as_secs_f64()
    };
    p99(); // warm
    let mut ratios: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let quiet = p99();
            let slow: Vec<_> =
                (0..1000).map(|_| client::open(service.public, b"GET / HTTP/1.1\r\nx: ")).collect();
            service.await_metric("http_connections", &[], |open| open >= 1000.0);
            let beside = p99();
            drop(slow);
            service.await_metric("http_connections", &[], |open| open < 100.0);
            beside - (2.0 * quiet + 0.005)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[ROUNDS / 2] < 0.0, "beyond twice the quiet p99 + 5 ms, in seconds: {ratios:?}");
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn a_reader_that_takes_nothing_is_closed() {
    let _alone = alone();
    let service = setup().set("server.write_timeout", "500ms").set("admission.max_in_flight", "1").start();
    let unread = request("GET", "/drill/bytes/100000000", &[("x-request-id", "unread")], b"");
    let _unread = client::open(service.public, &unread);

    let line = service.request_line("unread");

    assert_eq!(
        (&line["outcome"], &line["ended_in"]),
        (&"client_gone".into(), &"response_body".into()),
        "{line}"
    );
    let took = line["duration_ms"].as_f64().unwrap();
    assert!((500.0..2000.0).contains(&took), "{line}");
    assert_eq!(service.metric("http_connection_errors_total", &[("kind", "write_timeout")]), 1.0);
    assert_eq!(service.get("/drill/sleep/0").status, 200, "its place is free");
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn a_reader_that_takes_little_is_not() {
    use std::io::Read;
    let _alone = alone();
    let service = setup().set("server.write_timeout", "1500ms").start();
    let mut slow = client::open(service.public, &request("GET", "/drill/bytes/20000000", &[], b""));
    let mut piece = vec![0; 1_000_000];
    for _ in 0..10 {
        slow.read_exact(&mut piece).unwrap();
        thread::sleep(Duration::from_millis(400)); // more than twice the timeout in all
    }

    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();

    assert!(rest.len() + 10 * piece.len() >= 20_000_000, "the rest of it");
}
