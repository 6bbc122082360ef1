//! A store of sessions from crates.io, on sqlx's own pool.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use axum_session::{Session, SessionConfig, SessionLayer, SessionStore};
use axum_session_sqlx::SessionSqlitePool;
use longpole::Links;

pub(super) async fn routes(links: &Links) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let config = SessionConfig::default().with_table_name("sessions");
    let store = SessionStore::<SessionSqlitePool>::new(Some(links.db.sqlx_pool()?.into()), config).await?;
    Ok(Router::new().route("/visits", get(visits)).layer(SessionLayer::new(store)))
}

async fn visits(session: Session<SessionSqlitePool>) -> String {
    let visits = session.get("visits").unwrap_or(0) + 1;
    session.set("visits", visits);
    visits.to_string()
}
