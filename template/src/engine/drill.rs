//! Bottlenecks on demand, to see what the service says about each. Only with the cargo feature `drill`,
//! which no release enables: these routes do on purpose what the engine exists to prevent.

use std::convert::Infallible;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{io, thread};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use futures_util::stream;
use metrics::{describe_histogram, histogram};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::context;
use super::http::extract::Body;
use super::http::problem::Problem;
use super::links::Links;

pub(super) fn routes(links: &Links) -> Router {
    Router::new()
        .route("/drill/sleep/{ms}", get(async |Path(ms)| sleep(Duration::from_millis(ms)).await))
        // unblock: allow(blocks one worker, to show what that looks like)
        .route("/drill/block/{ms}", get(async |Path(ms)| thread::sleep(Duration::from_millis(ms))))
        .route("/drill/block-all/{ms}", get(async |Path(ms)| block_all(ms)))
        .route("/drill/bytes/{n}", get(async |Path(n): Path<usize>| vec![b'x'; n]))
        .route("/drill/never", get(std::future::pending::<()>))
        .route("/drill/stream/{ms}", get(async |Path(ms)| slow_stream(ms)))
        .route("/drill/broken-stream", get(async || axum::body::Body::from_stream(broken_stream())))
        .route("/drill/panic", get(panics))
        .route("/drill/log/{lines}", get(log))
        .route("/drill/hold/{ms}", get(hold_writer))
        .route("/drill/offload/{ms}", get(offload))
        .route("/drill/offload-panic", get(offload_panic))
        .route("/drill/read", post(async |Body(body)| body))
        .route("/drill/spawn/{ms}", get(spawn))
        .route("/drill/spin/{ms}", get(async |Path(ms)| spin(Duration::from_millis(ms))))
        .with_state(links.clone())
}

/// Blocks every worker of the main runtime at once.
fn block_all(ms: u64) {
    let runtime = Handle::current();
    let workers = runtime.metrics().num_workers();
    let all = Arc::new(Barrier::new(workers));
    // From outside the runtime, so that no task waits behind a blocked one in a worker's own queue.
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

fn slow_stream(ms: u64) -> axum::body::Body {
    axum::body::Body::from_stream(stream::unfold(0, move |sent| async move {
        if sent == 3 {
            return None;
        }
        sleep(Duration::from_millis(ms)).await;
        tracing::info!(sent, "drill: streaming");
        Some((Ok::<_, Infallible>(Bytes::from_static(b"part\n")), sent + 1))
    }))
}

fn broken_stream() -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::iter([Ok(Bytes::from_static(b"part\n")), Err(io::Error::other("drill: broken"))])
}

#[expect(clippy::panic, reason = "the drill")]
async fn panics() {
    panic!("drill: panic");
}

async fn log(Path(lines): Path<u64>) {
    let tasks = (0..4).map(|task| {
        context::spawn(async move {
            for line in (task..lines).step_by(4) {
                tracing::info!(line, "drill: line");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let _ = task.await;
    }
}

async fn hold_writer(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let mut connection = links.db.write.acquire().await?;
    sqlx::query("SELECT 1").execute(&mut connection).await?;
    sleep(Duration::from_millis(ms)).await;
    Ok(())
}

async fn offload(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let work = move || {
        thread::sleep(Duration::from_millis(ms));
        tracing::info!("drill: offloaded");
    };
    links.offload.run(work).await
}

#[expect(clippy::panic, reason = "the drill")]
async fn offload_panic(State(links): State<Links>) -> Result<(), Problem> {
    links.offload.run(|| panic!("drill: panic")).await
}

/// A task that outlives its request.
async fn spawn(Path(ms): Path<u64>) {
    context::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        tracing::info!("drill: spawned task ended");
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
