use std::path::Path;
use std::sync::Mutex;

use rusqlite::{params, Connection};

pub struct Db {
    conn: Mutex<Connection>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub id: i64,
    pub name: String,
}

impl Db {
    pub fn open(path: &Path) -> rusqlite::Result<Db> {
        let conn = Connection::open(path)?;
        conn.execute_batch("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT)")?;
        Ok(Db { conn: Mutex::new(conn) })
    }

    pub fn find_user(&self, id: i64) -> rusqlite::Result<User> {
        let conn = self.conn.lock().unwrap();
        lookup(&conn, id)
    }

    pub fn add_user(&self, user: &User) -> rusqlite::Result<usize> {
        self.conn
            .lock()
            .unwrap()
            .execute("INSERT INTO users VALUES (?1, ?2)", params![user.id, user.name])
    }
}

fn lookup(conn: &Connection, id: i64) -> rusqlite::Result<User> {
    conn.query_row("SELECT id, name FROM users WHERE id = ?1", [id], |row| {
        Ok(User { id: row.get(0)?, name: row.get(1)? })
    })
}

/// Rows of one report, straight in async code.
pub async fn daily_report(path: &Path) -> rusqlite::Result<i64> {
    let conn = Connection::open(path)?; //~ BAD(direct) opens the database file
    conn.execute("DELETE FROM events WHERE age > 30", [])?; //~ BAD(method) rusqlite statement
    let total = conn.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0))?; //~ BAD(method) rusqlite query
    tokio::task::yield_now().await;
    Ok(total)
}

pub async fn daily_report_offloaded(path: std::path::PathBuf) -> rusqlite::Result<i64> {
    let job = move || -> rusqlite::Result<i64> {
        let conn = Connection::open(&path)?; //~ OK closure goes to spawn_blocking
        conn.query_row("SELECT count(*) FROM events", [], |row| row.get(0)) //~ OK closure goes to spawn_blocking
    };
    tokio::task::spawn_blocking(job).await.expect("report panicked")
}
