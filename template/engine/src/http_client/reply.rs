//! What did another service answer, or why did it not?

use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::Places;
use super::host::{End, Timed};
use crate::http::problem::Problem;
use crate::ledger::{self, Phase};

/// An answer whose body is not read yet. It holds its places: read it or drop it soon.
pub struct Reply {
    pub(super) response: Response,
    pub(super) limit: usize,
    pub(super) timed: Timed,
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

    /// Reads the body.
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

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, CallError> {
        serde_json::from_slice(&self.bytes().await?).map_err(CallError::NotJson)
    }

    async fn read(&mut self) -> Result<Bytes, CallError> {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            ledger::wait(Phase::HttpUpstream, self.response.chunk()).await.map_err(CallError::of)?
        {
            if body.len() + chunk.len() > self.limit {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// A call that did not bring an answer.
#[derive(Debug)]
pub enum CallError {
    /// None within `http_client.timeout`, or the one that the call has set itself.
    TimedOut,
    /// The request could not be built or sent, or the answer not be read.
    Failed(reqwest::Error),
    /// The other service closed the connection, which had been used before, instead of answering, and the request
    /// must not be sent twice.
    Closed(reqwest::Error),
    /// The body is larger than `http_client.body_limit`.
    TooLarge,
    /// The body is not the JSON that was expected.
    NotJson(serde_json::Error),
}

impl CallError {
    pub(super) fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.without_url()) }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::TimedOut => {
                tracing::warn!("another service took longer than http_client.timeout");
                Self::new(StatusCode::GATEWAY_TIMEOUT, "Another service took too long.")
            }
            CallError::Failed(error) => Self::bad_gateway(&error),
            CallError::Closed(error) => {
                tracing::warn!(
                    error = ?error,
                    "another service closed a connection that had been idle instead of answering, and the request \
                     must not be sent twice: lower http_client.idle_timeout, or send an idempotency-key"
                );
                Self::new(StatusCode::BAD_GATEWAY, "Another service does not answer as it should.")
            }
            CallError::TooLarge => Self::bad_gateway(&"an answer is larger than http_client.body_limit"),
            // Not the error itself, which quotes what was there.
            CallError::NotJson(error) => {
                Self::bad_gateway(&("not the JSON that was expected", error.line(), error.column()))
            }
        }
    }
}

impl Problem {
    fn bad_gateway(error: &dyn std::fmt::Debug) -> Self {
        tracing::warn!(error = ?error, "another service cannot be asked");
        Self::new(StatusCode::BAD_GATEWAY, "Another service does not answer as it should.")
    }
}
