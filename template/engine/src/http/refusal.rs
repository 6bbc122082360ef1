//! What did axum answer by itself, and what does the client see instead?
//!
//! axum's router answers with an empty 404 or 405, and its extractors refuse in plain text with the names of Rust
//! types. Neither is what an error looks like here, so it is put into a [`Problem`]. What an owner's handler or
//! fallback has answered stays, but for plain text behind a 5xx: nobody writes that for clients. Where such a text comes
//! piece by piece, it is another service's answer, and stays, too.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as _, Frame, SizeHint};

use super::problem::{Problem, without_types};

/// A longer text is none of axum's. Higher: more is copied of answers that are not ours. Lower: long texts leave as
/// they are.
const LONGEST: usize = 64 * 1024;
/// Of a text that is kept from the client, so much is logged. Higher: long lines. Lower: the cause is cut off.
const LOGGED: usize = 2048;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Route,
    Nothing,
    /// `*`: the service as a whole.
    Everything,
    /// `CONNECT`: another host.
    Tunnel,
}

impl Target {
    pub(super) fn of<B>(request: &Request<B>, has_route: bool) -> Self {
        match request.method() {
            _ if has_route => Self::Route,
            &Method::CONNECT => Self::Tunnel,
            _ if request.uri().path() == "*" => Self::Everything,
            _ => Self::Nothing,
        }
    }
}

/// Where axum has spoken for itself, says it as we do.
pub(super) fn reword(response: Response, target: Target, method: &'static str) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none() && response.body().size_hint().exact() == Some(0) {
        return match empty(&response, target, method) {
            Some(answer) => dress(response, answer),
            None => response,
        };
    }
    // How axum marks a text. Whoever sets a type of their own has meant it.
    let is_text = kind.is_some_and(|kind| kind == "text/plain; charset=utf-8");
    if !is_text || response.body().size_hint().upper().is_none_or(|most| most > LONGEST as u64) {
        return response;
    }
    let (parts, mut body) = response.into_parts();
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never().flatten();
    // axum's texts are there at once, in one piece. What comes later is another service's answer, say.
    let text = match &first {
        Some(Ok(frame)) if body.is_end_stream() => frame.data_ref(),
        _ => None,
    };
    let text = text.and_then(|text| str::from_utf8(text).ok());
    let problem = text.and_then(|text| worded(status, text));
    let response = Response::from_parts(parts, Body::new(LookedInto { first, rest: body }));
    match problem {
        Some(problem) => dress(response, problem.into_response()),
        None => response,
    }
}

/// An answer without a word.
fn empty(response: &Response, target: Target, method: &str) -> Option<Response> {
    let problem = match (response.status(), target) {
        (StatusCode::NOT_FOUND, Target::Nothing) => Problem::not_found(),
        // RFC 9110, 9.3.7: it only asks whether somebody is there.
        (StatusCode::NOT_FOUND, Target::Everything) if method == "OPTIONS" => {
            return Some(StatusCode::NO_CONTENT.into_response());
        }
        (StatusCode::NOT_FOUND, Target::Everything) => {
            Problem::new(StatusCode::BAD_REQUEST, "Only OPTIONS can be asked of `*`.")
        }
        (StatusCode::NOT_FOUND, Target::Tunnel) => {
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This service is no proxy.");
            return Some(([(header::ALLOW, HeaderValue::from_static(""))], problem).into_response());
        }
        // axum adds `allow` outside of the edge. With it, it is the owner's.
        (StatusCode::METHOD_NOT_ALLOWED, Target::Route)
            if !response.headers().contains_key(header::ALLOW) =>
        {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "This address does not support the method; see `allow`.",
            )
        }
        _ => return None,
    };
    Some(problem.into_response())
}

/// How axum's texts begin, and what the client is told; the rest of the text follows where it ends in `: `.
const TEXTS: [(&str, &str); 15] = [
    (
        "Failed to deserialize the JSON body into the target type: ",
        "The body does not have the expected shape: ",
    ),
    ("Failed to parse the request body as JSON: ", "The body is not valid JSON: "),
    (
        "Expected request with `Content-Type: application/json`",
        "The body must be sent with `content-type: application/json`.",
    ),
    ("Failed to deserialize form body: ", "The form does not have the expected shape: "),
    ("Failed to deserialize form: ", "The form does not have the expected shape: "),
    ("Form requests must have `Content-Type: ", "The body must be sent as a form; see its `content-type`."),
    ("Failed to deserialize query string: ", "The query string is not valid: "),
    ("Failed to buffer the request body: length limit", "The body is larger than this service accepts."),
    ("Failed to buffer the request body: ", "The body ended before it was complete."),
    ("Request body didn't contain valid UTF-8", "The body is not valid UTF-8."),
    ("Invalid URL: Invalid UTF-8", "The address is not valid UTF-8 once it is decoded."),
    ("Invalid URL: Cannot parse ", KIND),
    ("Invalid URL: invalid type: ", KIND),
    ("Invalid URL: invalid value: ", KIND),
    ("Invalid URL: unknown variant `", KIND),
];
const KIND: &str = "A parameter in the address is not of the expected kind.";

/// What a text becomes, if it must not leave as it is.
fn worded(status: StatusCode, text: &str) -> Option<Problem> {
    if status.is_server_error() {
        let text = &text[..text.floor_char_boundary(LOGGED)];
        tracing::error!(status = status.as_u16(), text, "plain text behind a 5xx, kept from the client");
        return Some(match status {
            StatusCode::INTERNAL_SERVER_ERROR => Problem::internal(),
            StatusCode::SERVICE_UNAVAILABLE => Problem::overloaded("The service cannot do this now."),
            _ => Problem::new(status, "Something went wrong here. The request id finds it in the log."),
        });
    }
    if !status.is_client_error() {
        return None;
    }
    let (begins, told) = TEXTS.iter().find(|(begins, _)| text.starts_with(begins))?;
    let detail = match told.ends_with(": ") {
        true => format!("{told}{}.", without_types(&text[begins.len()..])),
        false => (*told).to_owned(),
    };
    Some(Problem::new(status, detail))
}

/// Gives the answer what layers further in have put into the headers, such as those of CORS.
pub(super) fn dress(from: Response, mut answer: Response) -> Response {
    let own: Vec<_> = answer.headers().keys().cloned().collect();
    let headers = from.headers().iter().filter(|(name, _)| !OF_BODY.contains(name) && !own.contains(name));
    for (name, value) in headers {
        answer.headers_mut().append(name, value.clone());
    }
    answer
}

/// What says something of a body, and so of that body alone.
const OF_BODY: [HeaderName; 11] = [
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::TRANSFER_ENCODING,
];

/// A body of which the beginning was looked into.
struct LookedInto {
    first: Option<Result<Frame<Bytes>, axum::Error>>,
    rest: Body,
}

impl http_body::Body for LookedInto {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        let first = first.map_or(0, |data| data.len() as u64);
        let mut hint = self.rest.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + first);
        }
        hint.set_lower(hint.lower() + first);
        hint
    }
}
