//! Every phase is blamed for what it does, and for nothing else: each bottleneck is injected, and the log line, the
//! metric and the header must name it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Response, Service, Setup, WRITE, client, eventually, request, setup};

pub type Times = BTreeMap<String, f64>;

/// A service with small pools, and with timeouts that are long enough for what is injected.
pub fn small() -> Setup {
    let settings = [
        ("server.worker_threads", "2"),
        ("server.server_timing", "true"),
        ("server.request_timeout", "30s"),
        ("admission.max_wait", "20s"),
        #[cfg(feature = "_database")]
        ("database.max_connections", "1"),
        #[cfg(feature = "_database")]
        ("database.acquire_timeout", "20s"),
        #[cfg(feature = "_database")]
        ("database.statement_timeout", "20s"),
        ("http_client.max_per_host", "1"),
        ("http_client.timeout", "20s"),
        ("offload.threads", "1"),
    ];
    settings.into_iter().fold(setup(), |setup, (key, value)| setup.set(key, value))
}

/// Milliseconds by phase, from the line of a request.
fn phases(line: &Value, field: &str) -> Times {
    let object = line[field].as_object().unwrap_or_else(|| panic!("no {field} in {line}"));
    object.iter().map(|(phase, time)| (phase.clone(), time.as_f64().unwrap())).collect()
}

pub fn header(response: &Response) -> Times {
    let text = response.header("server-timing").unwrap_or_else(|| panic!("no server-timing in {response:?}"));
    let entries = text.split(", ").map(|entry| entry.split_once(";dur=").unwrap());
    entries.map(|(phase, time)| (phase.to_owned(), time.parse().unwrap())).collect()
}

/// Asserts that the blamed phase has at least four fifths of the time, and that no other phase has a tenth.
pub fn blames(phase: &str, times: &Times, least_ms: f64, what: &str) {
    let total: f64 = times.values().sum();
    assert!(total >= least_ms, "{what}: {total} ms, {times:?}");
    for (other, time) in times {
        let share = time / total;
        let fits = if other == phase { share >= 0.8 } else { share < 0.1 };
        assert!(fits, "{what}: {other} has {share:.2} of {total} ms: {times:?}");
    }
    assert!(times.contains_key(phase), "{what}: no {phase} in {times:?}");
}

/// Looks at the log line of the request with this id, and at the metrics of its route, which no other request has
/// asked for.
pub fn line_and_metric_blame(service: &Service, id: &str, phase: &str) -> Value {
    let line = service.request_line(id);
    assert_eq!(line["long_pole"], phase, "{line}");
    let times = phases(&line, "phases");
    blames(phase, &times, 500.0, "log");
    let difference = times.values().sum::<f64>() - line["duration_ms"].as_f64().unwrap();
    assert!(difference.abs() < 0.02, "they sum to the duration: {line}");

    let route = ("route", line["route"].as_str().unwrap());
    let total = service.metric("http_request_phase_seconds_sum", &[route]);
    let duration = service.metric("http_request_duration_seconds_sum", &[route]);
    assert!((total - duration).abs() < 0.001, "{total} s in phases, {duration} s in all");
    let blamed = service.metric("http_request_phase_seconds_sum", &[route, ("phase", phase)]);
    assert!(blamed >= 0.8 * total, "metric: {blamed} of {total} s");
    line
}

fn ask(service: &Service, method: &str, path: &str, id: &str) -> Response {
    let response = service.call(method, path, &[("x-request-id", id)], b"");
    assert_eq!(response.status, 200, "{response:?}");
    response
}

#[test]
fn what_a_request_does_by_itself() {
    let service = small().start();
    for (phase, path) in [
        #[cfg(feature = "_database")]
        ("db_connect", "/drill/connect/600"),
        #[cfg(feature = "_database")]
        ("db_query", "/drill/query/600"),
        ("http_upstream", "/drill/call/600"),
        ("offload_run", "/drill/offload/600"),
        ("cpu", "/drill/spin/600"),
        ("other", "/drill/sleep/600"),
        ("mail", "/drill/named/600"), // this phase has a name of the owner's
        #[cfg(feature = "_database")]
        ("other", "/drill/hold/600"), // to hold a connection is not to query
    ] {
        let response = ask(&service, "GET", path, phase_id(path).as_str());
        blames(phase, &header(&response), 500.0, path);
        line_and_metric_blame(&service, &phase_id(path), phase);
    }
}

fn phase_id(path: &str) -> String {
    path.trim_start_matches('/').replace('/', "-")
}

#[test]
fn what_others_do_to_it() {
    // The request that gets in the way, the metric that must show it before the victim comes, the victim, and the phase
    // that is blamed.
    for (holder, metric, path, phase) in [
        #[cfg(feature = "_database")]
        ("/drill/hold-all/800", "db_pool_connections", "/drill/query/0", "db_wait"),
        ("/drill/call/800", "http_client_in_flight", "/drill/call/1", "http_wait"),
        ("/drill/offload/800", "offload_running", "/drill/offload/1", "offload_wait"),
    ] {
        let service = small().start();
        let mut holding = service.begin(holder);
        let labels: &[_] = if phase == "db_wait" { &[("pool", WRITE), ("state", "in_use")] } else { &[] };
        service.await_metric(metric, labels, |n| n == 1.0);

        let response = ask(&service, "GET", path, "victim");

        blames(phase, &header(&response), 500.0, path);
        assert_eq!(client::read(&mut holding).unwrap().status, 200);
        let line = service.request_line("victim");
        assert_eq!(line["long_pole"], phase);
        blames(phase, &phases(&line, "phases"), 500.0, path);
        let labels = [("route", line["route"].as_str().unwrap()), ("phase", phase)];
        assert!(service.metric("http_request_phase_seconds_sum", &labels) >= 0.5);
    }
}

#[test]
fn waiting_to_be_let_in() {
    let service = small().set("admission.max_in_flight", "2").start();
    let mut holding = service.begin("/drill/hold-places/3000");
    // Without this wait, the next request could take a place that is to be held.
    service.await_metric("http_requests_admitted", &[], |admitted| admitted == 2.0);
    let full = eventually("no place is left", || {
        let waiting = service.begin("/drill/spin/0");
        sleep(Duration::from_millis(20));
        (service.metric("http_requests_queued", &[]) >= 1.0).then_some(waiting)
    });

    let response = ask(&service, "GET", "/drill/bytes/1", "victim");

    blames("admission", &header(&response), 500.0, "header");
    line_and_metric_blame(&service, "victim", "admission");
    assert_eq!(client::read(&mut holding).unwrap().status, 200);
    drop(full);
    service.await_metric("http_requests_queued", &[], |queued| queued == 0.0);
}

#[test]
fn a_slow_sender() {
    let service = small().start();
    let head = request("POST", "/drill/read", &[("x-request-id", "sender")], &[b'x'; 10]);
    let (head, body) = head.split_at(head.len() - 5);
    let mut stream = client::open(service.public, head);
    sleep(Duration::from_millis(600)); // that is what is injected
    stream.write_all(body).unwrap();

    let response = client::read(&mut stream).unwrap();

    assert_eq!(response.body.len(), 10);
    blames("request_body", &header(&response), 500.0, "header");
    line_and_metric_blame(&service, "sender", "request_body");
}

#[test]
fn a_slow_reader() {
    const SIZE: usize = 20_000_000; // more than the kernel buffers
    let service = small().start();
    let path = format!("/drill/bytes/{SIZE}");
    let mut stream = client::open(service.public, &request("GET", &path, &[("x-request-id", "reader")], b""));
    let mut some = [0; 1000];
    stream.read_exact(&mut some).unwrap();
    sleep(Duration::from_millis(900)); // that is what is injected
    stream.read_to_end(&mut Vec::with_capacity(SIZE)).unwrap();

    line_and_metric_blame(&service, "reader", "response_body");
}

#[cfg(feature = "_database")]
#[test]
fn side_by_side() {
    let service = small().start();
    ask(&service, "GET", "/drill/call/0", "warm-up");

    ask(&service, "GET", "/drill/both/100/800", "both");

    let line = service.request_line("both");
    assert_eq!(line["long_pole"], "http_upstream");
    let (shares, busy) = (phases(&line, "phases"), phases(&line, "busy"));
    let difference = shares.values().sum::<f64>() - line["duration_ms"].as_f64().unwrap();
    assert!(difference.abs() < 0.02, "shares sum to the duration: {line}");
    assert!(busy["http_upstream"] >= 780.0 && busy["db_query"] >= 80.0, "each keeps its own: {line}");
    assert!(shares["db_query"] < 0.7 * busy["db_query"], "while both wait they share: {line}");
}

#[test]
fn a_task_beside_does_not_say_what_the_request_does() {
    let service = small().start();

    ask(&service, "GET", "/drill/spawn-beside/600", "beside");

    let line = line_and_metric_blame(&service, "beside", "other");
    assert!(line.get("ended_in").is_none(), "it was answered: {line}");
}

#[test]
fn a_stream_is_in_the_metrics_until_its_head() {
    let service = small().start();

    ask(&service, "GET", "/drill/stream/200", "stream"); // 600 ms

    let line = service.request_line("stream");
    assert!(phases(&line, "phases")["other"] >= 500.0, "the line has all of it: {line}");
    let route = ("route", "/drill/stream/{ms}");
    assert!(service.metric("http_request_duration_seconds_sum", &[route]) >= 0.5);
    assert!(
        service.metric("http_request_phase_seconds_sum", &[route]) < 0.1,
        "its body would drown the others"
    );
}

#[cfg(feature = "_database")]
#[test]
fn a_client_that_leaves_while_it_waits() {
    let service = small().start();
    let waiters = [("pool", WRITE)];
    let _holding = service.begin("/drill/hold-all/60000");
    let in_use = [("pool", WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &in_use, |n| n == 1.0);
    let leaves =
        client::open(service.public, &request("GET", "/drill/query/0", &[("x-request-id", "leaves")], b""));
    service.await_metric("db_pool_waiters", &waiters, |n| n == 1.0);
    sleep(Duration::from_millis(500)); // that is what is injected

    drop(leaves);

    let line = service.request_line("leaves");
    assert_eq!((&line["outcome"], &line["ended_in"]), (&"client_gone".into(), &"db_wait".into()), "{line}");
    assert_eq!(line["long_pole"], "db_wait");
    service.await_metric("db_pool_waiters", &waiters, |n| n == 0.0);
    service.await_metric("http_requests_in_flight", &[], |n| n == 1.0);
}

#[cfg(feature = "_database")]
#[test]
fn an_answer_that_is_too_late_says_why_where_it_may() {
    for told in [true, false] {
        let service = small()
            .set("server.request_timeout", "700ms")
            .set("admission.max_wait", "600ms")
            .set("http_client.timeout", "600ms")
            .set("database.acquire_timeout", "600ms")
            .set("database.statement_timeout", "600ms")
            .set("server.server_timing", if told { "true" } else { "false" })
            .start();
        let late = service.call("GET", "/drill/sleep/60000", &[("x-request-id", "late")], b"").problem(504);
        let _holding = service.begin("/drill/hold-all/60000");
        let in_use = [("pool", WRITE), ("state", "in_use")];
        service.await_metric("db_pool_connections", &in_use, |n| n == 1.0);
        let busy = service.get("/drill/query/0");

        let where_to = "of it waiting for a database connection.";
        let words = busy.problem(503)["detail"].as_str().unwrap().to_owned();
        assert_eq!(words.contains("It took 0.6") && words.ends_with(where_to), told, "{words}");
        assert_eq!(late["detail"].as_str().unwrap().contains("It took 0.7"), told, "{late}");
        assert_eq!(busy.header("server-timing").is_some(), told);
        let line = service.request_line("late");
        assert_eq!((&line["outcome"], &line["ended_in"]), (&"timeout".into(), &"other".into()), "{line}");
    }
}

/// All workers are blocked while the request awaits something that takes 20 ms.
#[test]
fn a_stall_is_not_blamed_on_what_is_awaited() {
    const BLOCK: f64 = 300.0;
    let service = small().set("offload.threads", "2").start();
    ask(&service, "GET", "/drill/call/0", "warm-up");
    // The requests wait for the database, a socket, a timer, and a permit that a task of the same loop gives back.
    for (path, own, own_ms) in [
        #[cfg(feature = "_database")]
        ("/drill/query/20", "db_query", 20.0),
        ("/drill/call/20", "http_upstream", 20.0),
        ("/drill/sleep/20", "other", 20.0),
        #[cfg(feature = "_database")]
        ("/drill/query/1", "db_wait", 150.0),
    ] {
        let mut errors = Vec::new();
        for round in 0..10 {
            let id = format!("{own}-{round}");
            let holding = (own == "db_wait").then(|| {
                let holding = service.begin("/drill/hold/150");
                let in_use = [("pool", WRITE), ("state", "in_use")];
                service.await_metric("db_pool_connections", &in_use, |n| n == 1.0);
                holding
            });
            let victim = request("GET", path, &[("x-request-id", &id)], b"");
            let mut victim = client::open(service.public, &victim);
            service.get(&format!("/drill/block-all/{BLOCK}"));
            client::read(&mut victim).unwrap();
            let times = phases(&service.request_line(&id), "phases");
            let total: f64 = times.values().sum();
            if total < BLOCK {
                continue; // the request had ended before the block began
            }
            let of_link: f64 = times.get(own).copied().unwrap_or_default();
            errors.push((of_link - own_ms).max(0.0));
            drop(holding);
        }
        errors.sort_by(f64::total_cmp);
        assert!(errors.len() >= 5, "{path}: the block came too late in {} of 10", 10 - errors.len());
        let median = errors[errors.len() / 2];
        assert!(median < 2.0 * 20.0 + 20.0, "{path}: {own} has {median} ms too much, of {errors:?}");
    }
}

#[test]
fn one_blocked_worker_of_four_delays_nobody_and_is_named() {
    const BLOCK: u64 = 2000;
    let service = small().set("server.worker_threads", "4").start();
    let culprit = request("GET", &format!("/drill/block/{BLOCK}"), &[("x-request-id", "culprit")], b"");
    let begun = Instant::now();
    let mut culprit = client::open(service.public, &culprit);
    let named = service.await_line("the culprit", |line| {
        line["culprit"] == "GET /drill/block/{ms}" && line["request_id"] == "culprit"
    });
    assert!(begun.elapsed() < Duration::from_millis(BLOCK), "while it still blocks");
    assert!(named["stalled_ms"].as_f64().unwrap() >= 100.0 && named["worker"].is_u64(), "{named}");

    let mut delays: Vec<_> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(service.get("/drill/sleep/10").status, 200);
            begun.elapsed().saturating_sub(Duration::from_millis(10))
        })
        .collect();
    assert!(begun.elapsed() < Duration::from_millis(BLOCK), "the machine is too slow for this test");
    delays.sort();

    assert!(delays[10] < Duration::from_millis(50), "the median of {delays:?}");
    assert!(delays[19] < Duration::from_millis(BLOCK / 2), "{delays:?}");
    assert_eq!(client::read(&mut culprit).unwrap().status, 200);
    assert!(service.metric("event_loop_long_polls_total", &[("route", "/drill/block/{ms}")]) >= 1.0);
    let stalls = eventually("its end", || {
        let status = service.ask("/status.json").json();
        status["stalls"][0]["ended"].as_bool().unwrap().then_some(status["stalls"].clone())
    });
    assert_eq!(stalls[0]["culprit"], "GET /drill/block/{ms}");
    assert!(stalls[0]["duration_ms"].as_f64().unwrap() >= 0.9 * BLOCK as f64, "{stalls}");
}
