//! May a call be sent once more?
//!
//! A service closes a connection on which nothing happened for a while. A request that is sent at that moment meets
//! a connection that is closing, and fails although nothing is wrong. `http_client.idle_timeout` makes this rare:
//! we close first. If a request still meets such a connection, it is sent once more on a new connection, provided that
//! it may be repeated.
//!
//! hyper only says that the connection ended before the head of the answer was complete. So a head that broke off in
//! the middle counts as no answer. That does no harm, since only requests that may be repeated are sent once more.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter;

use reqwest::{Request, Response};
use tokio::task_local;

/// With this header, the other service makes sure that a request that arrives twice is done once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The errors by which the system says that the other side ended a connection: by RST, or in TLS without
/// `close_notify`.
const ENDED: [ErrorKind; 5] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::NotConnected,
    ErrorKind::UnexpectedEof,
];

task_local! {
    /// Whether the call that this task makes opened a connection for itself.
    static OPENED: Cell<bool>;
}

/// A call that brought no answer.
pub(super) enum FailedAttempt {
    /// It was sent on a connection that had been used before, and that was closed before the answer came.
    Closed(reqwest::Error),
    Other(reqwest::Error),
}

/// What to send if the first attempt meets a closing connection; None if the request must not be sent twice, or if
/// its body is a stream.
pub(super) fn copy(call: &Request) -> Option<Request> {
    let may_be_repeated = call.method().is_idempotent() || call.headers().contains_key(IDEMPOTENCY_KEY);
    may_be_repeated.then(|| call.try_clone()).flatten()
}

/// Notes that the call has a new connection. The client's connector calls this, in the task that waits for the
/// connection.
pub(super) fn opened<C>(connection: C) -> C {
    // This fails if no call waits for the connection any more: the call has taken a connection that became free.
    let _ = OPENED.try_with(|opened| opened.set(true));
    connection
}

/// Makes one attempt at a call, and waits for the head of the answer.
pub(super) async fn attempt(
    call: impl Future<Output = Result<Response, reqwest::Error>>,
) -> Result<Response, FailedAttempt> {
    let attempt = async {
        call.await.map_err(|error| match !OPENED.with(Cell::get) && was_closed(&error) {
            true => FailedAttempt::Closed(error),
            false => FailedAttempt::Other(error),
        })
    };
    OPENED.scope(Cell::new(false), attempt).await
}

/// Whether the connection ended while the request used it.
fn was_closed(error: &reqwest::Error) -> bool {
    if error.is_connect() || error.is_timeout() {
        return false;
    }
    let causes = || iter::successors(Some(error as &(dyn Error + 'static)), |cause| (*cause).source());
    let Some(hyper) = causes().find_map(|cause| cause.downcast_ref::<hyper::Error>()) else { return false };
    // An error of the request's own body says nothing about the connection.
    !hyper.is_user()
        && (hyper.is_incomplete_message()
            || causes()
                .filter_map(|cause| cause.downcast_ref::<io::Error>())
                .any(|it| ENDED.contains(&it.kind())))
}
