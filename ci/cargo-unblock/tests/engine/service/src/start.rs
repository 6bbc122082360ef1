//! What runs before it serves.

use longpole::Links;

use crate::{handlers, jobs, read};

pub fn start(links: &Links) {
    let _ = std::fs::read("x"); //~ OK before it serves
    let _ = read("x"); //~ OK before it serves
    jobs::begin(&links.background);
    std::thread::sleep(std::time::Duration::ZERO); //~ OK before it serves
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(handlers::all(links.clone())); //~ OK before it serves
    runtime.handle().block_on(prepare()); //~ OK before it serves
}

/// Nobody else polls it.
async fn prepare() {
    let _ = std::fs::read("x"); //~ OK driven on the thread that starts it
    longpole::spawn(follow_up());
}

async fn follow_up() {
    let _ = std::fs::read("x"); //~ BAD std::fs::read
}

pub async fn start_async(links: Links) {
    let _ = std::fs::read("x"); //~ BAD std::fs::read
    let _ = links.offload.run(|| read("x")).await; //~ OK offloaded
    handlers::all(links).await;
}
