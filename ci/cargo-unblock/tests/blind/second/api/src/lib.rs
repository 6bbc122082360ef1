//! HTTP service.
#![allow(dead_code)]
pub mod admin;
pub mod files;
pub mod hooks;
pub mod layers;
pub mod state;
pub mod streams;

use axum::{Router, routing::{get, post}};

pub fn router(app: state::App) -> Router {
    Router::new()
        .route("/files/{name}", get(files::show).put(files::upload).delete(files::remove))
        .route("/files", get(files::list))
        .route("/copy", post(files::copy_blob))
        .route("/export", get(files::export))
        .route("/admin/reload", post(admin::reload))
        .route("/admin/version", get(admin::version))
        .route("/admin/health", get(admin::health))
        .route("/hooks/{id}", post(hooks::receive))
        .route("/tail", get(streams::tail_handler))
        .layer(axum::middleware::from_fn_with_state(app.clone(), layers::access_log))
        .with_state(app)
}
