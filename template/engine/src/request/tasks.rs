//! How does work beside the answer stay with its request?
//!
//! A task that is started with `tokio::spawn` belongs to nobody: its lines have no request id, and shutdown does not
//! wait for it. [`spawn`] and [`carry`] take the request along. clippy bans the raw calls.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::follow::follow;
use super::{REQUEST, current};

/// Starts a task that belongs to the current request. The log lines of the task have the request's id, its waits are
/// in the request's account until the account is closed, and shutdown waits for the task until the end of
/// `shutdown.grace`. Outside of a request, this is `tokio::spawn`, and shutdown does not wait for the task.
///
/// Nothing bounds how many of these tasks there are, or for how long they run: `server.request_timeout` does not hold for
/// them, and they hold no place of `admission.max_in_flight`. If the task can take long, put `tokio::time::timeout` around
/// its work. If it panics, the log has the panic, and nothing else fails.
///
/// The answer does not wait for the task, and the task goes on when the client leaves. If the answer has to wait for
/// work that must go on when the client leaves, use [`finish`](crate::finish()). For work that lives as long as the
/// process, use [`Background`](crate::Background).
///
/// ```
/// use axum::http::StatusCode;
/// use longpole::spawn;
///
/// async fn order() -> StatusCode {
///     spawn(async { tracing::info!("this line has the id of the request") });
///     StatusCode::ACCEPTED
/// }
/// ```
///
/// # Panics
/// On a thread without a Tokio runtime. Your [`Start`](crate::Start) function and your handlers have one.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let task = task.in_current_span();
    match current() {
        Some(request) => {
            let all = Arc::clone(&request.all);
            all.tasks.spawn(follow(Arc::clone(&request), REQUEST.scope(request, task)))
        }
        #[expect(clippy::disallowed_methods, reason = "there is no request to carry along")]
        None => tokio::spawn(task),
    }
}

/// Wraps a callback that a library runs in a task of its own, such as the callback of axum's `on_upgrade`. What the
/// callback does belongs to the request that has called `carry`, as with [`spawn`]. Outside of a request, the
/// callback only runs.
///
/// ```
/// # mod ws {
/// #     pub struct WebSocket;
/// #     pub struct WebSocketUpgrade;
/// #     impl WebSocketUpgrade {
/// #         pub fn on_upgrade<C, F>(self, _: C) -> axum::response::Response
/// #         where
/// #             C: FnOnce(WebSocket) -> F + Send + 'static,
/// #             F: Future<Output = ()> + Send + 'static,
/// #         {
/// #             unimplemented!("axum's own needs its feature `ws`")
/// #         }
/// #     }
/// # }
/// # use ws::{WebSocket, WebSocketUpgrade};
/// use axum::response::Response;
/// use longpole::{Stopping, carry};
/// use tokio_util::sync::CancellationToken;
///
/// // `WebSocketUpgrade` and `WebSocket` are types of axum, with its feature `ws`.
/// async fn chat(Stopping(stop): Stopping, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(carry(move |socket| talk(socket, stop)))
/// }
///
/// async fn talk(socket: WebSocket, stop: CancellationToken) {
///     // … until the socket is closed or `stop` is cancelled
/// }
/// ```
pub fn carry<A, F>(
    callback: impl FnOnce(A) -> F + Send + 'static,
) -> impl FnOnce(A) -> BoxFuture<'static, F::Output> + Send + 'static
where
    A: Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    let request = current();
    move |argument| match request {
        Some(request) => {
            let all = Arc::clone(&request.all);
            let task = REQUEST.scope(Arc::clone(&request), async { callback(argument).await });
            Box::pin(async move { all.tasks.track_future(follow(request, task)).await })
        }
        None => Box::pin(callback(argument)),
    }
}
