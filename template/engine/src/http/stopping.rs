//! How does an answer that lasts learn of the shutdown?
//!
//! A stream of events or a WebSocket does not end by itself. If nobody ends it, it takes the whole `shutdown.grace`, is
//! cut off there, and the process exits with 3.

use std::convert::Infallible;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponseParts, ResponseParts};
use futures_util::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// Tells a handler when the process begins to stop, that is, when a signal has come. The handler takes it as an
/// argument. [`end`](Self::end) makes a stream that ends at that moment, and the token within is cancelled then. This
/// is for answers that may last for hours: a stream of events ends, a WebSocket says goodbye. Requests that end by
/// themselves do not need it.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use axum::body::Body;
/// use futures_util::{StreamExt, stream};
/// use longpole::{Endless, Stopping};
/// use tokio::time::sleep;
///
/// /// A line each second, until the process stops.
/// async fn ticks(stopping: Stopping) -> (Endless, Body) {
///     let ticks = stream::repeat(()).then(async |()| {
///         sleep(Duration::from_secs(1)).await;
///         Ok::<_, Infallible>("tick\n")
///     });
///     (Endless, Body::from_stream(stopping.end(ticks)))
/// }
/// # let _: axum::Router = axum::Router::new().route("/ticks", axum::routing::get(ticks));
/// ```
///
/// Without it, an answer that lasts is cut off at the end of `shutdown.grace`, and the process exits with 3. In a
/// router that is called without the engine's server, for example in a test, the token is never cancelled. The token of a
/// [background task](crate::Background::start) is another one: it is cancelled later, when no request is left.
#[derive(Clone, Debug)]
pub struct Stopping(pub CancellationToken);

impl Stopping {
    /// The same stream, but it ends when the process begins to stop. If an item is being made at that moment, the
    /// stream does not wait for the item.
    pub fn end<S: Stream>(self, stream: S) -> impl Stream<Item = S::Item> {
        stream.take_until(self.0.cancelled_owned())
    }
}

impl<S: Sync> FromRequestParts<S> for Stopping {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // In a router that is called without our server, nothing ever cancels the token.
        Ok(Self(parts.extensions.get::<Activity>().map(Activity::draining).unwrap_or_default()))
    }
}

/// Marks an answer whose body may last for hours, such as a stream of events. Such an answer gives its place
/// (`admission.max_in_flight`) to other requests as soon as the handler has returned, and the time of its body is not
/// in the metric `http_request_phase_seconds`. A handler returns this in a tuple before the answer: see the example
/// at [`Stopping`].
///
/// Without the mark, answers that last can take all places, and then other requests get 503. The mark does not end the
/// answer at shutdown: [`Stopping`] does that, and most such answers need both.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

impl IntoResponseParts for Endless {
    type Error = Infallible;

    fn into_response_parts(self, parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        Extension(self).into_response_parts(parts)
    }
}
