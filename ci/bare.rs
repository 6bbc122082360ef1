//! What `ci/bench` compares the service with: axum and sqlx with their defaults, and nothing that tells what is slow.
//!
//! Built inside the service's own package, so that both have the same dependencies, features and flags.
//! Usage: `bare DATABASE_FILE MAX_CONNECTIONS`. It prints the address that it serves.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Pool, Sqlite};

#[derive(Serialize)]
struct Hello {
    message: &'static str,
}

#[derive(Serialize, sqlx::FromRow)]
struct Item {
    id: i64,
    name: String,
    version: i64,
}

async fn read(State(pool): State<Pool<Sqlite>>, Path(id): Path<i64>) -> Result<Json<Item>, StatusCode> {
    let found = sqlx::query_as("SELECT id, name, version FROM items WHERE id = $1")
        .bind(id)
        .fetch_optional(&pool)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let options = SqliteConnectOptions::new().filename(&arguments[1]);
    let pool = SqlitePoolOptions::new().max_connections(arguments[2].parse().unwrap()).connect_lazy_with(options);
    let routes = Router::new()
        .route("/hello", get(async || Json(Hello { message: "hello" })))
        .route("/items/{id}", get(read))
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, routes).await.unwrap();
}
