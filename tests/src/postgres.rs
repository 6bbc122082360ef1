//! A PostgreSQL, started by the script that a generated service brings along.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running PostgreSQL. It ends when this is dropped, or when the program ends that started it.
pub struct Postgres {
    pub url: String,
    script: Child,
}

impl Postgres {
    /// Starts a server with the `ci/postgres` of this service.
    pub fn start(service: &Path) -> Self {
        let mut script = Command::new("sh")
            .arg(service.join("ci/postgres"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("postgres://"), "ci/postgres: {url}");
        Self { url: url.trim_end().to_owned(), script }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.script.stdin.take()); // the script ends at the end of its input
        let _ = self.script.wait();
    }
}
