//! Bottlenecks of the database.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use futures_util::FutureExt;
use futures_util::future::join;
use tokio::time::{sleep, timeout};

use super::calls::call;
use crate::finish::finish;
use crate::http::extract::Body;
use crate::http::problem::Problem;
use crate::ledger::Phase;
use crate::links::Links;
use crate::request;

/// A connection that does not become free within this time counts as held. Higher: the drill takes longer to hold all
/// connections. Lower: a free connection is missed.
const HOLDING: Duration = Duration::from_millis(50);

pub(super) fn routes(links: &Links) -> Router {
    Router::new()
        .route("/drill/hold/{ms}", get(hold_writer))
        .route("/drill/insert", get(insert))
        .route("/drill/leave-open", get(leave_open))
        .route("/drill/write/{how}/{n}", get(write_two))
        .route("/drill/run-away", get(run_away))
        .route("/drill/two-inserts/{ms}", get(two_inserts))
        .route("/drill/two-inserts-finished/{ms}", get(two_inserts_finished))
        .route("/drill/given-up-commit", get(given_up_commit))
        .route("/drill/insert/{n}", post(insert_read))
        .route("/drill/hold-read/{ms}", get(hold_reader))
        .route("/drill/hold-all/{ms}", get(hold_all))
        .route("/drill/query/{ms}", get(query))
        .route("/drill/spawned-query/{ms}", get(spawned_query))
        .route("/drill/both/{query}/{call}", get(both))
        .route(
            "/drill/connect/{ms}",
            get(async |Path(ms)| {
                request::wait(Phase::DbConnect, sleep(Duration::from_millis(ms))).await;
            }),
        )
        .with_state(links.clone())
}

async fn hold_writer(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let mut connection = links.db.write.acquire().await?;
    sqlx::query("SELECT 1").execute(&mut connection).await?;
    sleep(Duration::from_millis(ms)).await;
    Ok(())
}

/// Inserts a row into a table that the test has made.
async fn insert(State(links): State<Links>) -> Result<(), Problem> {
    sqlx::query("INSERT INTO drill VALUES (1)").execute(&links.db.write).await?;
    Ok(())
}

/// Begins a transaction that nobody ends.
async fn leave_open(State(links): State<Links>) -> Result<(), Problem> {
    sqlx::query("BEGIN").execute(&links.db.write).await?;
    Ok(())
}

/// Inserts two rows, `n` and `n + 1`, into a table that the test has made.
async fn write_two(State(links): State<Links>, Path((how, n)): Path<(String, i64)>) -> Result<(), Problem> {
    let insert = |n: i64| sqlx::query("INSERT INTO drill VALUES ($1)").bind(n);
    match how.as_str() {
        "plain" => {
            let both = sqlx::query("INSERT INTO drill VALUES ($1), ($2)").bind(n).bind(n + 1);
            both.execute(&links.db.write).await?;
        }
        "transaction" => {
            let mut transaction = links.db.write.begin().await?;
            insert(n).execute(&mut *transaction).await?;
            insert(n + 1).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        _ => {
            let mut connection = links.db.write.acquire().await?;
            sqlx::query("BEGIN").execute(&mut connection).await?;
            insert(n).execute(&mut connection).await?;
            insert(n + 1).execute(&mut connection).await?;
            if how == "by-hand" {
                sqlx::query("COMMIT").execute(&mut connection).await?;
            }
        }
    }
    Ok(())
}

/// Runs one statement that writes for minutes into a table that the test has made.
async fn run_away(State(links): State<Links>) -> Result<(), Problem> {
    let endless = "INSERT INTO drill WITH RECURSIVE n(i) AS (
        SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000
    ) SELECT count(*) FROM n";
    sqlx::query(endless).execute(&links.db.write).await?;
    Ok(())
}

/// Makes a call between two inserts.
async fn two_inserts(links: State<Links>, ms: Path<u64>) -> Result<(), Problem> {
    insert(links.clone()).await?;
    call(links.clone(), ms).await?;
    insert(links).await?;
    tracing::info!("drill: both inserted");
    Ok(())
}

async fn two_inserts_finished(links: State<Links>, ms: Path<u64>) -> Result<(), Problem> {
    finish(two_inserts(links, ms)).await
}

/// Drops a commit while it is on its way.
async fn given_up_commit(State(links): State<Links>) -> Result<(), Problem> {
    loop {
        let mut transaction = links.db.write.begin().await?;
        sqlx::query("INSERT INTO drill VALUES (1)").execute(&mut *transaction).await?;
        if transaction.commit().now_or_never().is_none() {
            return Ok(());
        }
    }
}

/// Inserts `n` after the whole request has been read.
async fn insert_read(
    State(links): State<Links>,
    Path(n): Path<i64>,
    Body(_read): Body,
) -> Result<(), Problem> {
    sqlx::query("INSERT INTO drill VALUES ($1)").bind(n).execute(&links.db.write).await?;
    Ok(())
}

async fn hold_reader(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let _connection = links.db.read.acquire().await?;
    sleep(Duration::from_millis(ms)).await;
    Ok(())
}

/// Holds every connection that is free.
async fn hold_all(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let mut held = vec![links.db.write.acquire().await?];
    while let Ok(connection) = timeout(HOLDING, links.db.write.acquire()).await {
        held.push(connection?);
    }
    sleep(Duration::from_millis(ms)).await;
    Ok(())
}

/// Keeps the database busy for at least this long.
async fn query(State(links): State<Links>, Path(ms): Path<u64>) -> Result<(), Problem> {
    let mut connection = links.db.write.acquire().await?;
    let begun = Instant::now();
    let rows: i64 = if ms == 0 { 100 } else { 50_000 };
    loop {
        let count = "WITH RECURSIVE n(i) AS (
            SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1
        ) SELECT count(*) FROM n";
        sqlx::query(count).bind(rows).execute(&mut connection).await?;
        if begun.elapsed() >= Duration::from_millis(ms) {
            return Ok(());
        }
    }
}

async fn spawned_query(links: State<Links>, ms: Path<u64>) -> Result<(), Problem> {
    request::spawn(query(links, ms)).await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// Runs a query and a call at the same time.
async fn both(links: State<Links>, Path((ms, call_ms)): Path<(u64, u64)>) -> Result<(), Problem> {
    let (queried, called) = join(query(links.clone(), Path(ms)), call(links, Path(call_ms))).await;
    queried.and(called.map(drop))
}
