//! What did axum answer by itself, and what does the client see instead?
//!
//! axum's router answers with an empty 404 or 405, and axum's extractors refuse in plain text with the names of Rust
//! types. Errors of this service do not look like that, so a [`Problem`] takes the place of such an answer. The
//! answers of the owner's handlers and fallbacks stay as they are, except for plain text with a 5xx, which nobody
//! writes for clients. A text that comes in several pieces stays as well, because it is the answer of another
//! service.

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

/// A text of more bytes than this is not axum's. Higher: more text of other answers is searched. Lower: long texts of
/// axum's leave as they are.
const LONGEST: usize = 64 * 1024;
/// The most bytes that are logged of a text that is kept from the client. Higher: log lines get longer. Lower: the
/// cause is cut off.
const LOGGED: usize = 2048;

/// What becomes of the refusals of axum itself, and of plain text with a 5xx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusals {
    /// A problem takes their place.
    #[default]
    Reworded,
    /// They leave as they are, for clients that know them.
    Kept,
}

/// What a request asks for.
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

/// Puts a problem in the place of an answer that axum has made by itself. Other answers stay as they are.
pub(super) fn reword(response: Response, target: Target, method: &'static str) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none() && response.body().size_hint().exact() == Some(0) {
        return match empty(&response, target, method) {
            Some(answer) => dress(response, answer),
            None => response,
        };
    }
    // axum marks its texts with exactly this type. A handler that sets another type has chosen its text.
    let is_text = kind.is_some_and(|kind| kind == "text/plain; charset=utf-8");
    if !is_text || response.body().size_hint().upper().is_none_or(|most| most > LONGEST as u64) {
        return response;
    }
    let (parts, mut body) = response.into_parts();
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never().flatten();
    // axum's texts are there at once and in one piece. A text that comes later may be the answer of another service.
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

/// What takes the place of an empty answer, if axum has made it.
fn empty(response: &Response, target: Target, method: &str) -> Option<Response> {
    let problem = match (response.status(), target) {
        (StatusCode::NOT_FOUND, Target::Nothing) => Problem::not_found(),
        // RFC 9110, 9.3.7: `OPTIONS *` only asks whether the server is there.
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
        // axum adds `allow` outside of the edge. An answer that already has `allow` here is the owner's.
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

/// How axum's texts begin, and what the client is told instead. If that ends in `: `, the rest of axum's text follows.
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

/// What takes the place of a text, if the client must not see the text.
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

/// Copies the headers that inner layers have set, such as those of CORS, from one answer to the answer in its place.
pub(super) fn dress(from: Response, mut answer: Response) -> Response {
    let own: Vec<_> = answer.headers().keys().cloned().collect();
    let headers = from.headers().iter().filter(|(name, _)| !OF_BODY.contains(name) && !own.contains(name));
    for (name, value) in headers {
        answer.headers_mut().append(name, value.clone());
    }
    answer
}

/// Headers that describe a body. They are not copied, because the other answer has another body.
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

/// A body whose first frame was taken out, to look at it.
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
