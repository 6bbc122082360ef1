//! `GET /quote`: asks another service, within the limits of time and number that the engine sets.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use longpole::{Json, Problem};
use serde::Serialize;
use serde_json::Value;

use super::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/quote", get(quote))
}

/// The answer of the other service.
#[derive(Serialize)]
struct Quote {
    said: Value,
}

async fn quote(State(app): State<App>) -> Result<Json<Quote>, Problem> {
    let reply = app.http.send(app.http.get(&app.settings.quote_url)).await?;
    if !reply.status().is_success() {
        tracing::warn!(status = reply.status().as_u16(), "no quote");
        return Err(Problem::new(StatusCode::BAD_GATEWAY, "The other service has no quote."));
    }
    Ok(Json(Quote { said: reply.json().await? }))
}
