//! Bookmarks with an address, a title and a number of visits.

mod error;
mod live;
mod routes;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use longpole::{Links, Pool, Service};
use tokio::sync::broadcast;
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use settings::Settings;

#[derive(Clone)]
struct App {
    pool: Pool,
    settings: Arc<Settings>,
    added: broadcast::Sender<String>,
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let settings = Settings::from_env()?;
    let service = Service::new(longpole::identity!())
        .set_default("server.addr", settings.addr.to_string())
        .set_default("database.url", &settings.database_url)
        .migrations(sqlx::migrate!())
        .keep_answers();
    Ok(service.run(|links: &Links, _: &()| start(links, settings)))
}

fn start(links: &Links, settings: Settings) -> Router {
    let pool = links.db.write.clone();
    let forget = forget_unvisited(pool.clone());
    links.background.start("forget", async |stop| _ = stop.run_until_cancelled(forget).await);
    let app = App { pool, settings: Arc::new(settings), added: broadcast::channel(16).0 };
    router(app)
}

fn router(app: App) -> Router {
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    Router::new()
        .merge(live::routes())
        .nest("/api", routes::routes())
        .fallback(routes::nothing_here)
        .with_state(app)
        .layer(CorsLayer::permissive())
        .layer(SetResponseHeaderLayer::if_not_present(HeaderName::from_static("x-version"), version))
        .layer(TraceLayer::new_for_http())
}

/// Deletes bookmarks that nobody has visited for a year.
async fn forget_unvisited(pool: Pool) {
    let mut hours = tokio::time::interval(Duration::from_secs(3600));
    loop {
        hours.tick().await;
        let old = "DELETE FROM bookmarks WHERE visits = 0 AND added_at < now() - interval '1 year'";
        match sqlx::query(old).execute(&pool).await {
            Ok(done) => tracing::info!(deleted = done.rows_affected(), "old bookmarks"),
            Err(error) => tracing::error!(%error, "old bookmarks"),
        }
    }
}
