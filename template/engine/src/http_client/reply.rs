//! What did another service answer, or why did it not?

use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::host::{End, Places, TimedCall};
use crate::ledger::Phase;
use crate::request;

/// The answer of another service, whose body is not read yet. It holds its place among the calls that run at once
/// (`http_client.max_in_flight`): read it or drop it soon.
pub struct Reply {
    pub(super) response: Response,
    pub(super) limit: usize,
    pub(super) timed: TimedCall,
    pub(super) _places: Places,
}

impl Reply {
    /// The status of the answer; whatever it is, it is an answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads the whole body, at most `http_client.body_limit`.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn bytes(mut self) -> Result<Bytes, CallError> {
        let read = self.read().await;
        if read.is_err() {
            self.timed.end = End::Error;
        }
        read
    }

    /// Reads the whole body as JSON, at most `http_client.body_limit`.
    ///
    /// # Errors
    /// As [`CallError`] says.
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

/// Why a call to another service brought no answer, or not all of it. `?` in a handler makes it a
/// [`Problem`](crate::Problem) with 504 or 502.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// 504: none within `http_client.timeout`, or within the timeout that the call has set itself.
    #[error("another service took longer than http_client.timeout")]
    TimedOut,
    /// 502: the request could not be built or sent, or the answer could not be read.
    #[error("another service cannot be asked")]
    Failed(#[source] reqwest::Error),
    /// 502: the other service closed the connection, which had been used before, instead of answering, and the request
    /// must not be sent twice. Give it the header `idempotency-key` if the other service knows that, or lower
    /// `http_client.idle_timeout`.
    #[error("another service closed a connection that had been idle instead of answering")]
    Closed(#[source] reqwest::Error),
    /// 502: the body is larger than `http_client.body_limit`.
    #[error("an answer is larger than http_client.body_limit")]
    TooLarge,
    /// 502: the body is not the JSON that was expected.
    #[error("not the JSON that was expected, line {} column {}", .0.line(), .0.column())]
    NotJson(serde_json::Error),
}

impl CallError {
    pub(super) fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.without_url()) }
    }
}
