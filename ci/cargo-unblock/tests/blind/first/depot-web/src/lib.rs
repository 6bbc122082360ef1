//! The HTTP face of the depot.

pub mod admin;
pub mod background;
pub mod handlers;
pub mod middleware;
pub mod sessions;
pub mod state;
pub mod streams;
pub mod uploads;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/objects/{key}", get(handlers::get_object).put(handlers::put_object))
        .route("/objects/{key}/label", get(handlers::object_label))
        .route("/mem/{key}", get(handlers::get_scratch))
        .route("/users/{id}", get(handlers::get_user))
        .route("/users/{id}/fast", get(handlers::get_user_offloaded))
        .route("/motd", get(handlers::motd))
        .route("/banner", get(handlers::banner))
        .route("/events", post(handlers::post_event))
        .route("/upstream", get(handlers::upstream_version))
        .route("/thumb/{key}", get(handlers::thumbnail))
        .route("/upload/{name}", post(uploads::receive))
        .route("/upload/{name}/offloaded", post(uploads::receive_offloaded))
        .route("/upload/{name}/tokio", post(uploads::receive_tokio))
        .route("/admin/reload", post(admin::reload))
        .route("/admin/usage", get(admin::usage))
        .route("/admin/backup", post(admin::backup))
        .route("/admin/closure", get(|| async {
            let text = std::fs::read_to_string("/etc/hostname"); //~ BAD(direct) async block of a handler closure
            text.unwrap_or_default()
        }))
        .route("/admin/closure2", get(async || {
            tokio::fs::read_to_string("/etc/hostname").await.unwrap_or_default() //~ OK tokio::fs
        }))
        .layer(axum::middleware::from_fn(middleware::access_log))
        .with_state(state)
}
