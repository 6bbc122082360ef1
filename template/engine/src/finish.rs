//! What goes on when its client has left?
//!
//! When a client leaves, axum drops its handler at the `.await` that it has reached. Work that must not be left
//! half-done is given to [`finish`]. It goes on without its client, and still belongs to its request: it has the same
//! id, the same account, the same place and the same deadline. The request's log line is written when the work has
//! ended.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::http::StatusCode;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::http::problem::Problem;
use super::life::Stage;
use super::request::{self, REQUEST, Request};

/// Does work to its end, even if the client leaves meanwhile. Without it, axum drops the handler when the client
/// leaves, at the `.await` that the handler has reached. Give all steps that belong together to one call, even steps
/// that only take time.
///
/// ```
/// use axum::http::{Method, StatusCode};
/// use longpole::{HttpClient, Problem, finish};
///
/// async fn pay(http: HttpClient) -> Result<StatusCode, Problem> {
///     finish(async move {
///         let charge = http.request(Method::POST, "http://bank.internal/charges").body("42.00");
///         http.send(charge).await?;
///         // A client that leaves here must not take the rest away.
///         http.send(http.request(Method::PUT, "http://shop.internal/orders/7/paid")).await?;
///         Ok::<_, Problem>(StatusCode::CREATED)
///     })
///     .await
/// }
/// ```
///
/// Three things end the work before its time, and each of them is in the log:
///
/// - The work panics. The result is 500.
/// - `server.request_timeout` has passed since the request's head. The result is 504. Within the body of an answer,
///   such as a stream of events, the time counts from the call of this function.
/// - `shutdown.grace` has passed since the signal. The result is 503.
///
/// What was done until then stays done, so a transaction is still the only way to do everything or nothing.
///
/// The work runs in a task of its own, so it owns what it uses: clone it into an `async move` block. Until the work has
/// ended, the request keeps its place (`admission.max_in_flight`). Outside of a request, such as in a background task
/// or after the request has ended, this function only awaits the work, and none of the three bounds holds.
///
/// # Errors
/// The error that `work` returns, as a problem, or one of the three problems above.
pub async fn finish<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    Problem: From<E>,
{
    // Without a request, or after its end, there is no client that could leave.
    let Some(request) = request::current().filter(|request| !request.account.is_closed()) else {
        return Ok(work.await?);
    };
    let running = Running::begin(&request);
    let all = Arc::clone(&request.all);
    let deadline = match request.is_answered.load(Relaxed) {
        true => Instant::now() + all.request_timeout,
        false => request.deadline,
    };
    let life = all.life.clone();
    let task = async move {
        let mut running = running; // moves the whole value: otherwise only a copy of `ended` would be captured
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome.map_err(Problem::from), // here, so that errors are logged without a client, too
            () = sleep_until(deadline) => {
                tracing::warn!("work was given up at server.request_timeout");
                return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may."));
            }
            () = life.reached(Stage::Aborting) => return Err(Problem::overloaded("The service is shutting down.")),
        };
        running.ended = true;
        outcome
    };
    let task = REQUEST.scope(Arc::clone(&request), task.in_current_span());
    let task = all.finishing.spawn(request::follow(request, task));
    task.await.unwrap_or_else(|_panic| Err(Problem::internal())) // logged by the panic hook
}

/// Work that is being finished. It has ended when this is dropped.
struct Running {
    request: Arc<Request>,
    ended: bool,
}

impl Running {
    fn begin(request: &Arc<Request>) -> Self {
        request.finishing.begin();
        Self { request: Arc::clone(request), ended: false }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.request.finishing.end(self.ended);
    }
}
