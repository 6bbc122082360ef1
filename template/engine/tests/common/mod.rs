//! What the engine's tests need beside `longpole-testing`.

#![allow(dead_code, unused_imports, reason = "each test crate, and each database, uses its part of it")]

pub mod client;
#[cfg(feature = "_database")]
pub mod database;
pub mod http2;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

#[cfg(feature = "_database")]
pub use longpole_testing::Database;
pub use longpole_testing::{PATIENCE, Response, Service, Setup, eventually, read_log, request, send};

#[cfg(feature = "_database")]
pub use self::database::PastTheService;

/// The `pool` label of the connections that write.
pub const WRITE: &str = if cfg!(feature = "sqlite") { "write" } else { "main" };

/// Sets up the program of the drill, which has no routes but its own.
pub fn setup() -> Setup {
    // Without the variable, a release with the drill refuses to start.
    longpole_testing::setup!("longpole-drill").variable("LONGPOLE_DRILL", "1")
}

/// What the service says on stderr, without the line in which a release says that the drill is in it.
pub fn without_drill(stderr: &str) -> String {
    stderr.split_inclusive('\n').filter(|line| !line.contains("LONGPOLE_DRILL")).collect()
}

/// Lets the service ask this resolver and no other. `None` if this user may not arrange that.
pub fn resolved_by(addr: &str, setup: Setup) -> Option<Setup> {
    let may =
        Command::new("unshare").args(["-rm", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]).output();
    let enter = "exec unshare -rm sh -c 'mount --bind resolv.conf /etc/resolv.conf && exec \"$0\"' \"$0\"";
    let setup = setup.file("resolv.conf", &format!("nameserver {addr}\noptions timeout:30 attempts:5\n"));
    may.is_ok_and(|ended| ended.status.success()).then(|| setup.shell(enter))
}

/// Makes a named pipe: see [`hold`].
pub fn make_pipe(pipe: &Path) {
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
}

/// Waits until somebody reads a named pipe. The reader then waits until the result is dropped.
pub fn hold(pipe: &Path) -> File {
    const O_NONBLOCK: i32 = 0o4000; // on Linux; with it, to open the pipe fails while nobody reads
    eventually("a reader of the pipe", || {
        File::options().write(true).custom_flags(O_NONBLOCK).open(pipe).ok()
    })
}
