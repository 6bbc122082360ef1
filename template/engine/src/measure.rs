//! How is something measured that may be cancelled at any moment?
//!
//! Work on the event loop can be dropped at each `.await`, when its client leaves. So a guard raises a gauge or takes a
//! time, and its `Drop` does the rest. If a gauge never comes back to zero, its guard was lost.

use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use metrics::{Gauge, Histogram};

/// Handles of series that differ in one label with few values, such as a status.
#[derive(Debug)]
pub struct Handles<K, H>(RwLock<Vec<(K, H)>>);

impl<K: Copy + PartialEq, H: Clone> Handles<K, H> {
    /// The handle for this key. If the key is new, `register` makes the handle, and is told how many handles there are.
    pub fn get(&self, key: K, register: impl FnOnce(usize) -> H) -> H {
        let find = |handles: &[(K, H)]| {
            handles.iter().find(|(known, _)| *known == key).map(|(_, handle)| handle.clone())
        };
        if let Some(known) = find(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        find(&handles).unwrap_or_else(|| {
            let handle = register(handles.len());
            handles.push((key, handle.clone()));
            handle
        })
    }
}

impl<K, H> Default for Handles<K, H> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

/// Raises a gauge until it is dropped, however the work that it counts ends.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    #[must_use]
    pub fn enter(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Records the time until it is dropped, however the work that it times ends.
pub struct Timed(Histogram, Instant);

impl Timed {
    #[must_use]
    pub fn into(histogram: &Histogram) -> Self {
        Self(histogram.clone(), Instant::now())
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.0.record(self.1.elapsed());
    }
}
