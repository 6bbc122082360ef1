// What the reader of MIR text is tested on, one thing at a time.
use std::future::Future;
use std::sync::Mutex;

pub struct Disk<T>(pub T);

impl<T: Clone> Disk<T> {
    pub fn load<U>(&self, _: U) -> Vec<u8> {
        std::fs::read("a) -> [return: b").unwrap_or_default()
    }
}

impl<T> Drop for Disk<T> {
    fn drop(&mut self) {}
}

pub trait Store {
    fn get(&self) -> usize;
}

impl Store for Disk<u8> {
    fn get(&self) -> usize {
        self.load('\'').len()
    }
}

fn apply(f: &dyn Fn(u8) -> u8, g: fn(u8) -> u8) -> u8 {
    f(1) + g(2)
}

fn same(n: u8) -> u8 {
    n
}

static TABLE: [fn(u8) -> u8; 1] = [same];

pub fn sync(disk: Disk<u8>) -> usize {
    let store: Box<dyn Store> = Box::new(disk);
    apply(&|n| n, same);
    TABLE[0](1);
    store.get()
}

pub async fn held(lock: &Mutex<u8>, other: impl Future<Output = ()>) {
    let kept = lock.lock().unwrap();
    let released = lock.lock().unwrap();
    drop(released);
    other.await;
    drop(kept);
}
