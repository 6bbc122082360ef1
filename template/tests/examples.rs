//! The other example routes, and the background task.

mod common;

use serde_json::json;

use self::common::{eventually, setup};

#[test]
fn hello_waits_for_nothing() {
    let service = setup().start();
    let response = service.get("/hello");
    assert_eq!((response.status, response.json()), (200, json!({"message": "hello"})));
}

#[test]
fn a_quote_is_what_another_service_said() {
    let other = setup().start();
    let url = |path: &str| format!("http://{}{path}", other.public);
    let service = setup().set("http_client.example_url", &url("/hello")).start();
    let wrong = setup().set("http_client.example_url", &url("/nowhere")).start();
    let nobody = setup().set("http_client.example_url", "http://127.0.0.1:1/").start();

    let quote = service.call("GET", "/quote", &[("x-request-id", "abc")], b"");

    assert_eq!((quote.status, quote.json()), (200, json!({"said": {"message": "hello"}})));
    let line = other.request_line("abc");
    assert_eq!(line["route"], "/hello", "the id went along");
    assert_eq!(line["trace_id"], service.request_line("abc")["trace_id"]);
    wrong.get("/quote").problem(502);
    nobody.get("/quote").problem(502);
}

#[test]
fn one_id_is_on_the_lines_of_the_handler_its_task_and_its_offloaded_work() {
    let service = setup().start();
    let body = vec![b'x'; 20_000];

    service.call(
        "POST",
        "/items",
        &[("x-request-id", "abc"), ("content-type", "application/json")],
        br#"{"name":"a"}"#,
    );
    let digest = service.call("POST", "/digest", &[("x-request-id", "abc")], &body);

    assert_eq!(digest.json()["bytes"], 20_000);
    for message in ["item created", "digest computed off the event loop", "request"] {
        service.await_line(message, |line| line["message"] == message && line["request_id"] == "abc");
    }
}

#[test]
fn a_digest_is_the_same_on_either_side_of_the_threshold() {
    let service = setup().start();
    let small = service.call("POST", "/digest", &[], b"abc").json();
    let offloaded_before = service.metric("offload_run_seconds_count", &[]);

    let service_with_threshold = setup().set("app.digest_offload_above", "1B").start();
    let offloaded = service_with_threshold.call("POST", "/digest", &[], b"abc").json();

    // FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(small, json!({"bytes": 3, "sha256": expected}));
    assert_eq!(offloaded, small);
    assert_eq!(offloaded_before, 0.0);
    assert_eq!(service_with_threshold.metric("offload_run_seconds_count", &[]), 1.0);
}

#[test]
fn the_item_count_is_kept_in_a_file_and_taken_away_at_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = setup().variable("TMPDIR", dir.path().to_str().unwrap()).start();
    let count = || {
        let file = std::fs::read_dir(&dir).unwrap().next()?.unwrap().path();
        std::fs::read_to_string(file).ok().filter(|text| text == "0\n")
    };
    eventually("the file", count);

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(std::fs::read_dir(&dir).unwrap().next().is_none(), "it is still there");
}
