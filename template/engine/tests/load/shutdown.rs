//! The service is told to end under load: no request that was begun is lost, and no client delays the end.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::alone;
use crate::common::client::{self, KeepAlive, Outcome};
use crate::common::{Service, eventually, request, setup};

const CONNECTIONS: usize = 64;
const RUNS: usize = 10;

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn no_request_that_was_begun_is_lost() {
    let _alone = alone();
    let (mut answered, mut closed) = (0, 0);
    for run in 0..RUNS {
        let mut service = setup().start();
        let running = Barrier::new(CONNECTIONS + 1);
        let ids: BTreeMap<String, bool> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|client| {
                    let (service, running) = (&service, &running);
                    scope.spawn(move || until_closed(service, client, running))
                })
                .collect();
            running.wait();
            // Each run ends at another moment of the load.
            thread::sleep(Duration::from_millis(20 + 13 * run as u64));
            service.signal("TERM");
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });

        assert_eq!(service.wait(), 0, "run {run}");
        let log = service.log();
        let begun = log.iter().filter(|line| line["message"] == "request");
        for line in begun {
            assert_eq!(line["outcome"], "ok", "{line}");
            assert!(ids[line["request_id"].as_str().unwrap()], "its client got no answer: {line}");
        }
        answered += ids.values().filter(|answered| **answered).count();
        closed += ids.values().filter(|answered| !**answered).count();
    }
    println!(
        "{answered} requests answered; {closed} met a connection that was being closed, and were never begun"
    );
    assert!(answered > RUNS * CONNECTIONS, "there was no load");
}

/// Whether each request was answered, by its id.
fn until_closed(service: &Service, client: usize, running: &Barrier) -> Vec<(String, bool)> {
    let mut connection = KeepAlive::open(service.public).unwrap();
    let mut requests = Vec::new();
    loop {
        let id = format!("{client}-{}", requests.len());
        let outcome = connection.get("/drill/sleep/5", &format!("x-request-id: {id}\r\n"));
        if requests.is_empty() {
            running.wait();
        }
        match outcome {
            Outcome::Answer(response) => {
                assert_eq!(response.status, 200);
                requests.push((id, true));
                if response.header("connection") == Some("close") {
                    return requests;
                }
            }
            Outcome::Closed => {
                requests.push((id, false));
                return requests;
            }
            Outcome::Torn => panic!("{id} got half an answer"),
        }
    }
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn nobody_holds_it_up_beyond_the_grace() {
    const GRACE: Duration = Duration::from_secs(2);
    let _alone = alone();
    // This HTTP/2 client has said hello, and no more: it has sent the preface and empty settings.
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let (head, body) =
        (b"GET /drill/sleep/0 HTT", b"POST /drill/read HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf");
    let stream = request("GET", "/drill/stream/60000", &[], b"");
    let unread = request("GET", "/drill/bytes/100000000", &[], b"");
    // Each entry says what a client does, and whether that is a request, which has time until the end of the grace.
    for (name, bytes, is_request) in [
        ("half a head", &head[..], false),
        ("an idle keep-alive", b"GET /drill/sleep/0 HTTP/1.1\r\nhost: x\r\n\r\n", false),
        ("an idle HTTP/2", http2, false),
        ("half a body", body, true),
        ("an endless stream", &stream, true),
        ("a client that does not read", &unread, true),
    ] {
        let mut service = setup().set("shutdown.grace", "2s").start();
        let mut client = client::open(service.public, bytes);
        if name != "half a head" {
            let wants_answer = name != "half a body";
            if wants_answer {
                client.read_exact(&mut [0; 9]).unwrap();
            } else {
                service.await_in_flight(1.0);
            }
        }
        service.await_metric("http_connections", &[], |open| open == 1.0);

        let begun = Instant::now();
        service.signal("TERM");
        let code = service.wait();

        let took = begun.elapsed();
        assert!(took < GRACE + Duration::from_secs(1), "{name}: {took:?}");
        assert_eq!((code, took >= GRACE), (if is_request { 3 } else { 0 }, is_request), "{name}: {took:?}");
    }
}

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn a_second_signal_ends_it_at_once_while_every_worker_is_blocked() {
    let _alone = alone();
    let mut service = setup().set("server.worker_threads", "2").start();
    service.get("/drill/block-all/60000");
    eventually("the stall", || (service.ask("/readyz").status == 503).then_some(()));
    service.signal("TERM");
    service.await_line("the first", |line| line["message"] == "shutdown: draining");

    let begun = Instant::now();
    service.signal("TERM");

    assert_eq!(service.wait(), 143);
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}
