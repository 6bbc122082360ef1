//! Is every single account true under load? Its parts have to sum to its whole, and the client must have seen the
//! whole.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use super::alone;
use crate::common::client::{KeepAlive, Outcome};
use crate::common::{Service, setup};

const CLIENTS: usize = 8;
const REQUESTS: usize = 1250; // for each client
const PATHS: &[&str] = &[
    #[cfg(feature = "_database")]
    "/drill/query/0",
    "/drill/offload/1",
    "/drill/call/1",
    #[cfg(feature = "_database")]
    "/drill/both/1/2",
    "/drill/spin/0",
    "/drill/bytes/200000",
    #[cfg(feature = "_database")]
    "/drill/spawned-query/0",
    "/nowhere",
];

#[test]
#[ignore = "keeps the machine busy: run it by itself"]
fn ten_thousand_accounts_are_true() {
    let _alone = alone();
    // With these limits each link is waited for now and then, and no request is refused.
    let setup = setup()
        .set("server.request_timeout", "60s")
        .set("admission.max_in_flight", "6")
        .set("admission.max_wait", "30s")
        .set("http_client.max_per_host", "2")
        .set("offload.threads", "2");
    #[cfg(feature = "_database")]
    let setup = setup.set("database.max_connections", "2").set("database.acquire_timeout", "30s");
    let service = setup.start();

    let seen: BTreeMap<String, f64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let service = &service;
                    move || ask(service, client)
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });

    service.await_metric("http_requests_in_flight", &[], |open| open == 0.0);
    service.await_metric("log_queue_bytes", &[], |bytes| bytes == 0.0);
    let (mut total, mut other) = (0.0, 0.0);
    let mut differences = Vec::new();
    for line in service.log().iter().filter(|line| line["message"] == "request") {
        let duration = line["duration_ms"].as_f64().unwrap();
        let phases = line["phases"].as_object().unwrap();
        let named: f64 = phases
            .iter()
            .filter(|(phase, _)| *phase != "other")
            .map(|(_, time)| time.as_f64().unwrap())
            .sum();
        let unnamed = phases.get("other").map_or(0.0, |time| time.as_f64().unwrap());
        assert!(named <= duration + 0.05, "more than there was: {line}");
        assert!((named + unnamed - duration).abs() < 0.02, "they sum to the whole: {line}");
        total += duration;
        other += unnamed;
        if let Some(seen) = seen.get(line["request_id"].as_str().unwrap()) {
            differences.push((seen - duration).abs());
        }
    }

    assert_eq!(differences.len(), CLIENTS * REQUESTS, "every request has its line");
    assert!(other < 0.02 * total, "{other} of {total} ms have no name");
    differences.sort_by(f64::total_cmp);
    let median = differences[differences.len() / 2];
    assert!(median < 1.0, "client and service disagree by {median} ms");
}

/// Returns for each id how many milliseconds its request took for the client.
fn ask(service: &Service, client: usize) -> Vec<(String, f64)> {
    let mut connection = KeepAlive::open(service.public).unwrap();
    let one = |n: usize| {
        let id = format!("{client}-{n}");
        let begun = Instant::now();
        let path = PATHS[(client + n) % PATHS.len()];
        let answer = connection.get(path, &format!("x-request-id: {id}\r\n"));
        assert!(matches!(answer, Outcome::Answer(_)), "{answer:?}");
        (id, begun.elapsed().as_secs_f64() * 1e3)
    };
    (0..REQUESTS).map(one).collect()
}
