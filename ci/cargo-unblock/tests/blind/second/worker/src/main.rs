//! Background worker and its command line.
#![allow(dead_code)]
mod batch;
mod cli;
mod conduit;
mod hookset;
mod supervise;

use std::path::PathBuf;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if args.first().is_some_and(|a| a == "stamp") {
        kit::fsx::stamp_release(&PathBuf::from("dist")).unwrap(); //~ OK sync main
        std::thread::sleep(std::time::Duration::from_millis(1)); //~ OK sync main
        return;
    }
    let code = rt.block_on(cli::run(args)); //~ OK block_on in sync main
    rt.block_on(async { //~ OK block_on in sync main
        batch::nightly(PathBuf::from("/var/spool/worker")).await;
    });
    std::process::exit(code);
}
