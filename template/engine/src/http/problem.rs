//! What does a client see when something fails?
//!
//! `application/problem+json` (RFC 9457): what was wrong, where, and the request's id, never what is
//! inside. Handlers return `Result<_, Problem>`, and `?` turns database errors into the right status;
//! the details go to the log.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::context;

/// Seconds after which a refused client may come back; jittered, or all come back at once.
const RETRY_AFTER: std::ops::RangeInclusive<u8> = 1..=3;

/// An error for the client: a status and what was wrong, sent as `application/problem+json` (RFC 9457) with the request's
/// id.
///
/// Handlers return `Result<_, Problem>`. `?` makes one of an error of the database or of a call to another service, with
/// the status that fits: the details go to the log, and nothing of them to the client.
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

/// One wrong field: where it is (an RFC 6901 pointer, `/name`) and what is wrong with it.
#[derive(Debug, Serialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl Problem {
    /// A problem with any status. `detail` is a sentence for the client's developer; it must hold nothing internal.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new() }
    }

    /// 422: the request was understood, but a value cannot be used. `pointer` is where it stands, as an RFC 6901 pointer:
    /// `/name`, or `/items/0/name`. `detail` is a sentence for the client's developer.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The request has an invalid value.")
            .field(pointer, detail)
    }

    /// Names a field that is wrong, once more where there are several: as for [`invalid`](Self::invalid).
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

    /// 503 with `Retry-After`, of 1 to 3 seconds by chance, so that not all clients come back at once.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 500, which tells the client nothing but the request's id. Log the cause before.
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

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let request = context::current();
        let told = request.as_ref().filter(|request| request.tells && self.status.as_u16() >= 503);
        let detail =
            told.map_or(self.detail.clone(), |request| format!("{} {}", self.detail, spent(request)));
        let body = Body {
            r#type: "about:blank", // RFC 9457, 4.2.1: the status says it all
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &detail,
            request_id: request.as_ref().map(|request| request.id.as_str()),
            errors: &self.errors,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(u16::from(fastrand::u8(RETRY_AFTER))));
        }
        response
    }
}

/// serde's words for a wrong value, without the names of Rust types.
pub(super) fn without_types(text: &str) -> String {
    /// What stands before the name of a type, and what clients know instead; longer ones first.
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
        // Only where serde names what it has expected: a client's own text stands in quotes before that.
        let begin = if known.starts_with("any ") { 0 } else { text.rfind("expected ").unwrap_or(text.len()) };
        let Some(at) = text[begin..].find(words).map(|at| begin + at) else { continue };
        let name = at + words.len();
        let end = text[name..].find(|c| !is_of_name(c)).map_or(text.len(), |length| name + length);
        text.replace_range(at..end, known);
    }
    text
}

/// Where the time went.
fn spent(request: &context::Request) -> String {
    let (age, shares) = (request.account.age(), request.account.shares());
    let longest = shares.longest();
    let time = Duration::from_nanos(shares[longest]);
    format!("It took {:.3} s, {:.3} s of it {}.", age.as_secs_f64(), time.as_secs_f64(), longest.words())
}
