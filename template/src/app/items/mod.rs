//! `/items`: create, read, list, update and delete. This module shows how a handler is written.
//!
//! A handler reads the request with the engine's extractors, asks the [`store`], and answers. If something fails, `?`
//! turns the error into a problem, which is the answer. An update names the version that the client has read (`If-Match`),
//! so that no client overwrites another client's change without knowing.

mod store;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use longpole::{Json, Path, Problem, Query, finish, spawn};
use serde::{Deserialize, Serialize};

use self::store::Item;
pub(super) use self::store::count;
use super::App;

/// The longest name, in characters. Too high: no screen shows such names. Too low: names that people have are refused.
const NAME_LIMIT: usize = 200;
/// The number of items in a page if the client does not ask for a number. Too high: answers are large. Too low: clients send
/// many requests.
const PAGE: u32 = 20;

type Head<const N: usize> = [(HeaderName, HeaderValue); N];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/items", get(list).post(create))
        .route("/items/{id}", get(read).put(update).delete(delete))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
}

impl Draft {
    fn checked(self) -> Result<String, Problem> {
        let name = self.name.trim();
        if name.is_empty() {
            return Err(Problem::invalid("/name", "must not be empty"));
        }
        if name.chars().count() > NAME_LIMIT {
            return Err(Problem::invalid("/name", format!("must have at most {NAME_LIMIT} characters")));
        }
        if name.chars().any(char::is_control) {
            return Err(Problem::invalid("/name", "must not have control characters"));
        }
        Ok(name.to_owned())
    }
}

async fn create(
    State(app): State<App>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Head<2>, Json<Item>), Problem> {
    let name = draft.checked()?;
    // These two steps belong together. Without `finish`, the second step does not happen if the client leaves.
    let item = finish(async move {
        let item = store::insert(&app.db, &name).await?;
        let id = item.id;
        // The client need not wait for this work. Its log lines have the request's id all the same.
        spawn(async move { tracing::info!(id, "item created") });
        Ok::<_, Problem>(item)
    })
    .await?;
    let location = HeaderValue::try_from(format!("/items/{}", item.id)).map_err(|_| Problem::internal())?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location), etag(&item)?], Json(item)))
}

async fn read(State(app): State<App>, Path(id): Path<i64>) -> Result<(Head<1>, Json<Item>), Problem> {
    let item = store::find(&app.db, id).await?.ok_or_else(Problem::not_found)?;
    Ok(([etag(&item)?], Json(item)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Listing {
    items: Vec<Item>,
    /// The client sends this back as `cursor` to get the next page. It is null on the last page.
    next: Option<String>,
}

async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<Listing>, Problem> {
    let limit = page.limit.unwrap_or(PAGE.min(app.settings.page_limit));
    if !(1..=app.settings.page_limit).contains(&limit) {
        let detail = format!("`limit` must be from 1 to {}.", app.settings.page_limit);
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let after = match page.cursor {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "`cursor` is not one that this service gave.")
        })?,
    };
    // The query asks for one item more than the page has: that item tells whether there is a next page.
    let mut items = store::page(&app.db, after, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = if more { items.last().map(|item| item.id.to_string()) } else { None };
    Ok(Json(Listing { items, next }))
}

async fn update(
    State(app): State<App>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    Json(draft): Json<Draft>,
) -> Result<(Head<1>, Json<Item>), Problem> {
    let seen = headers.get(header::IF_MATCH).ok_or_else(|| {
        Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "Send `if-match` with the etag of the version you read.",
        )
    })?;
    let seen = seen.to_str().unwrap_or_default();
    let item = store::update(&app.db, id, &draft.checked()?, |version| matches(seen, version)).await?;
    Ok(([etag(&item)?], Json(item)))
}

async fn delete(State(app): State<App>, Path(id): Path<i64>) -> Result<StatusCode, Problem> {
    if store::delete(&app.db, id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

fn etag(item: &Item) -> Result<(HeaderName, HeaderValue), Problem> {
    let value = HeaderValue::try_from(format!("\"{}\"", item.version)).map_err(|_| Problem::internal())?;
    Ok((header::ETAG, value))
}

/// As in RFC 9110, 13.1.1: `if_match` is `*` or a list of etags. A weak etag never matches.
fn matches(if_match: &str, version: i64) -> bool {
    let etag = format!("\"{version}\"");
    if_match.trim() == "*" || if_match.split(',').any(|one| one.trim() == etag)
}
