//! The routes below `/api`.

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::App;
use crate::error::AppError;

#[derive(FromRow, Serialize)]
struct Bookmark {
    id: i64,
    url: String,
    title: String,
    visits: i64,
}

#[derive(Deserialize)]
struct NewBookmark {
    url: String,
    title: String,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: i64,
}

pub fn routes() -> Router<App> {
    Router::new()
        .route("/greeting", get(greeting))
        .route("/bookmarks", get(list).post(add))
        .route("/bookmarks/{id}", get(visit).delete(remove))
        .route("/broken", get(broken))
}

pub async fn nothing_here() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html")], "<h1>Nothing here</h1>")
}

async fn greeting(State(app): State<App>) -> String {
    app.settings.greeting.clone()
}

async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<Vec<Bookmark>>, AppError> {
    let page =
        sqlx::query_as("SELECT id, url, title, visits FROM bookmarks WHERE id > $1 ORDER BY id LIMIT 2")
            .bind(page.after)
            .fetch_all(&app.pool)
            .await?;
    Ok(Json(page))
}

async fn add(State(app): State<App>, Json(new): Json<NewBookmark>) -> Result<impl IntoResponse, AppError> {
    let added: Bookmark =
        sqlx::query_as("INSERT INTO bookmarks (url, title) VALUES ($1, $2) RETURNING id, url, title, visits")
            .bind(&new.url)
            .bind(&new.title)
            .fetch_one(&app.pool)
            .await?;
    let _ = app.added.send(new.url);
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/bookmarks/{}", added.id))], Json(added)))
}

/// Counts a visit, and returns the bookmark as it was before.
async fn visit(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Bookmark>, AppError> {
    let mut transaction = app.pool.begin().await?;
    let bookmark = sqlx::query_as("SELECT id, url, title, visits FROM bookmarks WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_one(&mut *transaction)
        .await?;
    sqlx::query("UPDATE bookmarks SET visits = visits + 1 WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Json(bookmark))
}

async fn remove(State(app): State<App>, Path(id): Path<i64>) -> Result<StatusCode, AppError> {
    let removed = sqlx::query("DELETE FROM bookmarks WHERE id = $1").bind(id).execute(&app.pool).await?;
    if removed.rows_affected() == 0 { Err(AppError::NotFound) } else { Ok(StatusCode::NO_CONTENT) }
}

/// Asks for a table that does not exist.
async fn broken(State(app): State<App>) -> Result<Json<Vec<Bookmark>>, AppError> {
    Ok(Json(sqlx::query_as("SELECT * FROM no_such_table").fetch_all(&app.pool).await?))
}
