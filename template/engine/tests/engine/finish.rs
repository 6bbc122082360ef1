//! Work that goes on when its client leaves: how long may it take, and what becomes of a panic?

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::stream;
use longpole::{Problem, finish, spawn};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::owner::{owner, owner_with};
use crate::common::{client, request, setup};

pub fn millis(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or_else(|| panic!("no {key} in {line}"))
}

#[test]
fn the_requests_deadline_holds_for_what_is_finished() {
    let service = setup().set("server.request_timeout", "600ms").start();

    let leaving = client::open(
        service.public,
        &request("GET", "/drill/finish/60000", &[("x-request-id", "late")], b""),
    );
    service.await_line("its beginning", |line| line["message"] == "drill: begun");
    drop(leaving);

    let line = service.request_line("late");
    assert_eq!((&line["outcome"], &line["finished"]), (&"client_gone".into(), &false.into()));
    assert!((590.0..20_000.0).contains(&millis(&line, "duration_ms")), "{line}");
    let told = "work was given up at server.request_timeout";
    assert_eq!(service.await_line(told, |line| line["message"] == told)["request_id"], "late");

    service.get("/drill/finish/60000").problem(504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_what_is_finished_is_a_500() {
    let panics = async || {
        finish(async {
            let missing = "no number".parse::<i64>().unwrap();
            Ok::<_, Problem>(missing.to_string())
        })
        .await
    };
    let owner = owner(Router::new().route("/panic", get(panics))).await;

    let answer = owner.get("/panic");

    answer.problem(500);
    assert_eq!(owner.line_of(&answer)["outcome"], "server_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_stream_each_has_the_time_of_a_request() {
    let later = |ms| {
        let work = async move {
            sleep(Duration::from_millis(500)).await; // the deadline of the head is over
            let work = async move {
                sleep(Duration::from_millis(ms)).await;
                Ok::<_, Problem>("done")
            };
            let ended = finish(work).await;
            Ok::<_, Infallible>(ended.unwrap_or_else(|problem| match problem.status() {
                StatusCode::GATEWAY_TIMEOUT => "too late",
                _ => "failed",
            }))
        };
        Body::from_stream(stream::once(work))
    };
    let routes = Router::new().route("/{ms}", get(async move |Path(ms): Path<u64>| later(ms)));
    let owner = owner_with(routes, |config| config.server.request_timeout = Duration::from_millis(300)).await;

    assert_eq!(owner.get("/50").text(), "done");
    let too_long = owner.get("/60000");
    assert_eq!(too_long.text(), "too late");
    let duration = millis(&owner.line_of(&too_long), "duration_ms");
    assert!((790.0..20_000.0).contains(&duration), "{duration}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_end_of_its_request_it_has_no_deadline() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let outlives = async move || {
        spawn(async move {
            sleep(Duration::from_millis(300)).await;
            let finished = finish(async {
                sleep(Duration::from_millis(10)).await;
                Ok::<_, Problem>(())
            });
            let _ = tell.send(finished.await.is_ok());
        });
    };
    let owner = owner_with(Router::new().route("/outlives", get(outlives)), |config| {
        config.server.request_timeout = Duration::from_millis(200);
    })
    .await;

    assert_eq!(owner.get("/outlives").status, 200);
    assert_eq!(timeout(Duration::from_secs(20), told.recv()).await.unwrap(), Some(true));
}
