//! `GET /hello`: a request that waits for nothing.

use axum::Router;
use axum::routing::get;
use longpole::Json;
use serde::Serialize;

use super::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/hello", get(hello))
}

#[derive(Serialize)]
struct Hello {
    message: &'static str,
}

async fn hello() -> Json<Hello> {
    Json(Hello { message: "hello" })
}
