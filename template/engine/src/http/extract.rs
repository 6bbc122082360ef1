//! How does a handler read a request?
//!
//! It takes [`Json`], [`Path`] and [`Query`] as arguments. They work like axum's extractors, but if they refuse a
//! request, its client gets a [`Problem`] that names the field. [`Body`] is the whole body as bytes, and [`ClientAddr`]
//! is the address of the client.

use std::error::Error;
use std::net::IpAddr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limit::TooLarge;
use super::problem::{Problem, without_types};
use crate::request;

/// JSON, as an argument of a handler and as its answer. Derive `Deserialize` with `deny_unknown_fields`: then a name
/// that the client has misspelled is an error, and is not ignored.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use longpole::{Json, Problem};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Draft {
///     name: String,
/// }
///
/// #[derive(Serialize)]
/// struct Greeting {
///     text: String,
/// }
///
/// async fn greet(Json(draft): Json<Draft>) -> Result<Json<Greeting>, Problem> {
///     if draft.name.is_empty() {
///         return Err(Problem::invalid("/name", "must not be empty"));
///     }
///     Ok(Json(Greeting { text: format!("hello {}", draft.name) }))
/// }
///
/// let routes: Router = Router::new().route("/greetings", post(greet));
/// ```
///
/// In these cases the handler does not run, and the client gets a [`Problem`]:
///
/// - 415: the request has no `content-type: application/json`, and none of the kind `application/…+json`.
/// - 413: the body is larger than `server.body_limit`, or than the route's [`BodyLimit`](crate::BodyLimit).
/// - 408: the body has not arrived within `server.request_timeout`.
/// - 400: the body is not valid JSON, or it ended before it was complete.
/// - 422: the JSON does not have the shape of `T`. The problem says where, as an RFC 6901 pointer.
///
/// If an answer cannot be written as JSON, the client gets 500, and the log has the cause.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be sent with `content-type: application/json`.",
            ));
        }
        let body = Body::from_request(request, state).await?.0;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let pointer = pointer(error.path());
            describe(&pointer, error.inner())
        })?;
        json.end().map_err(|error| describe("", &error))?;
        Ok(Self(value))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn describe(pointer: &str, error: &serde_json::Error) -> Problem {
    if error.is_data() {
        // serde_json appends " at line 1 column 20". The pointer says the same in a better way.
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The body does not have the expected shape.")
            .field(pointer, without_types(text))
    } else {
        Problem::new(StatusCode::BAD_REQUEST, format!("The body is not valid JSON: {error}."))
    }
}

/// The place of an error as an RFC 6901 pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence).is_some_and(|kind| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    })
}

/// The whole body of a request as bytes, as an argument of a handler. This is not `axum::body::Body`, which is the body
/// as a stream. To read a body piece by piece, take axum's: the limits and the counting hold for it, too.
///
/// The handler does not run, and the client gets a [`Problem`], if the body is larger than `server.body_limit` or
/// than the route's [`BodyLimit`](crate::BodyLimit) (413), if it has not arrived within `server.request_timeout`
/// (408), or if it ended before it was complete (400).
#[derive(Clone, Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            // axum itself answers 413 if the owner has set axum's own limit.
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE || is_too_large(&rejection) {
                return TooLarge.into();
            }
            Problem::new(StatusCode::BAD_REQUEST, "The body ended before it was complete.")
        })
    }
}

fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    error.is::<TooLarge>() || error.source().is_some_and(is_too_large)
}

/// The parameters of a request's path, as an argument of a handler. `T` is one value, or a tuple of values in the
/// order of the path, or a struct that derives `Deserialize` and has a field for each name.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use longpole::Path;
///
/// async fn read(Path((shelf, book)): Path<(String, u64)>) -> String {
///     format!("book {book} of shelf {shelf}")
/// }
///
/// let routes: Router = Router::new().route("/shelves/{shelf}/books/{book}", get(read));
/// ```
///
/// If a value does not fit its type, the client gets 404, because nothing has such an address. If a value is not valid
/// UTF-8, the client gets 400. If `T` does not fit the route, the client gets 500, and the log has the cause.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The parameters of a request after `?`, as an argument of a handler. `T` is a struct that derives `Deserialize`.
///
/// If the parameters do not fit `T`, the client gets 400, and the detail says which parameter is wrong. If `T` is not a
/// struct, the client gets 500, and the log has the cause.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// The IP address of a request's client, as an argument of a handler. It is the peer of the connection. If the peer
/// is one of `server.trusted_proxies`, it is the client that the proxies name in the header
/// `server.forwarded_header`. An IPv4 client has an IPv4 address, also if the server listens on an IPv6 socket. Use the
/// address for limits and logs, but not to tell people apart: many people share one address.
///
/// A router that is called without the engine's server, for example in a test, knows no address. Then the client gets
/// 500, and the log has the cause.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddr(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddr {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Problem> {
        request::with_current(|request| request.client).flatten().map(Self).ok_or_else(|| {
            tracing::error!("no client address: the request did not come through the engine's server");
            Problem::internal()
        })
    }
}
