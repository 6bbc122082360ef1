//! A PgBouncer before a PostgreSQL, with two connections to it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{PATIENCE, Process, poll};

/// A running PgBouncer. It ends when this is dropped.
pub struct PgBouncer {
    pub url: String,
    _process: Process,
    _dir: TempDir,
}

impl PgBouncer {
    /// `mode` is `session` or `transaction`.
    pub fn start(postgres_url: &str, mode: &str) -> Self {
        // postgres://USER:PASSWORD@HOST:PORT/NAME
        let (user, server) = postgres_url.split_once("//").unwrap().1.split_once('@').unwrap();
        let (user, password) = user.split_once(':').unwrap();
        let (host, port) = server.split_once('/').unwrap().0.split_once(':').unwrap();
        let dir = tempfile::tempdir().unwrap();
        // PgBouncer does not run as root, and must be able to read its configuration.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let own_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = dir.path().join("pgbouncer.ini");
        // From 1.21 on, PgBouncer can keep track of prepared statements. Later versions do so by default.
        let version = Command::new("pgbouncer").arg("--version").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap();
        let forgets = if minor >= 21 { "max_prepared_statements = 0" } else { "" };
        let config = format!(
            "[databases]\n\
             * = host={host} port={port} user={user} password={password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {own_port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = 2\nserver_login_retry = 1\n{forgets}\n"
        );
        fs::write(&file, config).unwrap();
        let mut command = Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            command.args(["--user", "nobody"]);
        }
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let process = Process::start(command.arg(file).stdin(Stdio::null()).stderr(log));
        poll("pgbouncer", PATIENCE, || TcpStream::connect(("127.0.0.1", own_port)).ok());
        let url = postgres_url.replace(&format!("{host}:{port}"), &format!("127.0.0.1:{own_port}"));
        Self { url, _process: process, _dir: dir }
    }
}
