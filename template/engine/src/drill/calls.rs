//! Calls to a service that takes its time.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::routing::{any, get};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::http::extract::Body;
use crate::http::problem::Problem;
use crate::links::Links;

pub(super) fn routes(links: &Links) -> Router {
    Router::new()
        .route("/drill/call/{ms}", get(call))
        .route("/drill/fetch", any(fetch))
        .with_state(links.clone())
}

/// Asks a service that takes its time.
pub(super) async fn call(State(links): State<Links>, Path(ms): Path<u64>) -> Result<Bytes, Problem> {
    let url = format!("http://{}/{ms}", upstream().await);
    Ok(links.http.send(links.http.get(url)).await?.bytes().await?)
}

#[derive(Deserialize)]
struct Fetch {
    url: String,
}

/// Calls `?url=` with the method, the body and some headers of the request, and passes the answer on.
async fn fetch(
    State(links): State<Links>,
    Query(Fetch { url }): Query<Fetch>,
    method: Method,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, HeaderMap, Bytes), Problem> {
    let mut call = links.http.request(method, url);
    for name in ["authorization", "idempotency-key"] {
        if let Some(value) = headers.get(name) {
            call = call.header(name, value);
        }
    }
    if !body.is_empty() {
        call = call.body(body);
    }
    let reply = links.http.send(call).await?;
    let location = reply.headers().get(header::LOCATION).map(|location| (header::LOCATION, location.clone()));
    Ok((reply.status(), location.into_iter().collect(), reply.bytes().await?))
}

/// A server that answers `/MS` after that many milliseconds with the headers that it got. The first call starts it.
async fn upstream() -> SocketAddr {
    static ADDR: OnceCell<SocketAddr> = OnceCell::const_new();
    #[expect(clippy::unwrap_used, reason = "the drill")]
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process")]
    let start = async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let wait = async |Path(ms), headers: HeaderMap| {
            sleep(Duration::from_millis(ms)).await;
            let text =
                |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}\n", value.to_str().unwrap());
            headers.iter().map(text).collect::<String>()
        };
        tokio::spawn(axum::serve(listener, Router::new().route("/{ms}", get(wait))).into_future());
        addr
    };
    *ADDR.get_or_init(start).await
}
