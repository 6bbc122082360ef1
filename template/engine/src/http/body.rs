//! When does a request end?
//!
//! It ends with the last byte of its response, or when its client is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::answer::SentPieces;
use super::exchange::Exchange;
use super::limit::{Limit, TooLarge, drain};
use crate::ledger::Phase;
use crate::request::{Entered, Polling, REQUEST, Request};

/// hyper gets at most this many bytes at once. It keeps up to some 400 KiB that are not sent yet, and then asks for
/// no more. Larger pieces would hide from the account that the client does not read. Higher: the account misses the
/// time in which a slow client reads the last bytes. Lower: each megabyte costs more work.
const PIECE: usize = 64 * 1024;

/// The same for HTTP/2, where a frame has this size: a piece counts as sent when its last byte is sent. Higher: a
/// client that reads slowly looks like a client that takes nothing. Lower: there are more frames.
const FRAME: usize = 16 * 1024;

/// The request's body. The time in which the handler waits for it is booked to the client (`request_body`). A body that
/// is larger than its limit ends with an error.
pub(super) struct Incoming {
    inner: Body,
    request: Arc<Request>,
    waiting: Option<Entered>,
    limit: Arc<Limit>,
    received: u64,
    refused: bool,
    /// Whether the rest is read and thrown away after a refusal.
    drains: bool,
    is_http1: bool,
}

impl Incoming {
    /// `waits`: the client sends the body only when it is told to do so (`expect: 100-continue`).
    pub(super) fn wrap(
        inner: Body,
        request: &Arc<Request>,
        limit: Arc<Limit>,
        is_http1: bool,
        waits: bool,
    ) -> Body {
        Body::new(Self {
            inner,
            request: Arc::clone(request),
            waiting: None,
            limit,
            received: 0,
            refused: false,
            drains: is_http1 && !waits,
            is_http1,
        })
    }

    fn refuse(&mut self) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.refused = true;
        self.waiting = None;
        let rest = std::mem::take(&mut self.inner);
        // Otherwise the client sends nothing more: HTTP/2 tells it to stop, or it was not told to begin.
        if self.drains {
            self.request.all.tasks.spawn(drain(rest));
        }
        Poll::Ready(Some(Err(axum::Error::new(TooLarge))))
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.refused {
            return Poll::Ready(None);
        }
        // If the announced length is too large, the body is refused before the client is told to send it.
        let announced = self.inner.size_hint().lower();
        if self.limit.refuses(self.received + announced) {
            return self.refuse();
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.drains |= self.is_http1;
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.limit.refuses(self.received) {
                return self.refuse();
            }
        }
        if polled.is_ready() {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = Some(Entered::new(Arc::clone(&self.request), Phase::RequestBody));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.refused || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The response's body. Code that produces it runs with the request as the current one. When it ends, the request's
/// account is closed.
pub(super) struct Outgoing {
    inner: Body,
    exchange: Exchange,
    sent: Option<SentPieces>,
    /// The part of a frame that is not handed over yet.
    rest: Bytes,
    /// How many bytes of `content-length` are left. hyper stops there, and does not read to the end of the stream.
    remaining: Option<u64>,
}

impl Outgoing {
    pub(super) fn wrap(inner: Body, mut exchange: Exchange, content_length: Option<u64>) -> Body {
        if inner.is_end_stream() {
            exchange.complete();
            return inner;
        }
        let remaining = content_length.or(inner.size_hint().exact());
        Body::new(Self { sent: exchange.sent_pieces(), inner, exchange, rest: Bytes::new(), remaining })
    }

    fn next_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let inner = Pin::new(&mut self.inner);
            let polled = REQUEST.sync_scope(self.exchange.record(), || inner.poll_frame(cx));
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                nothing => return nothing,
            }
        }
        let most = if self.sent.is_some() { FRAME } else { PIECE };
        let piece = self.rest.split_to(self.rest.len().min(most));
        let piece = match &self.sent {
            Some(sent) if !piece.is_empty() => sent.follow(piece),
            _ => piece,
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// Notes in which phase a body was given up. The exchange is dropped after this, and closes the account.
impl Drop for Outgoing {
    fn drop(&mut self) {
        self.exchange.give_up();
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
        let request = this.exchange.record();
        let mut polling = Polling::begin(&request);
        polling.unnamed = Some(Phase::Other);
        let polled = this.next_frame(cx);
        if let Poll::Ready(frame) = &polled {
            // Until hyper asks for the next frame, the request waits for the client to read this one.
            polling.unnamed = Some(Phase::ResponseBody);
            match frame {
                Some(Ok(frame)) => {
                    let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
                    this.remaining = this.remaining.map(|left| left.saturating_sub(sent));
                    // After trailers, hyper asks for nothing more.
                    if frame.is_trailers() || this.remaining == Some(0) || this.is_end_stream() {
                        this.exchange.complete();
                    }
                }
                Some(Err(error)) => this.exchange.fail(error),
                None => this.exchange.complete(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
