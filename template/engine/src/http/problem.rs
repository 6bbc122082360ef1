//! What does a client see when something fails?
//!
//! It sees `application/problem+json` (RFC 9457), which says what was wrong, where, and which id the request has. It
//! says nothing of the inside of the service. Handlers return `Result<_, Problem>`, and `?` turns the errors of links
//! into the right status: see `causes`. The details of these errors go to the log.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::{fmt, mem};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde::Serialize;

/// A client that gets 503 may come back after this many seconds. The number is random, so that not all clients come
/// back at once. Higher: clients stay away although there is room again. Lower: clients come back before there is
/// room.
const RETRY_AFTER: std::ops::RangeInclusive<u8> = 1..=3;

/// An error for the client: a status and what was wrong, sent as `application/problem+json` (RFC 9457) with the
/// request's id.
///
/// Handlers return `Result<_, Problem>`. `?` turns an error of the database, of a call to another service or of
/// [`Offload`](crate::Offload) into a problem with the status that fits. The details of the error go to the log, and
/// the client sees nothing of them. The implementations of `From` below say which error has which status. For `?` with
/// an error type of your own, implement `From<YourError> for Problem`, and log the error there.
///
/// The JSON that the client gets has the members `type`, `title`, `status`, `detail` and `request_id`, and if fields
/// are wrong also `errors`, a list of `{"pointer": …, "detail": …}`.
///
/// ```
/// use axum::http::StatusCode;
/// use longpole::Problem;
///
/// fn shelf(text: &str) -> Result<u8, Problem> {
///     let shelf = text.parse().map_err(|_| Problem::invalid("/shelf", "must be a number from 0 to 255"))?;
///     if shelf > 9 { Err(Problem::not_found()) } else { Ok(shelf) }
/// }
///
/// assert_eq!(shelf("10").unwrap_err().status(), StatusCode::NOT_FOUND);
/// ```
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
}

/// One wrong field: where it is (an RFC 6901 pointer such as `/name`) and what is wrong with it.
#[derive(Debug, Serialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl Problem {
    /// A problem with any status. `detail` is a sentence for the client's developer, and must not contain anything
    /// internal. A problem with status 503 is sent with a `Retry-After` of 1 to 3 seconds. This logs nothing; the
    /// request's log line has the status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new() }
    }

    /// 422: the service understands the request but cannot use a value in it. `pointer` says where the value is, as an
    /// RFC 6901 pointer such as `/name` or `/items/0/name`. `detail` is a sentence for the client's developer.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The request has an invalid value.")
            .field(pointer, detail)
    }

    /// Adds a field that is wrong. If several fields are wrong, call this for each of them. `pointer` and `detail`
    /// are as for [`invalid`](Self::invalid).
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// 404: there is nothing at this address.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    /// 503, with a `Retry-After` of 1 to 3 seconds. The number is random, so that not all clients come back at once.
    /// `detail` is a sentence for the client's developer.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 500. It tells the client nothing but the request's id, so log the cause before you return it.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here. The request id finds it in the log.",
        )
    }

    /// The status that the client gets.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// The JSON document that the client gets.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let pending = Pending(Arc::new(Draft { problem: self, text: OnceLock::new() }));
        let mut response =
            (status, axum::body::Body::new(ProblemBody::Whole(pending.clone()))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(u16::from(fastrand::u8(RETRY_AFTER))));
        }
        response.extensions_mut().insert(pending);
        response
    }
}

/// A problem on its way to the edge, as an extension of its response. Only the edge knows the request's id, so the text
/// is written after the edge has filled in the id. A router that is called without the edge answers without the id, and so
/// does a layer of the owner's that reads the body before the edge does.
#[derive(Clone)]
pub(super) struct Pending(Arc<Draft>);

struct Draft {
    problem: Problem,
    /// The text that is sent, once it is written.
    text: OnceLock<Bytes>,
}

impl Pending {
    /// Writes the text with the request's id, and with a sentence about where the time went, if the client is told that.
    /// Returns the length of the text in bytes.
    pub(super) fn complete(&self, request_id: &str, spent: Option<String>) -> usize {
        self.0.text.get_or_init(|| self.0.problem.text(Some(request_id), spent.as_deref())).len()
    }

    fn text(&self) -> Bytes {
        self.0.text.get_or_init(|| self.0.problem.text(None, None)).clone()
    }
}

impl Problem {
    fn text(&self, request_id: Option<&str>, spent: Option<&str>) -> Bytes {
        let detail = match spent {
            Some(spent) => &format!("{} {spent}", self.detail),
            None => &self.detail,
        };
        let document = Document {
            r#type: "about:blank", // RFC 9457, 4.2.1: the type says no more than the status does
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail,
            request_id,
            errors: &self.errors,
        };
        serde_json::to_vec(&document).unwrap_or_default().into()
    }
}

/// The body of a problem. The text is written when hyper asks for it.
enum ProblemBody {
    Whole(Pending),
    Sent,
}

impl http_body::Body for ProblemBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match mem::replace(&mut *self, Self::Sent) {
            Self::Whole(pending) => Some(Ok(Frame::data(pending.text()))),
            Self::Sent => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Sent)
    }

    /// The size is unknown until the edge has filled in the id. Otherwise axum would send a `content-length` that is
    /// too small.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(pending) => {
                let text = pending.0.text.get();
                text.map_or_else(SizeHint::default, |text| SizeHint::with_exact(text.len() as u64))
            }
            Self::Sent => SizeHint::with_exact(0),
        }
    }
}

/// Takes the names of Rust types out of serde's words for a wrong value.
pub(super) fn without_types(text: &str) -> String {
    /// serde's words before the name of a type, and the words that clients get for both. A text comes before each text
    /// that is a part of it.
    const TYPES: [(&str, &str); 10] = [
        ("any variant of untagged enum ", "any of the known forms"),
        ("internally tagged enum ", "an object"),
        ("adjacently tagged enum ", "an object"),
        ("tuple struct ", "an array"),
        ("unit struct ", "null"),
        ("struct variant ", "an object"),
        ("tuple variant ", "an array"),
        ("unit variant ", "null"),
        ("struct ", "an object"),
        ("enum ", "one of the known forms"),
    ];
    let is_of_name = |c: char| c.is_alphanumeric() || "_:<>".contains(c);
    let mut text = text.to_owned();
    for (words, known) in TYPES {
        // Most words are replaced only after `expected`, because serde quotes the client's own text before that.
        let begin = if known.starts_with("any ") { 0 } else { text.rfind("expected ").unwrap_or(text.len()) };
        let Some(at) = text[begin..].find(words).map(|at| begin + at) else { continue };
        let name = at + words.len();
        let end = text[name..].find(|c| !is_of_name(c)).map_or(text.len(), |length| name + length);
        text.replace_range(at..end, known);
    }
    text
}
