//! Does the engine keep its promises on its worst day? The tests bring load, floods and hostile clients. They run one
//! after another, because each of them keeps the machine busy.
//!
//! They are ignored by default: `cargo test -p longpole --features drill,sqlite --test load -- --ignored
//! --test-threads 1 --show-output`.

mod common;

mod load {
    mod accounts;
    mod burst;
    mod disk;
    mod hostile;
    mod http2;
    mod overload;
    mod shutdown;

    use std::sync::{Mutex, MutexGuard, PoisonError};

    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
