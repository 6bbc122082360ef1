//! `/items` as a client sees it: create, read, list, update, delete, and the answers to bad input.
//!
//! These tests are yours, and a pattern for the tests of your own routes. Delete them when you delete the example.

use std::fs;
use std::io::Read;

use longpole_testing::{Response, Service, eventually, open, setup};
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

fn post(service: &Service, body: &str) -> Response {
    service.call("POST", "/items", &[JSON], body.as_bytes())
}

fn put(service: &Service, path: &str, etag: &str, body: &str) -> Response {
    service.call("PUT", path, &[JSON, ("if-match", etag)], body.as_bytes())
}

#[test]
fn an_item_from_creation_to_deletion() {
    let service = setup!().start();

    let created = post(&service, r#"{"name": "  first  "}"#);
    assert_eq!((created.status, created.header("etag")), (201, Some("\"1\"")));
    let path = created.header("location").unwrap();
    assert_eq!(created.json(), json!({"id": 1, "name": "first", "version": 1}));

    let read = service.get(path);
    assert_eq!((read.status, read.header("etag")), (200, Some("\"1\"")));
    assert_eq!(read.json(), created.json());

    let updated = put(&service, path, "\"1\"", r#"{"name": "second"}"#);
    assert_eq!((updated.status, updated.header("etag")), (200, Some("\"2\"")));
    assert_eq!(updated.json(), json!({"id": 1, "name": "second", "version": 2}));

    assert_eq!(service.call("DELETE", path, &[], b"").status, 204);
    service.get(path).problem(404);
    service.call("DELETE", path, &[], b"").problem(404);
    put(&service, path, "*", r#"{"name": "third"}"#).problem(404);
}

#[test]
fn an_update_must_name_the_version_it_saw() {
    let service = setup!().start();
    post(&service, r#"{"name": "contested"}"#);

    service.call("PUT", "/items/1", &[JSON], br#"{"name": "blind"}"#).problem(428);
    put(&service, "/items/1", "\"7\"", r#"{"name": "late"}"#).problem(412);
    put(&service, "/items/1", "W/\"1\"", r#"{"name": "weak"}"#).problem(412);
    assert_eq!(put(&service, "/items/1", "\"9\", \"1\"", r#"{"name": "listed"}"#).status, 200);
    assert_eq!(put(&service, "/items/1", "*", r#"{"name": "any"}"#).status, 200);
    assert_eq!(service.get("/items/1").json()["version"], 3);
}

#[test]
fn pages_hold_every_item_once() {
    let service = setup!().start();
    for n in 1..=5 {
        post(&service, &json!({"name": format!("item {n}")}).to_string());
    }

    let mut path = "/items?limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = service.get(&path).json();
        pages.push(
            page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>(),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/items?limit=2&cursor={next}");
    }

    assert_eq!(json!(pages), json!([[1, 2], [3, 4], [5]]));
    assert_eq!(service.get("/items").json()["next"], json!(null));
}

#[test]
fn bad_bodies_say_what_is_wrong_and_where() {
    let service = setup!().set("server.body_limit", "1KiB").start();
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(201));
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(2000));

    for (body, status, pointer) in [
        ("{\"name\": ", 400, None),
        ("", 400, None),
        ("{\"name\": \"x\"} {}", 400, None),
        (r#"{"name": 7}"#, 422, Some("/name")),
        (r#"{"name": "x", "colour": "red"}"#, 422, Some("/colour")),
        ("{}", 422, Some("")),
        (r#"{"name": "   "}"#, 422, Some("/name")),
        (r#"{"name": "a\u0000b"}"#, 422, Some("/name")),
        (&long, 422, Some("/name")),
        (&large, 413, None),
    ] {
        let problem = post(&service, body).problem(status);
        assert_eq!(problem["errors"][0]["pointer"].as_str(), pointer, "{body}: {problem}");
    }
    service.call("POST", "/items", &[("content-type", "text/plain")], b"{}").problem(415);
    service.call("POST", "/items", &[], b"{}").problem(415);
    assert_eq!(service.get("/items").json()["items"], json!([]), "nothing was stored");
}

#[test]
fn bad_parameters_say_what_is_wrong() {
    let service = setup!().start();

    for query in ["limit=0", "limit=101", "limit=many", "cursor=x", "color=red"] {
        let problem = service.get(&format!("/items?{query}")).problem(400);
        let name = query.split('=').next().unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(name), "{query}: {problem}");
    }
    service.get("/items/seven").problem(404);
    service.get("/items/9223372036854775808").problem(404);
}

#[test]
fn an_error_leaves_the_connection_in_order() {
    let service = setup!().start();
    let bad =
        "POST /items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n{x}";
    let good = "GET /items HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    let mut stream = open(service.public, format!("{bad}{good}").as_bytes());
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();

    assert!(answers.starts_with("HTTP/1.1 400 ") && answers.contains("HTTP/1.1 200 OK"), "{answers}");
}

#[test]
fn the_log_says_what_was_created_and_in_which_request() {
    let service = setup!().start();

    service.call("POST", "/items", &[JSON, ("x-request-id", "abc")], br#"{"name": "a"}"#);

    service
        .await_line("item created", |line| line["message"] == "item created" && line["request_id"] == "abc");
    assert_eq!(service.request_line("abc")["route"], "/items");
    assert_eq!(service.database.count("SELECT count(*) FROM items"), 1);
}

#[test]
fn the_item_count_is_kept_in_a_file_and_taken_away_at_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = setup!().variable("TMPDIR", dir.path().to_str().unwrap()).start();
    let count = || {
        let file = fs::read_dir(&dir).unwrap().next()?.unwrap().path();
        fs::read_to_string(file).ok().filter(|text| text == "0\n")
    };
    eventually("the file", count);

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
    assert!(fs::read_dir(&dir).unwrap().next().is_none(), "it is still there");
}
