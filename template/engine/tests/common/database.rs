//! What the engine's tests do in the database without the service, beside what an owner's tests do.

use longpole_testing::Database;
#[cfg(feature = "postgres")]
use std::net::SocketAddr;

use sqlx::{AssertSqlSafe, Connection};

pub trait PastTheService {
    /// Runs statements. The test's own runtime goes on meanwhile.
    async fn run(&self, statements: &str);

    /// The first column of all rows.
    async fn numbers(&self, question: &str) -> Vec<i64>;
}

impl PastTheService for Database {
    async fn run(&self, statements: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn numbers(&self, question: &str) -> Vec<i64> {
        let mut connection = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(question)).fetch_all(&mut connection).await.unwrap()
    }
}

/// Where the database is, and who may use it.
#[cfg(feature = "postgres")]
pub trait OnAServer {
    fn addr(&self) -> SocketAddr;

    /// The URL of the same database at another address.
    fn url_by(&self, addr: SocketAddr) -> String;

    /// Makes a new role that may do everything in this database, and returns the URL to use it.
    async fn role(&self) -> (String, String);
}

#[cfg(feature = "postgres")]
impl OnAServer for Database {
    fn addr(&self) -> SocketAddr {
        server(&self.url()).parse().unwrap()
    }

    fn url_by(&self, addr: SocketAddr) -> String {
        let url = self.url();
        url.replace(server(&url), &addr.to_string())
    }

    async fn role(&self) -> (String, String) {
        let role = self.name().to_owned();
        self.run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; GRANT ALL ON SCHEMA public TO {role}"
        ))
        .await;
        let url = format!("postgres://{role}:hunter2@{}/{role}", server(&self.url()));
        (role, url)
    }
}

/// The host and the port of a URL.
#[cfg(feature = "postgres")]
fn server(url: &str) -> &str {
    url.split_once('@').unwrap().1.split_once('/').unwrap().0
}
