//! The agent that runs beside a depot.

#![allow(dead_code)]

mod cli;
mod jobs;
mod ledger;
mod net;
mod report;
mod supervisor;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).map(PathBuf::from).unwrap_or_else(|| PathBuf::from("."));
    let settings = depot_base::config::Settings::load(&root)?; //~ OK sync main
    std::fs::create_dir_all(settings.data_dir())?; //~ OK sync main
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(cli::run(root.clone())); //~ OK block_on in sync main
    std::thread::sleep(Duration::from_millis(10)); //~ OK sync main
    runtime.shutdown_timeout(Duration::from_secs(1));
    std::fs::remove_file(root.join("agent.pid")).ok(); //~ OK sync main
    outcome.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_what_it_writes() {
        let dir = tempfile::tempdir().unwrap(); //~ OK test code
        let path = dir.path().join("note");
        std::fs::write(&path, "x").unwrap(); //~ OK test code
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1)); //~ OK test code
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x"); //~ OK test code
    }
}
