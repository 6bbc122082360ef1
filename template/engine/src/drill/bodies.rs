//! Which bodies are hard to serve? Here are large, slow, broken and endless ones, and a connection that leaves HTTP.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request};
use axum::http::{Method, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::http::extract::Body;
use crate::http::problem::Problem;
use crate::http::stopping::{Endless, Stopping};
use crate::request;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/drill/read", post(async |Body(body)| body))
        .route("/drill/collect", post(collect))
        .route("/drill/unread/{ms}", post(keep_unread))
        .route("/drill/bytes/{n}", get(async |Path(n): Path<usize>| vec![b'x'; n]))
        .route("/drill/stream/{ms}", get(async |Path(ms)| (Endless, slow_stream(ms))))
        .route("/drill/events", get(events))
        .route("/drill/deaf-events", get(async || (Endless, Sse::new(endless()))))
        .route("/drill/broken-stream", get(async || axum::body::Body::from_stream(broken_stream())))
        .route("/drill/echo/{ms}", any(echo))
}

/// Reads a whole body without a limit of its own.
async fn collect(body: axum::body::Body) -> Result<String, Problem> {
    let bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal())?;
    Ok(bytes.len().to_string())
}

/// Keeps the request's body, and reads nothing of it.
async fn keep_unread(Path(ms): Path<u64>, request: Request) {
    sleep(Duration::from_millis(ms)).await;
    drop(request);
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

/// Sends an event every 50 ms until the process stops.
async fn events(stopping: Stopping) -> impl IntoResponse {
    (Endless, Sse::new(stopping.end(endless())))
}

fn endless() -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    stream::repeat(()).then(async |()| {
        sleep(Duration::from_millis(50)).await;
        Ok(Event::default().data("tick"))
    })
}

fn broken_stream() -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::iter([Ok(Bytes::from_static(b"part\n")), Err(io::Error::other("drill: broken"))])
}

/// Leaves HTTP and sends back what comes, as a WebSocket would. This runs in a task that knows of no request. When the
/// service stops, the handler says goodbye after `ms` milliseconds.
async fn echo(Path(ms): Path<u64>, Stopping(stop): Stopping, request: Request) -> Response {
    let tunnel = request.method() == Method::CONNECT;
    let upgrade = hyper::upgrade::on(request);
    let talk = request::carry(move |socket| async move {
        tracing::info!("drill: upgraded");
        let mut socket = TokioIo::new(socket);
        let mut bytes = vec![0; 64 * 1024];
        let mut goodbye = pin!(async {
            stop.cancelled().await;
            sleep(Duration::from_millis(ms)).await;
        });
        loop {
            tokio::select! {
                () = goodbye.as_mut() => return drop(socket.write_all(b"goodbye").await),
                read = socket.read(&mut bytes) => match read {
                    Ok(length @ 1..) if socket.write_all(&bytes[..length]).await.is_ok() => {}
                    _ => return,
                },
            }
        }
    });
    #[expect(clippy::disallowed_methods, reason = "as axum does it")]
    tokio::spawn(async {
        match upgrade.await {
            Ok(socket) => talk(socket).await,
            Err(error) => tracing::info!(error = %error, "drill: not upgraded"),
        }
    });
    let switch = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    if tunnel { ().into_response() } else { (StatusCode::SWITCHING_PROTOCOLS, switch).into_response() }
}
