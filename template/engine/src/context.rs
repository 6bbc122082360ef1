//! Which request is this code working for?
//!
//! A request's id travels in a task-local, not in a tracing span: reading it costs 2 ns, and every log
//! line of the task has it. It does not cross `tokio::spawn` by itself: [`spawn`] and
//! [`Offload::run`](crate::Offload::run) carry it along, and clippy bans the raw calls.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::http::{HeaderMap, HeaderValue};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use super::finish::Finishing;
use super::http::exchange::Exchanges;
use super::http::meters::Meters;
use super::ledger::{self, Account};

tokio::task_local! {
    pub(super) static REQUEST: Arc<Request>;
}

/// What a request carries wherever it goes.
#[derive(Debug)]
pub struct Request {
    pub id: RequestId,
    pub trace: Trace,
    /// Who has sent it, as far as that can be believed: see `server.trusted_proxies`.
    pub client: Option<IpAddr>,
    /// Its method and route, and what measures them.
    pub meters: Arc<Meters>,
    /// Where its time goes.
    pub account: Account,
    /// Whether answers may say where the time went: `server.server_timing`.
    pub(super) tells: bool,
    /// What all requests share.
    pub(super) home: Arc<Exchanges>,
    /// `server.request_timeout` after its head. Only its answer's body may come later.
    pub(super) deadline: Instant,
    /// Whether the head of its answer is known.
    pub(super) is_answered: AtomicBool,
    pub(super) finishing: Finishing,
}

/// The request that this task serves, if any.
#[must_use]
pub fn current() -> Option<Arc<Request>> {
    REQUEST.try_with(Arc::clone).ok()
}

/// Like [`current`], without counting a reference.
pub fn with_current<R>(read: impl FnOnce(&Request) -> R) -> Option<R> {
    REQUEST.try_with(|request| read(request)).ok()
}

/// Starts a task that belongs to the current request: its log lines carry the request's id, what it waits for is
/// in the request's account until that is closed, and shutdown waits for it until its deadline. It goes on when
/// the client leaves. The answer does not wait for it; what the answer waits for, and must still be done when the
/// client leaves, is for [`finish`](crate::finish()).
///
/// For work that lives as long as the process, see [`Background`](crate::Background).
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
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let task = task.in_current_span();
    match current() {
        Some(request) => {
            let home = Arc::clone(&request.home);
            home.tasks.spawn(ledger::task(Arc::clone(&request), REQUEST.scope(request, task)))
        }
        #[expect(clippy::disallowed_methods, reason = "there is no request to carry along")]
        None => tokio::spawn(task),
    }
}

/// Wraps a callback that a library runs in a task of its own, such as what axum's `on_upgrade` takes: what it does belongs
/// to the request that made it, as with [`spawn`].
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
/// // `WebSocketUpgrade` and `WebSocket` are axum's, of its feature `ws`.
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
            let home = Arc::clone(&request.home);
            let task = REQUEST.scope(Arc::clone(&request), async { callback(argument).await });
            Box::pin(async move { home.tasks.track_future(ledger::task(request, task)).await })
        }
        None => Box::pin(callback(argument)),
    }
}

/// `x-request-id`: the client's if it is 1 to 64 of `[A-Za-z0-9._-]`, else one of ours.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    text: [u8; 64],
    len: usize,
}

pub const REQUEST_ID: &str = "x-request-id";

impl RequestId {
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let well_formed = |value: &&HeaderValue| {
            (1..=64).contains(&value.len())
                && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        };
        let mut text = [0; 64];
        let len = match headers.get(REQUEST_ID).filter(well_formed) {
            Some(taken) => {
                text[..taken.len()].copy_from_slice(taken.as_bytes());
                taken.len()
            }
            None => {
                write_hex(&mut text[..32], fastrand::u128(..));
                32
            }
        };
        Self { text, len }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }

    #[must_use]
    pub fn header(&self) -> HeaderValue {
        header_value(self.as_str().as_bytes())
    }
}

/// W3C `traceparent` (<https://www.w3.org/TR/trace-context/>): the caller's trace continued with a
/// span of our own, or a new one.
#[derive(Clone, Copy, Debug)]
pub struct Trace([u8; 55]);

pub const TRACEPARENT: &str = "traceparent";

impl Trace {
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let parent = headers
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_traceparent(text));
        // Flags of a trace that we start: 00, nobody decided to record it.
        let mut own = *b"00-00000000000000000000000000000000-0000000000000000-00";
        match parent.map(str::as_bytes) {
            Some(parent) => {
                own[3..35].copy_from_slice(&parent[3..35]);
                own[53..].copy_from_slice(&parent[53..55]);
            }
            None => write_hex(&mut own[3..35], fastrand::u128(1..)),
        }
        write_hex(&mut own[36..52], fastrand::u64(1..).into());
        Self(own)
    }

    /// The trace's id, 32 lowercase hex digits.
    #[must_use]
    pub fn id(&self) -> &str {
        str::from_utf8(&self.0[3..35]).unwrap_or_default()
    }

    #[must_use]
    pub fn header(&self) -> HeaderValue {
        header_value(&self.0)
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero. Later versions may append fields; they begin alike.
fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex =
        |range: std::ops::Range<usize>| bytes[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|&b| b == b'0');
    bytes.len() >= 55
        && (bytes.len() == 55 || (bytes[55] == b'-' && &bytes[..2] != b"00"))
        && bytes[2] == b'-'
        && bytes[35] == b'-'
        && bytes[52] == b'-'
        && hex(0..2)
        && &bytes[..2] != b"ff"
        && hex(3..35)
        && hex(36..52)
        && hex(53..55)
        && !zero(3..35)
        && !zero(36..52)
}

/// Fills `digits` with the lowest digits of `number`.
fn write_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

fn header_value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""))
}
