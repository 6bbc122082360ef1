//! How large may a request's body be, and what becomes of one that is larger?
//!
//! The bytes are counted where they come in. So no reader, be it an extractor of axum's or a handler's own loop, gets
//! more than `server.body_limit`. The layer [`BodyLimit`] gives a route a limit of its own. The reader gets the error
//! [`TooLarge`], and the client gets 413, whatever the handler does with the error. A handler can send the head of
//! its answer before that, for example to send back what it reads. Then only the end of the connection tells the
//! client.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytesize::ByteSize;
use futures_util::StreamExt;
use tokio::time::timeout;
use tower_layer::Layer;
use tower_service::Service;

/// After a refusal over HTTP/1, the rest of the body is read and thrown away for at most this long. Many clients send
/// their whole body before they look for an answer, and a client that is cut off while it sends sees no answer at all.
/// Higher: more bandwidth is spent for nothing. Lower: clients see a broken connection instead of 413.
const DRAIN: Duration = Duration::from_secs(2);

/// A layer that gives a route its own limit for the bodies of requests. The limit may be above or below
/// `server.body_limit`. If a route has several of these layers, the innermost one counts.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use bytesize::ByteSize;
/// use longpole::{Body, BodyLimit};
///
/// async fn upload(Body(picture): Body) -> String {
///     format!("{} bytes", picture.len())
/// }
///
/// let routes: Router = Router::new().route("/pictures", post(upload).layer(BodyLimit(ByteSize::mib(50))));
/// ```
///
/// The limit holds for every reader of the body: a larger body ends with an error, and the client gets 413. axum's
/// `DefaultBodyLimit` holds for axum's extractors alone, and it can make the limit lower, but not higher.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub ByteSize);

impl<S> Layer<S> for BodyLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, most: self.0.as_u64() }
    }
}

/// A route with the layer [`BodyLimit`].
#[derive(Clone, Copy, Debug)]
pub struct Limited<S> {
    inner: S,
    most: u64,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Limited<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        // A request without a body has no limit.
        if let Some(limit) = request.extensions().get::<Arc<Limit>>() {
            limit.most.store(self.most, Relaxed);
        }
        self.inner.call(request)
    }
}

/// The limit of one body, which the body, the layers of its route and the edge share.
#[derive(Debug)]
pub(super) struct Limit {
    most: AtomicU64,
    exceeded: AtomicBool,
}

impl Limit {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most: AtomicU64::new(most), exceeded: AtomicBool::new(false) })
    }

    /// Whether a body of this many bytes is too large. If so, that is remembered.
    pub(super) fn refuses(&self, bytes: u64) -> bool {
        let refuses = bytes > self.most.load(Relaxed);
        if refuses {
            self.exceeded.store(true, Relaxed);
        }
        refuses
    }

    pub(super) fn was_exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }
}

/// The error that a reader gets from a body that is larger than its limit.
#[derive(Clone, Copy, Debug)]
pub struct TooLarge;

impl TooLarge {
    /// Whether `error` is this error, or was caused by it.
    pub(super) fn is_behind(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::is_behind)
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body is larger than it may be")
    }
}

impl Error for TooLarge {}

/// Reads the rest of a body and throws it away, for at most [`DRAIN`].
pub(super) async fn drain(body: Body) {
    let mut rest = body.into_data_stream();
    let _ = timeout(DRAIN, async { while let Some(Ok(_)) = rest.next().await {} }).await;
}
