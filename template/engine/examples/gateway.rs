//! What is the smallest service? This example is one file with two routes, a call of another service, and settings.
//!
//! `cargo run -p longpole --example gateway` starts the service; with `-- check` at the end, the same command prints every
//! setting instead. `curl http://127.0.0.1:8080/quote` asks the service, which then asks itself for `/hello`. The page
//! `http://127.0.0.1:8081` shows where the time went.

use std::process::ExitCode;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use longpole::{HttpClient, Json, Links, Problem, Service};
use serde::{Deserialize, Serialize};

/// The settings are the section `app`: `[app]` in the file, `APP__APP__QUOTE_URL` in the environment.
#[derive(Clone, Serialize, Deserialize)]
struct Settings {
    /// The URL that `/quote` asks.
    quote_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { quote_url: "http://127.0.0.1:8080/hello".to_owned() }
    }
}

/// Every handler can reach this as `State<App>`.
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
