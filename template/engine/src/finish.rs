//! What goes on when its client has left?
//!
//! A handler is dropped where it stands when its client leaves: that is axum's way. What must not be left
//! half-done is given to [`finish`]. It goes on without its client, and still belongs to its request: the same
//! id, the same account, the same place and the same deadline. The request's line is written when it has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::http::StatusCode;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::http::problem::Problem;
use super::life::Stage;
use super::request::{self, REQUEST, Request};

/// Does work to its end, also when the client leaves meanwhile: axum drops a handler where it stands when that happens.
/// Give it all steps that belong together, those that only take time too.
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
/// Three things end it before its time: a panic; `server.request_timeout`, counted from the request's head as
/// always, when the client gets 504; and the end of `shutdown.grace`. Each is in the log, and what was done until
/// then stays done, so a transaction is still the only way to "all or nothing". Within the body of an answer, such
/// as a stream of events, `server.request_timeout` is counted from the call of this function.
///
/// # Errors
/// What `work` returns, as a problem.
pub async fn finish<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    Problem: From<E>,
{
    // Without a request, or behind its end, there is no client that could leave.
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
        let mut running = running; // as a whole: `ended` alone would be copied in
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome.map_err(Problem::from), // here, so that it is logged without a client, too
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

/// Work that is being finished, until this is dropped.
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
