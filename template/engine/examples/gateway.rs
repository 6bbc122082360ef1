//! What is the least that a service needs? Here it is one file: a route, the call of another service, settings.
//!
//! `cargo run -p longpole --example gateway` serves; with `-- check` behind it, it prints every setting. Then
//! `curl http://127.0.0.1:8080/quote` asks this service, which asks itself for `/hello`. Where the time went is on the
//! page `http://127.0.0.1:8081`.

use std::process::ExitCode;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use longpole::{HttpClient, Json, Links, Problem, Service};
use serde::{Deserialize, Serialize};

/// The section `app`: `[app]` in the file, `APP__APP__QUOTE_URL` in the environment.
#[derive(Clone, Serialize, Deserialize)]
struct Settings {
    /// What `/quote` asks.
    quote_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { quote_url: "http://127.0.0.1:8080/hello".to_owned() }
    }
}

/// What the handlers can reach.
#[derive(Clone)]
struct App {
    http: HttpClient,
    settings: Settings,
}

#[derive(Serialize)]
struct Quote {
    said: serde_json::Value,
}

fn main() -> ExitCode {
    Service::new(longpole::identity!()).run(start)
}

fn start(links: &Links, settings: &Settings) -> Router {
    let app = App { http: links.http.clone(), settings: settings.clone() };
    Router::new().route("/hello", get(async || Json("hello"))).route("/quote", get(quote)).with_state(app)
}

async fn quote(State(app): State<App>) -> Result<Json<Quote>, Problem> {
    let reply = app.http.send(app.http.get(&app.settings.quote_url)).await?;
    if !reply.status().is_success() {
        tracing::warn!(status = reply.status().as_u16(), "no quote");
        return Err(Problem::new(StatusCode::BAD_GATEWAY, "The other service has no quote."));
    }
    Ok(Json(Quote { said: reply.json().await? }))
}
