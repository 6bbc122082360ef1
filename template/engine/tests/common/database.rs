//! What the engine's tests do in the database without the service, beside what an owner's tests do.

use longpole_testing::Database;

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

/// Who may use the database.
#[cfg(feature = "postgres")]
pub trait OnAServer {
    /// Makes a new role that may do everything in this database, and returns the URL to use it.
    async fn role(&self) -> (String, String);
}

#[cfg(feature = "postgres")]
impl OnAServer for Database {
    async fn role(&self) -> (String, String) {
        let role = self.name().to_owned();
        self.run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; GRANT ALL ON SCHEMA public TO {role}"
        ))
        .await;
        let url = format!("postgres://{role}:hunter2@{}/{role}", self.addr());
        (role, url)
    }
}
