//! The door, the calls to other services and the spawned tasks keep their bounds, and say so.

use std::io::Read;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use longpole::{CallError, Config, HttpClient, Problem, internals};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::common::{client, eventually, setup};

#[test]
fn who_does_not_fit_is_refused_at_once_and_who_waits_too_long_later() {
    let service = setup()
        .set("admission.max_in_flight", "1")
        .set("admission.max_queue", "1")
        .set("admission.max_wait", "400ms")
        .start();
    let inside = service.begin("/drill/sleep/60000");
    service.await_in_flight(1.0);
    let mut queued = service.begin("/drill/sleep/0");
    service.await_metric("http_requests_queued", &[], |queued| queued == 1.0);
    assert_eq!(service.metric("http_requests_admitted", &[]), 1.0, "the one that waits has no place");

    let begun = Instant::now();
    let refused = service.call("GET", "/drill/sleep/0", &[("x-request-id", "refused")], b"");
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    let waited = client::read(&mut queued).unwrap();

    for response in [&refused, &waited] {
        response.problem(503);
        let seconds: u32 = response.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3).contains(&seconds));
    }
    assert_eq!(service.request_line("refused")["outcome"], "shed");
    for reason in ["queue_full", "max_wait"] {
        assert_eq!(service.metric("http_requests_shed_total", &[("reason", reason)]), 1.0, "{reason}");
    }
    assert_eq!((service.ask("/livez").status, service.ask("/metrics").status), (200, 200), "not the admin's");
    drop(inside);
    eventually("a place again", || (service.get("/drill/sleep/0").status == 200).then_some(()));
}

#[test]
fn who_would_wait_too_long_is_refused_at_once_as_soon_as_the_pace_is_known() {
    let service = setup().set("admission.max_in_flight", "1").set("admission.max_wait", "300ms").start();
    let _inside = service.begin("/drill/sleep/60000");
    service.await_in_flight(1.0);
    let shed = |reason| service.metric("http_requests_shed_total", &[("reason", reason)]);

    // The queue is never empty, and no request is let in from it.
    let mut waiting = Vec::new();
    eventually("early refusals", || {
        waiting.push(service.begin("/drill/sleep/0"));
        (shed("expected_wait") >= 3.0).then_some(())
    });

    assert!(shed("max_wait") >= 1.0, "the first could not know");
    let answers: Vec<_> = waiting.into_iter().filter_map(|mut one| client::read(&mut one)).collect();
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert_eq!(shed("queue_full"), 0.0);
}

#[test]
fn a_burst_that_can_be_served_in_time_is_served_whole() {
    // There are 300 requests at once, and four are served at a time: 75 rounds of some 2 ms, well within the wait.
    let service = setup().set("admission.max_in_flight", "4").set("admission.max_wait", "9s").start();
    for _ in 0..3 {
        let burst: Vec<_> = (0..300).map(|_| service.begin("/drill/sleep/2")).collect();
        let statuses: Vec<_> =
            burst.into_iter().map(|mut one| client::read(&mut one).unwrap().status).collect();
        assert_eq!(statuses, vec![200; 300]);
    }
    assert_eq!(service.metric("http_requests_shed_total", &[]), 0.0);
}

#[test]
fn a_place_is_held_to_the_last_byte_except_by_a_stream() {
    for (path, keeps) in [("/drill/bytes/20000000", true), ("/drill/stream/60000", false)] {
        let service = setup().set("admission.max_in_flight", "1").set("admission.max_wait", "200ms").start();
        let mut reading = service.begin(path);
        reading.read_exact(&mut [0; 100]).unwrap();

        let status = service.get("/drill/sleep/0").status;

        assert_eq!(status == 503, keeps, "{path}: {status}");
    }
}

#[test]
fn a_client_that_leaves_the_queue_leaves_no_trace() {
    let service = setup()
        .set("admission.max_in_flight", "1")
        .set("admission.max_queue", "5")
        .set("admission.max_wait", "9s")
        .start();
    let inside = service.begin("/drill/sleep/60000");
    service.await_in_flight(1.0);
    let queued: Vec<_> = (0..5).map(|_| service.begin("/drill/sleep/0")).collect();
    service.await_metric("http_requests_queued", &[], |queued| queued == 5.0);

    drop(queued);

    service.await_metric("http_requests_queued", &[], |queued| queued == 0.0);
    drop(inside);
    assert_eq!(eventually("an answer", || Some(service.get("/drill/sleep/0"))).status, 200);
}

#[cfg(feature = "_database")]
#[test]
fn the_work_of_a_spawned_task_is_in_the_account() {
    let service = setup().start();

    service.call("GET", "/drill/spawned-query/300", &[("x-request-id", "spawned")], b"");

    let line = service.request_line("spawned");
    assert_eq!(line["long_pole"], "db_query", "{line}");
    assert!(
        line["phases"]["db_query"].as_f64().unwrap() > 0.8 * line["duration_ms"].as_f64().unwrap(),
        "{line}"
    );
}

#[test]
fn a_call_says_who_calls() {
    let service = setup().start();
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    let headers = [("x-request-id", "abc"), ("traceparent", given)];
    let echo = service.call("GET", "/drill/call/0", &headers, b"");

    let text = echo.text();
    assert!(text.contains("x-request-id: abc\n"), "{text}");
    let ours = echo.header("traceparent").unwrap();
    assert!(text.contains(&format!("traceparent: {ours}\n")), "the same trace, our span: {text}");
}

#[test]
fn calls_beyond_the_bound_wait_and_are_counted() {
    let service = setup().set("http_client.max_per_host", "2").start();
    let calls: Vec<_> = (0..5).map(|_| service.begin("/drill/call/300")).collect();
    service.await_metric("http_client_waiters", &[], |waiting| waiting == 3.0);
    assert_eq!(service.metric("http_client_in_flight", &[]), 2.0);

    for mut call in calls {
        assert_eq!(client::read(&mut call).unwrap().status, 200);
    }

    service.await_metric("http_client_in_flight", &[], |calls| calls == 0.0);
    assert_eq!(service.metric("http_client_waiters", &[]), 0.0);
    assert_eq!(service.metric("http_client_wait_seconds_count", &[]), 5.0);
    assert!(service.metric("http_client_wait_seconds_sum", &[]) > 0.8, "300 + 300 + 600 ms");
    assert_eq!(service.metric("http_client_request_seconds_count", &[("status", "200")]), 5.0);
}

/// Another service, with routes that answer in different ways.
async fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/slow", get(async || sleep(Duration::from_secs(60)).await))
        .route("/large", get(async || "x".repeat(11 * 1024)))
        .route("/words", get(async || "words"))
        .route("/json", get(async || r#"{"a": 1}"#))
        .route("/teapot", get(async || axum::http::StatusCode::IM_A_TEAPOT));
    #[expect(clippy::disallowed_methods, reason = "a test's own")]
    tokio::spawn(axum::serve(listener, routes).into_future());
    url
}

fn http(change: impl FnOnce(&mut Config)) -> HttpClient {
    let mut config = Config::default();
    change(&mut config);
    internals::http_client(&config).unwrap()
}

#[tokio::test]
async fn what_goes_wrong_with_a_call_is_told_apart() {
    let url = upstream().await;
    let http = http(|config| {
        config.http_client.timeout = Duration::from_millis(300);
        config.http_client.body_limit = bytesize::ByteSize::kib(10);
    });
    let status = async |path: &str| {
        let outcome = http.send(http.get(format!("{url}/{path}"))).await;
        outcome.map(|reply| reply.status().as_u16()).map_err(|error| Problem::from(error).status().as_u16())
    };

    assert_eq!(status("teapot").await, Ok(418), "any status is an answer");
    assert_eq!(status("slow").await, Err(504));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = http.send(http.get(format!("http://{nobody}/?token=hunter2"))).await;
    let error = format!("{:?}", refused.err().unwrap());
    assert!(!error.contains("hunter2"), "{error}");
    let reply = http.send(http.get(format!("{url}/json"))).await.unwrap();
    assert_eq!(reply.json::<serde_json::Value>().await.unwrap()["a"], 1);
    let reply = http.send(http.get(format!("{url}/words"))).await.unwrap();
    let wrong = reply.json::<serde_json::Value>().await.unwrap_err();
    assert_eq!(Problem::from(wrong).status(), 502);
    let reply = http.send(http.get(format!("{url}/large"))).await.unwrap();
    assert!(matches!(reply.bytes().await, Err(CallError::TooLarge)));
}

#[tokio::test]
async fn a_slow_host_takes_no_place_from_others_and_a_dropped_reply_gives_its_back() {
    let (slow, fast) = (upstream().await, upstream().await);
    let http = http(|config| {
        config.http_client.max_per_host = 1;
        config.http_client.max_in_flight = 2;
    });
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(http.send(http.get(format!("{slow}/slow"))))).collect();
    for call in &mut waiting {
        assert!(timeout(Duration::from_millis(20), call).await.is_err());
    }

    for _ in 0..3 {
        let call = http.send(http.get(format!("{fast}/json")));
        let reply = timeout(Duration::from_secs(5), call).await.unwrap().unwrap();
        drop(reply); // without reading it
    }
    drop(waiting);
    let teapot = http.send(http.get(format!("{slow}/teapot")));
    assert_eq!(timeout(Duration::from_secs(5), teapot).await.unwrap().unwrap().status(), 418);
}
