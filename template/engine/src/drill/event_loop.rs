//! What keeps the event loop from its other requests.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use metrics::{describe_histogram, histogram};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::links::Links;
use crate::request;

pub(super) fn routes(links: &Links) -> Router {
    Router::new()
        // unblock: allow(blocks one worker, to show what that looks like)
        .route("/drill/block/{ms}", get(async |Path(ms)| thread::sleep(Duration::from_millis(ms))))
        .route("/drill/block-all/{ms}", get(async |Path(ms)| block_all(ms)))
        .route("/drill/block-background/{ms}", get(block_in_background))
        .route("/drill/spawn-block/{ms}", get(spawn_block))
        .route("/drill/spin/{ms}", get(async |Path(ms)| spin(Duration::from_millis(ms))))
        .route("/drill/panic", get(panics))
        .with_state(links.clone())
}

/// Blocks every worker of the main runtime at once.
fn block_all(ms: u64) {
    let runtime = Handle::current();
    let workers = runtime.metrics().num_workers();
    let all = Arc::new(Barrier::new(workers));
    // The tasks are spawned from outside the runtime. Otherwise a task could be in the queue of a blocked worker.
    thread::spawn(move || {
        for _ in 0..workers {
            let all = Arc::clone(&all);
            #[expect(clippy::disallowed_methods, reason = "must come from outside the runtime")]
            runtime.spawn(async move {
                // unblock: allow(blocks every worker, to show what that looks like)
                all.wait();
                // unblock: allow(as above)
                thread::sleep(Duration::from_millis(ms));
            });
        }
    });
}

async fn block_in_background(State(links): State<Links>, Path(ms): Path<u64>) {
    // unblock: allow(blocks one worker, to show what that looks like)
    links.background.start("drill: blocks", async move |_| thread::sleep(Duration::from_millis(ms)));
}

/// Starts a task that outlives its request and blocks a worker.
async fn spawn_block(Path(ms): Path<u64>) {
    request::spawn(async move {
        sleep(Duration::from_millis(50)).await;
        // unblock: allow(blocks one worker, to show what that looks like)
        thread::sleep(Duration::from_millis(ms));
    });
}

/// Burns CPU on the event loop.
fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
    describe_histogram!("drill_spin_seconds", "A metric as an owner may add one.");
    histogram!("drill_spin_seconds").record(begun.elapsed());
}

#[expect(clippy::panic, reason = "the drill")]
async fn panics() {
    panic!("drill: panic");
}
