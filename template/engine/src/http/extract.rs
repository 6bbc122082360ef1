//! How does a handler read a request?
//!
//! With [`Json`], [`Path`] and [`Query`], which are axum's, except that what they refuse leaves as a
//! [`Problem`] that names the field. [`ClientAddr`] is who has sent it.

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

/// JSON, in a handler's arguments and in its answer. Derive `Deserialize` with `deny_unknown_fields`, so that a typo of
/// the client's is an error and not a silent loss.
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
/// What is refused before the handler runs: 415 without `content-type: application/json`, 413 for a body that is too
/// large, 408 for one that comes too slowly, 400 for text that is no JSON, 422 for JSON of another shape, with the place
/// of the error.
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
        // serde_json appends " at line 1 column 20", which the pointer says better.
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

/// The whole body of a request as bytes, in a handler's arguments.
///
/// It has at most `server.body_limit` bytes, or what [`BodyLimit`](crate::BodyLimit) says; otherwise the client gets 413.
#[derive(Clone, Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            // 413 where the owner has set axum's own limit.
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

/// The parameters of a request's path, in a handler's arguments: by name or in order.
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
/// A value that does not fit the type is 404: nothing has such an address. A type that does not fit the route is 500, and
/// in the log.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The parameters of a request after `?`, in a handler's arguments: a struct that derives `Deserialize`.
///
/// What does not fit is 400, with the name of the parameter.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// The address of a request's client, in a handler's arguments: the peer of the connection, or behind proxies in
/// `server.trusted_proxies` whoever they say that it was. For limits and logs, not to tell people apart: many share an
/// address.
///
/// A router that is called without the engine's server, in a test say, knows none: that is 500.
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
