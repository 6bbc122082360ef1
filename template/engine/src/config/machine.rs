//! What does the system grant to this process?

use std::num::NonZero;
use std::thread;

/// The cores that this process may use, limits of a cgroup included; 1 if the system does not tell.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
