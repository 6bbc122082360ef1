//! A database of each test's own, and a way into it past the service.

use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

/// A file that is not there yet; gone when dropped.
#[derive(Debug)]
pub struct Database {
    dir: TempDir,
}

impl Database {
    /// The `pool` label of the connections that write.
    pub const WRITE: &str = "write";

    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("data/service.db")
    }

    /// For `database.url`.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// Past the service; makes the file if it is missing.
    pub async fn connect(&self) -> SqliteConnection {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        SqliteConnectOptions::new().filename(self.file()).create_if_missing(true).connect().await.unwrap()
    }

    /// Runs one statement past the service.
    pub async fn execute(&self, statement: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The same for tests without a runtime.
    pub fn execute_sync(&self, statement: &str) {
        runtime().block_on(self.execute(statement));
    }

    /// Asks past the service for a number.
    pub fn count_sync(&self, question: &str) -> i64 {
        self.numbers_sync(question)[0]
    }

    /// Asks past the service for numbers.
    pub fn numbers_sync(&self, question: &str) -> Vec<i64> {
        runtime().block_on(async {
            let mut connection = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_all(&mut connection).await.unwrap()
        })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
