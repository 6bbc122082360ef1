//! Queries that sqlx's macros check when the service is compiled, on all that a query can run on.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use longpole::{Json, Path, Problem};
use serde::Serialize;

use super::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/checked/{id}", get(checked))
}

#[derive(Serialize)]
struct Named {
    id: i64,
    name: String,
}

async fn checked(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<(Named, String, i64)>, Problem> {
    let db = &app.db;
    let by_pool = sqlx::query_as!(Named, r#"SELECT id AS "id!", name FROM items WHERE id = $1"#, id);
    let by_pool = by_pool.fetch_one(&db.read).await?;

    let mut connection = db.read.acquire().await?;
    let by_connection = sqlx::query_scalar!("SELECT name FROM items WHERE id = $1", id);
    let by_connection = by_connection.fetch_one(&mut connection).await?;
    drop(connection);

    let mut transaction = db.write.begin().await?;
    sqlx::query!("UPDATE items SET version = version + 1 WHERE id = $1", id).execute(&mut *transaction).await?;
    let in_transaction = sqlx::query!("SELECT version FROM items WHERE id = $1", id);
    let in_transaction = in_transaction.fetch_one(&mut *transaction).await?.version;
    transaction.commit().await?;

    sqlx::query!("UPDATE items SET name = 'checked' WHERE id = $1", id).execute(&db.write).await?;
    Ok(Json((by_pool, by_connection, in_transaction)))
}
