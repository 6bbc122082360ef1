//! What works behind an old PgBouncer in transaction mode with two connections to the server, and what does
//! not? `POOLER_URL` is its URL. The tests of Longpole put this file into the `tests` of a generated service.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, query_scalar, raw_sql};

const CLIENTS: i32 = 8;

async fn connect() -> PgConnection {
    let options: PgConnectOptions = std::env::var("POOLER_URL").unwrap().parse().unwrap();
    options.extra_float_digits(None).connect().await.unwrap()
}

/// Runs `client` eight times at once, each twenty times over its connection.
async fn each_client<F>(client: impl Fn(PgConnection, i32) -> F) -> Vec<Result<(), sqlx::Error>>
where
    F: Future<Output = Result<(), sqlx::Error>> + Send + 'static,
{
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..CLIENTS {
        #[expect(clippy::disallowed_methods, reason = "a test's own")]
        clients.spawn(client(connect().await, n));
    }
    clients.join_all().await
}

#[tokio::test]
async fn unnamed_statements_inside_a_transaction_work() {
    let outcomes = each_client(|mut connection, n| async move {
        for round in 0..20 {
            raw_sql("BEGIN").execute(&mut connection).await?;
            let one: i32 =
                query_scalar("SELECT $1::int").bind(n).persistent(false).fetch_one(&mut connection).await?;
            let two: i32 = query_scalar("SELECT $1::int + $2")
                .bind(n)
                .bind(round)
                .persistent(false)
                .fetch_one(&mut connection)
                .await?;
            raw_sql("COMMIT").execute(&mut connection).await?;
            assert_eq!((one, two), (n, n + round), "an answer to somebody else");
        }
        connection.close().await
    });

    for outcome in outcomes.await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn named_statements_meet_those_of_other_clients() {
    let outcomes = each_client(|mut connection, n| async move {
        for _ in 0..20 {
            let _: i32 = query_scalar("SELECT $1::int").bind(n).fetch_one(&mut connection).await?;
        }
        Ok(())
    });

    let lost = outcomes.await.into_iter().filter_map(Result::err).filter(|error| {
        let code = error.as_database_error().and_then(|error| error.code());
        matches!(code.as_deref(), Some("26000" | "42P05"))
    });
    assert!(lost.count() > 0, "this is why the start refuses such a pooler");
}
