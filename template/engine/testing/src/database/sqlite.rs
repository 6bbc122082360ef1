//! A file.

use std::fs;
use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use super::wait;

/// A file that is not there yet; gone when this is dropped.
#[derive(Debug)]
pub struct Database {
    dir: TempDir,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// A database of its own.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// For `database.url`.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// Where the file is, once somebody has made it.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("data/service.db")
    }

    /// A connection past the service. The file is made if it is missing.
    pub async fn connect(&self) -> SqliteConnection {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        SqliteConnectOptions::new().filename(self.file()).create_if_missing(true).connect().await.unwrap()
    }

    /// Runs statements past the service, such as rows that a test begins with.
    pub fn execute(&self, statements: &str) {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// Asks past the service for a number, such as `SELECT count(*) FROM items`.
    pub fn count(&self, question: &str) -> i64 {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await.unwrap()
        })
    }
}
