//! Waits, and work that runs beside the answer: on other threads, in tasks, or without a client.

use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use futures_util::FutureExt;
use tokio::time::sleep;

use crate::finish::finish;
use crate::http::problem::Problem;
use crate::ledger::Phase;
use crate::links::Links;
use crate::request::{self, wait};

pub(super) fn routes(links: &Links) -> Router {
    Router::new()
        .route("/drill/sleep/{ms}", get(async |Path(ms)| sleep(Duration::from_millis(ms)).await))
        .route("/drill/named/{ms}", get(named))
        .route("/drill/never", get(std::future::pending::<()>))
        .route("/drill/hold-places/{ms}", get(hold_places))
        .route("/drill/finish/{ms}", get(finishes))
        .route("/drill/spawn/{ms}", get(spawn))
        .route("/drill/spawn-beside/{ms}", get(spawn_beside))
        .route("/drill/offload/{ms}", get(offload))
        .route("/drill/offload-panic", get(offload_panic))
        .with_state(links.clone())
}

/// Waits for something that the owner has named.
async fn named(Path(ms): Path<u64>) {
    wait(Phase::named("mail"), sleep(Duration::from_millis(ms))).await;
}

/// Holds every place that is free.
async fn hold_places(State(links): State<Links>, Path(ms): Path<u64>) {
    let held: Vec<_> = std::iter::from_fn(|| links.admission.enter().now_or_never()?.ok()).collect();
    sleep(Duration::from_millis(ms)).await;
    drop(held);
}

async fn finishes(Path(ms): Path<u64>) -> Result<(), Problem> {
    finish(async move {
        tracing::info!("drill: begun");
        sleep(Duration::from_millis(ms)).await;
        Ok::<_, Problem>(())
    })
    .await
}

/// Starts a task that outlives its request.
async fn spawn(Path(ms): Path<u64>) {
    request::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        tracing::info!("drill: spawned task ended");
    });
}

/// Starts a task that ends and a task that is aborted, both while the request goes on.
async fn spawn_beside(Path(ms): Path<u64>) {
    request::spawn(async {});
    request::spawn(std::future::pending::<()>()).abort();
    sleep(Duration::from_millis(ms)).await;
}

async fn offload(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let work = move || {
        thread::sleep(Duration::from_millis(ms));
        tracing::info!("drill: offloaded");
    };
    Ok(links.offload.run(work).await?)
}

#[expect(clippy::panic, reason = "the drill")]
async fn offload_panic(State(links): State<Links>) -> Result<(), Problem> {
    Ok(links.offload.run(|| panic!("drill: panic")).await?)
}
