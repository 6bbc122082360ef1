//! The example routes that need no database: `/hello`, `/quote` and `/digest`.

use longpole_testing::setup;
use serde_json::json;

#[test]
fn hello_waits_for_nothing() {
    let service = setup!().start();
    let response = service.get("/hello");
    assert_eq!((response.status, response.json()), (200, json!({"message": "hello"})));
}

#[test]
fn a_quote_is_what_another_service_said() {
    let other = setup!().start();
    let url = |path: &str| format!("http://{}{path}", other.public);
    let service = setup!().set("app.quote_url", &url("/hello")).start();
    let wrong = setup!().set("app.quote_url", &url("/nowhere")).start();
    let nobody = setup!().set("app.quote_url", "http://127.0.0.1:1/").start();

    let quote = service.call("GET", "/quote", &[("x-request-id", "abc")], b"");

    assert_eq!((quote.status, quote.json()), (200, json!({"said": {"message": "hello"}})));
    let line = other.request_line("abc");
    assert_eq!(line["route"], "/hello", "the id went along");
    assert_eq!(line["trace_id"], service.request_line("abc")["trace_id"]);
    wrong.get("/quote").problem(502);
    nobody.get("/quote").problem(502);
}

#[test]
fn one_id_is_on_the_lines_of_the_request_and_of_its_offloaded_work() {
    let service = setup!().start();

    let digest = service.call("POST", "/digest", &[("x-request-id", "abc")], &[b'x'; 20_000]);

    assert_eq!(digest.json()["bytes"], 20_000);
    for message in ["digest computed off the event loop", "request"] {
        service.await_line(message, |line| line["message"] == message && line["request_id"] == "abc");
    }
}

#[test]
fn a_digest_is_the_same_on_either_side_of_the_threshold() {
    let service = setup!().start();
    let small = service.call("POST", "/digest", &[], b"abc").json();
    let offloaded_before = service.metric("offload_run_seconds_count", &[]);

    let service_with_threshold = setup!().set("app.digest_offload_above", "1B").start();
    let offloaded = service_with_threshold.call("POST", "/digest", &[], b"abc").json();

    // FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(small, json!({"bytes": 3, "sha256": expected}));
    assert_eq!(offloaded, small);
    assert_eq!(offloaded_before, 0.0);
    assert_eq!(service_with_threshold.metric("offload_run_seconds_count", &[]), 1.0);
}
