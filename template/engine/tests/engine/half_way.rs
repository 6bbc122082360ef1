//! A client leaves while its handler is between two inserts: which work is dropped, and which work is still finished?

use std::time::Duration;

use sqlx::query_scalar;
use tokio::time::timeout;

use super::finish::millis;
use crate::common::{Database, PastTheService, Service, Setup, client, request, setup};

/// A service with an empty table for the drill.
async fn with_table(setup: Setup) -> Service {
    setup.database.run("CREATE TABLE drill (n BIGINT NOT NULL)").await;
    setup.start()
}

async fn rows(database: &Database) -> i64 {
    let mut connection = database.connect().await;
    query_scalar("SELECT count(*) FROM drill").fetch_one(&mut connection).await.unwrap()
}

/// Begins a request, and leaves once its handler waits for the other service.
fn leave_during_the_call(service: &Service, path: &str, id: &str) {
    let leaving = client::open(service.public, &request("GET", path, &[("x-request-id", id)], b""));
    service.await_metric("http_client_in_flight", &[], |calls| calls == 1.0);
    drop(leaving);
}

#[tokio::test]
async fn a_handler_is_dropped_where_it_stands() {
    let service = with_table(setup()).await;

    leave_during_the_call(&service, "/drill/two-inserts/4500", "half");

    let line = service.request_line("half");
    assert_eq!((&line["outcome"], &line["ended_in"]), (&"client_gone".into(), &"http_upstream".into()));
    assert!(millis(&line, "duration_ms") < 4000.0, "{line}");
    assert!(line.get("finished").is_none(), "{line}");
    assert_eq!(rows(&service.database).await, 1);
}

#[tokio::test]
async fn what_is_finished_keeps_its_id_its_account_and_its_place() {
    let service = with_table(setup()).await;

    leave_during_the_call(&service, "/drill/two-inserts-finished/1500", "both");
    // The connection has ended, and the request goes on.
    service.await_metric("http_connections", &[], |open| open == 0.0);
    assert_eq!(service.metric("http_requests_admitted", &[]), 1.0);
    assert_eq!(service.metric("http_requests_in_flight", &[]), 1.0);

    let line = service.request_line("both");
    assert_eq!(rows(&service.database).await, 2);
    assert_eq!((&line["outcome"], &line["finished"]), (&"client_gone".into(), &true.into()));
    assert_eq!(line["long_pole"], "http_upstream");
    let duration = millis(&line, "duration_ms");
    assert!(duration >= 1490.0, "to the end of the work: {line}");
    let sum: f64 = line["phases"].as_object().unwrap().values().map(|time| time.as_f64().unwrap()).sum();
    assert!((sum - duration).abs() < 0.02, "{sum}: {line}");
    let log = service.log();
    let told = log.iter().find(|line| line["message"] == "drill: both inserted").unwrap();
    assert_eq!(told["request_id"], "both");
    service.await_metric("http_requests_admitted", &[], |admitted| admitted == 0.0);
    assert_eq!(service.metric("http_requests_in_flight", &[]), 0.0);
    assert_eq!(service.metric("http_request_duration_seconds_count", &[("status", "499")]), 1.0);
}

#[tokio::test]
async fn who_stays_gets_the_answer_of_what_was_finished() {
    let service = with_table(setup()).await;

    assert_eq!(service.get("/drill/two-inserts-finished/1").status, 200);
    assert_eq!(rows(&service.database).await, 2);

    service.database.run("DROP TABLE drill").await;
    service.get("/drill/two-inserts-finished/1").problem(500);
    let line = service.await_line("the cause", |line| line["message"] == "database error");
    assert!(line["request_id"].is_string(), "{line}");
}

#[tokio::test]
async fn what_fails_without_its_client_is_still_told() {
    let service = with_table(setup()).await;

    leave_during_the_call(&service, "/drill/two-inserts-finished/700", "lonely");
    service.database.run("DROP TABLE drill").await;

    let cause = service.await_line("the cause", |line| line["message"] == "database error");
    assert_eq!(cause["request_id"], "lonely");
    assert_eq!(service.request_line("lonely")["finished"], true, "it has ended, if badly");
}

#[tokio::test]
async fn shutdown_waits_for_what_is_finished() {
    let mut service = with_table(setup()).await;
    leave_during_the_call(&service, "/drill/two-inserts-finished/900", "patient");
    service.await_metric("http_connections", &[], |open| open == 0.0);

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert_eq!(rows(&service.database).await, 2);
    let log = service.log();
    let place = |message: &str| log.iter().position(|line| line["message"] == message).unwrap();
    assert!(place("request") < place("shutdown: requests finished"));
    assert_eq!(log[place("request")]["finished"], true);
}

#[tokio::test]
async fn at_the_end_of_the_grace_what_is_not_finished_is_named() {
    let mut service = with_table(setup().set("shutdown.grace", "500ms")).await;
    leave_during_the_call(&service, "/drill/two-inserts-finished/4000", "stuck");
    service.await_metric("http_connections", &[], |open| open == 0.0);

    service.signal("TERM");

    assert_eq!(service.wait(), 3);
    let named = "shutdown: request cut off at the deadline";
    assert_eq!(service.await_line(named, |line| line["message"] == named)["request_id"], "stuck");
    let line = service.request_line("stuck");
    assert_eq!((&line["outcome"], &line["finished"]), (&"aborted".into(), &false.into()));
    assert_eq!(rows(&service.database).await, 1);
}

#[tokio::test]
async fn a_commit_that_nobody_waited_for_is_told() {
    let service = with_table(setup()).await;

    let given_up = service.call("GET", "/drill/given-up-commit", &[("x-request-id", "commit")], b"");

    assert_eq!(given_up.status, 200);
    let unknown = "commit: nobody knows whether it was done";
    assert_eq!(service.await_line(unknown, |line| line["message"] == unknown)["request_id"], "commit");
    // The connection is settled, and serves the next request.
    assert_eq!(service.get("/drill/two-inserts/1").status, 200);
    assert!(rows(&service.database).await >= 2);
    assert_eq!(service.log().iter().filter(|line| line["message"] == unknown).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a test's own")]
async fn a_stream_that_is_reset_is_a_client_that_leaves() {
    let service = with_table(setup()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http2_prior_knowledge().tls_certs_only([]).build().unwrap();
    let url = |path: &str| format!("http://{}{path}", service.public);
    let leaving = client.get(url("/drill/two-inserts-finished/1500")).header("x-request-id", "reset").send();

    assert!(timeout(Duration::from_millis(500), leaving).await.is_err());
    // The connection serves other requests meanwhile.
    assert_eq!(client.get(url("/drill/sleep/0")).send().await.unwrap().status(), 200);

    let line = service.request_line("reset");
    assert_eq!((&line["outcome"], &line["finished"]), (&"client_gone".into(), &true.into()));
    assert_eq!(rows(&service.database).await, 2);
}
