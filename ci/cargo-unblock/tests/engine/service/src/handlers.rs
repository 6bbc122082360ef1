//! What serves requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use longpole::{carry, finish, spawn, wait, Links, Offload, Phase, Problem};

use crate::{jobs, read};

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

static NUMBERS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

pub async fn all(links: Links) {
    direct().await;
    let _ = offloaded(&links.offload).await;
    let _ = offloaded_through(&links.offload).await;
    tasks().await;
    carried();
    guards(&links.offload).await;
    jobs::from_handler(&links.background).await;
    drop(upgrade());
    drop(upgrade_with_function());
}

async fn direct() {
    let _ = std::fs::read("x"); //~ BAD std::fs::read
    read("x"); //~ BAD std::fs::read
}

async fn offloaded(offload: &Offload) -> Result<(), Problem> {
    offload.run(|| std::fs::read("x").is_ok()).await?; //~ OK offloaded
    offload.run(|| read("x")).await?; //~ OK offloaded
    offload.run(read_x).await?; //~ OK offloaded
    let kept = || std::fs::metadata("x").is_ok(); //~ OK offloaded
    offload.run(kept).await?;
    let path = std::fs::read_to_string("x").unwrap_or_default(); //~ BAD std::fs::read_to_string
    wait(Phase::Other, offload.run(move || read(&path))).await?; //~ OK offloaded
    spawn(offload_later(offload.clone()));
    let handle = tokio::runtime::Handle::current();
    offload.run(move || handle.block_on(async { read("x") })).await?; //~ OK driven on a thread of the pool
    offload.run(made()).await?; //~ BAD std::fs::read
    Ok(())
}

fn read_x() -> usize {
    read("x")
}

/// The blocking call is made before there is anything to be offloaded.
fn made() -> impl FnOnce() -> usize + Send {
    let length = read("x");
    move || length
}

async fn offload_later(offload: Offload) {
    let _ = offload.run(|| read("x")).await; //~ OK offloaded
}

/// A wrapper of its own.
async fn off<T: Send + 'static>(offload: &Offload, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    offload.run(work).await
}

async fn offloaded_through(offload: &Offload) -> Result<(), Problem> {
    off(offload, || read("x")).await?; //~ OK offloaded by the wrapper
    off(offload, read_x).await?; //~ OK offloaded by the wrapper
    Ok(())
}

async fn tasks() {
    spawn(async {
        let _ = std::fs::read("x"); //~ BAD std::fs::read
    });
    spawn(task());
    wait(Phase::Other, async {
        std::thread::sleep(std::time::Duration::ZERO); //~ BAD std::thread::sleep
    })
    .await;
    wait(Phase::Other, task()).await;
    let _ = finish(async {
        read("x"); //~ BAD std::fs::read
        Ok::<_, Problem>(())
    })
    .await;
    let _ = finish(prepared()).await; //~ BAD std::fs::metadata
}

async fn task() {
    let _ = std::fs::remove_file("x"); //~ BAD std::fs::remove_file
}

/// No async function: what stands before the block runs where this is called.
fn prepared() -> impl Future<Output = Result<usize, Problem>> + Send {
    let _ = std::fs::metadata("x");
    async { Ok(read("x")) } //~ BAD std::fs::read
}

async fn on_upgrade(callback: impl FnOnce(u8) -> Boxed) {
    callback(1).await;
}

fn carried() {
    drop(on_upgrade(carry(|_socket: u8| async {
        read("x"); //~ BAD std::fs::read
    })));
}

/// The callback is called in a task, whoever makes it.
fn upgrade() -> impl Future<Output = ()> {
    on_upgrade(carry(|_socket: u8| {
        let _ = std::fs::read("x"); //~ BAD std::fs::read
        async {}
    }))
}

fn upgrade_with_function() -> impl Future<Output = ()> {
    on_upgrade(carry(talk))
}

fn talk(_socket: u8) -> Boxed {
    let _ = std::fs::read("x"); //~ BAD std::fs::read
    Box::pin(async {})
}

async fn guards(offload: &Offload) {
    let numbers = NUMBERS.lock().unwrap(); //~ BAD std::sync::MutexGuard
    wait(Phase::Other, async {}).await;
    drop(numbers);
    let numbers = NUMBERS.lock().unwrap(); //~ BAD std::sync::MutexGuard
    let _ = offload.run(|| 1).await;
    drop(numbers);
    let numbers = NUMBERS.lock().unwrap(); //~ OK dropped before
    drop(numbers);
    let _ = offload.run(|| NUMBERS.lock().map(|numbers| numbers.len()).unwrap_or(0)).await; //~ OK on a thread of the pool
}
