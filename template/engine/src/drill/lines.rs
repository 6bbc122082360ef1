//! Log lines: many lines, odd lines, and lines of other crates.

use std::fmt;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;

use crate::request;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/drill/log/{lines}", get(log))
        .route("/drill/log-moody", get(async || log_what_panics()))
        .route("/drill/log-crate", get(async || log_as_others_do()))
}

async fn log(Path(lines): Path<u64>) {
    let tasks = (0..4).map(|task| {
        request::spawn(async move {
            for line in (task..lines).step_by(4) {
                tracing::info!(line, "drill: line");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let _ = task.await;
    }
}

/// Logs values that panic when they are logged.
fn log_what_panics() {
    struct Moody;
    #[expect(clippy::panic, reason = "the drill")]
    impl fmt::Debug for Moody {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("drill: a mood")
        }
    }
    let span = tracing::info_span!("drill", first = ?Moody, second = tracing::field::Empty);
    let _entered = span.enter();
    span.record("second", tracing::field::debug(Moody));
    tracing::info!(third = ?Moody, "drill: moody");
}

/// Logs like a crate that knows nothing of `tracing`.
fn log_as_others_do() {
    use tracing_log::log;
    log::warn!("drill: a record");
    log::info!(target: "drill::other", "drill: a record of another target");
    log::debug!(target: "drill::fine", "drill: a fine record");
    log::error!(target: "drill::\"odd\"\n", "drill: a record\nof two lines");
}
