//! What did another service answer, or why did it not?

use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::host::{End, Places, TimedCall};
use crate::ledger::Phase;
use crate::request;

/// The answer of another service: its status and its headers. Its body is read by [`bytes`](Self::bytes) or
/// [`json`](Self::json). Both read the whole body into memory; there is no stream.
///
/// Until the body is read, or this is dropped, the call counts as one that runs (`http_client.max_in_flight` and
/// `http_client.max_per_host`), and no timeout changes that. So read the reply or drop it soon. You may drop it without
/// reading it.
pub struct Reply {
    pub(super) response: Response,
    pub(super) limit: usize,
    pub(super) timed: TimedCall,
    pub(super) _places: Places,
}

impl Reply {
    /// The status of the answer, which may be any status. Check it before you read the body.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads the whole body, at most `http_client.body_limit`, within the rest of the call's timeout.
    ///
    /// # Errors
    /// [`CallError::TooLarge`] if the body is larger. [`CallError::TimedOut`] or [`CallError::Failed`] if its end does
    /// not come.
    pub async fn bytes(mut self) -> Result<Bytes, CallError> {
        let read = self.read().await;
        if read.is_err() {
            self.timed.end = End::Error;
        }
        read
    }

    /// Reads the whole body as JSON, whatever its `content-type` is. The bounds are those of [`bytes`](Self::bytes).
    ///
    /// # Errors
    /// [`CallError::NotJson`] if the body is no JSON or does not fit `T`, and the errors of [`bytes`](Self::bytes).
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, CallError> {
        serde_json::from_slice(&self.bytes().await?).map_err(CallError::NotJson)
    }

    async fn read(&mut self) -> Result<Bytes, CallError> {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            request::wait(Phase::HttpUpstream, self.response.chunk()).await.map_err(CallError::of)?
        {
            if body.len() + chunk.len() > self.limit {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Why a call to another service has no answer, or only a part of an answer. An answer with a status such as 500 is not
/// an error, but a [`Reply`]. In a handler, `?` logs the error and turns it into a [`Problem`](crate::Problem) with 504
/// or 502.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// 504: the answer did not come, or did not end, in time. The call took longer than `http_client.timeout` or the
    /// timeout that it has set itself, connecting took longer than `http_client.connect_timeout`, or no byte of the
    /// answer came for `http_client.read_timeout`.
    #[error("another service took longer than http_client.timeout")]
    TimedOut,
    /// 502: the request could not be built or sent, or the answer could not be read. For example, the URL is wrong, or
    /// the other service refuses connections. The error within does not show the URL.
    #[error("another service cannot be asked")]
    Failed(#[source] reqwest::Error),
    /// 502: the other service closed the connection instead of answering. The connection had been used before, and the
    /// request must not be sent twice. If the other service knows the header `idempotency-key`, give it to the request.
    /// Otherwise lower `http_client.idle_timeout`.
    #[error("another service closed a connection that had been idle instead of answering")]
    Closed(#[source] reqwest::Error),
    /// 502: the body is larger than `http_client.body_limit`.
    #[error("an answer is larger than http_client.body_limit")]
    TooLarge,
    /// 502: the body is not JSON, or not the JSON that was expected.
    #[error("not the JSON that was expected, line {} column {}", .0.line(), .0.column())]
    NotJson(serde_json::Error),
}

impl CallError {
    pub(super) fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.without_url()) }
    }
}
