//! What becomes of a problem on its way to the client: the edge fills in the request's id, and layers of the owner's may
//! get in between.

use std::io::Read;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use longpole::Problem;
use serde_json::Value;

use super::owner::owner;
use crate::common::{client, request};

async fn gone() -> Problem {
    Problem::new(StatusCode::GONE, "It was here.")
}

/// A layer that does what it likes with the body.
async fn read_and_repeated(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, Body::from(to_bytes(body, usize::MAX).await.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_fills_in_the_id_and_the_length() {
    let owner = owner(Router::new().route("/gone", get(gone))).await;

    let answer = owner.get("/gone");

    assert_eq!(answer.problem(410)["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_owner_has_put_in_its_place_stays() {
    let replace = map_response(async |response: Response| response.map(|_| Body::from("ours")));
    let owner = owner(Router::new().route("/gone", get(gone)).layer(replace)).await;

    let answer = owner.get("/gone");

    assert_eq!((answer.status, answer.text().as_str()), (410, "ours"));
}

/// Only the edge knows the id. It is in the header all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_read_before_the_edge_is_whole() {
    let owner = owner(Router::new().route("/gone", get(gone)).layer(map_response(read_and_repeated))).await;

    let answer = owner.get("/gone");

    let text: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!((&text["detail"], &text["status"]), (&"It was here.".into(), &410.into()), "{text}");
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn head_tells_the_length_that_get_has() {
    let inner = || Router::new().route("/gone", get(gone));
    let owner = owner(inner().nest_service("/inner", inner())).await;

    for path in ["/gone", "/inner/gone"] {
        let of_get = owner.get(path).body.len();
        let mut head = String::new();
        client::open(owner.addr, &request("HEAD", path, &[], b"")).read_to_string(&mut head).unwrap();
        assert!(head.starts_with("HTTP/1.1 410") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {of_get}\r\n")), "{path}: {of_get} by GET, {head}");
    }
}

#[tokio::test]
async fn without_the_edge_there_is_no_id() {
    let body = gone().await.into_response().into_body();

    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    assert_eq!(text, r#"{"type":"about:blank","title":"Gone","status":410,"detail":"It was here."}"#);
}
