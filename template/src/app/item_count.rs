//! Background work: keeps the number of items in a file that other programs may read, and removes the file at
//! shutdown.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, io, process};

use longpole::Db;
use tokio::fs;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::items;

/// How often the number is written. Higher: the number in the file is older. Lower: the database gets more queries.
const EVERY: Duration = Duration::from_secs(10);

pub(super) async fn keep(db: Db, stop: CancellationToken) {
    let file = file(process::id());
    loop {
        if let Err(error) = update(&db, &file).await {
            tracing::warn!(error, file = %file.display(), "item count not written");
        }
        if stop.run_until_cancelled(sleep(EVERY)).await.is_none() {
            break;
        }
    }
    // Shutdown waits until this is done, up to its deadline.
    match fs::remove_file(&file).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %file.display(), "item count not removed");
        }
        _ => {}
    }
}

fn file(process: u32) -> PathBuf {
    env::temp_dir().join(format!("{}-{process}.count", env!("CARGO_PKG_NAME")))
}

async fn update(db: &Db, file: &PathBuf) -> Result<(), String> {
    let count = items::count(db).await.map_err(|error| error.to_string())?;
    fs::write(file, format!("{count}\n")).await.map_err(|error| error.to_string())
}
