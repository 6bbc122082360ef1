//! When is a request polled, and what does it wait for in between?

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Request, Requests, current, lock};
use crate::ledger::{OnWorker, Phase};

/// Awaits a future, and books the time of the wait to a phase of the current request. Outside of a request it only
/// awaits the future. If the future has waits with phases of their own, these share the time with this wait: each of two
/// waits that are open at the same time gets half of the time. This function does not bound the wait; put
/// `tokio::time::timeout` around the future for that.
///
/// The waits of [`Links`](crate::Links) are booked already. This function is for all other waits, for example with a
/// client of another crate:
///
/// ```
/// use longpole::{Phase, Problem, wait};
///
/// # struct Mail;
/// # impl Mail {
/// #     async fn send(&self, _: &str) -> Result<(), Problem> { Ok(()) }
/// # }
/// async fn greet(mail: &Mail) -> Result<(), Problem> {
///     wait(Phase::HttpUpstream, mail.send("Welcome!")).await
/// }
/// ```
pub async fn wait<F: Future>(phase: Phase, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut entered = None;
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        // A future that is ready at once is no wait, and costs nothing.
        if polled.is_pending() && entered.is_none() {
            entered = current().map(|request| Entered::new(request, phase));
        }
        polled
    })
    .await
}

/// A wait that is open until this is dropped, on any thread.
#[derive(Debug)]
pub struct Entered {
    request: Arc<Request>,
    phase: Phase,
}

impl Entered {
    pub fn new(request: Arc<Request>, phase: Phase) -> Self {
        request.account.enter(phase);
        Self { request, phase }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.request.account.leave(self.phase);
    }
}

/// The future that answers a request. The time in which it is polled is booked to `cpu`.
pub struct Followed<T> {
    future: BoxFuture<'static, T>,
    request: Arc<Request>,
    done: bool,
}

impl<T> Followed<T> {
    pub fn new(request: Arc<Request>, future: BoxFuture<'static, T>) -> Self {
        Self { future, request, done: false }
    }
}

impl<T> Future for Followed<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let mut polling = Polling::begin(&this.request);
        let polled = this.future.as_mut().poll(cx);
        this.done = polled.is_ready();
        polling.unnamed = Some(if this.done { Phase::ResponseBody } else { Phase::Other });
        polled
    }
}

/// Notes in which phase the request was given up. The future is dropped after this, and its waits end with it.
impl<T> Drop for Followed<T> {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.request.account.give_up();
        }
    }
}

/// Runs a task that a request has started beside its answer. The task may outlive the request. Until it ends, the
/// request is listed, so that the watchdog can name it.
pub async fn follow<F: Future>(request: Arc<Request>, task: F) -> F::Output {
    let _listed = Listed::new(Arc::clone(&request));
    let mut task = pin!(task);
    poll_fn(|cx| {
        let _polling = Polling::begin(&request);
        task.as_mut().poll(cx)
    })
    .await
}

/// Lists a request for which a task works, until this is dropped.
struct Listed {
    all: Arc<Requests>,
    place: usize,
}

impl Listed {
    fn new(request: Arc<Request>) -> Self {
        let all = Arc::clone(&request.all);
        let place = lock(&all.at_work).insert(request);
        Self { all, place }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let request = lock(&self.all.at_work).remove(self.place);
        drop(request); // the end of the request may take the same lock
    }
}

/// A poll of one of a request's futures, which ends when this is dropped.
pub struct Polling<'a> {
    request: &'a Request,
    begun: u64,
    on_worker: Option<OnWorker<'a>>,
    /// What the request does after the poll, unless a wait names it. `None` where this future does not know that.
    pub unnamed: Option<Phase>,
}

impl<'a> Polling<'a> {
    pub fn begin(request: &'a Request) -> Self {
        let account = &request.account;
        let begun = account.poll_begins();
        let on_worker = account.instruments().poll_begins(account.key(), begun);
        Self { request, begun, on_worker, unnamed: None }
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let account = &self.request.account;
        let ended = account.poll_ends(self.unnamed);
        self.on_worker = None;
        if Duration::from_nanos(ended.saturating_sub(self.begun)) > account.instruments().long_poll() {
            self.request.meters.long_polls.increment(1);
        }
    }
}
