//! Where is the SQLite database of a test? It is a file in a temporary folder.

use std::fs;
use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use super::wait;

/// A file that does not exist yet. It is deleted when this value is dropped.
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
    /// Chooses a new temporary folder for the file.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Its URL, for `database.url`.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// The path of the file. The service creates the file, or [`connect`](Self::connect) does.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("data/service.db")
    }

    /// Opens a connection that does not go through the service. It creates the file if the file is missing.
    pub async fn connect(&self) -> SqliteConnection {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        SqliteConnectOptions::new().filename(self.file()).create_if_missing(true).connect().await.unwrap()
    }

    /// Runs statements without the service, for example to insert the rows that a test begins with.
    pub fn execute(&self, statements: &str) {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// Runs a query without the service and returns its number, for example of `SELECT count(*) FROM items`.
    pub fn count(&self, question: &str) -> i64 {
        wait(async || {
            let mut connection = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await.unwrap()
        })
    }
}
