// What the probe compiles: rustc's MIR of this file must lead to findings on the lines marked BAD, and to
// no others. Each function stands for one thing that is read from the text.

use std::future::Future;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

async fn pause() {}

pub async fn direct() {
    std::thread::sleep(Duration::from_millis(1)); // BAD
    pause().await;
}

pub async fn method(mut file: std::fs::File) {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text); // BAD
    let _ = Cursor::new(b"x").read_to_string(&mut text);
}

fn load(name: &str) -> String {
    read(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(name).unwrap_or_default()
}

pub async fn chain() {
    load("x"); // BAD
}

pub async fn lines(file: std::fs::File) {
    for _line in BufReader::new(file).lines() {} // BAD
}

pub trait Store {
    fn get(&self) -> String;
    fn twice(&self) -> String {
        self.get() + &self.get()
    }
}

pub struct Disk;
pub struct Memory;

impl Store for Disk {
    fn get(&self) -> String {
        read("disk")
    }
}

impl Store for Memory {
    fn get(&self) -> String {
        String::new()
    }
}

fn generic<S: Store>(store: &S) -> String {
    store.get()
}

pub async fn generics() {
    generic(&Disk); // BAD
    generic(&Memory);
    Disk.twice(); // BAD
}

pub async fn objects() {
    let store: Box<dyn Store> = Box::new(Disk);
    store.get(); // BAD
}

pub async fn pointers() {
    let call: fn(&str) -> String = load;
    call("x"); // BAD
}

pub async fn closures() {
    let now = || read("now");
    now(); // BAD
    let later = || read("later");
    let _ = std::thread::spawn(later);
    ["a"].iter().for_each(|name| {
        read(name); // BAD
    });
}

fn wrapped<F: FnOnce() + Send + 'static>(work: F) {
    std::thread::spawn(work);
}

pub async fn wrapper() {
    wrapped(|| {
        read("away");
    });
}

pub struct Flushes;

impl Drop for Flushes {
    fn drop(&mut self) {
        let _ = std::fs::write("x", "y");
    }
}

pub async fn dropped(value: Flushes) {
    drop(value); // BAD
}

pub struct ByHand;

impl Future for ByHand {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        read("poll"); // BAD
        Poll::Ready(())
    }
}

macro_rules! nap {
    () => {
        std::thread::sleep(Duration::ZERO)
    };
}

pub async fn macros() {
    nap!(); // BAD
}

pub async fn held(lock: &Mutex<u8>) {
    let guard = lock.lock().unwrap(); // BAD
    pause().await;
    drop(guard);
}

pub async fn released(lock: &Mutex<u8>) {
    let guard = lock.lock().unwrap();
    drop(guard);
    pause().await;
}

fn never() -> ! {
    loop {
        read("never");
    }
}

pub async fn never_returns() {
    never() // BAD
}

pub fn sync() {
    read("sync");
}
