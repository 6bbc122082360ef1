//! What does the system grant to this process?

use std::num::NonZero;
use std::thread;

/// The number of cores that this process may use. The limits of a cgroup count. If the system does not tell, it is 1.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
