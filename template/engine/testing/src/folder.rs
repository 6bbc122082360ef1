//! Where are the files of a test?

use tempfile::TempDir;

/// Makes a temporary folder. It is deleted when the value is dropped, also if the test panics. If the test program is
/// killed, the folder stays, and its name says whose it was.
pub fn folder() -> TempDir {
    tempfile::Builder::new().prefix("longpole-test-").tempdir().unwrap()
}
