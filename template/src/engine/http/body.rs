//! When does a request end? With the last byte of its response, or when the client is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::exchange::Exchange;
use crate::engine::context::{REQUEST, Request};

/// The request's body: notes while it is waited for, so that a timeout can tell whose it is.
pub(super) struct Incoming {
    inner: Body,
    request: Arc<Request>,
}

impl Incoming {
    pub(super) fn wrap(inner: Body, request: &Arc<Request>) -> Body {
        if inner.is_end_stream() { inner } else { Body::new(Self { inner, request: Arc::clone(request) }) }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.request.awaits_body.store(polled.is_pending(), Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The response's body: closes the request's account when it ends, and keeps the request's id in
/// reach while it is produced.
pub(super) struct Outgoing {
    inner: Body,
    exchange: Exchange,
    /// What `content-length` leaves to be sent: hyper stops reading there, before the stream's end.
    remaining: Option<u64>,
}

impl Outgoing {
    pub(super) fn wrap(inner: Body, mut exchange: Exchange, content_length: Option<u64>) -> Body {
        if inner.is_end_stream() {
            exchange.complete();
            return inner;
        }
        Body::new(Self { remaining: content_length.or(inner.size_hint().exact()), inner, exchange })
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = REQUEST.sync_scope(this.exchange.request(), || Pin::new(&mut this.inner).poll_frame(cx));
        let frame = ready!(polled);
        match &frame {
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.remaining = this.remaining.map(|left| left.saturating_sub(sent));
                if this.remaining == Some(0) || this.inner.is_end_stream() {
                    this.exchange.complete();
                }
            }
            Some(Err(error)) => this.exchange.fail(error),
            None => this.exchange.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
