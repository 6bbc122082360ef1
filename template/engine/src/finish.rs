//! What goes on when its client has left?
//!
//! A handler is dropped where it stands when its client leaves: that is axum's way. What must not be left
//! half-done is given to [`finish`]. It goes on without its client, and still belongs to its request: the same
//! id, the same account, the same place and the same deadline. The request's line is written when it has ended.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::context::{self, REQUEST, Request};
use super::http::exchange::Exchange;
use super::http::problem::Problem;
use super::ledger;

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
    let Some(request) = context::current().filter(|request| !request.account.is_closed()) else {
        return Ok(work.await?);
    };
    let running = request.finishing.begin(&request);
    let home = Arc::clone(&request.home);
    let deadline = match request.is_answered.load(Relaxed) {
        true => Instant::now() + home.request_timeout,
        false => request.deadline,
    };
    let aborting = home.aborting.clone();
    let task = async move {
        let mut running = running; // as a whole: `ended` alone would be copied in
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome.map_err(Problem::from), // here, so that it is logged without a client, too
            () = sleep_until(deadline) => {
                tracing::warn!("work was given up at server.request_timeout");
                return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "The request took longer than it may."));
            }
            () = aborting.cancelled() => return Err(Problem::overloaded("The service is shutting down.")),
        };
        running.ended = true;
        outcome
    };
    let task = REQUEST.scope(Arc::clone(&request), task.in_current_span());
    let task = home.finishing.spawn(ledger::task(request, task));
    task.await.unwrap_or_else(|_panic| Err(Problem::internal())) // logged by the panic hook
}

/// What of a request is still being finished.
#[derive(Default)]
pub(super) struct Finishing(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    /// Whether something of it was given up.
    given_up: bool,
    /// Of a request whose client has left: open until the last work has ended.
    left: Option<Box<Exchange>>,
}

impl fmt::Debug for Finishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finishing").finish_non_exhaustive()
    }
}

impl Finishing {
    fn begin(&self, request: &Arc<Request>) -> Running {
        self.lock().running += 1;
        Running { request: Arc::clone(request), ended: false }
    }

    /// Keeps the exchange that `take` hands over until the work has ended, if there is any.
    pub(super) fn keep(&self, take: impl FnOnce() -> Exchange) -> bool {
        let mut state = self.lock();
        let is_running = state.running > 0;
        if is_running {
            state.left = Some(Box::new(take()));
        }
        is_running
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that is being finished, until this is dropped.
struct Running {
    request: Arc<Request>,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.request.finishing.lock();
        state.running -= 1;
        state.given_up |= !self.ended;
        let left = if state.running == 0 { state.left.take() } else { None };
        let finished = !state.given_up;
        drop(state); // closing the exchange asks for it
        if let Some(mut exchange) = left {
            exchange.finished = Some(finished);
        }
    }
}
