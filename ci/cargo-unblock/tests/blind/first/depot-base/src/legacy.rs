//! The old client, kept for sites that still build with `legacy-sync`.

use std::io;
use std::time::Duration;

pub async fn old_sync(path: &str) -> io::Result<String> {
    std::thread::sleep(Duration::from_millis(5)); //~ OK feature legacy-sync is off
    std::fs::read_to_string(path) //~ OK feature legacy-sync is off
}
