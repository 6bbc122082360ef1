//! Where is the SQLite database of a test? It is a file in a temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use super::blocking::wait;
use crate::folder::folder;

/// A database that only this test uses: a file that does not exist yet. It is deleted when this value is dropped, also if
/// the test panics.
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
        Self { dir: folder() }
    }

    /// Writes a database into the file that `migrate` has prepared. `migrate` is called with the URL of a file that does not
    /// exist yet, once for all tests that give the same `key`.
    pub(crate) fn fill(&mut self, key: &str, migrate: impl FnOnce(&str)) {
        // The copies are made from memory: a file could not be deleted when the test program ends.
        static TEMPLATES: Mutex<BTreeMap<String, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
        assert!(!self.file().exists(), "`migrated` has to come before the database is used");
        // Other tests wait here until the template is made.
        let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
        let template = templates.get(key).cloned().unwrap_or_else(|| {
            let database = Self::new();
            migrate(&database.url());
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)"); // so that the file has everything
            let template: Arc<[u8]> = fs::read(database.file()).unwrap().into();
            templates.insert(key.to_owned(), Arc::clone(&template));
            template
        });
        drop(templates);
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), &template).unwrap();
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

    /// Locks the file as another program does that writes for a long time. Until the lock is dropped, the service can read
    /// and cannot write.
    ///
    /// ```no_run
    /// # macro_rules! setup { () => { longpole_testing::Setup::of("my-service") } }
    /// let service = setup!().start();
    /// let lock = service.database.lock();
    /// assert_eq!(service.call("DELETE", "/items/1", &[], b"").status, 503);
    /// drop(lock);
    /// assert_eq!(service.call("DELETE", "/items/1", &[], b"").status, 404);
    /// ```
    pub fn lock(&self) -> Lock {
        Lock(Some(wait(async || {
            let mut connection = self.connect().await;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
            connection
        })))
    }
}

/// The lock of [`Database::lock`]. It ends when this value is dropped.
#[derive(Debug)]
pub struct Lock(Option<SqliteConnection>);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // The transaction is rolled back. An error leaves nothing to do, and must not become a second panic.
            let _ = wait(async || connection.close().await);
        }
    }
}
