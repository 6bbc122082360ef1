//! The queries of `/items`. They are ordinary sqlx. Reads use the pool `read`; writes, and transactions that write, use the
//! pool `write`.

use axum::http::StatusCode;
use longpole::{Db, Problem};
use serde::Serialize;
use sqlx::{FromRow, query, query_as, query_scalar};

#[derive(Clone, Debug, FromRow, Serialize)]
pub(super) struct Item {
    pub id: i64,
    pub name: String,
    pub version: i64,
}

pub(super) async fn insert(db: &Db, name: &str) -> Result<Item, sqlx::Error> {
    query_as("INSERT INTO items (name) VALUES ($1) RETURNING id, name, version")
        .bind(name)
        .fetch_one(&db.write)
        .await
}

pub(super) async fn find(db: &Db, id: i64) -> Result<Option<Item>, sqlx::Error> {
    query_as("SELECT id, name, version FROM items WHERE id = $1").bind(id).fetch_optional(&db.read).await
}

/// The items that follow the item with the id `after`, ordered by id.
pub(super) async fn page(db: &Db, after: i64, limit: u32) -> Result<Vec<Item>, sqlx::Error> {
    query_as("SELECT id, name, version FROM items WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&db.read)
        .await
}

/// Changes an item if `expected` accepts its version. Otherwise the answer is 412, or 404 if there is no such item.
pub(super) async fn update(
    db: &Db,
    id: i64,
    name: &str,
    expected: impl Fn(i64) -> bool,
) -> Result<Item, Problem> {
    let mut transaction = db.write.begin().await?;
    let version: Option<i64> = query_scalar("SELECT version FROM items WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    let version = version.ok_or_else(Problem::not_found)?;
    let changed = || Problem::new(StatusCode::PRECONDITION_FAILED, "The item has changed since you read it.");
    if !expected(version) {
        return Err(changed());
    }
    let item = query_as("UPDATE items SET name = $1, version = version + 1 WHERE id = $2 AND version = $3 RETURNING id, name, version")
        .bind(name)
        .bind(id)
        .bind(version)
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or_else(changed)?; // it was changed after the SELECT, on a database with several writers
    transaction.commit().await?;
    Ok(item)
}

/// Returns whether there was an item with this id.
pub(super) async fn delete(db: &Db, id: i64) -> Result<bool, sqlx::Error> {
    let done = query("DELETE FROM items WHERE id = $1").bind(id).execute(&db.write).await?;
    Ok(done.rows_affected() > 0)
}

pub(in crate::app) async fn count(db: &Db) -> Result<i64, sqlx::Error> {
    query_scalar("SELECT count(*) FROM items").fetch_one(&db.read).await
}
