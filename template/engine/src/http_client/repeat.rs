//! May a call be sent once more?
//!
//! A service closes a connection on which nothing happened for a while. A request that is sent at that moment meets
//! a connection that is closing, and fails although nothing is wrong. `http_client.idle_timeout` makes this rare:
//! we close first. What is left is sent once more, on a new connection, if the request may be repeated.
//!
//! hyper tells no more than that the connection ended before the head of the answer was complete. So a head that broke
//! off in the middle counts as no answer. That does no harm, since only what may be repeated is repeated.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter;

use reqwest::{Request, Response};
use tokio::task_local;

/// With this header, the other service sees to it that a request which comes twice is done once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How the system says that the other side ended a connection: by RST, or in TLS without its goodbye.
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

/// To be called by the client's connector, in the task that waits for the connection.
pub(super) fn opened<C>(connection: C) -> C {
    // Fails where hyper connects on behalf of nobody: the call that wanted it took a connection that became free.
    let _ = OPENED.try_with(|opened| opened.set(true));
    connection
}

/// Waits for the head of the answer.
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

/// Whether the connection ended under the request.
fn was_closed(error: &reqwest::Error) -> bool {
    if error.is_connect() || error.is_timeout() {
        return false;
    }
    let causes = || iter::successors(Some(error as &(dyn Error + 'static)), |cause| (*cause).source());
    let Some(hyper) = causes().find_map(|cause| cause.downcast_ref::<hyper::Error>()) else { return false };
    // What the body of the request says of itself is nothing that the connection did.
    !hyper.is_user()
        && (hyper.is_incomplete_message()
            || causes()
                .filter_map(|cause| cause.downcast_ref::<io::Error>())
                .any(|it| ENDED.contains(&it.kind())))
}
