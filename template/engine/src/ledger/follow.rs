//! When is a request polled, and what does it wait for in between?

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::phase::Phase;
use crate::context::{self, Request};

/// Awaits a future, and books the time to a phase of the request that is served, if there is one. A wait inside another
/// shares the time with it.
///
/// The waits of [`Links`](crate::Links) are booked already. This is for what you wait for by yourself, with a client of
/// another crate, say:
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
        // What is there at once costs nothing.
        if polled.is_pending() && entered.is_none() {
            entered = context::current().map(|request| Entered::new(request, phase));
        }
        polled
    })
    .await
}

/// A wait that is open until this is dropped, on whichever thread.
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

/// The future that answers a request: while it is polled, the request computes.
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

/// Before the future's own waits end.
impl<T> Drop for Followed<T> {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.request.account.give_up();
        }
    }
}

/// A task of a request, beside the one that answers it. It may outlive the request, and is known until it ends.
pub async fn task<F: Future>(request: Arc<Request>, task: F) -> F::Output {
    let ledger = request.account.ledger().clone();
    let place = ledger.tasks().insert(Arc::clone(&request));
    let _known = defer(|| drop(ledger.tasks().remove(place)));
    let mut task = pin!(task);
    poll_fn(|cx| {
        let _polling = Polling::begin(&request);
        task.as_mut().poll(cx)
    })
    .await
}

/// Does it when dropped.
fn defer(last: impl FnMut()) -> impl Drop {
    struct Defer<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Defer<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Defer(last)
}

/// A poll, until this is dropped.
pub struct Polling<'a> {
    request: &'a Request,
    begun: u64,
    worker: Option<usize>,
    /// What the request does afterwards, unless a wait says more; none where that is not known.
    pub unnamed: Option<Phase>,
}

impl<'a> Polling<'a> {
    pub fn begin(request: &'a Request) -> Self {
        let account = &request.account;
        let begun = account.poll_begins();
        let worker = account.ledger().workers().begins(account.key(), begun);
        Self { request, begun, worker, unnamed: None }
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let account = &self.request.account;
        let ended = account.poll_ends(self.unnamed);
        if let Some(worker) = self.worker {
            account.ledger().workers().ends(worker);
        }
        if Duration::from_nanos(ended.saturating_sub(self.begun)) > account.ledger().0.long_poll {
            self.request.meters.long_polls.increment(1);
        }
    }
}

/// A background task, whose name is on its worker while it is polled.
pub async fn named<F: Future>(ledger: super::Ledger, name: &'static str, task: F) -> F::Output {
    let key = ledger.name(name);
    let mut task = pin!(task);
    poll_fn(|cx| {
        let worker = ledger.workers().begins(key, ledger.clock().now());
        let _ends = defer(|| {
            worker.inspect(|worker| ledger.workers().ends(*worker));
        });
        task.as_mut().poll(cx)
    })
    .await
}
