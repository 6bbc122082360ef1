//! Does the engine keep its promises on its worst day? Load, floods and hostile clients, one after another, since each
//! keeps the machine busy.
//!
//! These tests belong to `src/engine` and are replaced with it; they use the drill's routes, none of yours.

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
