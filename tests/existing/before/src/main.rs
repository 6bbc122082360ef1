//! Bookmarks with an address, a title and a number of visits.

mod error;
mod live;
mod routes;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use sqlx::PgPool;
use tokio::sync::broadcast;
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use settings::Settings;

#[derive(Clone)]
struct App {
    pool: PgPool,
    settings: Arc<Settings>,
    added: broadcast::Sender<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let settings = Settings::from_env()?;
    let pool = PgPool::connect(&settings.database_url).await?;
    sqlx::migrate!().run(&pool).await?;
    tokio::spawn(forget_unvisited(pool.clone()));

    let listener = tokio::net::TcpListener::bind(settings.addr).await?;
    tracing::info!(addr = %listener.local_addr()?, "listening");
    let app = App { pool, settings: Arc::new(settings), added: broadcast::channel(16).0 };
    let ctrl_c = async { tokio::signal::ctrl_c().await.expect("signals can be received") };
    axum::serve(listener, router(app)).with_graceful_shutdown(ctrl_c).await?;
    Ok(())
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
async fn forget_unvisited(pool: PgPool) {
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
